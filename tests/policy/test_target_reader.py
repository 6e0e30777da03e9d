"""Reading targets.yaml: what is accepted, and every way in which it is refused."""

import pytest

from reconciler.policy import EmbeddedSettings, Sources, Target, WorkspaceSettings
from reconciler.policy.sources import TARGETS_FILE
from reconciler.policy.target_reader import read_targets


CANARY = "canary-8d1f"

OWNER = "owner: 123e4567-e89b-42d3-a456-426614174000\n"


def _read(text: str, **others: bytes) -> tuple[tuple[Target, ...], list[str]]:
    """Return the targets, and each problem as ``line:column: what``."""
    files = {TARGETS_FILE: text.encode(), "secrets/demo/demo.agekey": b"AGE-SECRET-KEY-1", **others}
    found = read_targets(Sources(files=files))
    assert all(CANARY not in str(problem) for problem in found.problems)
    return found.targets, [f"{each.line}:{each.column}: {each.what}" for each in found.problems]


def _prod(fields: str, *, host: str = "            host: https://adb-1.2.azuredatabricks.net\n") -> str:
    """Return a file with one target, whose further workspace fields begin in line 6 and column 13."""
    indented = "".join(f"            {line}\n" for line in fields.splitlines())
    return f"{OWNER}targets:\n    prod:\n        workspace:\n{host}{indented}"


def test_a_full_file_is_read() -> None:
    """Every field that there is, in the shape in which the rest of the program sees it."""
    text = f"""\
{OWNER}targets:
    demo:
        embedded: true
        age_key_file: demo/demo.agekey
    prod:
        workspace:
            host: https://adb-1.2.azuredatabricks.net
            auth_type: github-oidc
            profile: prod
            workspace_id: 1234567890123456
            account_id: 0d9c5f0e-0000-0000-0000-000000000000
            client_id: 6f1c0000-0000-0000-0000-000000000000
            token_audience: https://github.com/acme
            azure_client_id: 6f1c0000-0000-0000-0000-000000000001
            azure_tenant_id: 6f1c0000-0000-0000-0000-000000000002
            azure_workspace_resource_id: /subscriptions/1/resourceGroups/r/providers/Microsoft.Databricks/workspaces/w
        operators: [ada@example.com, 6f1c0000-0000-0000-0000-000000000000]
        ledger_readers: []
        protected_principals: ["data engineers"]
        ledger_scope: team-b-ledger
"""
    targets, problems = _read(text)
    assert problems == []
    assert targets == (
        Target(name="demo", workspace=EmbeddedSettings(age_key_file="secrets/demo/demo.agekey")),
        Target(
            name="prod",
            workspace=WorkspaceSettings(
                host="https://adb-1.2.azuredatabricks.net",
                auth_type="github-oidc",
                profile="prod",
                workspace_id="1234567890123456",
                account_id="0d9c5f0e-0000-0000-0000-000000000000",
                client_id="6f1c0000-0000-0000-0000-000000000000",
                token_audience="https://github.com/acme",
                azure_client_id="6f1c0000-0000-0000-0000-000000000001",
                azure_tenant_id="6f1c0000-0000-0000-0000-000000000002",
                azure_workspace_resource_id=(
                    "/subscriptions/1/resourceGroups/r/providers/Microsoft.Databricks/workspaces/w"
                ),
            ),
            operators=("ada@example.com", "6f1c0000-0000-0000-0000-000000000000"),  # type: ignore[arg-type]
            protected_principals=("data engineers",),  # type: ignore[arg-type]
            ledger_scope="team-b-ledger",  # type: ignore[arg-type]
        ),
    )
    assert [target.host_key for target in targets] == ["demo", "adb-1.2.azuredatabricks.net?o=1234567890123456"]
    assert [target.embedded for target in targets] == [True, False]


def test_an_owner_is_not_needed_for_embedded_targets_alone() -> None:
    """A demo has no ledger to share."""
    targets, problems = _read("targets:\n    demo:\n        embedded: true\n        age_key_file: demo/demo.agekey\n")
    assert problems == []
    assert len(targets) == 1


