""".sops.yaml: read as sops reads it, and refused where sops passes over a mistake in silence."""

import subprocess
from pathlib import Path

import pytest

from reconciler.pysops import ConfigError, DocumentError, MetadataError, Recipient, metadata, parse
from reconciler.pysops.config.creation_rules import CreationRule, SopsConfig, parse_config
from reconciler.pysops.document import MAX_ALIASED_NODES
from tests.support.age_keys import AgeKey
from tests.support.sops_tool import SopsTool


AGE_1 = "age1vsml3ffnucv0pxvxjfe2wc82h6pfyfcw3mhr3r6e9rltpdwfnurqqf4nyt"
AGE_2 = "age1k5gc7g3gww2vjvjp2rg2mqpmc6h3lelkvmxq2rjzuz7jcu3rxpuq8yad2z"
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIG0a5jv8gBd3Pno alice@example.com"
ARN = "arn:aws:kms:eu-west-1:123456789012:key/abc"
ROLE = "arn:aws:iam::123456789012:role/deploy"
AZURE = "https://vault.vault.azure.net/keys/sops"
VAULT = "https://vault.example.com:8200/v1/team/transit/keys/sops"


def _rule(text: str) -> CreationRule:
    """Return the one rule of a configuration whose lines are ``text``, indented as below ``creation_rules``."""
    first, *rest = text.splitlines()
    lines = [f"  - {first}", *(f"    {line}" for line in rest)]
    (rule,) = parse_config("\n".join(["creation_rules:", *lines, ""]).encode()).rules
    return rule


def _names(rule: CreationRule) -> list[str]:
    return [str(recipient) for group in rule.key_groups for recipient in group]


def _refused(text: str) -> tuple[int, int, str]:
    with pytest.raises(ConfigError) as caught:
        _rule(text)
    assert caught.value.mark is not None
    return caught.value.mark.line, caught.value.mark.column, caught.value.what


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param(f"age: {AGE_1}", [f"age {AGE_1}"], id="one"),
        pytest.param(f"age: ' {AGE_1} ,{AGE_2},'", [f"age {AGE_1}", f"age {AGE_2}"], id="commas-and-one-too-many"),
        pytest.param(f"age: [{AGE_1}, '{AGE_2}']", [f"age {AGE_1}", f"age {AGE_2}"], id="list"),
        pytest.param(f"age: ['{AGE_1}, {AGE_2}']", [f"age {AGE_1}", f"age {AGE_2}"], id="commas-in-a-list"),
        pytest.param(f"age: [{AGE_1}, {AGE_1}]", [f"age {AGE_1}"], id="twice"),
        pytest.param(f"age: '{SSH}'", [f"age {SSH}"], id="ssh"),
        pytest.param("age: age1yubikey1qwtkg8v", ["age age1yubikey1qwtkg8v"], id="plugin"),
        pytest.param("age: null", [], id="null"),
        pytest.param("age: ''", [], id="empty"),
        pytest.param("pgp: 'AB CD, EF01'", ["pgp ABCD", "pgp EF01"], id="fingerprints-lose-spaces"),
        pytest.param(f"kms: {ARN}", [f"kms {ARN}"], id="kms"),
        pytest.param(f"kms: {ARN}+{ROLE}", [f"kms {ARN}+{ROLE}"], id="kms-with-role"),
        pytest.param(f"kms: {ARN}\naws_profile: prod", [f"kms {ARN}||prod"], id="kms-with-profile"),
        pytest.param("gcp_kms: projects/p/k", ["gcp_kms projects/p/k"], id="gcp"),
        pytest.param("hckms: ['eu:1234, eu:5678']", ["hckms eu:1234", "hckms eu:5678"], id="huawei"),
        pytest.param(f"azure_keyvault: {AZURE}/v1", [f"azure_kv {AZURE}/v1"], id="azure"),
        pytest.param(f"azure_keyvault: {AZURE}", [f"azure_kv {AZURE}/"], id="azure-of-any-version"),
        pytest.param(f"azure_keyvault: {AZURE}/", [f"azure_kv {AZURE}/"], id="azure-with-a-slash"),
        pytest.param(f"hc_vault_transit_uri: {VAULT}", [f"hc_vault {VAULT}"], id="vault"),
        pytest.param(
            "hc_vault_transit_uri: HTTP://v:8200/v1/a/b/export/k/", ["hc_vault http://v:8200/v1/a/b/keys/k"], id="odd"
        ),
        pytest.param(f"pgp: AA\nkms: {ARN}\nage: {AGE_1}", [f"age {AGE_1}", "pgp AA", f"kms {ARN}"], id="many-kinds"),
    ],
)
def test_recipients_of_a_rule(text: str, names: list[str]) -> None:
    """Texts with commas, lists, and each kind by the name that the metadata of a file has for it."""
    rule = _rule(text)
    assert _names(rule) == names
    assert len(rule.key_groups) == 1


