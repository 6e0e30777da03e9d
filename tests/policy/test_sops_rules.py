"""Files beside the rules of .sops.yaml: whom it names, what it encrypts; and every keyless reason for a refusal."""

import subprocess
from pathlib import Path

import pytest

from reconciler import git
from reconciler.errors import InvalidInput, Problem, Severity
from reconciler.policy import Policy, Sources, load
from reconciler.policy.sources import RulesFile
from reconciler.pysops import Recipient
from tests.policy.samples import ENC, METADATA, PATH, envelope, scope_yaml, sources
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import SecretsRepo, scope_text
from tests.support.sops_tool import SopsTool


AGE = tuple(f"age1{letter * 58}" for letter in "qpzry")
AZURE = "https://vault.vault.azure.net/keys/sops"


def _key(kind: str, **fields: str) -> str:
    """Return the lines of one list with one item."""
    dated = {} if kind == "age" else {"created_at": "'2026-01-01T00:00:00Z'"}
    pairs = ", ".join(f"{name}: {value}" for name, value in {**fields, **dated, "enc": "x"}.items())
    return f"    {kind}:\n        - {{{pairs}}}\n"


def _ages(*recipients: str) -> str:
    return "    age:\n" + "".join(f"        - {{recipient: {each}, enc: x}}\n" for each in recipients)


def _scope_file(keys: str) -> str:
    """Return a scope file whose metadata has these key lists, lines below ``sops``."""
    before, _, after = METADATA.partition("    age:\n")
    rest = after[after.index("    encrypted_regex") :]
    return scope_yaml().replace(METADATA, before + keys + rest)


def _rule(text: str) -> str:
    first, *rest = text.splitlines()
    return "\n".join([f"  - {first}", *(f"    {line}" for line in rest), "    encrypted_regex: ^secrets$", ""])


def _policy(files: dict[str, str], *rules: str, prefix: str = "", config: str | None = None) -> Policy:
    text = "creation_rules:\n" + "".join(map(_rule, rules)) if config is None else config
    up = "../" * prefix.count("/")
    handed_in = Sources(
        files=sources(files).files, rules=RulesFile(path=f"{up}.sops.yaml", data=text.encode(), prefix=prefix)
    )
    return load(handed_in)


def _found(problems: tuple[Problem, ...]) -> list[tuple[str, str]]:
    return [(problem.where, problem.rule) for problem in problems]


GROUPS = f"""\
    key_groups:
        - age:
            - {{recipient: {AGE[0]}, enc: x}}
            - {{recipient: {AGE[1]}, enc: x}}
        - age:
            - {{recipient: {AGE[2]}, enc: x}}
    shamir_threshold: 2
"""
TWO_GROUPS = f"key_groups:\n  - age: [{AGE[0]}, {AGE[1]}]\n  - age: [{AGE[2]}]"


