"""One set of rules for the workspace in memory and the embedded one behind the real adapter: both keep the protocol.

What tests learn from the fake is true of the platform only as far as this holds.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Literal, assert_never

import pytest

from reconciler.databricks_workspace import Connection, connect
from reconciler.emulator import Emulator, Rules
from reconciler.errors import AlreadyExists, InvalidRequest, LimitExceeded, NotFound, PermissionDenied, WorkspaceError
from reconciler.model import MAX_VALUE_BYTES, Acl, KeyName, Permission, Principal, ScopeName, SecretValue, fold
from reconciler.workspace import Backend, Identity, ScopeInfo, Workspace
from tests.emulator.caller import as_admin
from tests.fakes import FakeRules, FakeWorkspace


ADMIN: Final = Principal("admin@example.com")
USER: Final = Principal("user@example.com")
APP: Final = ScopeName("app")
KEY: Final = KeyName("key")

Kind = Literal["fake", "embedded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One workspace, empty at first, as two identities see it."""

    admin: Workspace
    user: Workspace

    def put(self, key: str = KEY, value: bytes = b"value") -> None:
        """Put a secret into `APP`, which is created if need be, as the administrator."""
        if APP not in {scope.name for scope in self.admin.list_scopes()}:
            self.admin.create_scope(APP)
        self.admin.put_secret(APP, KeyName(key), SecretValue(value))

    def keys(self) -> tuple[str, ...]:
        """Return the keys of `APP`, sorted."""
        return tuple(sorted(secret.key for secret in self.admin.list_secrets(APP)))

    def updated_ms(self, key: str = KEY) -> int:
        """Return when a key of `APP` was put."""
        (found,) = (secret.updated_ms for secret in self.admin.list_secrets(APP) if secret.key == key)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Strictness:
    """The rules that a test is about; the platform's own limits otherwise."""

    max_scopes: int = 1000
    max_keys_per_scope: int = 1000
    values_outside_notebooks: bool = True
    existing_acls_refused: bool = False


