"""What a change does, told from two trees without a key."""

from collections.abc import Mapping
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.report.reviewed import Kind, Rank
from reconciler.review.compare import Tree
from reconciler.review.files import Version
from tests.review.trees import (
    ADA,
    EVE,
    HOST,
    OTHER_HOST,
    OWNER,
    RULES,
    Secrets,
    compared,
    kinds,
    only,
    scope_file,
    sealed,
    targets_file,
    tree,
)


PATH: Final = "prod/app.yaml"
FULL: Final = f"secrets/{PATH}"


def keys(*names: str, host: str = HOST, scope: str = "app", **values: str) -> Secrets:
    """Return one scope with keys, the value of each called like it unless said otherwise."""
    return {host: {scope: {name: values.get(name) or sealed(f"{host}/{scope}/{name}") for name in names}}}


ACLS: Final = ("<READ team>", "<WRITE admins>")

BASE: Final = tree({PATH: scope_file(keys("a", "b"), acls=ACLS)})


@given(names=st.lists(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), unique=True, min_size=1, max_size=5))
@settings(max_examples=25)
def test_a_tree_does_not_differ_from_itself(names: list[str]) -> None:
    """Nothing is told of what is the same."""
    one = tree({PATH: scope_file(keys(*names))})
    found = compared(one, one)
    assert found.differences == ()
    assert found.problems == ()
    assert found.files == 0


_VALUES: Final = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["v1", "v2", "v3"]), min_size=1)


@given(before=_VALUES, after=_VALUES)
@settings(max_examples=50)
def test_every_key_that_differs_is_told_once_and_no_other(before: dict[str, str], after: dict[str, str]) -> None:
    """Whatever came, went and changed; a key that seems renamed stands for two."""
    base, head = (
        tree({PATH: scope_file({HOST: {"app": {key: sealed(f"{key}{value}") for key, value in each.items()}}})})
        for each in (before, after)
    )
    told = [one for one in compared(base, head).differences if one.key is not None]
    names = [name for one in told for name in ((one.before, one.after) if one.kind is Kind.KEY_RENAMED else (one.key,))]
    assert sorted(filter(None, names)) == sorted(
        key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
    )


def test_values_that_changed_came_and_went_are_told_by_their_ciphertext() -> None:
    """A nonce is random: another ciphertext is another encryption, and nobody makes one without a reason."""
    head = tree({PATH: scope_file(keys("a", "c", "long", a=sealed("new"), long=sealed("long", 40)))})
    found = compared(tree({PATH: scope_file(keys("a", "b", "c"))}), head)
    assert kinds(found) == [Kind.KEY_REMOVED, Kind.KEY_ADDED, Kind.KEY_CHANGED]
    assert {one.key: one.line for one in found.differences} == {"b": None, "long": 7, "a": 5}
    assert {(one.target, one.scope, one.path) for one in found.differences} == {("prod", "app", FULL)}
    assert [one.rank for one in found.differences] == [Rank.GONE, Rank.CHANGE, Rank.CHANGE]


def test_a_file_with_a_new_data_key_hides_which_values_changed_and_says_so() -> None:
    """Whoever wrote it need not have been able to open the old one; keys that came and went still show."""
    head = tree({PATH: scope_file(keys("a", "b", "c", a=sealed("1"), b=sealed("2")), data_key="two")})
    found = compared(BASE, head)
    assert only(found, Kind.FILE_REKEYED).count == 3
    assert only(found, Kind.KEY_ADDED).rekeyed
    assert Kind.KEY_CHANGED not in kinds(found)


def test_a_data_key_that_stays_is_no_new_one_though_every_value_changed() -> None:
    """Somebody who could open the file wrote it: each value is told by itself."""
    head = tree({PATH: scope_file(keys("a", "b", a=sealed("1"), b=sealed("2")), acls=ACLS)})
    assert kinds(compared(BASE, head)) == [Kind.KEY_CHANGED, Kind.KEY_CHANGED]


GRANTS: Final = {
    "raised": (["<WRITE team>", "<WRITE admins>"], [(Kind.ACL_RAISED, Rank.FIRST)]),
    "added": (["<READ team>", "<WRITE admins>", "<READ eve>"], [(Kind.ACL_ADDED, Rank.FIRST)]),
    "lowered": (["<READ team>", "<READ admins>"], [(Kind.ACL_LOWERED, Rank.CHANGE)]),
    "removed": (["<READ team>"], [(Kind.ACL_REMOVED, Rank.GONE)]),
    "in-another-case": (["<READ TEAM>", "<WRITE admins>"], [(Kind.FILE_REWRITTEN, Rank.CHANGE)]),
    "let-go": ([], [(Kind.ACLS_UNMANAGED, Rank.FIRST)]),
}


