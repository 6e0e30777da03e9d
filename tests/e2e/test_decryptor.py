"""Key services from the command line: whom the files of a repository may make us talk to, and what that opens."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from reconciler.pysops import Recipient
from reconciler.pysops.binary.wrapper import SopsBinary
from reconciler.pysops.decryptor import MAX_AT_ONCE
from tests.support.age_keys import AgeKey
from tests.support.cli import Cli, program
from tests.support.fake_sops import FakeSops
from tests.support.secrets_repo import SecretsRepo, scope_text
from tests.support.sops_tool import SopsTool
from tests.support.vault import Ear, Vault
from tests.support.workspace_server import WorkspaceServer


CANARY = "canary-13a7"

FILE = "secrets/prod/app.yaml"

DECRYPTORS = ("auto", "native", "sops")


KEY_LISTS: Final = {
    "kms": "        - arn: arn:aws:kms:us-east-1:123456789012:key/x\n",
    "gcp_kms": "        - resource_id: projects/p/locations/l/keyRings/r/cryptoKeys/k\n",
    "azure_kv": "        - vault_url: https://{address}\n          name: n\n          version: v\n",
    "hc_vault": (
        "        - vault_address: http://{address}\n          engine_path: transit\n          key_name: dev\n"
    ),
}


def _naming(content: str, address: str, *kinds: str) -> str:
    """Return a file that names key services at one address besides; nothing protects the metadata."""
    rest = '          created_at: "2026-01-01T00:00:00Z"\n          enc: dmF1bHQ=\n'
    lists = "".join(f"    {kind}:\n{KEY_LISTS[kind].format(address=address)}{rest}" for kind in kinds)
    return content.replace("sops:\n", f"sops:\n{lists}")


def _credentials(address: str) -> dict[str, str]:
    """Return an environment in which sops would contact ``address`` for each of them."""
    return {
        "VAULT_TOKEN": CANARY,
        "VAULT_MAX_RETRIES": "0",
        "AWS_ENDPOINT_URL": f"http://{address}",
        "AWS_ACCESS_KEY_ID": CANARY,
        "AWS_SECRET_ACCESS_KEY": CANARY,
        "AWS_MAX_ATTEMPTS": "1",
        "SOPS_GCP_KMS_ENDPOINT": address,
        "GOOGLE_OAUTH_ACCESS_TOKEN": CANARY,
        "AZURE_CLIENT_ID": CANARY,
        "AZURE_CLIENT_SECRET": CANARY,
        "AZURE_TENANT_ID": "t",
    }


@pytest.fixture
def environ(sops: SopsTool, workspace_server: WorkspaceServer) -> dict[str, str]:
    """Make the environment of a command: the token of the workspace, and the program."""
    return {**workspace_server.env, "SOPS_BINARY": str(sops.binary)}


@pytest.mark.parametrize("rules", [pytest.param(True, id="rules"), pytest.param(False, id="no-rules")])
def test_foreign_key_services_cause_no_connection(
    rules: bool,  # noqa: FBT001  # a table
    repo: SecretsRepo,
    environ: dict[str, str],
    workspace_server: WorkspaceServer,
) -> None:
    """Whatever opens files: a branch that names a Vault or KMS must not make a pipeline log in there.

    With a rule that does not name them it shows without a key (4), without rules on unlocking (5).
    """
    repo.targets({"prod": workspace_server.fields})
    stranger = AgeKey.generate()
    repo.scope_file(
        "prod/app.yaml", {workspace_server.host_key: {"app": {"k": CANARY}}}, recipients=[stranger.recipient]
    )
    if not rules:
        (repo.root / ".sops.yaml").unlink()
    with Ear() as ear:
        content = repo.read(FILE).decode()
        repo.write(FILE, _naming(content, ear.address, *KEY_LISTS))
        run = Cli(cwd=repo.root, env={**environ, **_credentials(ear.address)})
        for decryptor in DECRYPTORS:
            done = run("apply", "prod", "--yes", "--decryptor", decryptor).expect(4 if rules else 5)
            said = done.stdout + done.stderr
            assert f"{FILE}:" in said
            if rules or decryptor != "native":
                assert "kms arn:aws:kms:us-east-1:123456789012:key/x" in said
                assert ".sops.yaml" in said
            assert CANARY not in said
        assert ear.heard == []
        assert workspace_server.writes() == []


@pytest.mark.parametrize("kind", ["kms", "hc_vault"])
def test_the_program_alone_would_connect(kind: str, sops: SopsTool, age_key: AgeKey) -> None:
    """Which makes the silence above say something."""
    content = sops.encrypt(b"a: b\n", [age_key.recipient]).decode()
    with Ear() as ear:
        subprocess.run(
            (sops.binary, "decrypt", "--input-type", "yaml"),
            input=_naming(content, ear.address, kind).encode(),
            env=_credentials(ear.address),
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert any(CANARY.encode() in heard for heard in ear.heard)


def _into_vault(repo: SecretsRepo, vault: Vault, environ: dict[str, str], workspace_server: WorkspaceServer) -> None:
    """Write a scope file whose key the Vault alone has, and the rule that names it."""
    rules = f"creation_rules:\n    - encrypted_regex: ^secrets$\n      hc_vault_transit_uri: {vault.key}\n"
    repo.targets({"prod": workspace_server.fields}).write(".sops.yaml", rules)
    text = scope_text({workspace_server.host_key: {"app": {"k": "from the vault"}}}).encode()
    encrypted = SopsBinary.find({**environ, "VAULT_TOKEN": CANARY}).encrypt(
        text,
        destination=repo.root / FILE,
        config=repo.root / ".sops.yaml",
        named=(Recipient(kind="hc_vault", name=vault.key),),
    )
    repo.write(FILE, encrypted)
    vault.requests.clear()


def test_a_vault_that_the_rule_names_opens_the_file(
    repo: SecretsRepo, environ: dict[str, str], workspace_server: WorkspaceServer
) -> None:
    """The way is there: what is refused elsewhere is not refused for want of it."""
    with Vault() as vault:
        _into_vault(repo, vault, environ, workspace_server)
        run = Cli(cwd=repo.root, env={**environ, "VAULT_TOKEN": CANARY})
        run("plan", "prod", "--decryptor", "native").expect(5)
        assert vault.requests == []
        done = run("apply", "prod", "--yes").expect(0)
        assert workspace_server.value("app", "k") == b"from the vault"
        assert [request.token for request in vault.requests] == [CANARY]
        assert CANARY not in done.stdout + done.stderr
        run("plan", "prod", "--decryptor", "sops", "--detailed-exitcode").expect(0)


def test_the_rule_of_the_commit_counts(
    repo: SecretsRepo, environ: dict[str, str], workspace_server: WorkspaceServer
) -> None:
    """A rule in the work tree that nobody has reviewed names nobody, and one that was taken out there still counts."""
    with Vault() as vault:
        _into_vault(repo, vault, environ, workspace_server)
        repo.commit()
        good = repo.read(".sops.yaml")
        repo.write(".sops.yaml", good.replace(b"/keys/dev", b"/keys/other"))
        run = Cli(cwd=repo.root, env={**environ, "VAULT_TOKEN": CANARY})
        run("plan", "prod").expect(0)
        assert len(vault.requests) == 1
        repo.commit()
        repo.write(".sops.yaml", good)
        run("plan", "prod").expect(4)
        assert len(vault.requests) == 1


def test_without_the_program_the_message_says_how_to_get_it(
    repo: SecretsRepo, environ: dict[str, str], workspace_server: WorkspaceServer
) -> None:
    """Exit 5, as the file does not open."""
    with Vault() as vault:
        _into_vault(repo, vault, environ, workspace_server)
        nowhere = {**workspace_server.env, "PATH": str(repo.root)}
        done = Cli(cwd=repo.root, env=nowhere)("plan", "prod").expect(5)
        assert "there is no sops program" in done.stdout
        assert "getsops.io" in done.stdout


def test_a_demo_opens_with_its_own_key_alone_whatever_opens_it(
    repo: SecretsRepo, sops: SopsTool, tmp_path: Path
) -> None:
    """The program is told the file of the identity by name: no key stands in its environment, none of the user's."""
    repo.targets({"demo": repo.embedded("demo")}, owner=None)
    repo.scope_file("demo/app.yaml", {"demo": {"app": {"k": "v"}}})
    mine = {"SOPS_AGE_KEY": AgeKey.generate().identity, "SOPS_AGE_KEY_CMD": "false", "VAULT_TOKEN": CANARY}
    run = Cli(cwd=repo.root, env={**mine, "SOPS_BINARY": str(sops.binary)})
    for decryptor in DECRYPTORS:
        run("apply", "demo", "--decryptor", decryptor).expect(0)
    fake = FakeSops(tmp_path / "fake", exit_code=128)
    Cli(cwd=repo.root, env={**mine, **fake.environ})("plan", "demo", "--decryptor", "sops").expect(5)
    environ = fake.calls[-1].environ
    assert environ["SOPS_AGE_KEY_FILE"] == str(repo.root / "secrets/demo/demo.agekey")
    assert {"SOPS_AGE_KEY", "SOPS_AGE_KEY_CMD", "VAULT_TOKEN", "HOME", "XDG_CONFIG_HOME"}.isdisjoint(environ)