@pytest.fixture(params=["fake", "embedded"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Name the implementation."""
    found: Kind = request.param
    return found


@pytest.fixture
def open_place(kind: Kind) -> Iterator[Callable[[Strictness], Place]]:
    """Provide what opens a workspace of some strictness."""
    with ExitStack() as stack:

        def make(strictness: Strictness) -> Place:
            match kind:
                case "fake":
                    return _fake(strictness)
                case "embedded":
                    return _embedded(strictness, stack)
                case _:
                    assert_never(kind)

        yield make


@pytest.fixture
def place(open_place: Callable[[Strictness], Place]) -> Place:
    """Provide a workspace."""
    return open_place(Strictness())


def _fake(strictness: Strictness) -> Place:
    admin = FakeWorkspace(identity=ADMIN)
    admin.groups = frozenset({Principal("admins"), Principal("users")})
    admin.rules = FakeRules(
        max_scopes=strictness.max_scopes,
        max_keys_per_scope=strictness.max_keys_per_scope,
        values_outside_notebooks=strictness.values_outside_notebooks,
        existing_acls_refused=strictness.existing_acls_refused,
        unknown_principals=frozenset({"nobody@example.com"}),
    )
    admin.add("vault", backend=Backend.AZURE_KEYVAULT)
    return Place(admin=admin, user=admin.seen_by(USER, "users"))


def _embedded(strictness: Strictness, stack: ExitStack) -> Place:
    emulator = stack.enter_context(
        Emulator(
            principals=("team",),
            rules=Rules(
                max_scopes=strictness.max_scopes,
                max_keys_per_scope=strictness.max_keys_per_scope,
                values_outside_notebooks=strictness.values_outside_notebooks,
                existing_acls_refused=strictness.existing_acls_refused,
            ),
        )
    )
    with as_admin(emulator) as caller:
        vault = {"resource_id": "/subscriptions/x", "dns_name": "https://x.vault.azure.net/"}
        caller.post("scopes/create", scope="vault", scope_backend_type="AZURE_KEYVAULT", backend_azure_keyvault=vault)

    def connected(token: str) -> Workspace:
        workspace = connect(Connection(host=emulator.url, token=token), timeout_s=10, concurrency=1)
        stack.callback(workspace.close)
        return workspace

    return Place(admin=connected(emulator.admin_token), user=connected(emulator.user_token))


def test_identities(place: Place) -> None:
    """Each is called as ACLs name it, with its groups."""
    assert place.admin.whoami() == Identity(name=ADMIN, groups=frozenset({Principal("admins"), Principal("users")}))
    assert place.user.whoami() == Identity(name=USER, groups=frozenset({Principal("users")}))


def test_scopes_come_and_go(place: Place) -> None:
    """A new one is empty, listed for everybody, and managed by whoever made it; a deleted one is gone with its keys."""
    place.user.create_scope(APP)
    for workspace in (place.admin, place.user):
        assert ScopeInfo(name=APP, backend=Backend.DATABRICKS) in workspace.list_scopes()
        assert workspace.list_secrets(APP) == ()
        assert workspace.list_acls(APP) == (Acl(principal=USER, permission=Permission.MANAGE),)
    place.put()
    place.admin.delete_scope(ScopeName("APP"))
    assert APP not in {scope.name for scope in place.user.list_scopes()}
    place.admin.create_scope(APP)
    assert place.keys() == ()


def test_keys_come_and_go(place: Place) -> None:
    """Any bytes are kept, listed without their value, overwritten in place, and gone when deleted."""
    place.put(value=bytes(range(256)))
    assert place.admin.get_secret(APP, KEY).reveal() == bytes(range(256))
    place.put(value=b"")
    assert place.admin.get_secret(APP, KEY).reveal() == b""
    place.put("other")
    assert place.keys() == (KEY, "other")
    place.admin.delete_secret(APP, KEY)
    assert place.keys() == ("other",)


def test_names_compare_without_regard_to_case(place: Place) -> None:
    """A key, a scope and a principal keep the spelling with which they were made."""
    place.put("Case-Key", b"first")
    place.put("case-key", b"second")
    assert place.keys() == ("Case-Key",)
    assert place.admin.get_secret(ScopeName("APP"), KeyName("CASE-KEY")).reveal() == b"second"
    with pytest.raises(AlreadyExists):
        place.admin.create_scope(ScopeName("App"))
    place.admin.put_acl(APP, Principal("users"), Permission.READ)
    place.admin.put_acl(APP, Principal("USERS"), Permission.WRITE)
    granted = {fold(acl.principal): acl.permission for acl in place.admin.list_acls(APP)}
    assert granted == {ADMIN: Permission.MANAGE, "users": Permission.WRITE}
    place.admin.delete_acl(APP, Principal("Users"))
    place.admin.delete_secret(APP, KeyName("case-KEY"))
    assert place.keys() == ()


def test_each_put_moves_the_time(place: Place) -> None:
    """Also one of the same value; a read, a grant and another key do not."""
    place.put()
    first = place.updated_ms()
    place.admin.get_secret(APP, KEY)
    place.admin.put_acl(APP, Principal("users"), Permission.READ)
    place.put("other")
    assert place.updated_ms() == first
    place.put()
    assert place.updated_ms() > first


@pytest.mark.parametrize(
    ("call", "needed"),
    [
        pytest.param(lambda user: user.list_secrets(APP), Permission.READ, id="list_secrets"),
        pytest.param(lambda user: user.get_secret(APP, KEY), Permission.READ, id="get_secret"),
        pytest.param(lambda user: user.put_secret(APP, KEY, SecretValue(b"x")), Permission.WRITE, id="put_secret"),
        pytest.param(lambda user: user.delete_secret(APP, KEY), Permission.WRITE, id="delete_secret"),
        pytest.param(lambda user: user.list_acls(APP), Permission.MANAGE, id="list_acls"),
        pytest.param(lambda user: user.put_acl(APP, ADMIN, Permission.READ), Permission.MANAGE, id="put_acl"),
        pytest.param(lambda user: user.delete_acl(APP, ADMIN), Permission.MANAGE, id="delete_acl"),
        pytest.param(lambda user: user.delete_scope(APP), Permission.MANAGE, id="delete_scope"),
    ],
)
@pytest.mark.parametrize("through", [USER, "users"], ids=["own", "group"])
def test_permissions(place: Place, call: Callable[[Workspace], object], needed: Permission, through: str) -> None:
    """Each permission includes those below it, be it one's own or that of a group; without it nothing happens."""
    place.put()
    with pytest.raises(PermissionDenied):
        call(place.user)
    for permission in Permission:
        place.admin.put_acl(APP, Principal(through), permission)
        if permission < needed:
            with pytest.raises(PermissionDenied):
                call(place.user)
            assert place.keys() == (KEY,)
        elif permission is needed:
            call(place.user)
            return


def test_administrators_need_no_grant(place: Place) -> None:
    """They manage every scope, also one that grants them nothing."""
    place.user.create_scope(APP)
    place.put()
    place.admin.put_acl(APP, ADMIN, Permission.READ)
    place.admin.delete_acl(APP, ADMIN)
    place.admin.delete_secret(APP, KEY)
    place.admin.delete_scope(APP)


MISSING: Final = [
    pytest.param(lambda admin, scope: admin.list_secrets(scope), id="list_secrets"),
    pytest.param(lambda admin, scope: admin.get_secret(scope, KEY), id="get_secret"),
    pytest.param(lambda admin, scope: admin.delete_secret(scope, KEY), id="delete_secret"),
    pytest.param(lambda admin, scope: admin.put_secret(scope, KEY, SecretValue(b"x")), id="put_secret"),
    pytest.param(lambda admin, scope: admin.list_acls(scope), id="list_acls"),
    pytest.param(lambda admin, scope: admin.put_acl(scope, ADMIN, Permission.READ), id="put_acl"),
    pytest.param(lambda admin, scope: admin.delete_acl(scope, ADMIN), id="delete_acl"),
    pytest.param(lambda admin, scope: admin.delete_scope(scope), id="delete_scope"),
]


@pytest.mark.parametrize("call", MISSING)
def test_what_is_not_there(place: Place, call: Callable[[Workspace, ScopeName], object]) -> None:
    """A scope that does not exist is said not to, to whoever asks."""
    for workspace in (place.admin, place.user):
        with pytest.raises(NotFound):
            call(workspace, ScopeName("nowhere"))


def test_keys_and_grants_that_are_not_there(place: Place) -> None:
    """They cannot be read or deleted; nor twice."""
    place.put()
    place.admin.delete_secret(APP, KEY)
    for again in (
        lambda: place.admin.get_secret(APP, KEY),
        lambda: place.admin.delete_secret(APP, KEY),
        lambda: place.admin.delete_acl(APP, Principal("users")),
        lambda: place.admin.delete_acl(APP, Principal("nobody@example.com")),
    ):
        with pytest.raises(NotFound):
            again()


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda admin: admin.create_scope(ScopeName("no spaces")), id="scope-name"),
        pytest.param(lambda admin: admin.create_scope(ScopeName("x" * 129)), id="long-scope-name"),
        pytest.param(lambda admin: admin.put_secret(APP, KeyName("a/b"), SecretValue(b"x")), id="key-name"),
        pytest.param(lambda admin: admin.put_secret(APP, KeyName("x" * 129), SecretValue(b"x")), id="long-key-name"),
        pytest.param(
            lambda admin: admin.put_secret(APP, KEY, SecretValue(bytes(MAX_VALUE_BYTES + 1))), id="long-value"
        ),
        pytest.param(
            lambda admin: admin.put_acl(APP, Principal("nobody@example.com"), Permission.READ), id="principal"
        ),
        pytest.param(lambda admin: admin.put_secret(ScopeName("vault"), KEY, SecretValue(b"x")), id="vault-put"),
        pytest.param(lambda admin: admin.delete_secret(ScopeName("vault"), KEY), id="vault-delete"),
    ],
)
def test_what_the_platform_does_not_take(place: Place, call: Callable[[Workspace], object]) -> None:
    """It is refused, and nothing has changed."""
    place.put(value=b"before")
    with pytest.raises(InvalidRequest):
        call(place.admin)
    assert place.keys() == (KEY,)
    assert place.admin.get_secret(APP, KEY).reveal() == b"before"
    assert {scope.name: scope.backend for scope in place.admin.list_scopes()} == {
        APP: Backend.DATABRICKS,
        "vault": Backend.AZURE_KEYVAULT,
    }


