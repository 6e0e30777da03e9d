"""Another host in the text of targets.yaml."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.editing.targets_text import with_workspace
from reconciler.errors import Refused
from reconciler.policy import EmbeddedSettings, Sources, WorkspaceSettings
from reconciler.policy.target_reader import read_targets
from reconciler.policy.targets import Targets


_NEW = "https://adb-3.4.azuredatabricks.net"

_TEXT = """\
# Wér was here 🔑
owner:   123e4567-e89b-42d3-a456-426614174000   # ours
targets:
  demo:
    embedded: true
    age_key_file: demo.agekey
  # the big one
  prod:
    operators: [ admin@example.com ]
    workspace:
      auth_type: oauth-m2m
      host: https://adb-1.2.azuredatabricks.net   # in the west
      client_id: 6f1c0a52-7f54-4c0b-9a55-6b5f3e0d9c11
  dev: {workspace: {host: "https://adb-5.6.azuredatabricks.net"}}
"""


def _read(text: str) -> Targets:
    files = {"secrets/targets.yaml": text.encode(), "secrets/demo.agekey": b"x"}
    targets = read_targets(Sources(files=files))
    assert targets.problems == ()
    return targets


def test_only_the_host_is_another_one() -> None:
    """Comments, blanks, quotes and the order of fields stay."""
    changed = with_workspace(_TEXT, "prod", host=_NEW, workspace_id=None)
    assert changed == _TEXT.replace("https://adb-1.2.azuredatabricks.net", _NEW)
    changed = with_workspace(_TEXT, "dev", host=_NEW, workspace_id=None)
    assert changed == _TEXT.replace("https://adb-5.6.azuredatabricks.net", _NEW)


def test_an_id_is_added_below_the_host_changed_and_taken_away() -> None:
    """In blocks on a line of its own; in quotes, as an id of digits is no number."""
    host = "https://adb-1.2.azuredatabricks.net"
    added = with_workspace(_TEXT, "prod", host=host, workspace_id="0123")
    assert added == _TEXT.replace("# in the west\n", '# in the west\n      workspace_id: "0123"\n')
    changed = with_workspace(added, "prod", host=_NEW, workspace_id="99")
    assert changed == added.replace(host, _NEW).replace("0123", "99")
    assert with_workspace(added, "prod", host=host, workspace_id=None) == _TEXT


def test_an_id_is_added_within_braces() -> None:
    """On the same line."""
    changed = with_workspace(_TEXT, "dev", host=_NEW, workspace_id="7")
    assert f'{{host: "{_NEW}", workspace_id: "7"}}' in changed


@pytest.mark.parametrize("feed", ["\n", "\r\n"])
def test_the_last_line_may_have_no_end(feed: str) -> None:
    """Nor do line ends become others."""
    text = feed.join(("targets:", " p:", "  workspace:", "   host: https://adb-1.2.azuredatabricks.net"))
    changed = with_workspace(text, "p", host=_NEW, workspace_id="7")
    assert changed.splitlines()[-2:] == [f"   host: {_NEW}", '   workspace_id: "7"']
    with_end = with_workspace(text + feed, "p", host=_NEW, workspace_id="7")
    assert with_end.split(feed) == ["targets:", " p:", "  workspace:", f"   host: {_NEW}", '   workspace_id: "7"', ""]


@pytest.mark.parametrize(
    ("old", "new", "workspace_id"),
    [
        pytest.param("   # in the west", "\n", None, id="folded"),
        pytest.param("client_id:", "workspace_id: 7 # note\n      client_id:", None, id="comment-behind-the-id"),
        pytest.param("auth_type: oauth-m2m\n      host:", "? host\n      :", "7", id="question-mark"),
    ],
)
def test_what_cannot_be_changed_in_place_is_said(old: str, new: str, workspace_id: str | None) -> None:
    """With the way round it."""
    text = _TEXT.replace(old, new)
    if "in the west" not in text:
        text = text.replace("host: https://adb-1.2", "host: >-\n        https://adb-1.2")
    _read(text)
    with pytest.raises(Refused, match="cannot be changed in place"):
        with_workspace(text, "prod", host=_NEW, workspace_id=workspace_id)


_QUOTES = st.sampled_from(["", '"', "'"])
_IDS = st.none() | st.sampled_from(["0123", "1e5", "0x1f", "7", "a-b", "0o17", "99"])


@settings(max_examples=50)
@given(quote=_QUOTES, before=_IDS, after=_IDS, flow=st.booleans(), comment=st.sampled_from(["", "é # x"]))
def test_it_reads_as_what_was_meant(
    *, quote: str, before: str | None, after: str | None, flow: bool, comment: str
) -> None:
    """Whatever the layout: host and id are the new ones, and nothing else is."""
    host = f"{quote}https://adb-1.2.azuredatabricks.net{quote}"
    fields = [f"host: {host}", *([] if before is None else [f'workspace_id: "{before}"']), "auth_type: pat"]
    block = "".join(f"\n      {field}" for field in fields)
    workspace = f" {{{', '.join(fields)}}}" if flow else block
    text = (
        f"# {comment}\n{_TEXT.partition('targets:')[0]}targets:\n  p:\n    workspace:{workspace}\n    operators: []\n"
    )
    _read(text)
    if flow and before is not None and after is None:
        with pytest.raises(Refused):
            with_workspace(text, "p", host=_NEW, workspace_id=after)
        return
    (target,) = _read(with_workspace(text, "p", host=_NEW, workspace_id=after)).targets
    assert not isinstance(target.workspace, EmbeddedSettings)
    assert target.workspace == WorkspaceSettings(host=_NEW, workspace_id=after, auth_type="pat")