@pytest.mark.parametrize(("acls", "expected"), [pytest.param(*case, id=name) for name, case in GRANTS.items()])
def test_grants_that_widen_are_to_be_looked_at_first(acls: list[str], expected: list[tuple[Kind, Rank]]) -> None:
    """Those that narrow are not."""
    found = compared(BASE, tree({PATH: scope_file(keys("a", "b"), acls=acls)}))
    assert [(one.kind, one.rank) for one in found.differences] == expected


@pytest.mark.parametrize("group", ["users", "account users", "Users"])
def test_grants_to_everybody_come_before_others(group: str) -> None:
    """The one that matters is not looked for."""
    acls = ["<READ team>", "<WRITE admins>", "<READ aaa>", f"<READ {group}>"]
    found = compared(BASE, tree({PATH: scope_file(keys("a", "b"), acls=acls)}))
    assert [one.subject for one in found.differences] == [group, "aaa"]


def test_what_comes_with_a_new_data_key_comes_before_what_does_not() -> None:
    """A widened grant in a file that somebody else may have written is the first thing to see."""
    second = "prod/second.yaml"
    base = tree({PATH: scope_file(keys("a")), second: scope_file(keys("z", scope="zoo"), acls=["<READ team>"])})
    head = tree(
        {
            PATH: scope_file(keys("a"), recipients=(ADA, EVE)),
            second: scope_file(keys("z", scope="zoo", z=sealed("1")), acls=["<WRITE team>"], data_key="two"),
        }
    )
    first = compared(base, head).differences[0]
    assert (first.kind, first.rekeyed) == (Kind.ACL_RAISED, True)


def test_recipients_of_files_are_told_one_by_one() -> None:
    """Each can open the file from now on; of the one that left it is said, too."""
    found = compared(BASE, tree({PATH: scope_file(keys("a", "b"), recipients=(EVE,), acls=ACLS)}))
    assert only(found, Kind.RECIPIENT_ADDED).subject == f"age {EVE}"
    assert only(found, Kind.RECIPIENT_REMOVED).subject == f"age {ADA}"
    assert {one.rank for one in found.differences} == {Rank.FIRST}
    assert {one.problem.rule for one in found.problems} == {"recipients-missing", "recipients-surplus"}


RULE_CHANGES: Final = {
    "recipient": (RULES.replace(ADA, f"{ADA},{EVE}"), {Kind.RULE_RECIPIENT_ADDED}),
    "selector": (RULES.replace("^secrets$", "^secret$"), {Kind.RULE_CHANGED}),
    "new-rule-in-front": (
        RULES.replace("rules:", f"rules:\n    - {{path_regex: prod/, encrypted_regex: ^secrets$, age: {EVE}}}"),
        {Kind.RULE_ADDED, Kind.RULE_RECIPIENT_ADDED, Kind.FILE_UNDER_OTHER_RULE},
    ),
    "comment": (f"# why\n{RULES}", {Kind.FILE_REWRITTEN}),
    "unusable": ("creation_rules: 1", {Kind.RULES_FILE_CHANGED}),
    "gone": (None, {Kind.RULES_FILE_CHANGED}),
    "other-rule": (
        RULES.replace("- encrypted", "- path_regex: ^s\n      encrypted"),
        {Kind.RULE_ADDED, Kind.RULE_REMOVED, Kind.RULE_RECIPIENT_ADDED, Kind.FILE_UNDER_OTHER_RULE},
    ),
    "mac-only": (f"{RULES}      mac_only_encrypted: true\n", {Kind.RULE_CHANGED}),
}


@pytest.mark.parametrize(("rules", "expected"), [pytest.param(*case, id=name) for name, case in RULE_CHANGES.items()])
def test_rules_of_sops_are_to_be_looked_at_first(rules: str | None, expected: set[Kind]) -> None:
    """They say who can open whatever is encrypted next."""
    file = scope_file(keys("a"))
    found = compared(tree({PATH: file}), tree({PATH: file}, rules=rules))
    assert set(kinds(found)) == expected
    assert kinds(found, Rank.FIRST) == [kind for kind in kinds(found) if kind is not Kind.FILE_REWRITTEN]


def test_rules_in_another_order_are_told() -> None:
    """The first that matches decides, so that an order is a rule of its own."""
    first, second = (f"    - path_regex: {name}\n      encrypted_regex: ^secrets$\n      age: {ADA}\n" for name in "xy")
    base, head = (tree(rules=f"creation_rules:\n{rules}") for rules in (first + second, second + first))
    assert kinds(compared(base, head)) == [Kind.RULES_REORDERED]