def test_largest_value_and_longest_names(place: Place) -> None:
    """What is just within the limits is taken."""
    name = "x" * 128
    place.put(name, bytes(MAX_VALUE_BYTES))
    assert len(place.admin.get_secret(APP, KeyName(name)).reveal()) == MAX_VALUE_BYTES
    place.admin.create_scope(ScopeName("y@" * 64))


def test_full_scope(open_place: Callable[[Strictness], Place]) -> None:
    """No new key fits; an old one is overwritten all the same, and deleting one makes room."""
    place = open_place(Strictness(max_keys_per_scope=2))
    place.put("first")
    place.put("second")
    with pytest.raises(LimitExceeded):
        place.put("third")
    place.put("FIRST", b"new")
    place.admin.delete_secret(APP, KeyName("second"))
    place.put("third")
    assert place.keys() == ("first", "third")


def test_full_workspace(open_place: Callable[[Strictness], Place]) -> None:
    """No new scope fits, and one that exists is said to exist."""
    place = open_place(Strictness(max_scopes=2))
    place.admin.create_scope(APP)
    with pytest.raises(LimitExceeded):
        place.admin.create_scope(ScopeName("other"))
    with pytest.raises(AlreadyExists):
        place.admin.create_scope(APP)


def test_values_that_are_kept_back(open_place: Callable[[Strictness], Place]) -> None:
    """Where values are for notebooks alone, reading one is refused, and everything else works."""
    place = open_place(Strictness(values_outside_notebooks=False))
    place.put()
    with pytest.raises(InvalidRequest):
        place.admin.get_secret(APP, KEY)
    assert place.keys() == (KEY,)


