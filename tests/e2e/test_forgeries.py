"""What an attacker without a key can do to an encrypted file: sops decrypts it, and the reconciler does not apply it.

Some of each kind of attack that the MAC of SOPS leaves open (docs/adr tells why, docs/forgeries.md has them all, which
the tests of `policy` and `pysops` try one by one): each moves bytes of a really encrypted file, first shows what the
real binary says of it, and then that nothing is written to any scope that it is about.
"""

import json
import re
from collections.abc import Callable

import pytest

from tests.support.age_keys import AgeKey
from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsFailed, SopsTool
from tests.support.workshop import (
    KNOWN,
    Make,
    Workshop,
    behind,
    edited,
    forged,
    line_of,
    replaced,
    rewritten,
    swap,
    without,
)
from tests.support.workspace_server import WorkspaceServer


FILE = "secrets/prod/app.yaml"


@pytest.fixture
def workshop(repo: SecretsRepo, sops: SopsTool, age_key: AgeKey, workspace_server: WorkspaceServer) -> Workshop:
    """Forge files for a target whose other scope is genuine."""
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("prod/other.yaml", {workspace_server.host_key: {"other": {"key": "fine"}}})
    return Workshop(sops=sops, key=age_key, host_key=workspace_server.host_key)


def _step(forge: Callable[[str], str]) -> Make:
    return forged(forge)


def _sub(pattern: str, new: str) -> Callable[[str], str]:
    """Return a step that replaces what a pattern finds exactly once."""

    def step(content: str) -> str:
        changed, count = re.subn(pattern, new, content, flags=re.MULTILINE)
        assert count == 1, pattern
        return changed

    return step


def _flattened(content: str) -> str:
    """Join scope and key of the last value with a colon: what sops authenticates are the same bytes."""
    return replaced(content, "            nothing:\n", '        "app:nothing":\n')


def _host_and_scope_joined(content: str) -> str:
    """Join host and scope with a colon."""
    head, separator, metadata = content.partition("sops:\n")
    joined = re.sub(r"^    (127\S*):\n        app:\n", r'    "\1:app":\n', head, flags=re.MULTILINE)
    return joined.replace("            ", "        ") + separator + metadata


def _in_a_list(content: str) -> str:
    """Put all hosts into a list: positions in lists are not authenticated."""
    head, _, rest = content.partition("secrets:\n")
    body, _, metadata = rest.partition("sops:\n")
    lines = body.splitlines(keepends=True)
    return f"{head}secrets:\n    - {lines[0].lstrip()}{''.join(f'  {line}' for line in lines[1:])}sops:\n{metadata}"


_DECRYPTS = 0
"""sops says nothing and prints the values."""

_ANYTHING = None
"""Versions of sops differ."""

_MAC = 51
_TAG = 25


