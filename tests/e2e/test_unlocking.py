"""What shows on unlocking alone: exit 5, at its place; it stops the scopes that the file feeds, and no others."""

from pathlib import Path

import pytest

from tests.support.age_keys import AgeKey
from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo
from tests.support.sops_tool import SopsTool
from tests.support.workshop import (
    Make,
    Workshop,
    edited,
    flipped,
    forged,
    place_of,
    plain,
    replaced,
    rewritten,
    without,
)
from tests.support.workspace_server import WorkspaceServer


FILE = "secrets/prod/app.yaml"


@pytest.fixture
def workshop(
    repo: SecretsRepo, sops: SopsTool, age_key: AgeKey, run: Cli, workspace_server: WorkspaceServer
) -> Workshop:
    """Make wrong files for a target whose other scope has nothing wrong with it."""
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("prod/other.yaml", {workspace_server.host_key: {"other": {"key": "fine"}}})
    return Workshop(sops=sops, key=age_key, host_key=workspace_server.host_key)


def _locked(run: Cli, server: WorkspaceServer, env: dict[str, str] | None = None) -> str:
    """Apply both scopes; return what was said, after making sure that one was left alone and the other one was not."""
    server.traffic()
    done = run("apply", "prod", env=env).expect(5)
    assert all(call.scope == "other" for call in server.writes())
    assert server.scopes() == ["other"]
    assert server.value("other", "key") == b"fine"
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("make", "at", "words"),
    [
        pytest.param(
            forged(rewritten("second", flipped("data"))), "second", ("does not authenticate", "restore"), id="value"
        ),
        pytest.param(forged(rewritten("second", flipped("tag"))), "second", ("does not authenticate",), id="tag"),
        pytest.param(forged(rewritten("second", flipped("iv"))), "second", ("does not authenticate",), id="iv"),
        pytest.param(forged(rewritten("mac", flipped("data"))), "mac", ("MAC does not authenticate",), id="mac"),
        pytest.param(forged(rewritten("mac", flipped("tag"))), "mac", ("MAC does not authenticate",), id="mac-tag"),
        pytest.param(
            forged(rewritten("lastmodified", lambda _: '"2020-01-01T00:00:00Z"')),
            "mac",
            ("MAC does not authenticate", "lastmodified"),
            id="lastmodified",
        ),
        pytest.param(forged(without("second")), "mac", ("MAC does not fit", "restore the file"), id="value-removed"),
        pytest.param(edited("- <READ users>", "- <READ evil>"), "mac", ("MAC does not fit",), id="grant-edited"),
        pytest.param(edited("    - <READ users>\n", ""), "mac", ("MAC does not fit",), id="grant-removed"),
        pytest.param(edited("prune: owned", "prune: all"), "mac", ("MAC does not fit",), id="prune-edited"),
        pytest.param(edited("<90d known>", "<99999d known>"), "mac", ("MAC does not fit",), id="rotation-edited"),
        pytest.param(
            edited("            first:", "            renamed:"), "renamed", ("other keys",), id="key-renamed"
        ),
        pytest.param(edited("        app:", "        mine:"), "known", ("other keys",), id="scope-renamed"),
        pytest.param(plain("AAEC", "A===" * 2), "bytes", ("not base64",), id="base64-padding"),
        pytest.param(plain("AAEC", '"AA C"'), "bytes", ("not base64", "white space"), id="base64-space"),
        pytest.param(plain("AAEC", "AA-_"), "bytes", ("not base64", "standard base64"), id="base64-for-urls"),
        pytest.param(plain('empty: "yes"', 'empty: "not"'), "nothing", ("another text than yes",), id="empty-not"),
    ],
)
def test_tampering_stops_the_scope_and_no_other(
    make: Make,
    at: str,
    words: tuple[str, ...],
    run: Cli,
    repo: SecretsRepo,
    workshop: Workshop,
    workspace_server: WorkspaceServer,
) -> None:
    """Exit 5, with the place, and nothing written to the scope; the other one is reconciled."""
    content = str(make(workshop))
    repo.write(FILE, content)
    said = _locked(run, workspace_server)
    line = place_of(content, f" {at}:").partition(":")[0]
    lines = [each for each in said.splitlines() if f"{FILE}:{line}:" in each]
    assert any(all(word in each for word in words) for each in lines), said
    assert "first value" not in said


def test_ciphertexts_that_changed_places(
    run: Cli, repo: SecretsRepo, workshop: Workshop, workspace_server: WorkspaceServer
) -> None:
    """A value is bound to its own key: two that are exchanged do not decrypt, though each is genuine."""
    content = workshop.genuine()
    lines = [line for line in content.splitlines(keepends=True) if line.lstrip().startswith(("first:", "second:"))]
    first, second = (line.partition(": ")[2] for line in lines)
    repo.write(FILE, content.replace(first, "?").replace(second, first).replace("?", second))
    assert "does not authenticate" in _locked(run, workspace_server)


