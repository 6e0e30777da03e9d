"""What other people do to a workspace between two requests of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.ledger.records import entry_name, head_name, place_tag
from reconciler.model import LEDGER_SCOPE, KeyName, Permission, ScopeName, fold
from tests.faults.story import GUEST, MALLORY, MANAGE, READ, WRITE, Wish
from tests.faults.world import Picture, World
from tests.support.secrets_repo import OWNER


THEIRS: Final = b"mallory's"
"""The value of whatever other people put."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What of the workspace is somebody else's from now on; all names folded."""

    keys: frozenset[tuple[str, str]] = frozenset()
    """Scope and key."""

    grants: frozenset[tuple[str, str]] = frozenset()
    """Scope and principal."""

    scopes: frozenset[str] = frozenset()
    """With all that is in them."""

    taken: frozenset[tuple[str, str]] = frozenset()
    """Keys that they removed: that they are absent is not our doing."""

    harms_ledger: bool = False
    """What is recorded may be lost, so that less is deleted and more is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where somebody meddles: the workspace as it is, and what git wanted before and wants now."""

    world: World
    host_key: str
    before: Wish | None
    wish: Wish

    @property
    def picture(self) -> Picture:
        """What is there now."""
        return self.world.picture()

    def has(self, scope: str, key: str) -> bool:
        """Tell whether a key is there."""
        found = self.picture.get(fold(scope))
        return found is not None and fold(key) in found.secrets

    def removed(self) -> tuple[str, str] | None:
        """Return a key that git no longer wants, of a scope that it still wants."""
        old = {} if self.before is None else self.before.scopes
        for scope in old.keys() & self.wish.scopes.keys():
            for key in sorted(old[scope].keys() - self.wish.scopes[scope].keys()):
                return scope, key
        return None

    def added(self) -> tuple[str, str] | None:
        """Return a key that git wants and did not want before."""
        old = {} if self.before is None else self.before.scopes
        for scope, keys in self.wish.scopes.items():
            for key in sorted(keys.keys() - old.get(scope, {}).keys()):
                return scope, key
        return None

    def changed(self) -> tuple[str, str] | None:
        """Return a key for which git has another value than before."""
        old = {} if self.before is None else self.before.scopes
        for scope, keys in self.wish.scopes.items():
            for key, value in keys.items():
                if old.get(scope, {}).get(key, value) != value:
                    return scope, key
        return None

    def kept(self) -> tuple[str, str]:
        """Return a key for which git has the same value as before, or else any."""
        old = {} if self.before is None else self.before.scopes
        wanted = [(scope, key) for scope, keys in self.wish.scopes.items() for key in keys]
        same = [(scope, key) for scope, key in wanted if old.get(scope, {}).get(key) == self.wish.value(scope, key)]
        return (same or wanted)[0]


Meddle = Callable[[Scene], Trace | None]
"""Does it; None where there is nothing that it could be done to, and nothing was done."""


def _overwrite(name: Callable[[Scene], tuple[str, str] | None]) -> Meddle:
    def meddle(scene: Scene) -> Trace | None:
        place = name(scene)
        if place is None or not scene.has(*place):
            return None
        scene.world.put(*place, THEIRS)
        return _of_key(scene, place)

    return meddle


def _recreate(name: Callable[[Scene], tuple[str, str] | None]) -> Meddle:
    def meddle(scene: Scene) -> Trace | None:
        place = name(scene)
        if place is None or not scene.has(*place):
            return None
        scene.world.delete(*place)
        scene.world.put(*place, THEIRS)
        return _of_key(scene, place)

    return meddle


def _add(name: Callable[[Scene], tuple[str, str] | None]) -> Meddle:
    def meddle(scene: Scene) -> Trace | None:
        place = name(scene)
        if place is None or fold(place[0]) not in scene.picture or scene.has(*place):
            return None
        scene.world.put(*place, THEIRS)
        return _of_key(scene, place)

    return meddle


def _delete(name: Callable[[Scene], tuple[str, str] | None]) -> Meddle:
    def meddle(scene: Scene) -> Trace | None:
        place = name(scene)
        if place is None or not scene.has(*place):
            return None
        scene.world.delete(*place)
        return Trace(taken=frozenset({place}))

    return meddle


def _of_key(scene: Scene, place: tuple[str, str]) -> Trace:
    """What git wants is repaired, whoever wrote it last; the rest is now theirs."""
    return Trace() if scene.wish.value(*place) is not None else Trace(keys=frozenset({place}))


def _a_scope(scene: Scene) -> str | None:
    """Return the scope that most steps leave alone, or else any of git's that is there."""
    there = sorted(scope for scope in scene.wish.scopes if fold(scope) in scene.picture)
    return there[-1] if there else None