@pytest.mark.parametrize("refused", [False, True])
def test_grants_are_overwritten_or_refused(open_place: Callable[[Strictness], Place], *, refused: bool) -> None:
    """The reference says both; where a grant cannot be overwritten, the old one is untouched."""
    place = open_place(Strictness(existing_acls_refused=refused))
    place.put()
    place.admin.put_acl(APP, Principal("users"), Permission.READ)
    if refused:
        with pytest.raises(AlreadyExists):
            place.admin.put_acl(APP, Principal("users"), Permission.WRITE)
    else:
        place.admin.put_acl(APP, Principal("users"), Permission.WRITE)
    granted = {acl.principal: acl.permission for acl in place.admin.list_acls(APP)}
    assert granted[Principal("users")] is (Permission.READ if refused else Permission.WRITE)


def test_requests_are_counted(place: Place) -> None:
    """What reads and what writes, failures included."""
    before = place.admin.request_count()
    place.admin.create_scope(APP)
    place.admin.list_secrets(APP)
    with pytest.raises(WorkspaceError):
        place.admin.get_secret(APP, KEY)
    after = place.admin.request_count()
    assert (after.read - before.read, after.write - before.write) == (2, 1)


def test_writes_tell_their_id_or_nothing(place: Place) -> None:
    """What writes returns the platform's name of the request, where it has one; each its own."""
    ids = [
        place.admin.create_scope(APP),
        place.admin.put_secret(APP, KEY, SecretValue(b"x")),
        place.admin.put_acl(APP, USER, Permission.READ),
        place.admin.delete_acl(APP, USER),
        place.admin.delete_secret(APP, KEY),
        place.admin.delete_scope(APP),
    ]
    told = [one for one in ids if one is not None]
    assert len(set(told)) == len(told)
