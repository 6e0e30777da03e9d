"""Whose a scope is: squatters, adoption, two owners, operators who take turns, identities that may only read."""

import base64
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.emulator import Rules
from reconciler.errors import EXIT_REFUSED
from reconciler.ledger.encoding import encode_entry
from reconciler.ledger.records import KeyRecord, Stamp, entry_name, new_entry, place_tag
from reconciler.model import LEDGER_SCOPE, ScopeName, SecretValue
from tests.support.cli import Cli, Result
from tests.support.secrets_repo import OWNER, SecretsRepo
from tests.support.workspace_server import WorkspaceServer


ADMIN = "admin@example.com"
USER = "user@example.com"
OTHER_OWNER = "0d9c5f0e-0000-4000-8000-00000000000f"


class Team:
    """A target with two people who may run it, fed by files in the work tree."""

    def __init__(self, run: Cli, repo: SecretsRepo, server: WorkspaceServer) -> None:
        self.run = run
        self.repo = repo
        self.server = server
        self.target()

    def target(self, *, owner: str | None = None, **fields: Any) -> None:  # noqa: ANN401  # fields of targets.yaml
        """Say who runs the target."""
        settings = {"prod": {**self.server.fields, **fields}}
        if owner is None:
            self.repo.targets(settings)
        else:
            self.repo.targets(settings, owner=owner)

    def wish(self, keys: Mapping[str, str], *, scope: str = "app", acls: list[str] | None = None) -> None:
        """Say what a scope should hold."""
        self.repo.scope_file(f"prod/{scope}.yaml", {self.server.host_key: {scope: keys}}, acls=acls)

    def as_user(self, *arguments: str) -> Result:
        """Run a command as somebody who is no administrator."""
        return self.run(*arguments, env={"DATABRICKS_TOKEN": self.server.emulator.user_token})

    def values(self, scope: str = "app") -> dict[str, bytes]:
        """Return what a scope holds."""
        return {key: self.server.value(scope, key) for key in self.server.keys(scope)}