@pytest.mark.parametrize(
    ("make", "sops_says", "exit_code", "words"),
    [
        # Names of plain fields are in no MAC.
        pytest.param(edited("prune: owned", "note: owned"), _DECRYPTS, 4, "unknown field 'note'", id="rename-a-field"),
        pytest.param(
            forged(swap("acls:", "?:"), swap("rotation:", "acls:"), swap("?:", "rotation:")),
            _DECRYPTS,
            4,
            "not a grant",
            id="exchange-two-fields",
        ),
        # Boundaries between plain values are in no MAC.
        pytest.param(
            edited("- <WRITE admins>\n    - <READ users>", "- <WRITE admins><READ\n    - ' users>'"),
            _DECRYPTS,
            4,
            "not a grant",
            id="move-the-boundary-of-grants",
        ),
        pytest.param(
            edited("    - <READ users>\nprune: owned", "prune: <READ users>owned"),
            _DECRYPTS,
            4,
            "prune is none of the words",
            id="grant-into-prune",
        ),
        pytest.param(
            edited("rotation:\n    - <90d known>\nversion: 1\n", "rotation:\n    - <90d known>1\n"),
            _DECRYPTS,
            4,
            "not a rule",
            id="version-into-rotation",
        ),
        # Bytes of a known secret become policy.
        pytest.param(
            forged(without("known"), swap("version: 1\n", f"version: 1{KNOWN}\n")),
            _DECRYPTS,
            4,
            "the version is not 1",
            id="known-secret-into-version",
        ),
        pytest.param(
            forged(
                without("known"),
                swap(
                    "acls:\n    - <WRITE admins>\n    - <READ users>\n",
                    "x:\n    - <WRITE admins>\n    - <READ users>\n",
                ),
                swap("version: 1\n", f"version: 1\nacls:\n    - {KNOWN}\n"),
            ),
            _DECRYPTS,
            4,
            "the field 'acls' stands behind 'version'",
            id="known-secret-into-acls",
        ),
        # The selector is in no MAC.
        pytest.param(
            edited("encrypted_regex: ^secrets$", "encrypted_regex: ^(secrets|later)$"),
            _DECRYPTS,
            4,
            "encrypted_regex: ^secrets$",
            id="edit-the-selector",
        ),
        pytest.param(
            edited("encrypted_regex: ^secrets$", "unencrypted_regex: ^(acls|prune|rotation|version)$"),
            _DECRYPTS,
            4,
            "encrypted_regex: ^secrets$",
            id="exchange-the-selector",
        ),
        pytest.param(
            edited("encrypted_regex: ^secrets$", "Encrypted_Regex: ^secrets$"),
            _ANYTHING,
            0,
            "",
            id="another-case-of-the-selector-means-nothing",
        ),
        # Empty values are in no MAC.
        pytest.param(_step(behind("known", "new: ''")), _DECRYPTS, 4, "empty text", id="add-empty-text"),
        pytest.param(_step(behind("known", "new: null")), _DECRYPTS, 4, "a value is null", id="add-null"),
        pytest.param(
            _step(_sub("^        app:\n", "        evil: {}\n        app:\n")), _DECRYPTS, 4, "empty", id="add-a-scope"
        ),
        # Whatever stands behind what is read.
        pytest.param(
            _step(lambda content: f"{content}---\nversion: ''\n"), _DECRYPTS, 4, "second document", id="later-document"
        ),
        pytest.param(
            _step(rewritten("first", lambda value: f"{value} and more")), _DECRYPTS, 4, "not whole", id="text-behind"
        ),
        # The type of a value is in no MAC.
        *(
            pytest.param(
                _step(rewritten("first", lambda value, kind=kind: value.replace("type:str", f"type:{kind}"))),  # type: ignore[misc]
                _ANYTHING,
                4,
                words,
                id=f"type-{kind}",
            )
            for kind, words in (
                ("int", "whole number"),
                ("comment", "a comment"),
            )
        ),
        # What is authenticated is the names, joined with colons.
        pytest.param(_step(_flattened), _DECRYPTS, 4, "does not fit as a scope", id="scope-and-key-joined"),
        pytest.param(_step(_host_and_scope_joined), _DECRYPTS, 4, "does not fit as a host", id="host-and-scope-joined"),
        pytest.param(_step(_in_a_list), _DECRYPTS, 4, "secrets is a list", id="secrets-in-a-list"),
        pytest.param(
            _step(_sub("^            first:", "            renamed:")), _TAG, 5, "other keys", id="rename-a-key"
        ),
        pytest.param(_step(_sub("^        app:", "        other:")), _TAG, 5, "other keys", id="rename-the-scope"),
        # Aliases would be expanded, each under its own path.
        pytest.param(
            _step(behind("known", "more: &a {x: ''}\n            again: *a")), _DECRYPTS, 4, "an anchor", id="alias"
        ),
        # Comments are in no MAC, and mean nothing.
        pytest.param(edited("version: 1\n", "version: 1 # 2\n#---\n"), _DECRYPTS, 0, "", id="comments-mean-nothing"),
    ],
)
def test_forgery_is_not_applied(  # noqa: PLR0913  # the case and what it is tried on
    make: Make,
    sops_says: int | None,
    exit_code: int,
    words: str,
    *,
    run: Cli,
    repo: SecretsRepo,
    workshop: Workshop,
    workspace_server: WorkspaceServer,
) -> None:
    """What the binary says is on record; the reconciler refuses, and the scope does not come into being."""
    forgery = str(make(workshop))
    if sops_says is not None:
        assert _binary_on(workshop, forgery) == sops_says
    repo.write(FILE, forgery)
    workspace_server.traffic()
    done = run("apply", "prod").expect(exit_code)
    assert words in done.stdout + done.stderr
    if exit_code == 0:
        return
    assert [call for call in workspace_server.writes() if call.scope != "other"] == []
    assert "app" not in workspace_server.scopes()
    assert exit_code == 5 or workspace_server.scopes() == []
    run("plan", "prod").expect(exit_code)


def _binary_on(workshop: Workshop, content: str) -> int:
    """Return the exit code of ``sops decrypt``."""
    try:
        workshop.sops.decrypt(content.encode(), workshop.key.identity)
    except SopsFailed as error:
        return error.exit_code
    return _DECRYPTS


def test_copied_file_goes_nowhere_else(
    run: Cli, repo: SecretsRepo, workshop: Workshop, workspace_server: WorkspaceServer
) -> None:
    """The path is in no MAC. A copy elsewhere still names host and scope of the original, whose keys it feeds twice."""
    genuine = workshop.genuine()
    repo.write(FILE, genuine).write("secrets/evil/copy.yaml", genuine)
    said = run("apply", "prod").expect(4).stderr
    assert "each key in one file only" in said
    assert "secrets/evil/copy.yaml" in said
    assert workspace_server.traffic() == []


