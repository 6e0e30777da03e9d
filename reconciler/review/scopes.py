"""What a change does to scopes: their keys, grants, prune and rotation rules, and which files feed them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.model import ADMINS, Acl, FoldedName, Permission, Prune, fold
from reconciler.policy.scope_files import RotationRule, ScopeFile
from reconciler.report.reviewed import Difference, Kind, Rank
from reconciler.review.contents import ScopeSpot, Side, Spot, Value
from reconciler.review.files import FilePair, PastSeals


_EVERYBODY: Final = frozenset({fold("users"), fold("account users")})
"""System groups of all people of a workspace, and of an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What one file says about a scope, or nothing."""

    file: ScopeFile | None
    acls: Mapping[FoldedName, Acl] | None
    prune: Prune
    rotation: tuple[RotationRule, ...]


class ScopeComparison:
    """Compares the scopes of two trees.

    Args:
        base: one of them.
        head: the other one.
        pairs: path at the head to what the file was before.
        past: ciphertexts from before the base.
    """

    def __init__(self, base: Side, head: Side, pairs: Mapping[str, FilePair], past: PastSeals) -> None:
        self._base = base
        self._head = head
        self._pairs = pairs
        self._past = past
        self._places = {value.sealed_by: spot for spot, value in base.values.items() if value.sealed_by is not None}
        self._rebound: dict[tuple[str, ScopeSpot], int] = {}
        self._keys_before = _keys_by_scope(base)
        self._keys_now = _keys_by_scope(head)
        self._rulings_before = _rulings(base)
        self._rulings_now = _rulings(head)

    def differences(self) -> Iterator[Difference]:
        """Yield them, in no order."""
        for spot in self._head.scopes.keys() | self._base.scopes.keys():
            yield from self._scope(spot)
            yield from self._policy(spot)
            yield from self._keys(spot)
        for (path, spot), number in self._rebound.items():
            yield Difference(
                kind=Kind.VALUES_REBOUND,
                rank=Rank.CHANGE,
                path=path,
                target=spot.target,
                scope=self._name(spot),
                count=number,
            )

    def _name(self, spot: ScopeSpot) -> str:
        """Return the scope as it is spelt."""
        values = self._keys_now.get(spot) or self._keys_before.get(spot) or {}
        return next((value.scope for value in values.values()), spot.scope)

    def _is_rekeyed(self, path: str) -> bool:
        return path in self._pairs and self._pairs[path].rekeyed

    def _scope(self, spot: ScopeSpot) -> Iterator[Difference]:
        """Tell of a scope that comes, goes, or is fed by another file."""
        before, now = self._base.scopes.get(spot, ()), self._head.scopes.get(spot, ())
        if not now:
            yield self._of(spot, Kind.SCOPE_REMOVED, Rank.GONE, before[0], count=len(self._keys_before.get(spot, {})))
        elif not before:
            keys = self._keys_now.get(spot, {})
            yield self._of(spot, Kind.SCOPE_ADDED, Rank.CHANGE, now[0], count=len(keys), line=_first_line(keys))
        else:
            for path in now:
                pair = self._pairs.get(path)
                was = path if pair is None else pair.then_path
                if was not in before:
                    yield self._of(spot, Kind.SCOPE_FED_BY_FILE, Rank.FIRST, path, rekeyed=self._is_rekeyed(path))

    def _of(self, spot: ScopeSpot, kind: Kind, rank: Rank, path: str, **fields: str | int | bool | None) -> Difference:
        return Difference(
            kind=kind,
            rank=rank,
            path=path,
            target=spot.target,
            scope=self._name(spot),
            **fields,  # type: ignore[arg-type]  # names and types are those of the record; a test of each kind sees it
        )

    # --- keys ---------------------------------------------------------------------------------------------------

    def _keys(self, spot: ScopeSpot) -> Iterator[Difference]:
        before, now = self._keys_before.get(spot, {}), self._keys_now.get(spot, {})
        gone = [before[key] for key in before.keys() - now.keys()]
        new = [now[key] for key in now.keys() - before.keys()]
        renamed = _renamed(gone, new, self._pairs)
        for value in gone:
            if (heir := renamed.get(value.key)) is None:
                yield self._key(spot, Kind.KEY_REMOVED, Rank.GONE, value, line=None)
            else:
                yield self._key(spot, Kind.KEY_RENAMED, Rank.GONE, heir, before=value.key, after=heir.key)
        heirs = {value.key for value in renamed.values()}
        for value in new:
            if value.key not in heirs:
                yield self._key(spot, Kind.KEY_ADDED, Rank.CHANGE, value)
            yield from self._oddities(spot, value)
        for key in now.keys() & before.keys():
            yield from self._kept(spot, before[key], now[key])

    def _key(
        self, spot: ScopeSpot, kind: Kind, rank: Rank, value: Value, **fields: str | int | bool | None
    ) -> Difference:
        fields = {"line": value.line, "key": value.key, "rekeyed": self._is_rekeyed(value.path), **fields}
        return self._of(spot, kind, rank, value.path, **fields)

    def _kept(self, spot: ScopeSpot, before: Value, now: Value) -> Iterator[Difference]:
        """Tell what has become of a key that is still there."""
        if before.key != now.key:
            yield self._key(spot, Kind.KEY_RESPELT, Rank.CHANGE, now, before=before.key, after=now.key)
        if before.sealed_by == now.sealed_by and before.form is now.form and now.envelope is not None:
            return
        yield from self._oddities(spot, now)
        if now.envelope is None:
            return
        pair = self._pairs.get(now.path)
        if before.host_key != now.host_key:
            self._rebound[now.path, spot] = self._rebound.get((now.path, spot), 0) + 1
        elif before.path != (now.path if pair is None else pair.then_path):
            yield self._key(spot, Kind.KEY_MOVED, Rank.CHANGE, now, before=before.path, after=now.path)
        elif pair is None or not pair.rekeyed:
            yield self._key(spot, Kind.KEY_CHANGED, Rank.CHANGE, now, **_forms(before, now))

    def _oddities(self, spot: ScopeSpot, value: Value) -> Iterator[Difference]:
        """Tell of a value that is plain, a copy, or an old one."""
        if value.envelope is None:
            yield self._key(spot, Kind.VALUE_PLAIN, Rank.FIRST, value)
            return
        elsewhere = None if value.sealed_by is None else self._places.get(value.sealed_by)
        if elsewhere is not None and elsewhere != Spot(scope=spot, key=fold(value.key)):
            yield self._key(spot, Kind.VALUE_COPIED, Rank.FIRST, value, before=self._shown(elsewhere))
            return
        pair = self._pairs.get(value.path)
        commit = self._past.commit_of(value, None if pair is None else pair.then_path)
        if commit is not None:
            yield self._key(spot, Kind.VALUE_ROLLED_BACK, Rank.FIRST, value, commit=commit)

    def _shown(self, spot: Spot) -> str:
        value = self._base.values[spot]
        return f"{spot.scope.target}/{value.scope} {value.key}"

    # --- grants and rules ---------------------------------------------------------------------------------------

    def _policy(self, spot: ScopeSpot) -> Iterator[Difference]:
        before, now = self._rulings_before.get(spot, _NOTHING), self._rulings_now.get(spot, _NOTHING)
        if spot not in self._head.scopes:
            return
        path = (now.file or before.file or self._head.files[self._head.scopes[spot][0]]).path
        mark = None if now.file is None else now.file.policy_mark
        place = {"path": path, "line": None if mark is None else mark.line}
        yield from self._acls(spot, before, now, place)
        if before.prune is not now.prune:
            rank = Rank.FIRST if now.prune is Prune.ALL else Rank.CHANGE
            yield self._ruled(spot, Kind.PRUNE_CHANGED, rank, place, before=before.prune.value, after=now.prune.value)
        if before.rotation != now.rotation:
            shown = {"before": _rotation_shown(before), "after": _rotation_shown(now)}
            yield self._ruled(spot, Kind.ROTATION_CHANGED, Rank.CHANGE, place, **shown)

    def _ruled(
        self,
        spot: ScopeSpot,
        kind: Kind,
        rank: Rank,
        place: Mapping[str, str | int | None],
        **fields: str | bool | None,
    ) -> Difference:
        path = str(place["path"])
        return self._of(spot, kind, rank, path, line=place["line"], rekeyed=self._is_rekeyed(path), **fields)

    def _acls(
        self, spot: ScopeSpot, before: Ruling, now: Ruling, place: Mapping[str, str | int | None]
    ) -> Iterator[Difference]:
        is_known = spot in self._base.scopes
        if now.acls is None:
            if before.acls is not None:
                yield self._ruled(spot, Kind.ACLS_UNMANAGED, Rank.FIRST, place)
            return
        if before.acls is None and is_known:
            yield self._ruled(spot, Kind.ACLS_MANAGED, Rank.CHANGE, place)
        was = before.acls or {}
        for name, acl in now.acls.items():
            old = was.get(name)
            fields: dict[str, str | bool | None] = {
                "subject": acl.principal,
                "before": None if old is None else old.permission.name,
                "after": acl.permission.name,
                "broad": name in _EVERYBODY or acl.permission is Permission.MANAGE,
            }
            if old is None:
                # What admins have anyway, on a scope that nobody had, is no reason to look up.
                is_usual = not is_known and name == fold(ADMINS)
                fields["broad"] = fields["broad"] and name != fold(ADMINS)
                yield self._ruled(spot, Kind.ACL_ADDED, Rank.CHANGE if is_usual else Rank.FIRST, place, **fields)
            elif acl.permission > old.permission:
                yield self._ruled(spot, Kind.ACL_RAISED, Rank.FIRST, place, **fields)
            elif acl.permission < old.permission:
                yield self._ruled(spot, Kind.ACL_LOWERED, Rank.CHANGE, place, **{**fields, "broad": False})
        for name, old in was.items():
            if name not in now.acls:
                words: dict[str, str | bool | None] = {"subject": old.principal, "before": old.permission.name}
                yield self._ruled(spot, Kind.ACL_REMOVED, Rank.GONE, place, **words)


_NOTHING: Final = Ruling(file=None, acls=None, prune=Prune.OWNED, rotation=())


def _keys_by_scope(side: Side) -> dict[ScopeSpot, dict[FoldedName, Value]]:
    found: dict[ScopeSpot, dict[FoldedName, Value]] = {}
    for spot, value in side.values.items():
        found.setdefault(spot.scope, {})[spot.key] = value
    return found


def _rulings(side: Side) -> dict[ScopeSpot, Ruling]:
    """Return scope to what its file says about it; of several such files, which is a problem, the first by path."""
    found: dict[ScopeSpot, Ruling] = {}
    for spot, paths in side.scopes.items():
        file = next((side.files[path] for path in paths if side.files[path].policy_mark is not None), None)
        if file is not None:
            found[spot] = Ruling(
                file=file,
                acls=None if file.acls is None else {fold(acl.principal): acl for acl in file.acls},
                prune=Prune.OWNED if file.prune is None else file.prune,
                rotation=file.rotation or (),
            )
    return found


def _renamed(gone: list[Value], new: list[Value], pairs: Mapping[str, FilePair]) -> dict[str, Value]:
    """Return key that is gone to the new one that it seems to have become.

    A value is encrypted anew under another name, so that nothing proves it. Told is what is the only pair in its file
    of one form and length, and has the same neighbour.
    """

    def looks(value: Value, path: str | None) -> tuple[object, ...]:
        return path, value.form, None if value.envelope is None else value.envelope.size

    before: dict[tuple[object, ...], list[Value]] = {}
    now: dict[tuple[object, ...], list[Value]] = {}
    for value in gone:
        before.setdefault(looks(value, value.path), []).append(value)
    for value in new:
        pair = pairs.get(value.path)
        now.setdefault(looks(value, None if pair is None else pair.then_path), []).append(value)
    return {
        olds[0].key: now[looking][0]
        for looking, olds in before.items()
        if len(olds) == 1 and len(now.get(looking, ())) == 1 and _fits(olds[0], now[looking][0])
    }


def _fits(old: Value, new: Value) -> bool:
    """Tell whether a key may have become another one where it stood."""
    stands = any(one == other for one, other in zip(old.neighbours, new.neighbours, strict=True))
    return stands and old.envelope is not None


def _forms(before: Value, now: Value) -> dict[str, str | None]:
    """Return in which forms a value is written, where these differ."""
    if before.form is now.form:
        return {}
    was, has = (None if one.form is None else one.form.value for one in (before, now))
    return {"before": was, "after": has}


def _rotation_shown(ruling: Ruling) -> str | None:
    return ", ".join(f"{rule.days}d {rule.key or '*'}" for rule in ruling.rotation) or None


def _first_line(keys: Mapping[FoldedName, Value]) -> int | None:
    return min((value.line for value in keys.values()), default=None)