def test_what_the_program_says_never_shows(
    repo: SecretsRepo, workspace_server: WorkspaceServer, age_key: AgeKey, tmp_path: Path
) -> None:
    """Its messages and its output may quote values; arguments hold none."""
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("prod/app.yaml", {workspace_server.host_key: {"app": {"k": CANARY}}})
    for number, code in enumerate((0, 1, 25, 51, 128, 200)):
        fake = FakeSops(tmp_path / str(number), exit_code=code, stderr=CANARY, stdout=f'{{"a": "{CANARY}"}}')
        env = {**workspace_server.env, **fake.environ, "SOPS_AGE_KEY": age_key.identity}
        done = Cli(cwd=repo.root, env=env)("-v", "apply", "prod", "--yes", "--decryptor", "sops").expect(5)
        assert CANARY not in done.stdout + done.stderr
        assert f"{FILE}:" in done.stdout
        arguments = " ".join(argument for call in fake.calls for argument in call.arguments)
        assert CANARY not in arguments
        assert age_key.identity not in arguments
        leaked = {"DATABRICKS_TOKEN", *workspace_server.env}
        assert leaked.isdisjoint(fake.calls[-1].environ)
    assert workspace_server.writes() == []
    assert "SOPS_AGE_KEY" not in os.environ


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_programs_as_well(
    number: signal.Signals, repo: SecretsRepo, workspace_server: WorkspaceServer, tmp_path: Path
) -> None:
    """Whoever gives up does not wait for a key service, nor leave something behind that goes on asking it."""
    repo.targets({"prod": workspace_server.fields})
    for name in ("a", "b", "c", "d"):
        repo.scope_file(f"prod/{name}.yaml", {workspace_server.host_key: {name: {"k": CANARY}}})
    fake = FakeSops(tmp_path / "fake", sleep_s=60)
    run = Cli(cwd=repo.root, env={**workspace_server.env, **fake.environ, "PATH": os.environ["PATH"]})
    process = subprocess.Popen(
        program("apply", "prod", "--yes", "--decryptor", "sops"),
        cwd=repo.root,
        env=run.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while len(fake.calls) < 1 + MAX_AT_ONCE:
        assert process.poll() is None
        time.sleep(0.02)
    started = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - started < 10
    assert len(fake.calls) == 1 + MAX_AT_ONCE
    assert not any(_is_running(call.pid) for call in fake.calls)
    assert workspace_server.writes() == []
