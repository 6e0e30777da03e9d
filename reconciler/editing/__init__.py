"""Changing the files: every daily task, from one value to a workspace that moved. Values come in and go out sealed.

In: `Settings`, and what is to be done. Out: files of the work tree, each replaced in one step. `draft` keeps what will
be; the other modules are one task each, and know nothing of terminals: what people have to be asked comes in as an
argument or as a function.
"""

from reconciler.editing.draft import Draft, Spot


__all__ = ["Draft", "Spot"]
