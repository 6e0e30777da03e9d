"""Adopting what exists: scopes of a workspace, or of Terraform's state, become files that say what they hold.

In: `Settings`, and where to look. Out: new files of the work tree, or more in those that are there, and what came of
each scope. Nothing is written before everything has been read, and a workspace is never written to.

Parts: `from_workspace` reads scopes from a workspace; `tfstate` and `addresses` understand a state, `from_state` makes
scopes of it and says what Terraform may forget; `found` is what both bring home; `placing` drafts the files; `told` is
what people and programs read of it.
"""

from reconciler.importing.from_state import read_bytes
from reconciler.importing.placing import Wish
from reconciler.importing.run import Imported, import_scopes, import_state
from reconciler.importing.told import configuration, render_import, render_import_json


__all__ = [
    "Imported",
    "Wish",
    "configuration",
    "import_scopes",
    "import_state",
    "read_bytes",
    "render_import",
    "render_import_json",
]