def test_key_groups_with_all_kinds_and_what_they_merge() -> None:
    """Each group has its own recipients, those of ``merge`` first, each once."""
    rule = _rule(
        f"""\
shamir_threshold: 2
age: {AGE_2}
key_groups:
  - age: ['{AGE_1},{AGE_2}']
    pgp: [A B]
    kms:
      - {{arn: '{ARN}', role: '{ROLE}', context: {{b: '1', a: x}}, aws_profile: p}}
    gcp_kms: [{{resource_id: r}}]
    hckms: [{{key_id: 'eu:1'}}]
    azure_keyvault:
      - {{vaultUrl: 'https://v', key: k, version: '1'}}
      - {{vaultUrl: 'https://v', key: k}}
    hc_vault: ['{VAULT}']
  - merge:
      - merge:
          - pgp: [CC]
        pgp: [DD]
    pgp: [CC]"""
    )
    first, second = rule.key_groups
    assert [recipient.name for recipient in first] == [
        AGE_1,
        AGE_2,
        "AB",
        f"{ARN}+{ROLE}|a:x,b:1|p",
        "r",
        "eu:1",
        "https://v/keys/k/1",
        "https://v/keys/k/",
        VAULT,
    ]
    assert [recipient.name for recipient in second] == ["CC", "DD"]
    assert (rule.shamir_threshold, rule.quorum, rule.ignored) == (2, 2, ("age",))
    assert rule.recipients == frozenset((*first, *second))


def test_without_a_threshold_all_groups_are_needed() -> None:
    """As sops has it, when it encrypts."""
    assert _rule("key_groups: [{pgp: [A]}, {pgp: [B]}, {pgp: [C]}]").quorum == 3
    assert _rule("key_groups: [{pgp: [A]}, {pgp: [B]}, {pgp: [C]}]\nshamir_threshold: 2").quorum == 2
    assert _rule("pgp: A").quorum == 1


def test_the_first_rule_that_matches_decides() -> None:
    """path_regex is found anywhere in the path; a rule without takes every file."""
    config = parse_config(
        b"creation_rules:\n  - {path_regex: ^prod/, pgp: A}\n  - {path_regex: '\\.ya?ml$', pgp: B}\n  - pgp: C\n"
    )
    found = {path: config.rule_for(path) for path in ("prod/a.yaml", "x/prod/a.yml", "prod.json", "\udcff.yaml")}
    assert [_names(rule) for rule in found.values() if rule] == [["pgp A"], ["pgp B"], ["pgp C"], ["pgp B"]]
    assert SopsConfig(rules=config.rules[:1]).rule_for("test/a.yaml") is None


def test_anchors_aliases_and_merge_keys() -> None:
    """People keep keys under names, and share settings between rules; what a rule says itself wins."""
    config = parse_config(
        f"""\
keys:
  - &alice {AGE_1}
  - &bob {AGE_2}
  - &both [*alice, *bob]
defaults:
  - &one {{encrypted_regex: ^one$, shamir_threshold: 0, pgp: ~}}
  - &two {{encrypted_regex: ^two$, pgp: AA}}
creation_rules:
  - path_regex: a
    age: *both
    <<: [*one, *two]
  - <<: *two
    path_regex: b
    encrypted_regex: ^mine$
  - key_groups: [age: [*bob]]
stores: {{yaml: {{indent: 2}}}}
""".encode()
    )
    first, second, third = config.rules
    assert (_names(first), first.encrypted_regex) == ([f"age {AGE_1}", f"age {AGE_2}"], "^one$")
    assert (_names(second), second.encrypted_regex, second.path_regex) == (["pgp AA"], "^mine$", "b")
    assert _names(third) == [f"age {AGE_2}"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: &a [x, x]\nb: *c\n", id="of-nothing"),
        pytest.param("a: &a [*a]\n", id="of-itself"),
        pytest.param(
            "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 40)),
            id="bomb",
        ),
        pytest.param(
            "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 120)), id="deeper-than-written"
        ),
        pytest.param(f"a: &a x\nb: [{'*a, ' * (MAX_ALIASED_NODES + 1)}]\n", id="many"),
    ],
)
def test_aliases_stand_for_a_bounded_number_of_nodes(text: str) -> None:
    """Else a few lines could keep whoever walks the tree busy for years."""
    with pytest.raises(DocumentError, match="alias"):
        parse(text.encode(), aliases=True)
    with pytest.raises(ConfigError):
        parse_config(text.encode())


