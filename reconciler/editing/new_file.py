"""A scope file that somebody is about to begin: what the editor shows for it."""

import re
from typing import Final

from reconciler.editing.draft import Draft
from reconciler.editing.places import check_place
from reconciler.errors import UsageError, escaped, some_of
from reconciler.model import is_scope_name
from reconciler.policy.sources import FOLDER
from reconciler.pysops.config.fields import did_you_mean
from reconciler.pysops.writing.plain_yaml import key_text


_NAME: Final = re.compile(rf"{FOLDER}/(?P<target>[^/]+)/(?:[^/]+/)*(?P<scope>[^/]+)\.ya?ml")

_TEXT: Final = """\
# Who may use the scope, if that is to be said here: take the # away.
# acls:
#     - <READ users>
version: 1
secrets:
    "{host}":
        {scope}:
            # A line for each key, its value in quotes; bytes as {{base64: "…"}}, an empty value as {{empty: "yes"}}.
            # db-password: "…"
"""


def check_new(draft: Draft, file: str) -> None:
    """Refuse to begin a file that could not be saved.

    Raises:
        UsageError: Its name does not say which target and scope it is for, or no rule says who may open it.
    """
    _names(draft, file)
    check_place(file)
    draft.rule(file)


def template(draft: Draft, file: str) -> bytes:
    """Return the text of a file that is about to be begun. It is none that could be saved: no key is in it.

    Raises:
        UsageError: See `check_new`.
    """
    host_key, scope = _names(draft, file)
    return _TEXT.format(host=host_key, scope=key_text(scope)).encode()


def _names(draft: Draft, file: str) -> tuple[str, str]:
    """Return host key and scope of a new file."""
    match = _NAME.fullmatch(file)
    if match is None or not is_scope_name(match["scope"]) or not file.isprintable():
        raise UsageError(
            f"{escaped(file)} does not exist, and its name does not say which scope it would be for",
            advice=f"name a file that exists, or {FOLDER}/TARGET/SCOPE.yaml",
        )
    targets = draft.policy.targets
    if (target := targets.named(match["target"])) is None:
        known = [target.name for target in targets.targets]
        raise UsageError(
            f"{escaped(file)} does not exist, and no target is called {escaped(match['target'])!r}",
            advice=did_you_mean(match["target"], known) or f"targets: {some_of(known)}",
        )
    return target.host_key, match["scope"]