@pytest.mark.parametrize(
    ("field", "fragment"),
    [
        pytest.param("token", "'token' is a secret", id="token"),
        pytest.param("password", "'password' is a secret", id="password"),
        pytest.param("client_secret", "'client_secret' is a secret", id="client-secret"),
        pytest.param("azure_client_secret", "'azure_client_secret' is a secret", id="azure-client-secret"),
        pytest.param("google_credentials", "'google_credentials' is a secret", id="google-credentials"),
        pytest.param("databricks_cli_path", "names a program, a file or an address", id="cli-path"),
        pytest.param("azure_cli_path", "names a program, a file or an address", id="azure-cli-path"),
        pytest.param("config_file", "names a program, a file or an address", id="config-file"),
        pytest.param("oidc_token_filepath", "names a program, a file or an address", id="oidc-file"),
        pytest.param("metadata_service_url", "names a program, a file or an address", id="metadata-service"),
        pytest.param("discovery_url", "names a program, a file or an address", id="discovery"),
        pytest.param("username", "unknown field 'username'", id="username"),
        pytest.param("skip_verify", "unknown field 'skip_verify'", id="skip-verify"),
        pytest.param("oidc_token_env", "unknown field 'oidc_token_env'", id="oidc-env"),
        pytest.param("operators", "unknown field 'operators'", id="field-of-the-target"),
        pytest.param("hosts", "unknown field 'hosts'", id="typo"),
    ],
)
def test_fields_beyond_the_allow_list_are_refused(field: str, fragment: str) -> None:
    """Secrets belong into the environment, and no branch names a program or a file. The value is not repeated."""
    targets, (problem,) = _read(_prod(f"{field}: {CANARY}"))
    assert targets == ()
    assert problem.startswith("6:13: ")
    assert fragment in problem


def test_advice_names_the_variable_and_the_likely_field() -> None:
    """Who put a token there learns where it goes; who misspelt a field learns which was meant."""
    files = {TARGETS_FILE: _prod(f"token: {CANARY}\nprofil: x\noperators: []").encode()}
    advice = [problem.advice for problem in read_targets(Sources(files=files)).problems]
    assert advice == [
        "put it into the environment as DATABRICKS_TOKEN; if it was pushed, revoke it",
        "did you mean 'profile'?",
        "it belongs to the target, one level up",
    ]