def test_without_the_option_anchors_aliases_and_merges_are_refused() -> None:
    """In an encrypted file nothing may stand for something else."""
    for text in ("a: &a x\n", "a: *a\n", "<<: {a: b}\n"):
        with pytest.raises(DocumentError):
            parse(text.encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("encrypted_regexp: ^a$", (2, 5, "an unknown field of a rule, which sops ignores"), id="field"),
        pytest.param(
            "key_groups: [{agee: []}]", (2, 19, "an unknown field of a key group, which sops ignores"), id="in"
        ),
        pytest.param("path_regex: '(?=a)'", (2, 17, "path_regex is not a regular expression"), id="path"),
        pytest.param("encrypted_regex: '(?!a)'", (2, 22, "encrypted_regex is not a regular expression"), id="selector"),
        pytest.param(
            "unencrypted_comment_regex: '['", (2, 32, "unencrypted_comment_regex is not a regular expression"), id="c"
        ),
        pytest.param(
            "encrypted_regex: a\nencrypted_suffix: b",
            (2, 5, "more than one selector: encrypted_suffix, encrypted_regex"),
            id="two-selectors",
        ),
        pytest.param("age: {a: b}", (2, 10, "age is not a list"), id="mapping-for-a-list"),
        pytest.param("pgp: 12345678", (2, 10, "pgp is neither text nor a list of texts"), id="number-for-text"),
        pytest.param("hckms: 'eu:1'", (2, 12, "hckms is not a list"), id="huawei-takes-a-list-alone"),
        pytest.param("hckms: [eu]", (2, 13, "not a recipient of hckms"), id="huawei"),
        pytest.param("age: [hunter2]", (2, 11, "not a recipient of age"), id="age"),
        pytest.param(f"age: ['{AGE_1},']", (2, 11, "not a recipient of age"), id="comma-in-a-list"),
        pytest.param(f"age: {AgeKey.generate().identity}", (2, 10, "not a recipient of age"), id="private-key"),
        pytest.param("azure_keyvault: https://v/k", (2, 21, "not a recipient of azure_keyvault"), id="azure"),
        pytest.param(
            "hc_vault_transit_uri: https://u:p@v/v1/transit/keys/k",
            (2, 27, "not a recipient of Vault's transit engine"),
            id="vault-with-a-password",
        ),
        pytest.param(
            "hc_vault_transit_uri: https://v/x/v1/transit/keys/k",
            (2, 27, "not a recipient of Vault's transit engine"),
            id="vault-behind-a-path",
        ),
        pytest.param(
            "shamir_threshold: 2\npgp: A", (2, 23, "shamir_threshold is not a number of key groups"), id="2/1"
        ),
        pytest.param(
            "shamir_threshold: 1\nkey_groups: [{pgp: [A]}, {pgp: [B]}]",
            (2, 23, "shamir_threshold is not a number of key groups"),
            id="one-of-two-cannot-be-split",
        ),
        pytest.param("mac_only_encrypted: maybe", (2, 25, "mac_only_encrypted is neither true nor false"), id="flag"),
        pytest.param("[a]", (2, 5, "a rule is not a mapping"), id="rule"),
    ],
)
def test_mistakes_are_refused_with_their_place(text: str, expected: tuple[int, int, str]) -> None:
    """Those that sops refuses when it gets to them, and those that it passes over in silence."""
    assert _refused(text) == expected


def test_no_message_quotes_what_stands_in_the_file() -> None:
    """A private key in place of a recipient would otherwise be printed in a pipeline."""
    identity = AgeKey.generate().identity
    for text in (f"age: {identity}", f"{identity}: x", f"encrypted_regex: '[{identity}'", f"pgp: {{{identity}: x}}"):
        with pytest.raises(ConfigError) as caught:
            _rule(text)
        assert identity not in repr(vars(caught.value))


