"""Every documented error can be provoked, is documented here, and gives nothing away."""

import re
from pathlib import Path
from typing import Final

import pytest
from databricks.sdk.service.workspace import SecretsAPI

from reconciler.emulator import Emulator
from tests.emulator.refusals import CANARY, EVERY, ROWS, Row, setup


_DOCS: Final = Path(__file__).parents[2] / "docs" / "emulator.md"

_METHODS: Final = {
    "create_scope": "scopes/create",
    "delete_scope": "scopes/delete",
    "list_scopes": "scopes/list",
    "list_secrets": "list",
    "get_secret": "get",
    "put_secret": "put",
    "delete_secret": "delete",
    "put_acl": "acls/put",
    "get_acl": "acls/get",
    "list_acls": "acls/list",
    "delete_acl": "acls/delete",
}


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_documented_error_is_answered_with_its_code_and_status(row: Row) -> None:
    """Provoking an error the way the documentation says yields its code, its status and the platform's error shape."""
    with Emulator(rules=row.rules) as emulator:
        if row.rules.premium and not row.rules.without_access:
            setup(emulator)
        answer = row.provoke(emulator)
    assert (answer.code, answer.status) == (row.code, row.status)
    assert set(answer.json) == {"error_code", "message"}
    assert answer.headers["content-type"] == "application/json"
    assert CANARY not in answer.text


def test_table_of_the_documentation_is_the_table_of_the_tests() -> None:
    """docs/emulator.md lists exactly the rows that are tested, in the same order."""
    documented = [line for line in _DOCS.read_text().splitlines() if re.match(r"\| (`[a-z/]+`|every call) \|", line)]
    assert documented == [row.markdown for row in ROWS]


@pytest.mark.parametrize(("method", "call"), _METHODS.items())
def test_every_error_that_the_sdk_documents_has_a_row(method: str, call: str) -> None:
    """No code that the docstring of an SDK method says is thrown is missing from the table."""
    text = getattr(SecretsAPI, method).__doc__
    thrown = set(re.findall(r"Throws\s+``([A-Z_]+)``", text))
    assert thrown
    assert thrown <= {row.code for row in ROWS if row.call == call}


def test_every_call_of_the_sdk_is_covered() -> None:
    """The rows name all calls of the SDK's SecretsAPI, and no other."""
    public = {name for name in vars(SecretsAPI) if not name.startswith("_")}
    assert public == set(_METHODS)
    assert {row.call for row in ROWS} == {EVERY, *_METHODS.values()}