@pytest.mark.parametrize(
    ("auth_type", "fragment"),
    [
        pytest.param("azure-cli", "it runs a program", id="azure-cli"),
        pytest.param("databricks-cli", "it runs a program", id="databricks-cli"),
        pytest.param("external-browser", "it starts a browser", id="browser"),
        pytest.param("basic", "ended password authentication", id="basic"),
        pytest.param("github-oicd", "unknown auth_type", id="typo"),
        pytest.param("PAT", "unknown auth_type", id="upper-case"),
    ],
)
def test_other_ways_to_authenticate_are_refused(auth_type: str, fragment: str) -> None:
    """No strategy that runs a program, or waits for a person, can be chosen in git."""
    _, (problem,) = _read(_prod(f"auth_type: {auth_type}"))
    assert problem.startswith("6:24: ")
    assert fragment in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "targets:\n    prod:\n        workspace:\n            host: https://a.cloud.databricks.com\n",
            ["1:1: there is no field 'owner'"],
            id="no-owner",
        ),
        pytest.param(OWNER, ["1:1: there is no field 'targets'"], id="no-targets"),
        pytest.param(f"{OWNER}targets: {{}}\n", ["2:10: targets is an empty mapping"], id="empty-targets"),
        pytest.param(f"{OWNER}targets:\n", ["2:9: targets is empty"], id="null-targets"),
        pytest.param(f"{OWNER}targets: [a]\n", ["2:10: targets is a list"], id="list-of-targets"),
        pytest.param(
            f"{OWNER}targets:\n    prod:\n",
            ["3:10: the target is empty", "3:5: the target has neither"],
            id="empty-target",
        ),
        pytest.param("", ["None:None: the file is empty"], id="empty-file"),
        pytest.param("- a\n", ["1:1: "], id="list-at-the-top"),
        pytest.param("a: [\n", ["2:1: "], id="not-yaml"),
        pytest.param(_prod("") + "sops: {mac: x}\n", ["6:1: the file is encrypted"], id="encrypted"),
        pytest.param(_prod("", host=""), ["4:19: workspace is empty"], id="empty-workspace"),
        pytest.param(_prod("client_id: x", host=""), ["5:13: workspace has no host"], id="no-host"),
        pytest.param(
            _prod("", host="            host: 5\n"), ["5:19: host is a whole number, not text"], id="number-host"
        ),
        pytest.param(_prod("", host="            host: [a]\n"), ["5:19: host is a list"], id="list-host"),
        pytest.param(
            _prod("", host="            host: https://e.example\n"),
            ["5:19: the host 'e.example' is in none"],
            id="host-elsewhere",
        ),
        pytest.param(_prod("client_id: a:b"), ["6:24: client_id does not look"], id="odd-client-id"),
        pytest.param(_prod("workspace_id: 0x1F"), ["6:27: workspace_id does not look"], id="hexadecimal-id"),
        pytest.param(_prod("workspace_id: 12?o=13"), ["6:27: workspace_id does not look"], id="two-ids"),
        pytest.param(_prod("workspace_id:"), ["6:26: workspace_id is empty"], id="null-id"),
        pytest.param(_prod("profile: true"), ["6:22: profile is true or false, not text"], id="bool-profile"),
        pytest.param(_prod("profile: '[x]'"), ["6:22: profile does not look"], id="odd-profile"),
        pytest.param(
            _prod("azure_workspace_resource_id: http://x"),
            ["6:42: azure_workspace_resource_id does not"],
            id="odd-resource-id",
        ),
        pytest.param(
            _prod("") + "        embedded: true\n", ["6:19: a target is embedded or has a workspace"], id="both-kinds"
        ),
        pytest.param(
            _prod("") + "        age_key_file: demo/demo.agekey\n",
            ["6:23: age_key_file is for embedded"],
            id="age-key-file-of-a-real-target",
        ),
        pytest.param(_prod("") + "        operators: ada\n", ["6:20: operators is a single value"], id="no-list"),
        pytest.param(
            _prod("") + "        operators: [5, 'a:b', '', [x]]\n",
            [f"6:{column}: operators has an entry that is no name" for column in (21, 24, 31, 35)],
            id="odd-principals",
        ),
        pytest.param(
            _prod("") + "        operators: [ada, ADA]\n",
            ["6:26: the entry of operators 'ADA' is the same"],
            id="the-same-principal-twice",
        ),
        pytest.param(
            _prod("") + "        ledger_scope: 'a b'\n", ["6:23: ledger_scope does not fit"], id="odd-ledger-scope"
        ),
        pytest.param(_prod("") + "        prune: all\n", ["6:9: unknown field 'prune'"], id="unknown-field-of-target"),
        pytest.param(_prod("").replace("prod:", "Prod:"), ["3:5: 'Prod' does not fit as a target"], id="upper-case"),
        pytest.param(_prod("").replace("prod:", f"{'p' * 65}:"), ["3:5: 'ppp"], id="long-name"),
        pytest.param(_prod("").replace(OWNER, "owner: me\n"), ["1:8: owner does not look"], id="owner-no-uuid"),
        pytest.param(_prod("") + "extra: 1\n", ["6:1: unknown field 'extra'"], id="unknown-field"),
    ],
)
def test_problems_have_a_place_and_come_all_at_once(text: str, expected: list[str]) -> None:
    """Each mistake is reported at its line and column, and nothing else with it."""
    targets, problems = _read(text)
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)
    if len(problems) > 1 or "owner" not in problems[0]:
        assert targets == () or problems[0].startswith("6:1: ")