@pytest.mark.parametrize(
    ("keys", "rule", "expected"),
    [
        pytest.param(_ages(*AGE[:2]), f"age: [{AGE[1]}, {AGE[0]}]", [], id="the-same-in-another-order"),
        pytest.param(
            _ages(AGE[0]), f"age: [{AGE[0]}, {AGE[1]}]", [(f"{PATH}:6:1", "recipients-missing")], id="one-less"
        ),
        pytest.param(_ages(*AGE[:2]), f"age: [{AGE[0]}]", [(f"{PATH}:9:11", "recipients-surplus")], id="one-more"),
        pytest.param(
            _ages(AGE[0]),
            f"age: [{AGE[1]}]",
            [(f"{PATH}:6:1", "recipients-missing"), (f"{PATH}:8:11", "recipients-surplus")],
            id="another",
        ),
        pytest.param(
            _ages(AGE[0]) + _key("pgp", fp="ABCD"),
            f"age: {AGE[0]}",
            [(f"{PATH}:10:11", "recipients-surplus")],
            id="pgp",
        ),
        pytest.param(_key("kms", arn="a:b", role="r"), "kms: a:b", None, id="kms-with-a-role-is-another"),
        pytest.param(
            _key("azure_kv", vault_url="https://vault.vault.azure.net", name="sops", version="7"),
            f"azure_keyvault: {AZURE}",
            [],
            id="azure-of-any-version",
        ),
        pytest.param(
            _key("azure_kv", vault_url="https://vault.vault.azure.net", name="sops", version="7"),
            f"azure_keyvault: {AZURE}/8",
            None,
            id="azure-of-another-version",
        ),
        pytest.param(
            _key("hc_vault", vault_address="https://v:8200", engine_path="a/transit", key_name="k"),
            "hc_vault_transit_uri: https://v:8200/v1/a/transit/keys/k",
            [],
            id="vault",
        ),
        pytest.param(
            _key("hc_vault", vault_address="https://evil", engine_path="transit", key_name="k"),
            "hc_vault_transit_uri: https://v/v1/transit/keys/k",
            None,
            id="vault-elsewhere",
        ),
        pytest.param(GROUPS, TWO_GROUPS, [], id="groups"),
        pytest.param(GROUPS, f"{TWO_GROUPS}\nshamir_threshold: 2", [], id="groups-with-their-threshold"),
        pytest.param(
            GROUPS, f"age: [{', '.join(AGE[:3])}]", [(f"{PATH}:6:1", "key-groups-differ")], id="one-group-for-two"
        ),
        pytest.param(
            GROUPS,
            f"key_groups:\n  - age: [{AGE[0]}]\n  - age: [{AGE[1]}, {AGE[2]}]",
            [(f"{PATH}:6:1", "key-groups-differ")],
            id="in-the-other-group",
        ),
        pytest.param(
            GROUPS.replace("threshold: 2", "threshold: 0"),
            TWO_GROUPS,
            [(f"{PATH}:6:1", "key-groups-differ")],
            id="threshold",
        ),
    ],
)
def test_recipients_are_those_of_the_rule(keys: str, rule: str, expected: list[tuple[str, str]] | None) -> None:
    """Group by group, whatever the order; None stands for one missing and one surplus."""
    found = _found(_policy({PATH: _scope_file(keys)}, rule).problems())
    if expected is None:
        assert sorted(rule for _, rule in found) == ["recipients-missing", "recipients-surplus"]
    else:
        assert found == expected


def test_a_stranger_is_named_and_what_to_do_said() -> None:
    """A recipient too many reads everything: updatekeys alone would not undo that."""
    (problem,) = _policy({PATH: _scope_file(_ages(*AGE[:2]))}, f"age: {AGE[0]}").problems()
    assert AGE[1] in problem.what
    assert ".sops.yaml:2" in problem.what
    assert "every value" in problem.what
    assert problem.advice is not None
    for words in ("reconciler rekey secrets/prod/app.yaml", "change every value"):
        assert words in problem.advice


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        pytest.param(
            "AGE-SECRET-KEY-1" + "Q" * 58, "a recipient of age with an unusual name (not shown)", id="private"
        ),
        pytest.param(
            "'age1qq is fine, ignore this'", "a recipient of age with an unusual name (not shown)", id="words"
        ),
        pytest.param(f"age1pq1{'q' * 1900}", f"age age1pq1{'q' * 17}…qqqqqqqq", id="post-quantum-is-a-page"),
        pytest.param(f"ssh-ed25519 {'A' * 68} root@host", f"age ssh-ed25519 …{'A' * 24}", id="ssh-without-its-comment"),
    ],
)
def test_recipients_are_shown_only_as_far_as_they_are_tame(recipient: str, expected: str) -> None:
    """The name of a recipient is whatever somebody wrote there."""
    problems = _policy({PATH: _scope_file(_ages(AGE[0], recipient))}, f"age: {AGE[0]}").problems()
    assert [problem.what.partition(" can open")[0] for problem in problems] == [expected]


def test_a_rule_that_does_not_match_stops_only_what_it_is_about() -> None:
    """Exit code 4, also of plan and apply, for the scopes of that file alone."""
    files = {PATH: _scope_file(_ages(AGE[0])), "secrets/test/a.yaml": scope_yaml(host="test.cloud.databricks.com")}
    policy = _policy(files, f"path_regex: ^secrets/prod/\nage: {AGE[0]}")
    assert _found(policy.problems()) == [("secrets/test/a.yaml", "no-creation-rule")]
    assert [target.target.name for target in policy.select(("prod",)).targets] == ["prod"]
    with pytest.raises(InvalidInput):
        policy.select(("test",))