def test_value_of_yesterday_in_the_file_of_today(
    run: Cli, repo: SecretsRepo, workshop: Workshop, workspace_server: WorkspaceServer, tmp_path: Path
) -> None:
    """An older ciphertext of the same key under the same data key authenticates alone, and not with the others."""
    old = workshop.genuine()
    (tmp_path / "new.yaml").write_text(old)
    place = f'["secrets"]["{workshop.host_key}"]["app"]["first"]'
    workshop.sops.run(("set", str(tmp_path / "new.yaml"), place, '"rotated"'), identity=workshop.key.identity)
    new = (tmp_path / "new.yaml").read_text()
    yesterday, today = (
        next(line for line in content.splitlines() if line.lstrip().startswith("first:")) for content in (old, new)
    )
    assert yesterday != today
    repo.write(FILE, replaced(new, today, yesterday))
    assert "MAC does not fit" in _locked(run, workspace_server)


_OTHER_KEY = AgeKey.generate()


@pytest.mark.parametrize(
    ("env", "words"),
    [
        pytest.param({}, ("no identity at hand opens the file", "tried: SOPS_AGE_KEY"), id="wrong-key"),
        pytest.param({"SOPS_AGE_KEY_CMD": "echo x"}, ("what SOPS_AGE_KEY_CMD prints is not used",), id="command"),
        pytest.param({"SOPS_AGE_KEY_FILE": "/nowhere"}, ("SOPS_AGE_KEY_FILE names does not exist",), id="no-file"),
        pytest.param({"SOPS_AGE_KEY_FILE": "/dev/null"}, ("holds no age identity",), id="empty-file"),
        pytest.param({"SOPS_AGE_KEY_FILE": "/"}, ("cannot be read",), id="folder"),
    ],
)
def test_file_for_another_key_stops_its_scope_alone(
    env: dict[str, str],
    words: tuple[str, ...],
    run: Cli,
    repo: SecretsRepo,
    workshop: Workshop,
    workspace_server: WorkspaceServer,
) -> None:
    """The message names whose key opens it and where was looked, never a key."""
    other = Workshop(sops=workshop.sops, key=_OTHER_KEY, host_key=workshop.host_key)
    content = other.genuine()
    repo.name("prod/app.yaml", (_OTHER_KEY.recipient,)).write(FILE, content)
    said = _locked(run, workspace_server, env)
    assert f"{FILE}:{place_of(content, 'sops:')}: " in said
    assert f"expected the key of {_OTHER_KEY.recipient}" in said
    assert all(word in said for word in words), said
    assert "AGE-SECRET-KEY" not in said


@pytest.mark.parametrize(
    ("key", "words"),
    [
        pytest.param(None, ("there is no identity", "SOPS_AGE_KEY", "keys.txt"), id="none"),
        pytest.param("", ("no identity", "SOPS_AGE_KEY"), id="empty"),
        pytest.param("nonsense CANARY", ("line 1 is no age identity",), id="nonsense"),
        pytest.param(_OTHER_KEY.identity[:-1], ("line 1 is no age identity",), id="cut-off"),
        pytest.param(_OTHER_KEY.identity.lower(), ("line 1 is no age identity",), id="lower-case"),
        pytest.param(_OTHER_KEY.identity, ("no identity at hand", _OTHER_KEY.recipient), id="wrong"),
        pytest.param("AGE-SECRET-KEY-PQ-1CANARY", ("line 1 is no age identity",), id="post-quantum"),
        pytest.param("age-encryption.org/v1\nCANARY", ("passphrase",), id="encrypted"),
    ],
)
def test_without_the_key_nothing_is_written(
    key: str | None,
    words: tuple[str, ...],
    repo: SecretsRepo,
    workshop: Workshop,
    workspace_server: WorkspaceServer,
) -> None:
    """Exit 5 for every scope; the key at hand, whole or not, is never quoted."""
    repo.write(FILE, workshop.genuine())
    env = {**workspace_server.env, **({} if key is None else {"SOPS_AGE_KEY": key})}
    done = Cli(cwd=repo.root, env=env)("apply", "prod").expect(5)
    assert workspace_server.writes() == []
    assert all(word in done.stdout for word in words), done.stdout
    assert all(f"secrets/prod/{name}.yaml:" in done.stdout for name in ("app", "other"))
    said = done.stdout + done.stderr
    assert "CANARY" not in said
    assert "SECRET-KEY-1" not in said.upper().replace("AGE-SECRET-KEY-1…", "")
