"""How scopes and keys stand, decided from what the ledger says and a workspace shows."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.errors import PermissionDenied
from reconciler.ledger.records import Entry, Intents, Stamp
from reconciler.model import LEDGER_SCOPE, Acl, KeyName, Permission, Principal, Prune, ScopeName, SecretValue, fold
from reconciler.policy import SelectedTarget, Sources, Target, WorkspaceSettings
from reconciler.policy.selection import ScopePolicy
from reconciler.report.standings import KeyStanding, KeyStatus, LedgerStanding, ScopeStanding, ScopeStatus, TargetStatus
from reconciler.settings import Chosen
from reconciler.sights import commits_in, judged, look
from reconciler.workers import Workers
from reconciler.workspace import Backend
from tests.fakes import Call, FakeWorkspace
from tests.support.recorded import OTHER_OWNER, OWNER, STAMP, blank, seen_now, write_entry, write_head, write_ledger


LATER = Stamp(at_ms=STAMP.at_ms + 1, commit="2" * 40)

AUTHORS = {"1" * 40: "Ada Lovelace <ada@example.com>"}


def names(scope: str, *keys: str, acls: tuple[Acl, ...] | None = None) -> ScopePolicy:
    """Return what git says of a scope."""
    return ScopePolicy(
        scope=ScopeName(scope),
        files=(),
        keys=tuple(map(KeyName, keys)),
        acls=acls,
        prune=Prune.OWNED,
        rotation=(),
    )


def told(workspace: FakeWorkspace, *scopes: ScopePolicy, whole: bool = True) -> TargetStatus:
    """Return how the target stands whose files name these scopes."""
    target = Target(name="prod", workspace=WorkspaceSettings(host="https://fake.cloud.databricks.com"))
    selected = SelectedTarget(target=target, scopes=scopes, whole=whole)
    chosen = Chosen(selected=selected, sources=Sources(files={}, commit="3" * 40), owner=str(OWNER))
    with Workers(4) as workers:
        sights = look(chosen, workspace, workers)
    assert workspace.writes == []
    return judged(sights, {name: author for name, author in AUTHORS.items() if name in commits_in(sights)})


def scope_of(status: TargetStatus, name: str = "app") -> ScopeStatus:
    """Return how a scope stands."""
    (found,) = [scope for scope in status.scopes if scope.scope == name]
    return found


def key_of(status: TargetStatus, key: str, scope: str = "app") -> KeyStatus:
    """Return how a key stands."""
    (found,) = [each for each in scope_of(status, scope).keys or () if each.key == key]
    return found


def app(**secrets: bytes) -> FakeWorkspace:
    """Return a workspace with a scope that we have just written."""
    workspace = FakeWorkspace()
    workspace.add("app", secrets or {"a": b"1", "b": b"2"})
    write_ledger(workspace, "app")
    return workspace


def intending(entry: Entry, **puts: bytes) -> Entry:
    """Return ``entry`` as a run left it that was killed between its intents and its end."""
    tags = {entry.name_tag(key): entry.value_tag(key, SecretValue(value)) for key, value in puts.items()}
    return replace(entry, intents=(Intents(stamp=LATER, puts=tags),))


def lose_entry(workspace: FakeWorkspace) -> None:
    """Leave the head alone in the ledger."""
    workspace.scopes[fold(LEDGER_SCOPE)].secrets.clear()
    write_head(workspace, "app")


def test_names_compare_without_case_and_are_told_as_the_workspace_spells_them() -> None:
    """A rename by case alone is none."""
    status = told(app(), names("App", "A", "B"))
    assert scope_of(status, "App").standing is ScopeStanding.MANAGED
    assert [key.standing for key in status.all_keys()] == [KeyStanding.MANAGED] * 2
    assert [key.key for key in status.all_keys()] == ["a", "b"]


def test_changed_is_told_with_commit_and_author_as_far_as_git_knows_them() -> None:
    """When, by which commit, by whom; the head likewise."""
    workspace = app()
    entry = seen_now(workspace, "app")
    record = replace(entry.keys[entry.name_tag("b")], changed=LATER)
    write_entry(workspace, "app", replace(entry, keys={**entry.keys, entry.name_tag("b"): record}))
    status = told(workspace, names("app", "a", "b"))
    first, second = key_of(status, "a").changed, key_of(status, "b").changed
    assert first is not None
    assert second is not None
    assert status.head is not None
    assert (first.commit, first.author) == ("1" * 40, AUTHORS["1" * 40])
    assert (second.commit, second.author) == ("2" * 40, None)
    assert int(first.at.timestamp() * 1000) == STAMP.at_ms
    assert status.head.changed == first
    assert status.head.identity == "admin@example.com"


def test_what_an_interrupted_run_put_is_managed_by_its_commit() -> None:
    """It was killed before it came to note what it did: no reason to alarm anybody."""
    workspace = app()
    write_entry(workspace, "app", intending(seen_now(workspace, "app"), a=b"new", c=b"3"))
    workspace.put("app", "a", b"new")
    workspace.put("app", "c", b"3")
    status = told(workspace, names("app", "a", "b", "c"))
    for key in ("a", "c"):
        found = key_of(status, key)
        assert found.standing is KeyStanding.MANAGED
        assert found.changed is not None
        assert found.changed.commit == LATER.commit


def test_what_an_interrupted_run_did_not_come_to_is_pending() -> None:
    """Intended, and not there."""
    workspace = app()
    write_entry(workspace, "app", intending(seen_now(workspace, "app"), c=b"3"))
    assert key_of(told(workspace, names("app", "a", "b", "c")), "c").standing is KeyStanding.PENDING


def test_what_an_interrupted_run_deleted_and_git_names_again_is_pending() -> None:
    """We did that ourselves: it is no drift."""
    workspace = app()
    entry = seen_now(workspace, "app")
    deleting = Intents(stamp=LATER, deletes=frozenset({entry.name_tag("a")}))
    write_entry(workspace, "app", replace(entry, intents=(deleting,)))
    del workspace.scopes[fold("app")].secrets[fold("a")]
    assert key_of(told(workspace, names("app", "a", "b")), "a").standing is KeyStanding.PENDING


def test_value_that_may_not_be_read_is_unknown_once_its_timestamp_moved() -> None:
    """While it stands still it is known without being read."""
    workspace = app()

    def sealed(call: Call) -> None:
        if call.operation == "get_secret" and call.scope == "app":
            raise PermissionDenied("no")

    workspace.faults.append(sealed)
    assert key_of(told(workspace, names("app", "a", "b")), "a").standing is KeyStanding.MANAGED
    workspace.put("app", "a", b"1")
    status = told(workspace, names("app", "b"))
    assert key_of(status, "a").standing is KeyStanding.UNKNOWN
    assert "may not be read" in key_of(status, "a").detail
    assert key_of(status, "b").standing is KeyStanding.MANAGED
    assert status.complete


@pytest.mark.parametrize(
    ("spoil", "detail"),
    [
        pytest.param(lambda workspace: write_entry(workspace, "app", b"junk"), "cannot be used", id="garbled"),
        pytest.param(lose_entry, "is lost", id="lost"),
    ],
)
def test_scope_whose_entry_is_gone_is_ours_and_its_keys_are_unknown(
    spoil: Callable[[FakeWorkspace], None], detail: str
) -> None:
    """The head names it and nobody else has a grant; with a grant to somebody else it is no longer ours."""
    workspace = app()
    spoil(workspace)
    status = told(workspace, names("app", "a", "c"))
    assert scope_of(status).standing is ScopeStanding.MANAGED
    assert detail in scope_of(status).detail
    assert {key.key: key.standing for key in status.all_keys()} == {
        "a": KeyStanding.UNKNOWN,
        "b": KeyStanding.UNKNOWN,
        "c": KeyStanding.UNKNOWN,
    }
    workspace.grant("app", "somebody", Permission.WRITE)
    assert scope_of(told(workspace, names("app", "a"))).standing is ScopeStanding.UNMANAGED


def test_scope_that_was_deleted_and_created_anew_is_unmanaged() -> None:
    """The ledger is about the one before it."""
    workspace = app()
    workspace.add("app", {"a": b"theirs"}, owner="somebody")
    status = told(workspace, names("app", "a", "b"))
    assert scope_of(status).standing is ScopeStanding.UNMANAGED
    assert {key.key: key.standing for key in status.all_keys()} == {
        "a": KeyStanding.UNMANAGED,
        "b": KeyStanding.PENDING,
    }


def test_scope_of_another_owner_is_unmanaged_and_names_them() -> None:
    """Two teams share a ledger."""
    workspace = app()
    write_entry(workspace, "app", replace(seen_now(workspace, "app"), owner=OTHER_OWNER))
    found = scope_of(told(workspace, names("app", "a")))
    assert found.standing is ScopeStanding.UNMANAGED
    assert str(OTHER_OWNER) in found.detail


def test_empty_scope_of_somebody_is_not_called_ours() -> None:
    """It equals nothing that git says, though it has as few values as are known here."""
    workspace = app()
    workspace.add("empty")
    found = scope_of(told(workspace, names("app", "a"), names("empty", "x")), "empty")
    assert found.standing is ScopeStanding.UNMANAGED
    assert "adopts it" in found.detail


def test_scope_in_a_key_vault_is_unmanaged_and_says_so() -> None:
    """It cannot be written through this API at all."""
    workspace = app()
    workspace.add("vault", {"x": b"1"}, backend=Backend.AZURE_KEYVAULT)
    found = scope_of(told(workspace, names("vault", "x")), "vault")
    assert found.standing is ScopeStanding.UNMANAGED
    assert "AZURE_KEYVAULT" in found.detail


def test_head_that_is_lost_is_said() -> None:
    """Without it nobody can tell what was applied last."""
    workspace = app()
    write_entry(workspace, "app", seen_now(workspace, "app"))
    for key in tuple(workspace.values(LEDGER_SCOPE)):
        if key.startswith("head-"):
            workspace.put(LEDGER_SCOPE, key, b"junk")
    status = told(workspace, names("app", "a", "b"))
    assert status.head is None
    assert status.ledger is LedgerStanding.COUNTS
    assert "head cannot be used" in status.ledger_detail
    assert {key.standing for key in status.all_keys()} == {KeyStanding.MANAGED}


def test_keys_of_an_orphaned_scope_are_told_apart() -> None:
    """What we wrote is orphaned, what somebody else wrote there is theirs."""
    workspace = app()
    workspace.put("app", "a", b"theirs")
    workspace.put("app", "by-hand", b"x")
    status = told(workspace)
    assert scope_of(status).standing is ScopeStanding.ORPHANED
    assert {key.key: key.standing for key in status.all_keys()} == {
        "a": KeyStanding.UNMANAGED,
        "b": KeyStanding.ORPHANED,
        "by-hand": KeyStanding.UNMANAGED,
    }
    assert told(workspace, whole=False).scopes == ()


def test_scope_that_cannot_be_listed_makes_the_answer_incomplete() -> None:
    """Exit code 1 rests on it."""
    workspace = app()

    def denied(call: Call) -> None:
        if call.operation == "list_secrets" and call.scope == "app":
            raise PermissionDenied("listing was denied", advice="ask for READ")

    workspace.faults.append(denied)
    status = told(workspace, names("app", "a"))
    assert scope_of(status).standing is ScopeStanding.UNKNOWN
    assert scope_of(status).error == "listing was denied (ask for READ)"
    assert not status.complete


def test_what_git_grants_does_not_make_a_scope_somebody_elses() -> None:
    """Every value was changed by hand, and the readers that git names may read: that is drift."""
    workspace = app()
    workspace.grant("app", "users", Permission.READ)
    for key in ("a", "b"):
        workspace.put("app", key, b"other")
    acls = (Acl(principal=Principal("users"), permission=Permission.READ),)
    status = told(workspace, names("app", "a", "b", acls=acls))
    assert scope_of(status).standing is ScopeStanding.MANAGED
    assert {key.standing for key in status.all_keys()} == {KeyStanding.DRIFTED}


def test_missing_scope_with_nothing_recorded_is_pending_alone() -> None:
    """It was never there, so nobody deleted it."""
    workspace = app()
    write_entry(workspace, "new", replace(blank("new"), intents=(Intents(stamp=LATER, creates_scope=True),)))
    found = scope_of(told(workspace, names("app", "a"), names("new", "x")), "new")
    assert (found.standing, found.detail) == (ScopeStanding.MISSING, "")
    assert [key.standing for key in found.keys or ()] == [KeyStanding.PENDING]


def test_nothing_counts_where_others_can_write_the_ledger() -> None:
    """Not a single state is taken from it."""
    workspace = app()
    workspace.grant(LEDGER_SCOPE, "somebody", Permission.WRITE)
    status = told(workspace, names("app", "a"), names("gone", "x"))
    assert status.ledger is LedgerStanding.FOREIGN
    assert status.head is None
    assert not status.complete
    assert scope_of(status).standing is ScopeStanding.UNKNOWN
    assert scope_of(status, "gone").standing is ScopeStanding.MISSING
    assert {key.standing for key in status.all_keys()} == {KeyStanding.UNKNOWN}