@pytest.mark.parametrize(
    ("lines", "rules"),
    [
        pytest.param("encrypted_regex: ^secrets", ["rule-selector"], id="selector"),
        pytest.param("unencrypted_suffix: _plain", ["rule-selector"], id="what-is-plain"),
        pytest.param("encrypted_comment_regex: x", ["rule-selector"], id="comments"),
        pytest.param("mac_only_encrypted: true\nencrypted_regex: ^secrets$", ["mac-only-encrypted"], id="mac"),
        pytest.param("shamir_threshold: 0", ["rule-selector"], id="none"),
    ],
)
def test_a_rule_for_scope_files_encrypts_what_they_need(lines: str, rules: list[str]) -> None:
    """The next file that is encrypted by it would be in plain text, or unprotected. Said once, at the rule."""
    first, *rest = f"age: {AGE[0]}\n{lines}".splitlines()
    config = "\n".join(["creation_rules:", f"  - {first}", *(f"    {line}" for line in rest), ""])
    files = {f"secrets/prod/{name}.yaml": _scope_file(_ages(AGE[0])).replace("app:", f"{name}:") for name in "ab"}
    policy = _policy(files, config=config)
    assert _found(policy.problems()) == [(".sops.yaml:2:5", rule) for rule in rules]
    with pytest.raises(InvalidInput):
        policy.select(("prod",))


def test_a_rule_that_names_nobody() -> None:
    """Recipients from the command line are no rule that a review could see."""
    policy = _policy({PATH: _scope_file(_ages(AGE[0]))}, "path_regex: x")
    assert _found(policy.problems()) == [(PATH, "no-creation-rule")]
    policy = _policy({PATH: _scope_file(_ages(AGE[0]))}, "path_regex: prod")
    assert _found(policy.problems()) == [(".sops.yaml:2:5", "sops-config")]


def test_rules_above_the_directory_of_the_run() -> None:
    """path_regex is about paths from the directory of the rules."""
    files = {PATH: _scope_file(_ages(AGE[0]))}
    rule = f"path_regex: ^team/deploy/secrets/prod/\nage: {AGE[1]}"
    policy = _policy(files, rule, f"age: {AGE[0]}", prefix="team/deploy/")
    assert [problem.rule for problem in policy.problems()] == ["recipients-missing", "recipients-surplus"]
    assert "../../.sops.yaml:2" in policy.problems()[0].what


def test_whom_the_rules_name_is_known_of_each_file() -> None:
    """For whoever has to decide which key sources may be asked: nobody else."""
    azure = _key("azure_kv", vault_url="https://vault.vault.azure.net", name="sops", version="7")
    policy = _policy({PATH: _scope_file(azure)}, f"azure_keyvault: {AZURE}\npgp: AB")
    named = {Recipient(kind="azure_kv", name=f"{AZURE}/7"), Recipient(kind="pgp", name="AB")}
    assert [file.named for file in policy.files] == [frozenset(named)]
    assert [file.named for file in load(sources({PATH: scope_yaml()})).files] == [frozenset()]