@pytest.mark.parametrize(
    ("path", "fragment"),
    [
        pytest.param("../home/keys.txt", "leaves secrets/", id="upwards"),
        pytest.param("demo/../../x", "leaves secrets/", id="upwards-within"),
        pytest.param("/etc/passwd", "leaves secrets/", id="absolute"),
        pytest.param("./demo/demo.agekey", "leaves secrets/", id="dot"),
        pytest.param("demo//demo.agekey", "leaves secrets/", id="empty-part"),
        pytest.param("demo\\demo.agekey", "leaves secrets/", id="backslash"),
        pytest.param("c:demo.agekey", "leaves secrets/", id="drive"),
        pytest.param("targets.yaml", "leaves secrets/", id="yaml"),
        pytest.param("demo/other.agekey", "not there", id="missing"),
    ],
)
def test_an_age_key_file_stays_below_secrets(path: str, fragment: str) -> None:
    """No branch makes the tool read a file elsewhere on the machine."""
    targets, (problem,) = _read(f"targets:\n    demo:\n        embedded: true\n        age_key_file: '{path}'\n")
    assert targets == ()
    assert problem.startswith("4:23: ")
    assert fragment in problem


def test_an_age_key_file_is_tracked() -> None:
    """A private key that merely lies in the work tree is not used."""
    text = b"targets:\n    demo:\n        embedded: true\n        age_key_file: my.key\n"
    sources = Sources(files={TARGETS_FILE: text, "secrets/my.key": b"x"}, tracked=frozenset({TARGETS_FILE}))
    (problem,) = read_targets(sources).problems
    assert "git does not track" in problem.what


@pytest.mark.parametrize(
    ("fields", "shared"),
    [
        pytest.param(("https://a.cloud.databricks.com", None, "https://a.cloud.databricks.com", None), True, id="same"),
        pytest.param(
            ("https://a.cloud.databricks.com", "1", "https://a.cloud.databricks.com", "1"), True, id="same-id"
        ),
        pytest.param(
            ("https://a.cloud.databricks.com", "a", "https://a.cloud.databricks.com", "A"), True, id="id-case"
        ),
        pytest.param(("https://a.cloud.databricks.com", "1", "https://a.cloud.databricks.com", None), True, id="no-id"),
        pytest.param(
            ("https://a.cloud.databricks.com", "1", "https://a.cloud.databricks.com", "2"), False, id="two-ids"
        ),
        pytest.param(("https://a.cloud.databricks.com", None, "https://b.cloud.databricks.com", None), False, id="two"),
        pytest.param(("http://127.0.0.1:8080", None, "http://localhost:8080", None), True, id="loopback"),
        pytest.param(("http://127.0.0.1:8080", None, "http://127.0.0.1:8081", None), False, id="two-ports"),
    ],
)
def test_no_two_targets_share_a_workspace(fields: tuple[str, str | None, str, str | None], *, shared: bool) -> None:
    """Each would take the other's keys for strays and, under ``prune: all``, delete them."""
    first, first_id, second, second_id = fields
    text = f"{OWNER}targets:\n"
    for name, host, workspace_id in (("one", first, first_id), ("two", second, second_id)):
        text += f"    {name}:\n        workspace:\n            host: {host}\n"
        text += f"            workspace_id: '{workspace_id}'\n" if workspace_id else ""
    targets, problems = _read(text)
    assert len(targets) == (1 if shared else 2)
    assert [("share a workspace" in problem) for problem in problems] == ([True] if shared else [])


def test_all_problems_of_a_file_are_reported_together() -> None:
    """Three targets, three mistakes, one run."""
    text = f"""\
{OWNER}targets:
    one:
        workspace:
            host: https://evil.example
    two:
        workspace:
            host: https://a.cloud.databricks.com
            token: {CANARY}
    three:
        embedded: true
"""
    _, problems = _read(text)
    assert [problem.partition(": ")[0] for problem in problems] == ["5:19", "9:13", "10:5"]


def test_a_missing_file_is_one_clear_problem() -> None:
    """Who runs in the wrong directory learns about -C."""
    (problem,) = read_targets(Sources(files={})).problems
    assert problem.where == "secrets/targets.yaml"
    assert "there is no such file" in problem.what
    assert "-C DIR" in str(problem.advice)
