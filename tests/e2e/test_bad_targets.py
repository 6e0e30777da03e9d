"""What ``secrets/targets.yaml`` must refuse: whoever can push a branch writes it; the credentials are the pipeline's.

Each case is applied with a key and a token at hand. Exit 4, the place, and nobody is looked up or connected to, though
most of these hosts lead to a workspace that is there.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.audit import watched
from tests.support.cli import Cli
from tests.support.secrets_repo import OWNER, SecretsRepo
from tests.support.workshop import place_of
from tests.support.workspace_server import WorkspaceServer


FILE = "secrets/targets.yaml"

LIST = f"""\
owner: {OWNER}
targets:
    prod:
        workspace:
            host: URL
"""


@pytest.fixture(autouse=True)
def scope_file(repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Feed a scope of the workspace, so that there would be something to apply."""
    repo.scope_file("prod/app.yaml", {workspace_server.host_key: {"app": {"key": "value"}}})


def _refused(run: Cli, server: WorkspaceServer, env: Mapping[str, str] | None = None) -> str:
    server.traffic()
    with watched() as deeds:
        planned, applied = (run(command, "prod", env=env).expect(4) for command in ("plan", "apply"))
    assert deeds.contacts == []
    assert server.traffic() == []
    assert planned == applied
    assert applied.stdout == ""
    return applied.stderr