@pytest.mark.parametrize(
    ("config", "where", "rule"),
    [
        pytest.param("creation_rules: [", ".sops.yaml:2:1", "sops-config", id="not-yaml"),
        pytest.param("creation_rules:\n  - {agee: x}\n", ".sops.yaml:2:6", "sops-config", id="unknown-field"),
        pytest.param("creation_rules: # \u202e\n  - {pgp: x}\n", ".sops.yaml:1:19", "invisible-text", id="invisible"),
    ],
)
def test_rules_that_cannot_be_used_stop_every_selection(config: str, where: str, rule: str) -> None:
    """Nobody can tell whom they were meant to name."""
    policy = _policy({PATH: scope_yaml()}, config=config)
    assert (where, rule) in _found(policy.problems())
    with pytest.raises(InvalidInput):
        policy.select(("bare",))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        pytest.param(scope_yaml("k: plain"), "not-encrypted", id="a-value-in-plain"),
        pytest.param(scope_yaml().replace(METADATA, ""), "not-encrypted", id="the-file-in-plain"),
        pytest.param(scope_yaml(f"k: {envelope(5, 'int')}"), "value-form", id="a-number"),
        pytest.param(scope_yaml("k: ''"), "value-form", id="empty"),
        pytest.param(scope_yaml(f"k: ['{ENC}']"), "value-form", id="a-list"),
        pytest.param(scope_yaml(f"k: {{base64: '{envelope(5)}'}}"), "value-form", id="base64-of-five"),
        pytest.param(scope_yaml(f"k: {envelope(131073)}"), "value-size", id="too-large"),
        pytest.param(scope_yaml(f"a b: {ENC}"), "name", id="a-name"),
        pytest.param(scope_yaml(f"k: {ENC}\nK: {ENC}"), "duplicate-name", id="twins"),
        pytest.param(scope_yaml(scope="reconciler-ledger"), "reserved-scope", id="ledger"),
        pytest.param(scope_yaml(host="x.example"), "unknown-host", id="host-without-target"),
        pytest.param(scope_yaml(before="prune: some\n"), "field-form", id="prune"),
        pytest.param(scope_yaml(before="prunes: all\n"), "unknown-field", id="unknown-field"),
        pytest.param("acls: [<READ a>]\n" + scope_yaml(before="prune: all\n"), "", id="nothing"),
        pytest.param(scope_yaml(before="prune: all\nacls: [<READ a>]\n"), "field-order", id="order"),
        pytest.param(scope_yaml().replace("version: 1\n", "", 1), "missing-field", id="version"),
        pytest.param(scope_yaml().replace("    mac:", "    nac:"), "sops-metadata", id="no-mac"),
        pytest.param(scope_yaml().replace("    lastmodified:", "    last:"), "sops-metadata", id="no-lastmodified"),
        pytest.param(scope_yaml().replace("^secrets$", "^secret"), "selector", id="selector"),
        pytest.param(scope_yaml() + "    mac_only_encrypted: true\n", "mac-only-encrypted", id="mac-only-encrypted"),
        pytest.param(_scope_file(_ages(AGE[0], AGE[0])), "duplicate-recipient", id="twice"),
        pytest.param("<<<<<<< HEAD\n" + scope_yaml(), "strict-reading", id="conflict-markers"),
        pytest.param(scope_yaml() + "---\na: b\n", "strict-reading", id="second-document"),
        pytest.param(scope_yaml().replace("app:", "&a app:"), "strict-reading", id="anchor"),
        pytest.param(scope_yaml() + "# \u2066\n", "invisible-text", id="invisible"),
    ],
)
def test_each_keyless_reason_has_its_rule(text: str, rule: str) -> None:
    """One case per rule of DESIGN's "Files" and "Strict reading" that a single file can break."""
    problems = load(sources({PATH: text})).problems()
    assert {problem.rule for problem in problems} == ({rule} if rule else set())
    assert all(problem.severity is Severity.ERROR for problem in problems)


@pytest.mark.parametrize("change", ["nobody", "one-less", "one-more", "another-group"])
def test_what_updatekeys_would_change_is_a_problem_and_what_it_changed_is_none(
    change: str, tmp_path: Path, sops: SopsTool, age_key: AgeKey
) -> None:
    """The binary and we agree on whether the recipients of a file are those of its rule."""
    other, third = AgeKey.generate().recipient, AgeKey.generate().recipient
    groups = [[age_key.recipient, other], [age_key.recipient, third]]
    repo = SecretsRepo(tmp_path, sops=sops, key=age_key)

    def rules(groups: list[list[str]]) -> None:
        lines = "".join(f"        - age: [{', '.join(group)}]\n" for group in groups)
        repo.write(".sops.yaml", f"creation_rules:\n    - encrypted_regex: ^secrets$\n      key_groups:\n{lines}")

    def run(*arguments: str) -> str:
        environment = {"HOME": str(tmp_path), "SOPS_AGE_KEY": age_key.identity}
        command = (str(sops.binary), *arguments)
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=60)
        return done.stderr.decode()

    def problems() -> list[str]:
        found = load(git.read_work_tree(tmp_path)).problems()
        return [problem.rule for problem in found if problem.path == "secrets/a.yaml"]

    rules(groups)
    repo.targets({"demo": repo.embedded("demo")})
    repo.write("secrets/a.yaml", scope_text({"demo": {"app": {"key": "value"}}}))
    run("encrypt", "--in-place", "secrets/a.yaml")
    assert problems() == []
    rules(
        {
            "nobody": groups,
            "one-less": [groups[0][:1], groups[1]],
            "one-more": [[*groups[0], AgeKey.generate().recipient], groups[1]],
            "another-group": [[*groups[0], third], groups[1][:1]],
        }[change]
    )
    found = problems()
    up_to_date = "already up to date" in run("updatekeys", "--yes", "secrets/a.yaml")
    assert up_to_date is (found == [])
    assert up_to_date is (change == "nobody")
    assert problems() == []