def _newcomer(scene: Scene) -> tuple[str, str] | None:
    scope = _a_scope(scene)
    return None if scope is None else (scope, "newcomer")


def _grant(principal: str, permission: Permission) -> Meddle:
    def meddle(scene: Scene) -> Trace | None:
        scope = _a_scope(scene)
        if scope is None:
            return None
        scene.world.grant(scope, principal, permission)
        ours = principal in scene.wish.acls
        return Trace() if ours else Trace(grants=frozenset({(scope, principal)}))

    return meddle


def _revoke(scene: Scene) -> Trace | None:
    scope = _a_scope(scene)
    if scope is None or fold("users") not in scene.picture[fold(scope)].grants:
        return None
    scene.world.revoke(scope, "users")
    return Trace()


def _delete_scope(scene: Scene) -> Trace | None:
    scope = _a_scope(scene)
    if scope is None:
        return None
    taken = frozenset((scope, key) for key in scene.picture[fold(scope)].secrets)
    scene.world.delete_scope(scope)
    return Trace(taken=taken)


def _squat(scope: str, scene: Scene) -> Trace:
    there = scene.picture.get(fold(scope))
    taken = frozenset() if there is None else frozenset((scope, key) for key in there.secrets)
    if there is not None:
        scene.world.delete_scope(scope)
    scene.world.create_scope(scope, MALLORY)
    for key in ("a", "mine"):
        scene.world.put(scope, key, THEIRS)
    return Trace(scopes=frozenset({scope}), taken=taken)


def _squat_on_ours(scene: Scene) -> Trace | None:
    scope = _a_scope(scene)
    return None if scope is None else _squat(scope, scene)


def _squat_on_new(scene: Scene) -> Trace | None:
    new = sorted(scope for scope in scene.wish.scopes if fold(scope) not in scene.picture)
    return _squat(new[0], scene) if new else None


def _in_ledger(name: Callable[[Scene], str], *, garble: bool) -> Meddle:
    def meddle(scene: Scene) -> Trace | None:
        key = name(scene)
        if not scene.has(LEDGER_SCOPE, key):
            return None
        if garble:
            scene.world.put(LEDGER_SCOPE, key, THEIRS)
        else:
            scene.world.delete(LEDGER_SCOPE, key)
        return Trace(harms_ledger=True)

    return meddle


def _entry(scene: Scene) -> KeyName:
    return entry_name(place_tag(scene.host_key), ScopeName(min(scene.wish.scopes)))


def _head(_scene: Scene) -> KeyName:
    import uuid

    return head_name(uuid.UUID(OWNER))


def _delete_ledger(scene: Scene) -> Trace | None:
    if fold(LEDGER_SCOPE) not in scene.picture:
        return None
    scene.world.delete_scope(LEDGER_SCOPE)
    return Trace(harms_ledger=True)


def _squat_on_ledger(scene: Scene) -> Trace:
    if fold(LEDGER_SCOPE) in scene.picture:
        scene.world.delete_scope(LEDGER_SCOPE)
    scene.world.create_scope(LEDGER_SCOPE, MALLORY)
    scene.world.put(LEDGER_SCOPE, _head(scene), THEIRS)
    return Trace(scopes=frozenset({LEDGER_SCOPE}), harms_ledger=True)


MEDDLING: Final[Mapping[str, Meddle]] = {
    "value": _overwrite(Scene.kept),
    "rotated-value": _overwrite(Scene.changed),
    "removed-value": _overwrite(Scene.removed),
    "new-key": _add(_newcomer),
    "new-key-that-git-wants": _add(Scene.added),
    "deleted-key": _delete(Scene.kept),
    "deleted-rotated-key": _delete(Scene.changed),
    "recreated-key": _recreate(Scene.kept),
    "recreated-removed-key": _recreate(Scene.removed),
    "new-grant": _grant(GUEST, WRITE),
    "raised-grant": _grant("users", MANAGE),
    "lowered-grant": _grant("ops", READ),
    "taken-grant": _revoke,
    "deleted-scope": _delete_scope,
    "squatted-scope": _squat_on_ours,
    "squatted-new-scope": _squat_on_new,
    "garbled-entry": _in_ledger(_entry, garble=True),
    "deleted-entry": _in_ledger(_entry, garble=False),
    "garbled-head": _in_ledger(_head, garble=True),
    "deleted-head": _in_ledger(_head, garble=False),
    "deleted-ledger": _delete_ledger,
    "squatted-ledger": _squat_on_ledger,
}
"""By name: what somebody does."""