def of(**fields: str | list[str]) -> Mapping[str, Mapping[str, str | list[str]]]:
    """Return the target prod with fields."""
    return {"prod": {"host": f"https://{HOST}", **fields}}


TARGETS: Final = {
    "host": ({"prod": {"host": f"https://{OTHER_HOST}"}}, {Kind.HOST_CHANGED: None}),
    "new": ({**of(), "new": {"host": f"https://{OTHER_HOST}"}}, {Kind.TARGET_ADDED: None}),
    "gone": ({"new": {"host": f"https://{OTHER_HOST}"}}, {Kind.TARGET_ADDED: None, Kind.TARGET_REMOVED: None}),
    "renamed": ({"live": {"host": f"https://{HOST}"}}, {Kind.TARGET_RENAMED: None}),
    "client": (of(client_id="new"), {Kind.TARGET_FIELD_CHANGED: "client_id"}),
    "auth": (of(auth_type="pat"), {Kind.TARGET_FIELD_CHANGED: "auth_type"}),
    "ledger": (of(ledger_scope="mine"), {Kind.TARGET_FIELD_CHANGED: "ledger_scope"}),
    "operator": (of(operators=["eve"]), {Kind.TARGET_ENTRY_ADDED: "operators"}),
    "reader": (of(ledger_readers=["eve"]), {Kind.TARGET_ENTRY_ADDED: "ledger_readers"}),
}


@pytest.mark.parametrize(("targets", "expected"), [pytest.param(*case, id=name) for name, case in TARGETS.items()])
def test_targets_are_to_be_looked_at_first(
    targets: Mapping[str, Mapping[str, str | list[str]]], expected: dict[Kind, str | None]
) -> None:
    """Where values go, as whom, and who sees to it."""
    found = compared(tree(), tree(targets=targets_file(targets)))
    told = {one.kind: one.field for one in found.differences}
    assert told == expected
    assert all(one.rank is Rank.FIRST or one.kind is Kind.TARGET_REMOVED for one in found.differences)


def embedded(key: str, *, file: str = "demo/demo.agekey", target: str = "demo") -> Tree:
    """Return a tree with an embedded target and its key files."""
    text = f"owner: {OWNER}\ntargets:\n    {target}: {{embedded: true, age_key_file: {file}}}\n"
    return tree({"demo/demo.agekey": key, "demo/other.agekey": "other"}, targets=text)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        pytest.param(embedded("two"), [(Kind.AGE_KEY_CHANGED, None)], id="another-key"),
        pytest.param(
            embedded("one", file="demo/other.agekey"), [(Kind.TARGET_FIELD_CHANGED, "age_key_file")], id="another-file"
        ),
        pytest.param(
            tree({}, targets=targets_file({"demo": {"host": f"https://{HOST}"}})),
            [(Kind.HOST_CHANGED, None), (Kind.TARGET_FIELD_CHANGED, "age_key_file")],
            id="a-real-workspace-now",
        ),
    ],
)
def test_what_an_embedded_target_opens_files_with_is_to_be_looked_at_first(
    head: Tree, expected: list[tuple[Kind, str | None]]
) -> None:
    """Its identity stands in git."""
    found = compared(embedded("one"), head)
    assert [(one.kind, one.field) for one in found.differences if one.rank is Rank.FIRST] == expected


def test_what_is_wrong_with_the_base_limits_the_review_and_is_said() -> None:
    """Of what could not be read there it cannot be told what changed."""
    broken = tree({PATH: "secrets: ["}, targets=targets_file({"prod": {"host": "https://evil.example.com"}}))
    found = compared(broken, BASE)
    assert len(found.remarks) == 2
    assert {Kind.SCOPE_ADDED, Kind.TARGET_ADDED} <= set(kinds(found))
    assert [one.rank for one in found.differences if one.kind is Kind.SCOPE_ADDED] == [Rank.CHANGE]


def test_a_file_in_other_key_groups_is_told() -> None:
    """The same recipients, of whom one is enough now."""

    def groups(text: str) -> str:
        head, _, rest = scope_file(keys("a")).partition("    age:\n")
        return f"{head}    key_groups: [{text}]\n{rest[rest.index('    encrypted_regex') :]}"

    one, two = (f"{{age: [{{recipient: {name}, enc: x}}]}}" for name in (ADA, EVE))
    both = f"{{age: [{{recipient: {ADA}, enc: x}}, {{recipient: {EVE}, enc: x}}]}}"
    found = compared(tree({PATH: groups(f"{one}, {two}")}, rules=None), tree({PATH: groups(both)}, rules=None))
    told = {one.field: (one.before, one.after) for one in found.differences}
    assert told == {"key_groups": (f"(age {ADA}) and (age {EVE})", None), "shamir_threshold": ("2", None)}


