"""The JSON report keeps the promises that programs rely on."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.report import Status, render_json
from tests.report.situations import SITUATIONS, put, run, target_report


Fields = dict[str, Any]

TOP = ["format_version", "tool_version", "started", "finished", "run_url", "digest", "targets"]
TARGET = [
    *("target", "host", "identity", "commit", "status"),
    *("changes", "findings", "summary", "requests", "errors", "adopted"),
]
CHANGES = {
    "scope": ["action", "scope", "key", "reason", "result", "error", "request_id"],
    "secret": ["action", "scope", "key", "reason", "result", "error", "request_id"],
    "acl": ["action", "scope", "principal", "permission", "reason", "result", "error", "request_id"],
}
SUMMARY = ["create_scope", "delete_scope", "put_acl", "delete_acl", "put_secret", "delete_secret", "unchanged"]


def parsed(situation: str) -> Fields:
    """Return the report of a situation as a program reads it."""
    fields: Fields = json.loads(render_json(SITUATIONS[situation]))
    return fields


@pytest.mark.parametrize("situation", [pytest.param(name, id=name) for name in SITUATIONS])
def test_fields_stand_in_the_promised_order(situation: str) -> None:
    """Names and order of fields are the same in every situation."""
    document = parsed(situation)
    assert list(document) == TOP
    for target in document["targets"]:
        assert list(target) == TARGET
        assert list(target["summary"]) == SUMMARY
        assert list(target["requests"]) == ["read", "write"]
        for change in target["changes"]:
            assert list(change) == CHANGES[change["action"].split("-")[1]]
        for finding in target["findings"]:
            expected = ["kind", "scope", "key", "detail"]
            assert list(finding) == expected + ["principal"] * (finding["kind"] == "unmanaged-acl")


def test_changes_keep_the_order_of_the_plan() -> None:
    """A program sees the changes as they are carried out."""
    (target,) = parsed("pending")["targets"]
    actions = [change["action"] for change in target["changes"]]
    assert actions[0] == "create-scope"
    assert actions[-1] == "delete-scope"
    assert actions.index("delete-acl") < actions.index("put-secret") < actions.index("delete-secret")


def test_times_are_utc_with_milliseconds() -> None:
    """A time reads the same everywhere."""
    document = parsed("clean")
    assert document["started"] == "2026-01-02T03:04:05.678Z"
    assert re.fullmatch(r"2026-01-02T03:04:06\.928Z", document["finished"])


@given(st.text(st.characters(exclude_categories=())))
def test_any_name_comes_back_as_it_was(name: str) -> None:
    """Names survive, surrogates included, and the document itself is ASCII and ends with a line feed."""
    told = render_json(run(target_report("prod", Status.PENDING, put(name))))
    assert told.isascii()
    assert told.endswith("}\n")
    assert "\x1b" not in told
    assert json.loads(told)["targets"][0]["changes"][0]["key"] == name