@pytest.mark.parametrize(
    "text", ["keys: []\n", "destination_rules: []\n", "creation_rules: ~\n", "creation_rules: []\n"]
)
def test_a_file_without_rules_has_none(text: str) -> None:
    """Sops then behaves as if there were no file."""
    assert parse_config(text.encode()).rules == ()


def test_a_misspelt_creation_rules_is_refused() -> None:
    """Sops ignores it, and with it every rule."""
    with pytest.raises(ConfigError) as caught:
        parse_config(b"creation_rule:\n  - age: x\n")
    assert caught.value.advice == "did you mean 'creation_rules'?"


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("yes", True), ("on", True), ("no", False), ("~", False), ("False", False)]
)
def test_flags_as_the_decoder_of_go_takes_them(value: str, *, expected: bool) -> None:
    """Where its struct has a bool, yaml.v3 takes the words of YAML 1.1."""
    assert _rule(f"mac_only_encrypted: {value}").mac_only_encrypted is expected


def test_the_version_of_an_azure_key_may_be_left_open() -> None:
    """Sops asks Azure for the newest one and writes that; any version of that key is meant, and no other key."""
    rule = _rule(f"azure_keyvault: {AZURE}\npgp: A")
    pgp = Recipient(kind="pgp", name="A")
    newest, older, other = (Recipient(kind="azure_kv", name=f"{AZURE}{rest}") for rest in ("/2", "/1", "-other/1"))
    assert rule.groups_for([newest, other]) == (frozenset({pgp, newest}),)
    assert rule.groups_for([newest, older]) == (frozenset({pgp, newest, older}),)
    assert rule.groups_for([other]) == (rule.recipients,)


_NAMED_BY_THE_BINARY = f"""\
keys:
    - &two {AGE_2}
creation_rules:
    - path_regex: ^none/
      age: {AGE_2}
    - path_regex: groups
      shamir_threshold: 2
      key_groups:
        - age: ['{AGE_1},RECIPIENT']
        - merge: [{{age: [*two]}}]
          age: [RECIPIENT, *two]
        - age: [*two]
    - path_regex: list
      age: ['RECIPIENT, {AGE_1}', *two]
    - age: 'RECIPIENT,, {AGE_2} ,'
      encrypted_regex: ^a$
"""


@pytest.mark.parametrize("name", ["groups.yaml", "list.yaml", "none/list.yaml", "other.yaml"])
def test_the_binary_encrypts_to_whom_the_rule_names(name: str, tmp_path: Path, sops: SopsTool) -> None:
    """Recipients, groups, threshold and selector of a file that sops encrypts are those of the rule."""
    text = _NAMED_BY_THE_BINARY.replace("RECIPIENT", AgeKey.generate().recipient)
    (tmp_path / ".sops.yaml").write_text(text)
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("a: text\n")
    command = (str(sops.binary), "encrypt", "--in-place", name)
    subprocess.run(command, cwd=tmp_path, env={"HOME": str(tmp_path)}, check=True, capture_output=True, timeout=60)
    written = metadata(file)
    rule = parse_config(text.encode()).rule_for(name)
    assert rule is not None
    assert tuple(frozenset(key.recipient for key in group) for group in written.key_groups) == rule.groups_for(())
    assert written.encrypted_regex == rule.encrypted_regex
    if len(rule.key_groups) > 1:
        assert written.shamir_threshold == rule.quorum


def test_selectors_that_sops_ignores_are_refused(tmp_path: Path, sops: SopsTool) -> None:
    """With a selector that is no RE2 the binary writes the file in plain text and reports success."""
    text = f"creation_rules: [{{age: {AGE_1}, encrypted_regex: '^(?!b)'}}]\n"
    (tmp_path / ".sops.yaml").write_text(text)
    (tmp_path / "a.yaml").write_text("a: in plain sight\n")
    command = (str(sops.binary), "encrypt", "a.yaml")
    done = subprocess.run(
        command, cwd=tmp_path, env={"HOME": str(tmp_path)}, check=True, capture_output=True, timeout=60
    )
    assert b"in plain sight" in done.stdout
    with pytest.raises(ConfigError, match="encrypted_regex is not a regular expression"):
        parse_config(text.encode())
    with pytest.raises(MetadataError):
        metadata(b"a: b\n")