def test_renamed_file_goes_where_it_went(
    run: Cli, repo: SecretsRepo, workshop: Workshop, workspace_server: WorkspaceServer
) -> None:
    """A path decides nothing: not even one that is named like another target."""
    with WorkspaceServer(admin_token=workspace_server.emulator.admin_token) as other:
        repo.targets({"prod": workspace_server.fields, "dev": other.fields})
        repo.write("secrets/dev/app.yaml", workshop.genuine())
        run("apply", "prod", "dev").expect()
        assert workspace_server.scopes() == ["app", "other"]
        assert other.scopes() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("HOST:", "OTHER:", id="host"),
        pytest.param("app:", "stolen:", id="scope"),
    ],
)
def test_file_copied_to_another_host_or_scope_does_not_decrypt(
    old: str, new: str, run: Cli, repo: SecretsRepo, workshop: Workshop, workspace_server: WorkspaceServer
) -> None:
    """Host and scope stand above the values for this: no value of the copy can be read, by sops or by us."""
    with WorkspaceServer(admin_token=workspace_server.emulator.admin_token) as other:
        repo.targets({"prod": workspace_server.fields, "dev": other.fields})
        genuine = workshop.genuine()
        names = {"HOST": workshop.host_key, "OTHER": other.host_key}
        for name, host in names.items():
            old, new = old.replace(name, host), new.replace(name, host)
        forgery = replaced(genuine, f" {old}\n", f" {new}\n")
        assert _binary_on(workshop, forgery) == _TAG
        repo.write(FILE, genuine).write("secrets/dev/copy.yaml", forgery)
        done = run("apply", "prod", "dev").expect(5)
        assert "secrets/dev/copy.yaml:" in done.stdout
        assert "stands below other keys" in done.stdout
        assert other.writes() == []
        assert workspace_server.scopes() == ["app", "other"]
        assert workspace_server.value("app", "first") == b"first value"


def test_value_pasted_into_another_file_does_not_decrypt(
    run: Cli, repo: SecretsRepo, workshop: Workshop, workspace_server: WorkspaceServer
) -> None:
    """Even under the same host, scope and key: each file has a data key of its own."""
    genuine, other = workshop.genuine(), workshop.genuine()
    repo.write(FILE, replaced(genuine, line_of(genuine, "first"), line_of(other, "first")))
    assert "does not authenticate" in run("apply", "prod").expect(5).stdout
    assert workspace_server.scopes() == ["other"]


def test_metadata_pasted_from_another_file_opens_nothing(
    run: Cli, repo: SecretsRepo, workshop: Workshop, workspace_server: WorkspaceServer
) -> None:
    """Whoever makes a file of his own for our public recipient cannot read ours with its data key."""
    genuine, own = workshop.genuine(), workshop.genuine()
    body, metadata = genuine.partition("sops:\n")[0], own.partition("sops:\n")[2]
    repo.write(FILE, f"{body}sops:\n{metadata}")
    assert "does not authenticate" in run("apply", "prod").expect(5).stdout
    assert workspace_server.scopes() == ["other"]


def test_stanza_of_a_stranger_changes_nothing(
    run: Cli, repo: SecretsRepo, workshop: Workshop, workspace_server: WorkspaceServer
) -> None:
    """A stanza that no key of ours opens is passed over, also when it comes first and claims to be for our key."""
    stranger = Workshop(sops=workshop.sops, key=AgeKey.generate(), host_key=workshop.host_key).genuine()
    (stanza,) = re.findall(r"    age:\n((?:        .*\n)+)", stranger)
    stanza = re.sub(r"recipient: \S+", f"recipient: {workshop.key.recipient}", stanza)
    forgery = replaced(workshop.genuine(), "    age:\n", f"    age:\n{stanza}")
    repo.write(FILE, forgery)
    assert "the same recipient stands there twice" in run("apply", "prod").expect(4).stderr
    stranger_alone = forgery.replace(workshop.key.recipient, AgeKey.generate().recipient, 1)
    repo.write(FILE, stranger_alone)
    assert "though .sops.yaml:2 does not name it" in run("apply", "prod").expect(4).stderr
    assert workspace_server.traffic() == []
    (repo.root / ".sops.yaml").unlink()
    run("apply", "prod").expect()
    assert workspace_server.value("app", "first") == b"first value"


def test_what_sops_shows_of_a_forgery_is_what_a_policy_would_have_been(workshop: Workshop) -> None:
    """The reason for all of this: with sops alone, bytes of a known secret pass for a grant."""
    forgery = forged(without("known"), swap("version: 1\n", f"version: 1\nacls2:\n    - {KNOWN}\n"))(workshop)
    shown = json.loads(workshop.sops.decrypt(str(forgery).encode(), workshop.key.identity, output_type="json"))
    assert shown["acls2"] == [KNOWN]