def test_another_owner_is_to_be_looked_at_first() -> None:
    """Everything that was written belongs to the old one."""
    found = compared(tree(), tree(targets=targets_file(owner="00000000-0000-4000-8000-000000000000")))
    assert (only(found, Kind.TARGET_FIELD_CHANGED).field, kinds(found, Rank.FIRST)) == ("owner", kinds(found))


def test_a_target_with_a_problem_has_not_gone() -> None:
    """It is left out of what was read; that the file cannot be read as a whole is what is told, and the problem."""
    found = compared(tree(), tree(targets=targets_file({"prod": {"host": "https://evil.example.com"}})))
    assert kinds(found) == [Kind.FILE_UNREADABLE]
    assert [one.problem.rule for one in found.problems] == ["target-host"]


def test_values_bound_to_a_new_host_are_counted_not_called_new() -> None:
    """A workspace moved: the target is the same, and which values changed besides cannot be seen."""
    base = tree({PATH: scope_file(keys("a", "b"))})
    head = tree(
        {PATH: scope_file(keys("a", "b", host=OTHER_HOST))},
        targets=targets_file({"prod": {"host": f"https://{OTHER_HOST}"}}),
    )
    found = compared(base, head)
    assert kinds(found) == [Kind.HOST_CHANGED, Kind.VALUES_REBOUND]
    assert only(found, Kind.VALUES_REBOUND).count == 2


def test_a_moved_file_is_told_as_moved() -> None:
    """Same values, same place inside: no key came or went. In another folder somebody else may have to review it."""
    file = scope_file(keys("a", "b"))
    found = compared(tree({PATH: file}), tree({"prod/other.yaml": file}))
    assert [(one.kind, one.rank) for one in found.differences] == [(Kind.FILE_MOVED, Rank.CHANGE)]
    found = compared(tree({PATH: file}), tree({"free/app.yaml": file}))
    assert [(one.kind, one.rank) for one in found.differences] == [(Kind.FILE_MOVED, Rank.FIRST)]


def test_a_key_in_another_file_is_told_as_moved_there() -> None:
    """It has been encrypted for that file, so that its ciphertext says nothing about its value."""
    base = tree({PATH: scope_file(keys("a", "b"))})
    head = tree({PATH: scope_file(keys("a")), "prod/second.yaml": scope_file(keys("b", b=sealed("1")), data_key="two")})
    found = compared(base, head)
    assert only(found, Kind.KEY_MOVED).before == FULL
    assert only(found, Kind.SCOPE_FED_BY_FILE).path == "secrets/prod/second.yaml"
    assert kinds(found, Rank.GONE) == []


def test_a_renamed_key_is_guessed_by_its_place_and_looks() -> None:
    """Its value is encrypted anew, so that nothing proves it; it is a deletion for whoever uses the old name."""
    base = tree({PATH: scope_file(keys("a", "old", old=sealed("o", 13)))})
    found = compared(base, tree({PATH: scope_file(keys("a", "new", new=sealed("n", 13)))}))
    renamed = only(found, Kind.KEY_RENAMED)
    assert (renamed.before, renamed.after, renamed.rank) == ("old", "new", Rank.GONE)
    found = compared(base, tree({PATH: scope_file(keys("a", "new", new=sealed("n", 14)))}))
    assert kinds(found) == [Kind.KEY_REMOVED, Kind.KEY_ADDED]


def test_a_ciphertext_from_elsewhere_is_told_as_a_copy() -> None:
    """It is bound to the names above it and will not open; nobody copies one by accident alone."""
    head = tree({PATH: scope_file(keys("a", "b", b=sealed(f"{HOST}/app/a")))})
    assert only(compared(BASE, head), Kind.VALUE_COPIED).before == "prod/app a"


def test_a_value_that_is_not_encrypted_is_told_and_has_not_gone() -> None:
    """What is wrong with it keeps it from being read, not from being seen."""
    head = tree({PATH: scope_file(keys("a", "b", b="canary-plain"), acls=ACLS)})
    found = compared(BASE, head)
    assert kinds(found) == [Kind.VALUE_PLAIN]
    assert "canary" not in repr(found)
    assert [one.problem.rule for one in found.problems] == ["not-encrypted"]