@pytest.fixture
def team(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> Team:
    """Feed one scope."""
    return Team(run, repo, workspace_server)


def _kinds(result: Result) -> set[str]:
    return {finding["kind"] for finding in result.target["findings"]}


class TestSquatting:
    """A scope, or the ledger's, that somebody else made first or made anew."""

    def test_a_scope_that_was_there_first_gets_no_value(self, team: Team) -> None:
        """Whoever made it could read what is put there; with --adopt somebody answers for that."""
        team.server.call_as_user("scopes/create", scope="app")
        team.wish({"password": "secret"})

        for command in ("plan", "apply"):
            said = team.run(command, "prod", "-o", "json").expect(EXIT_REFUSED).target
            assert USER in said["errors"][0]
            assert "--adopt" in said["errors"][0]
        assert team.server.keys("app") == []

        adopted = team.run("apply", "prod", "--adopt", "-o", "json").expect().target
        assert adopted["adopted"] == ["app"]
        assert team.values() == {"password": b"secret"}
        team.run("plan", "prod", "--detailed-exitcode").expect(0)

    def test_a_scope_that_was_made_anew_between_two_runs_gets_no_value(self, team: Team) -> None:
        """The entry is about the scope before it."""
        team.wish({"password": "secret"})
        team.run("apply", "prod").expect()
        team.server.delete_scope("app")
        team.server.call_as_user("scopes/create", scope="app")
        team.server.call_as_user("put", scope="app", key="password", string_value="bait")
        team.wish({"password": "rotated"})

        said = team.run("apply", "prod", "-o", "json").expect(EXIT_REFUSED).target

        assert USER in said["errors"][0]
        assert team.values() == {"password": b"bait"}

    def test_a_scope_that_vanished_is_made_again(self, team: Team) -> None:
        """That is drift like any other."""
        team.wish({"password": "secret"})
        team.run("apply", "prod").expect()
        team.server.delete_scope("app")

        assert {one["reason"] for one in team.run("plan", "prod", "-o", "json").target["changes"]} >= {"drifted"}
        team.run("apply", "prod").expect()
        assert team.values() == {"password": b"secret"}

    def test_a_ledger_that_was_there_first_is_refused(self, team: Team) -> None:
        """What stands in it could be theirs, and would decide what is deleted."""
        team.server.call_as_user("scopes/create", scope=LEDGER_SCOPE)
        team.wish({"password": "secret"})

        for command in ("plan", "apply"):
            said = team.run(command, "prod", "-o", "json").expect(EXIT_REFUSED).target
            assert USER in said["errors"][0]
        assert team.server.scopes() == []
        assert team.server.keys(LEDGER_SCOPE) == []

    def test_a_ledger_that_was_made_anew_is_refused(self, team: Team) -> None:
        """As is one that somebody else was granted."""
        team.wish({"password": "secret"})
        team.run("apply", "prod").expect()
        team.server.delete_scope(LEDGER_SCOPE)
        team.server.call_as_user("scopes/create", scope=LEDGER_SCOPE)
        team.wish({"password": "rotated"})

        team.run("apply", "prod").expect(EXIT_REFUSED)

        assert team.values() == {"password": b"secret"}
        assert team.server.keys(LEDGER_SCOPE) == []

    @pytest.mark.parametrize("permission", ["READ", "WRITE", "MANAGE"])
    def test_a_ledger_that_somebody_was_granted_is_refused(self, team: Team, permission: str) -> None:
        """Until the grant is gone, or listed in targets.yaml."""
        team.wish({"password": "secret"})
        team.run("apply", "prod").expect()
        team.server.grant(LEDGER_SCOPE, USER, permission)

        assert USER in team.run("apply", "prod").expect(EXIT_REFUSED).stdout
        if permission == "MANAGE":
            team.target(operators=[ADMIN, USER])
        else:
            team.target(ledger_readers=[USER])
        team.run("apply", "prod").expect(EXIT_REFUSED if permission == "WRITE" else 0)


class TestAdoption:
    """Scopes that were there before git named them."""

    def test_what_equals_git_is_adopted_silently(self, team: Team) -> None:
        """Nothing changes, and from then on it is ours."""
        team.server.create_scope("app")
        team.server.put("app", "password", b"secret")
        team.wish({"password": "secret"})

        first = team.run("apply", "prod", "-o", "json").expect().target
        assert (first["status"], first["changes"]) == ("clean", [])
        team.server.traffic()
        team.run("apply", "prod").expect()
        assert team.server.all_writes() == []

    @pytest.mark.parametrize(
        ("there", "grants"),
        [
            pytest.param({"password": b"other"}, [], id="another value"),
            pytest.param({"password": b"secret", "more": b"x"}, [], id="another key"),
            pytest.param({}, [], id="nothing"),
            pytest.param({"password": b"secret"}, [USER], id="another grant"),
        ],
    )
    def test_what_differs_needs_a_word(self, team: Team, there: dict[str, bytes], grants: list[str]) -> None:
        """Adopting keeps keys and grants that git does not name."""
        team.server.create_scope("app")
        for key, value in there.items():
            team.server.put("app", key, value)
        for principal in grants:
            team.server.grant("app", principal, "READ")
        team.wish({"password": "secret"})

        team.run("apply", "prod").expect(EXIT_REFUSED)
        assert team.values() == there
        team.run("apply", "prod", "--adopt").expect()

        assert team.values() == {**there, "password": b"secret"}
        assert set(team.server.grants("app")) >= set(grants)

    def test_another_owners_scope_needs_another_word(self, team: Team) -> None:
        """Taking over deletes nothing: what the other owner put there is not ours."""
        team.wish({"password": "secret", "theirs": "x"})
        team.run("apply", "prod").expect()
        team.target(owner=OTHER_OWNER)
        team.wish({"password": "rotated"})

        for flags in ((), ("--adopt",)):
            said = team.run("apply", "prod", *flags, "-o", "json").expect(EXIT_REFUSED).target
            assert "--take-over" in said["errors"][0]
        assert team.values() == {"password": b"secret", "theirs": b"x"}
        taken = team.run("apply", "prod", "--take-over", "-o", "json").expect()

        assert _kinds(taken) == {"unmanaged-key"}
        assert team.values() == {"password": b"rotated", "theirs": b"x"}
        team.target()
        team.run("apply", "prod").expect(EXIT_REFUSED)


class TestOperators:
    """A person's laptop and the pipeline."""

    def test_take_turns_on_one_target(self, team: Team) -> None:
        """Neither locks the other one out, whoever began."""
        team.target(operators=[ADMIN, USER])
        turns: list[Callable[..., Result]] = [team.run, team.as_user, team.run, team.as_user]
        for number, run in enumerate(turns):
            team.wish({"password": f"secret-{number}"})
            changed = run("apply", "prod", "-o", "json").expect().target["summary"]
            assert changed["put_secret"] == 1
            run("plan", "prod", "--detailed-exitcode").expect(0)
            assert team.values() == {"password": b"secret-%d" % number}

        assert team.server.grants("app") == {ADMIN: "MANAGE", USER: "MANAGE"}
        assert team.server.grants(LEDGER_SCOPE) == {ADMIN: "MANAGE", USER: "MANAGE"}

    def test_whoever_runs_first_is_the_only_one_unless_others_are_listed(self, team: Team) -> None:
        """The way on is to list both; then the first one lets the second one in."""
        team.wish({"password": "secret"})
        team.run("apply", "prod").expect()
        assert "operators" in team.as_user("apply", "prod").expect(EXIT_REFUSED).stdout

        team.target(operators=[ADMIN, USER])
        team.as_user("apply", "prod").expect(EXIT_REFUSED)
        team.run("apply", "prod").expect()
        team.as_user("apply", "prod").expect()

    def test_who_is_not_listed_does_not_apply(self, team: Team) -> None:
        """An administrator may see everything, and is not who the target names."""
        team.target(operators=[USER])
        team.wish({"password": "secret"})

        assert ADMIN in team.run("apply", "prod").expect(EXIT_REFUSED).stdout
        assert team.server.scopes() == []


class TestReadOnly:
    """An identity that may read values and nothing else."""

    def test_plans_by_reading_all_values(self, team: Team) -> None:
        """It sees what differs; grants, and so whose things are, it cannot tell."""
        team.wish({"a": "1", "b": "2"}, acls=[f"<READ {USER}>"])
        team.run("apply", "prod").expect()
        team.wish({"a": "1", "b": "3"}, acls=[f"<READ {USER}>", "<WRITE admins>"])

        planned = team.as_user("plan", "prod", "-o", "json").expect().target

        assert [(one["action"], one["key"]) for one in planned["changes"]] == [("put-secret", "b")]
        assert {(one["kind"], one["scope"]) for one in planned["findings"]} == {
            ("acls-unknown", "app"),
            ("acls-unknown", LEDGER_SCOPE),
        }
        team.as_user("apply", "prod").expect(EXIT_REFUSED)
        assert team.values() == {"a": b"1", "b": b"2"}


class TestWithoutPremiumPlan:
    """A workspace in which only ``users`` may manage a new scope."""

    def test_there_is_no_ledger_and_nothing_is_deleted(self, run: Cli, repo: SecretsRepo) -> None:
        """Every value is read each time; a scope that exists has to be adopted each time."""
        with WorkspaceServer(rules=Rules(premium=False)) as server:
            repo.targets({"prod": server.fields})
            server.call("POST", "scopes/create", scope="app", initial_manage_principal="users")
            server.put("app", "old", b"x")
            repo.scope_file("prod/app.yaml", {server.host_key: {"app": {"a": "1"}}})

            run("apply", "prod", env=server.env).expect(EXIT_REFUSED)
            applied = run("apply", "prod", "--adopt", "-o", "json", env=server.env).expect()

            assert "no ledger" in applied.stderr
            assert server.keys("app") == ["a", "old"]
            assert LEDGER_SCOPE not in server.all_scopes()


class TestForgedLedger:
    """Somebody made the ledger before us, filled it, and left it to us: its grants are right, what it says is not."""

    def forge(self, team: Team, scope: str, key: str, value: bytes) -> None:
        """Make a ledger as a plain user, with an entry that records what is in a scope now."""
        server = team.server
        updated_ms = next(one["last_updated_timestamp"] for one in server.listed(scope) if one["key"] == key)
        owner, place = uuid.UUID(OWNER), place_tag(server.host_key)
        entry = new_entry(owner=owner, place=place, scope=ScopeName(scope), salt=bytes(32))
        record = KeyRecord(
            value=entry.value_tag(key, SecretValue(value)),
            seen_ms=updated_ms,
            changed=Stamp(at_ms=updated_ms, commit=None),
        )
        forged = encode_entry(replace(entry, keys={entry.name_tag(key): record})).reveal()
        server.call_as_user("scopes/create", scope=LEDGER_SCOPE)
        server.call_as_user(
            "put", scope=LEDGER_SCOPE, key=entry_name(place, scope), bytes_value=base64.b64encode(forged).decode()
        )
        server.call_as_user("acls/put", scope=LEDGER_SCOPE, principal=ADMIN, permission="MANAGE")
        server.call_as_user("acls/delete", scope=LEDGER_SCOPE, principal=USER)

    def test_does_not_vouch_for_a_scope_that_its_maker_manages(self, team: Team) -> None:
        """Timestamps can be seen from outside; a value of git cannot."""
        team.server.call_as_user("scopes/create", scope="app")
        team.server.call_as_user("put", scope="app", key="decoy", string_value="bait")
        self.forge(team, "app", "decoy", b"bait")
        team.wish({"password": "secret"})

        said = team.run("apply", "prod", "-o", "json").expect(EXIT_REFUSED).target

        assert USER in said["errors"][0]
        assert team.values() == {"decoy": b"bait"}

    @pytest.mark.parametrize("by_git", [True, False])
    def test_where_every_value_changes_the_entry_has_to_know_those_before(self, team: Team, *, by_git: bool) -> None:
        """Git has them; without git somebody has to say that the scope is ours."""
        team.wish({"password": "secret"})
        if by_git:
            team.repo.commit()
        team.run("apply", "prod").expect()
        team.server.grant("app", USER, "MANAGE")
        team.wish({"password": "rotated"})
        if by_git:
            team.repo.commit()

        team.run("apply", "prod").expect(0 if by_git else EXIT_REFUSED)

        assert team.values() == {"password": b"rotated" if by_git else b"secret"}

    def test_nobody_reads_what_is_put_once_git_takes_their_grant_away(self, team: Team) -> None:
        """It is revoked before anything is put, so nothing has to be known."""
        team.wish({"password": "secret"}, acls=["<READ users>"])
        team.run("apply", "prod").expect()
        team.server.grant("app", "users", "MANAGE")
        team.wish({"password": "rotated"}, acls=["<READ users>"])

        team.run("apply", "prod").expect()

        assert team.values() == {"password": b"rotated"}
        assert team.server.grants("app") == {ADMIN: "MANAGE", "users": "READ"}


class TestTakingCharge:
    """The run that adopts deletes nothing."""

    def test_even_under_prune_all(self, team: Team) -> None:
        """What else is in the scope is told first; the next run takes it away."""
        team.server.create_scope("app")
        for key in ("a", "theirs"):
            team.server.put("app", key, b"x")
        team.repo.scope_file("prod/app.yaml", {team.server.host_key: {"app": {"a": "1", "b": "2"}}}, prune="all")

        adopted = team.run("apply", "prod", "--adopt", "-o", "json").expect()
        assert ("unmanaged-key", "theirs") in {(one["kind"], one["key"]) for one in adopted.target["findings"]}
        assert set(team.values()) == {"a", "b", "theirs"}

        team.run("apply", "prod", "--allow-deletes", "1").expect()
        assert set(team.values()) == {"a", "b"}

    def test_whoever_is_an_operator_no_more_is_told(self, team: Team) -> None:
        """Where git leaves grants alone, nobody would notice who still manages a scope."""
        team.target(operators=[ADMIN, USER])
        team.wish({"password": "secret"})
        team.run("apply", "prod").expect()
        team.target(operators=[ADMIN])
        team.server.revoke(LEDGER_SCOPE, USER)

        found = team.run("apply", "prod", "-o", "json").expect().target["findings"]

        assert [(one["kind"], one["scope"]) for one in found] == [("unmanaged-acl", "app")]
        assert USER in found[0]["detail"] or found[0].get("principal") == USER


class TestWithoutAnyLedgerYet:
    """Before the first apply."""

    def test_a_read_only_identity_can_plan(self, team: Team) -> None:
        """Values are compared; whose the scope is cannot be told."""
        team.server.create_scope("app")
        team.server.put("app", "a", b"other")
        team.server.grant("app", USER, "READ")
        team.wish({"a": "1"})

        planned = team.as_user("plan", "prod", "-o", "json").expect().target

        assert [(one["key"], one["reason"]) for one in planned["changes"]] == [("a", "changed")]
        assert {one["kind"] for one in planned["findings"]} == {"acls-unknown"}
        team.as_user("apply", "prod").expect(EXIT_REFUSED)


class TestOrphans:
    """Scopes that git named once."""

    def test_are_told_and_deleted_only_on_request(self, team: Team) -> None:
        """With all that is in them, if all of it is ours, and if so many keys may be deleted."""
        team.wish({"a": "1"}, scope="keep")
        team.wish({"a": "1", "b": "2"}, scope="old")
        team.run("apply", "prod").expect()
        (team.repo.root / "secrets/prod/old.yaml").unlink()

        told = team.run("apply", "prod", "-o", "json").expect()
        assert _kinds(told) == {"orphaned-scope"}
        team.run("apply", "prod", "--delete-scopes", "--allow-deletes", "1").expect(EXIT_REFUSED)
        assert team.values("old") == {"a": b"1", "b": b"2"}
        team.server.put("old", "theirs", b"x")
        kept = team.run("apply", "prod", "--delete-scopes", "-o", "json").expect()
        assert _kinds(kept) == {"orphaned-scope"}
        team.server.delete("old", "theirs")

        gone = team.run("apply", "prod", "--delete-scopes", "-o", "json").expect().target
        assert [(one["action"], one["scope"], one["result"]) for one in gone["changes"]] == [
            ("delete-scope", "old", "done")
        ]
        assert team.server.scopes() == ["keep"]
        team.server.traffic()
        assert _kinds(team.run("apply", "prod", "-o", "json").expect()) == set()
        assert team.server.all_writes() == []