def test_the_list_itself_is_fine(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Or the cases below would prove nothing."""
    repo.write(FILE, LIST.replace("URL", workspace_server.emulator.url))
    run("apply", "prod").expect()


@pytest.mark.parametrize(
    ("host", "words"),
    [
        pytest.param("http://127.0.0.1:PORT/", ("nothing else may stand",), id="slash"),
        pytest.param("http://127.0.0.1:PORT/path", ("nothing else may stand",), id="path"),
        pytest.param("http://127.0.0.1:PORT?o=1", ("nothing else may stand",), id="query"),
        pytest.param("http://127.0.0.1:PORT#x", ("nothing else may stand",), id="fragment"),
        pytest.param("http://127.0.0.1:PORT@evil.example", ("nothing else may stand",), id="port-for-password"),
        pytest.param("http://user:PASSWORD@127.0.0.1:PORT", ("loopback only",), id="userinfo"),
        pytest.param("http://127.0.0.1.:PORT", ("loopback only",), id="loopback-with-dot"),
        pytest.param("http://127.1:PORT", ("loopback only",), id="short-loopback"),
        pytest.param("http://0x7f000001:PORT", ("loopback only",), id="hexadecimal-loopback"),
        pytest.param("http://2130706433:PORT", ("loopback only",), id="decimal-loopback"),
        pytest.param("http://0.0.0.0:PORT", ("loopback only",), id="any-address"),
        pytest.param("'http://[::1]:PORT'", ("loopback only",), id="loopback-6"),
        pytest.param("'http://[::ffff:127.0.0.1]:PORT'", ("loopback only",), id="mapped-loopback"),
        pytest.param("http://LOCALHOST:PORT", ("loopback only",), id="upper-case-loopback"),
        pytest.param("http://localhost.evil.example:PORT", ("loopback only",), id="loopback-below-a-zone"),
        pytest.param("http://adb-1.2.azuredatabricks.net", ("loopback only", "write https://"), id="http"),
        pytest.param("https://127.0.0.1", ("in none of Databricks' own zones",), id="https-loopback"),
        pytest.param("https://127.0.0.1:PORT", ("a port",), id="https-loopback-port"),
        pytest.param("https://169.254.169.254", ("in none of Databricks' own zones",), id="metadata-service"),
        pytest.param("https://evil.example", ("own zones", "RECONCILER_EXTRA_HOSTS"), id="outside-the-zones"),
        pytest.param("https://azuredatabricks.net", ("own zones",), id="the-zone-itself"),
        pytest.param("https://evil-azuredatabricks.net", ("own zones",), id="zone-without-its-dot"),
        pytest.param("https://adb-1.2.azuredatabricks.net.evil.example", ("own zones",), id="zone-in-the-middle"),
        pytest.param("https://adb-1.2.azuredatabricks.net.", ("ends in a dot",), id="trailing-dot"),
        pytest.param("https://ADB-1.2.azuredatabricks.net", ("upper-case",), id="upper-case"),
        pytest.param("HTTPS://adb-1.2.azuredatabricks.net", ("does not begin with https://",), id="upper-scheme"),
        pytest.param("https://adb-1.2.azuredatabricks.net:443", ("a port",), id="port"),
        pytest.param("https://adb-1.2.azuredatabricks.net/", ("a path, if only a slash",), id="only-a-slash"),
        pytest.param("https://adb-1.2.azuredatabricks.net?o=1", ("a query",), id="query-of-zone"),
        pytest.param("https://user:PASSWORD@adb-1.2.azuredatabricks.net", ("a user or a password",), id="user"),
        pytest.param("https://evil.example\\@adb-1.2.azuredatabricks.net", ("a user or",), id="backslash"),
        pytest.param("https://evil.example%2f.azuredatabricks.net", ("no host name",), id="percent"),
        pytest.param("https://ädb.azuredatabricks.net", ("beyond ASCII",), id="idn"),
        pytest.param("https://adb.azuredatabricks\u3002net", ("beyond ASCII",), id="ideographic-dot"),
        pytest.param("https://adb-1.2.azuredatabricks.net\u200b", ("beyond ASCII",), id="zero-width"),
        pytest.param('"https://adb.azuredatabricks.net\\n"', ("no host name",), id="line-feed"),
        pytest.param('"https://adb.azuredatabricks.net\\r\\nX-Evil: 1"', ("a port",), id="header"),
        pytest.param('"https://adb .azuredatabricks.net"', ("no host name",), id="blank"),
        pytest.param('"https://a\\0.azuredatabricks.net"', ("no host name",), id="nul"),
        pytest.param("https://a_b.azuredatabricks.net", ("no host name",), id="underscore"),
        pytest.param("https://-a.azuredatabricks.net", ("no host name",), id="leading-hyphen"),
        pytest.param("https://..azuredatabricks.net", ("no host name",), id="empty-label"),
        pytest.param(f"https://{'a' * 64}.azuredatabricks.net", ("no host name",), id="long-label"),
        pytest.param("https://", ("stands nothing",), id="nothing"),
        pytest.param("adb-1.2.azuredatabricks.net", ("does not begin with https://",), id="no-scheme"),
        pytest.param("file:///etc/passwd", ("does not begin with https://",), id="file"),
        pytest.param("''", ("host is empty",), id="empty"),
        pytest.param("null", ("host is empty",), id="null"),
        pytest.param("5432", ("host is a whole number",), id="number"),
        pytest.param("[a]", ("host is a list",), id="list"),
    ],
)
def test_odd_host(
    host: str, words: tuple[str, ...], run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """At its line and column; a password in it is not repeated."""
    port = workspace_server.emulator.url.rpartition(":")[2]
    repo.write(FILE, LIST.replace("URL", host.replace("PORT", port)))
    said = _refused(run, workspace_server)
    (line,) = (each for each in said.splitlines() if each.startswith(f"{FILE}:5:19: "))
    assert all(word in line for word in words), said
    assert "PASSWORD" not in said
    assert all(char.isprintable() or char == "\n" for char in said)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        pytest.param("token: dapiCANARY", ("DATABRICKS_TOKEN",), id="token"),
        pytest.param("password: CANARY", ("DATABRICKS_PASSWORD",), id="password"),
        pytest.param("client_secret: CANARY", ("DATABRICKS_CLIENT_SECRET",), id="client-secret"),
        pytest.param("azure_client_secret: CANARY", ("ARM_CLIENT_SECRET",), id="azure-secret"),
        pytest.param("google_credentials: CANARY", ("GOOGLE_CREDENTIALS",), id="google-credentials"),
        pytest.param("databricks_cli_path: ./evil", ("databricks_cli_path",), id="cli-path"),
        pytest.param("azure_cli_path: ./evil", ("azure_cli_path",), id="azure-cli-path"),
        pytest.param("config_file: ./evil.cfg", ("config_file",), id="config-file"),
        pytest.param("oidc_token_filepath: /proc/self/environ", ("oidc_token_filepath",), id="token-file"),
        pytest.param("metadata_service_url: http://evil.example", ("metadata_service_url",), id="metadata-url"),
        pytest.param("discovery_url: https://evil.example", ("discovery_url",), id="discovery-url"),
        pytest.param("actions_id_token_request_url: https://e.example", ("actions_id_token_request_url",), id="oidc"),
        pytest.param("debug_headers: true", ("unknown field 'debug_headers'",), id="debug-headers"),
        pytest.param("skip_verify: true", ("unknown field 'skip_verify'",), id="no-tls"),
        pytest.param("Host: http://evil.example", ("unknown field 'Host'",), id="host-in-upper-case"),
        pytest.param("host: http://evil.example", ("twice",), id="second-host"),
        pytest.param("hots: x", ("did you mean 'host'?",), id="misspelt"),
        pytest.param("auth_type: azure-cli", ("it runs a program",), id="azure-cli"),
        pytest.param("auth_type: databricks-cli", ("it runs a program",), id="databricks-cli"),
        pytest.param("auth_type: external-browser", ("it starts a browser",), id="browser"),
        pytest.param("auth_type: runtime", ("notebook",), id="runtime"),
        pytest.param("auth_type: PAT", ("unknown auth_type", "did you mean 'pat'?"), id="auth-type"),
        pytest.param("profile: ../evil", ("profile does not look as it must",), id="profile-path"),
        pytest.param('workspace_id: "1\\r\\nX-Evil: 1"', ("workspace_id does not look",), id="header-in-id"),
        pytest.param("client_id: true", ("client_id is true or false",), id="bool"),
        pytest.param("account_id: {a: b}", ("account_id is a mapping",), id="mapping"),
    ],
)
def test_field_of_workspace(
    field: str, words: tuple[str, ...], run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """An allow-list: no secret, no program, no file, no other address; and no secret is repeated."""
    content = LIST.replace("URL", workspace_server.emulator.url) + f"            {field}\n"
    repo.write(FILE, content)
    said = _refused(run, workspace_server)
    lines = [each for each in said.splitlines() if each.startswith(f"{FILE}:6:")]
    assert any(all(word in line for word in words) for line in lines), said
    assert "CANARY" not in said


_OTHER = "    other:\n        workspace:\n            host: "


@pytest.mark.parametrize(
    ("content", "at", "words"),
    [
        pytest.param(LIST.replace(f"owner: {OWNER}\n", ""), "targets", ("no field 'owner'", "uuidgen"), id="no-owner"),
        pytest.param(LIST.replace(OWNER, "team-a"), "team-a", ("owner",), id="owner-is-no-uuid"),
        pytest.param(f"owner: {OWNER}\n", "owner", ("no field 'targets'",), id="no-targets"),
        pytest.param(f"owner: {OWNER}\ntargets: {{}}\n", "{}", ("targets is an empty mapping",), id="empty-targets"),
        pytest.param(LIST.replace("prod:", "Prod:"), "Prod", ("does not fit as a target", "a-z"), id="name"),
        pytest.param(LIST.replace("prod:", "../prod:"), "../prod", ("does not fit as a target",), id="path-for-name"),
        pytest.param(LIST.replace("prod:", f"{'p' * 65}:"), "ppp", ("does not fit as a target",), id="long-name"),
        pytest.param(LIST.replace("            host: URL\n", "            {}\n"), "{}", ("empty",), id="no-settings"),
        pytest.param(LIST.replace("host: URL", "profile: x"), "profile", ("workspace has no host",), id="no-host"),
        pytest.param(f"{LIST}    two:\n        operators: []\n", "two", ("neither workspace nor embedded",), id="bare"),
        pytest.param(f"{LIST}        embedded: true\n", "true", ("not both",), id="both"),
        pytest.param(f"{LIST}        age_key_file: x.agekey\n", "x.agekey", ("embedded targets only",), id="key-file"),
        pytest.param(f"{LIST}        command: evil\n", "command", ("unknown field 'command'",), id="unknown-field"),
        pytest.param(f"{LIST}        token: dapiCANARY\n", "token", ("DATABRICKS_TOKEN",), id="token-one-level-up"),
        pytest.param(f"{LIST}        operators: admin\n", "admin", ("operators is a single value",), id="operators"),
        pytest.param(f"{LIST}        operators: ['<a>']\n", "'<a>'", ("no name",), id="operator-in-brackets"),
        pytest.param(f"{LIST}        ledger_scope: a/b\n", "a/b", ("ledger_scope does not fit",), id="ledger-scope"),
        pytest.param(f"{LIST}        embedded: false\n", "false", ("not both",), id="not-embedded"),
        pytest.param(f"{LIST}{_OTHER}URL\n", "other", ("share a workspace", "workspace_id"), id="same-host"),
        pytest.param(f"{LIST}{_OTHER}LOCAL\n", "other", ("share a workspace",), id="same-host-by-another-name"),
        pytest.param(
            f"{LIST}{_OTHER}URL\n            workspace_id: 1\n", "other", ("share a workspace",), id="same-host-with-id"
        ),
        pytest.param(f"{LIST}---\n{LIST}", "---", ("a second document",), id="second-document"),
        pytest.param(LIST.replace("prod:", "prod: &a"), "&a", ("an anchor",), id="anchor"),
        pytest.param(f"{LIST}    <<: x\n", "<<", ("a merge key",), id="merge"),
        pytest.param(LIST + LIST.partition("targets:\n")[2], None, ("twice",), id="same-name-twice"),
        pytest.param(f"{LIST}<<<<<<< HEAD\n", "<<<<", ("conflict markers",), id="conflict"),
        pytest.param("- a\n", "-", ("a list at the top",), id="list"),
        pytest.param("", None, ("the file is empty",), id="empty"),
        pytest.param(f"{LIST}sops:\n    mac: x\n", "sops", ("the file is encrypted",), id="encrypted"),
    ],
)
def test_list_of_targets(
    content: str,
    at: str | None,
    words: tuple[str, ...],
    run: Cli,
    repo: SecretsRepo,
    workspace_server: WorkspaceServer,
) -> None:
    """Everything else that may be wrong with it."""
    url = workspace_server.emulator.url
    content = content.replace("URL", url).replace("LOCAL", url.replace("127.0.0.1", "localhost"))
    repo.write(FILE, content)
    said = _refused(run, workspace_server)
    where = f"{FILE}:" if at is None else f"{FILE}:{place_of(content, at)}: "
    lines = [each for each in said.splitlines() if each.startswith(where)]
    assert any(all(word in line for word in words) for line in lines), said
    assert "CANARY" not in said


def test_no_list_of_targets(run: Cli, workspace_server: WorkspaceServer) -> None:
    """Somebody may simply stand in the wrong folder."""
    assert "secrets/targets.yaml: there is no such file" in _refused(run, workspace_server)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        pytest.param("../outside.agekey", ("leaves secrets/",), id="outside"),
        pytest.param("/etc/hostname", ("leaves secrets/",), id="absolute"),
        pytest.param("prod/../../outside.agekey", ("leaves secrets/",), id="outside-by-a-detour"),
        pytest.param("prod/app.yaml", ("no plain path",), id="a-scope-file"),
        pytest.param("nowhere.agekey", ("not there",), id="nowhere"),
        pytest.param("link.agekey", ("not there",), id="link"),
        pytest.param("untracked.agekey", ("git does not track",), id="untracked"),
    ],
)
def test_key_file_of_an_embedded_target(
    path: str, words: tuple[str, ...], run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """No branch makes use of a private key that lies around on the machine."""
    repo.write("outside.agekey", repo.key.identity)
    repo.targets({"demo": {"embedded": True, "age_key_file": path}})
    (repo.root / "secrets/link.agekey").symlink_to("../outside.agekey")
    repo.commit()
    repo.write("secrets/untracked.agekey", repo.key.identity)
    with watched() as deeds:
        refused = run("apply").expect(4)
    assert f"{FILE}:5:" in refused.stderr
    assert all(word in refused.stderr for word in words), refused.stderr
    assert deeds.contacts == []
    assert repo.key.identity not in refused.stderr
    assert not (repo.root / ".reconciler").exists()


@pytest.mark.parametrize("chosen_by", ["the target", "the environment"])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param(
            "host = https://other.cloud.databricks.com\ntoken = dapiCANARY",
            ("is for https://other.cloud.databricks.com", "expected host = http://127.0.0.1:"),
            id="another-host",
        ),
        pytest.param("host = https://user:CANARY@x.example/?CANARY", ("is for https://x.example",), id="odd-host"),
        pytest.param("host = http://127.0.0.1:1", ("is for http://127.0.0.1:1",), id="another-port"),
        pytest.param("token = dapiCANARY", ("is for no host",), id="no-host"),
        pytest.param("dapiCANARY", ("cannot be read",), id="no-settings"),
        pytest.param(None, ("there is no profile",), id="no-such-profile"),
    ],
)
def test_profile_of_another_host(
    settings: str | None,
    words: tuple[str, ...],
    chosen_by: str,
    run: Cli,
    repo: SecretsRepo,
    workspace_server: WorkspaceServer,
) -> None:
    """A token that was made for one host is not sent to another one because a file in git says so."""
    section = "[else]\n" if settings is None else f"[work]\n{settings}\n"
    (Path(os.environ["HOME"]) / ".databrickscfg").write_text(section)
    named = "            profile: work\n" if chosen_by == "the target" else ""
    repo.write(FILE, LIST.replace("URL", workspace_server.emulator.url) + named)
    env = {} if named else {"DATABRICKS_CONFIG_PROFILE": "work"}
    said = _refused(run, workspace_server, env)
    assert "~/.databrickscfg: " in said
    assert all(word in said for word in words), said
    assert "CANARY" not in said


def test_profile_of_the_host_is_used(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Or the cases above would prove nothing."""
    url = workspace_server.emulator.url
    token = workspace_server.emulator.admin_token
    (Path(os.environ["HOME"]) / ".databrickscfg").write_text(f"[work]\nhost = {url}\ntoken = {token}\n")
    repo.write(FILE, LIST.replace("URL", url) + "            profile: work\n")
    run("apply", "prod", env={"DATABRICKS_TOKEN": ""}).expect()


@pytest.mark.parametrize("variable", ["DATABRICKS_HOST", "DATABRICKS_DISCOVERY_URL", "HTTP_PROXY", "ALL_PROXY"])
def test_environment_does_not_lead_elsewhere(
    variable: str, run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Where the values go stands in git alone: only the workspace is connected to."""
    url = workspace_server.emulator.url
    repo.write(FILE, LIST.replace("URL", url))
    with watched() as deeds:
        run("apply", "prod", env={variable: "http://localhost:9"}).expect()
    port = url.rpartition(":")[2]
    assert deeds.contacts
    assert all(port in contact for contact in deeds.contacts)
    assert workspace_server.value("app", "key") == b"value"


@pytest.mark.parametrize(
    "extra", ["*", ".com", "https://evil.example", "evil.example:80", ".", "Evil.example", "evil.example/"]
)
def test_extra_hosts_are_held_to_rules_too(
    extra: str, run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """A variable that opens the door to everybody is a usage error, not a silent no."""
    repo.write(FILE, LIST.replace("URL", "https://evil.example"))
    refused = run("apply", "prod", env={"RECONCILER_EXTRA_HOSTS": extra}).expect(2)
    assert "RECONCILER_EXTRA_HOSTS" in refused.stderr
    assert workspace_server.traffic() == []