@pytest.mark.parametrize("modified", ["2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"])
def test_a_file_that_went_back_names_the_commit_that_it_equals(modified: str) -> None:
    """By its bytes, whatever time it says; then each of its values goes without saying."""
    old = scope_file(keys("a", "b", a=sealed("old")), modified=modified)
    past = {FULL: (Version(commit="c" * 40, data=b"other"), Version(commit="d" * 40, data=old.encode()))}
    found = compared(BASE, tree({PATH: old}), past=past)
    assert only(found, Kind.FILE_ROLLED_BACK).commit == "d" * 40
    assert Kind.VALUE_ROLLED_BACK not in kinds(found)


def test_an_older_file_is_told_by_its_own_account() -> None:
    """Where history does not know it."""
    old = scope_file(keys("a", "b", a=sealed("old")), modified="2025-01-01T00:00:00Z")
    told = only(compared(BASE, tree({PATH: old})), Kind.FILE_ROLLED_BACK)
    assert (told.before, told.after, told.commit) == ("2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z", None)


def test_a_value_that_went_back_names_the_commit_that_had_it() -> None:
    """A ciphertext that stood there once is a copy of that one: an old password, revoked maybe."""
    past = {FULL: (Version(commit="d" * 40, data=scope_file(keys("a", a=sealed("old"))).encode()),)}
    head = tree({PATH: scope_file(keys("a", "b", a=sealed("old")), acls=ACLS)})
    found = compared(BASE, head, past=past)
    assert kinds(found) == [Kind.VALUE_ROLLED_BACK, Kind.KEY_CHANGED]
    assert only(found, Kind.VALUE_ROLLED_BACK).commit == "d" * 40


def test_a_file_that_says_something_else_under_its_old_mac_is_told() -> None:
    """Edited by hand, and it will not open; or the work of somebody who cannot make a new MAC."""
    old = scope_file(keys("a", "b"), acls=ACLS)
    found = compared(tree({PATH: old}), tree({PATH: old.replace("READ", "WRITE")}))
    assert kinds(found) == [Kind.FILE_UNSEALED, Kind.ACL_RAISED]
    found = compared(tree({PATH: old}), tree({PATH: f"# a comment\n{old}"}))
    assert kinds(found) == [Kind.FILE_REWRITTEN]


def test_a_file_that_cannot_be_read_is_to_be_looked_at_first() -> None:
    """It may change anything; that its keys are not seen does not mean that they went."""
    found = compared(BASE, tree({PATH: "secrets: ["}))
    assert found.differences[0].kind is Kind.FILE_UNREADABLE
    assert compared(tree({PATH: "secrets: ["}), tree({PATH: "secrets: ["})).differences == ()


@pytest.mark.parametrize(
    ("prune", "rank"), [pytest.param("all", Rank.FIRST, id="all"), pytest.param("none", Rank.CHANGE, id="none")]
)
def test_prune_and_rotation_are_told(prune: str, rank: Rank) -> None:
    """Deleting what others put there is looked at first."""
    found = compared(
        tree({PATH: scope_file(keys("a"), rotation=["<90d *>"])}),
        tree({PATH: scope_file(keys("a"), rotation=["<180d a>", "<90d *>"], prune=prune)}),
    )
    assert only(found, Kind.PRUNE_CHANGED).rank is rank
    changed = only(found, Kind.ROTATION_CHANGED)
    assert (changed.before, changed.after) == ("90d *", "180d a, 90d *")


OUTSIDE: Final = {
    ".github/workflows/apply.yml": "pipeline",
    ".github/CODEOWNERS": "reviewers",
    "team/.gitattributes": "attributes",
    "Makefile": "tooling",
    "team/.sops.yaml": "rules",
    "secrets/demo/readme.txt": "beside",
    ".github/workflows/a\nb.yml": "pipeline",
    ".GITHUB/workflows/x.yml": "pipeline",
}


def test_files_outside_are_told_where_they_weaken_control() -> None:
    """What runs, who reviews, what a review shows; the others are counted."""
    names = [*OUTSIDE, "README.md", "src/a.py", ".sops.yaml", FULL]
    found = compared(BASE, BASE, changes=[(name, name, "M") for name in names])
    told = {one.path: one.sight.value for one in found.differences if one.sight is not None}
    assert told == OUTSIDE
    assert found.other_files == 2


def test_problems_that_were_there_before_are_marked() -> None:
    """Whoever reviews is not blamed for what they found, and sees it all the same."""
    base = tree({PATH: scope_file(keys("a"), recipients=(ADA, EVE))})
    head = tree({PATH: scope_file(keys("a", "b"), recipients=(ADA, EVE)), "prod/x.yaml": "secrets: ["})
    found = {one.problem.rule: one.is_new for one in compared(base, head).problems}
    assert found == {"recipients-surplus": False, "strict-reading": True}
