"""The rules of the calls that succeed: names, values, times, permissions, limits."""

import base64
import time
from collections.abc import Iterator

import pytest

from reconciler.emulator import Emulator, Rules
from reconciler.model import MAX_KEYS_PER_SCOPE, MAX_SCOPES_PER_WORKSPACE, MAX_VALUE_BYTES
from tests.emulator.caller import Caller, as_admin, as_user


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Run a workspace in memory with a further group and a further user."""
    with Emulator(principals=("Data Team", "other@example.com")) as running:
        yield running


@pytest.fixture
def admin(emulator: Emulator) -> Iterator[Caller]:
    """Return the admin, who has created the scope ``Scope``."""
    with as_admin(emulator) as caller:
        assert caller.post("scopes/create", scope="Scope").status == 200
        yield caller


@pytest.fixture
def user(emulator: Emulator) -> Iterator[Caller]:
    """Return the plain user."""
    with as_user(emulator) as caller:
        yield caller


def _value(caller: Caller, key: str) -> bytes:
    return base64.b64decode(caller.get("get", scope="scope", key=key).json["value"], validate=True)


def _times(caller: Caller) -> dict[str, int]:
    listed = caller.get("list", scope="scope").json.get("secrets", [])
    return {secret["key"]: secret["last_updated_timestamp"] for secret in listed}


def test_names_of_any_case_are_one_secret_under_its_first_spelling(admin: Caller) -> None:
    """``Case-Key`` then ``case-key`` is one secret with the second value, listed as first spelt."""
    admin.post("put", scope="SCOPE", key="Case-Key", string_value="1")
    admin.post("put", scope="scope", key="case-key", string_value="2")
    assert list(_times(admin)) == ["Case-Key"]
    assert admin.get("get", scope="sCoPe", key="CASE-KEY").json == {"key": "Case-Key", "value": "Mg=="}
    assert admin.post("delete", scope="Scope", key="CASE-key").status == 200
    assert _times(admin) == {}


def test_scope_is_listed_under_its_first_spelling(admin: Caller) -> None:
    """A scope keeps the spelling that it was created with."""
    assert [scope["name"] for scope in admin.get("scopes/list").json["scopes"]] == ["Scope"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0\0", id="NUL"),
        pytest.param(b"a\r\nb\r\n", id="CRLF"),
        pytest.param(b"\xef\xbb\xbfx", id="BOM"),
        pytest.param("😀".encode(), id="emoji"),
        pytest.param(b"\x1f" * MAX_VALUE_BYTES, id="128 KB of what JSON must escape"),
    ],
)
def test_text_comes_back_byte_for_byte(admin: Caller, value: bytes) -> None:
    """A string_value is kept as its UTF-8 bytes, nothing added or taken away."""
    assert admin.post("put", scope="scope", key="key", string_value=value.decode()).status == 200
    assert _value(admin, "key") == value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes(range(256)), id="every byte"),
        pytest.param(b"\xff" * MAX_VALUE_BYTES, id="128 KB"),
    ],
)
def test_bytes_come_back_byte_for_byte(admin: Caller, value: bytes) -> None:
    """A bytes_value is kept as what its base64 stands for."""
    assert admin.post("put", scope="scope", key="key", bytes_value=base64.b64encode(value).decode()).status == 200
    assert _value(admin, "key") == value


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        pytest.param({"string_value": "x" * (MAX_VALUE_BYTES + 1)}, "INVALID_PARAMETER_VALUE", id="one byte too many"),
        pytest.param({"string_value": "é" * (MAX_VALUE_BYTES // 2 + 1)}, "INVALID_PARAMETER_VALUE", id="in UTF-8"),
        pytest.param({"bytes_value": "YQ"}, "INVALID_PARAMETER_VALUE", id="base64 without padding"),
        pytest.param({"bytes_value": "YQ==\n"}, "INVALID_PARAMETER_VALUE", id="base64 with a line break"),
        pytest.param({"bytes_value": "_-8="}, "INVALID_PARAMETER_VALUE", id="base64 for URLs"),
        pytest.param({"bytes_value": "é==="}, "INVALID_PARAMETER_VALUE", id="base64 beyond ASCII"),
        pytest.param({"string_value": "\ud800"}, "INVALID_PARAMETER_VALUE", id="half a surrogate pair"),
        pytest.param({"string_value": 5}, "INVALID_PARAMETER_VALUE", id="a number"),
        pytest.param({"bytes_value": ["YQ=="]}, "INVALID_PARAMETER_VALUE", id="a list"),
        pytest.param({}, "INVALID_PARAMETER_VALUE", id="no value"),
        pytest.param({"string_value": None}, "INVALID_PARAMETER_VALUE", id="null is no value"),
        pytest.param({"string_value": "", "bytes_value": ""}, "MALFORMED_REQUEST", id="both, though empty"),
    ],
)
def test_value_that_is_not_allowed_changes_nothing(admin: Caller, parameters: dict[str, object], code: str) -> None:
    """A refused put leaves the old value."""
    admin.post("put", scope="scope", key="key", string_value="old")
    assert admin.post("put", scope="scope", key="key", **parameters).code == code
    assert _value(admin, "key") == b"old"


@pytest.mark.parametrize(
    ("key", "status"),
    [
        pytest.param("k" * 128, 200, id="128 characters"),
        pytest.param("k" * 129, 400, id="129 characters"),
        pytest.param("a-b_c.D9", 200, id="all kinds"),
        pytest.param("a@b", 400, id="an at sign"),
        pytest.param("a/b", 400, id="a slash"),
        pytest.param("a b", 400, id="a space"),
        pytest.param("é", 400, id="beyond ASCII"),
        pytest.param("a\n", 400, id="a line break at the end"),
    ],
)
def test_key_names(admin: Caller, key: str, status: int) -> None:
    """Keys have 1 to 128 letters, digits, dashes, underscores, periods."""
    assert admin.post("put", scope="scope", key=key, string_value="x").status == status


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        pytest.param("s" * 128, 200, id="128 characters"),
        pytest.param("s" * 129, 400, id="129 characters"),
        pytest.param("a@b-c_d.E", 200, id="all kinds"),
        pytest.param("a/b", 400, id="a slash"),
        pytest.param("", 400, id="empty"),
    ],
)
def test_scope_names(admin: Caller, scope: str, status: int) -> None:
    """Scopes have 1 to 128 letters, digits, dashes, underscores, periods, at signs."""
    assert admin.post("scopes/create", scope=scope).status == status


def test_a_scope_holds_a_thousand_secrets_and_overwrites_when_full(admin: Caller) -> None:
    """The 1,001st key is refused; an existing key can still be put; a deleted one makes room."""
    statuses = {admin.post("put", scope="scope", key=f"k{n}", string_value="x").status for n in range(1000)}
    assert statuses == {200}
    assert admin.post("put", scope="scope", key="extra", string_value="x").code == "RESOURCE_LIMIT_EXCEEDED"
    assert admin.post("put", scope="scope", key="K7", string_value="new").status == 200
    assert admin.post("delete", scope="scope", key="k8").status == 200
    assert admin.post("put", scope="scope", key="extra", string_value="x").status == 200
    assert len(_times(admin)) == MAX_KEYS_PER_SCOPE


def test_limits_are_the_platforms_unless_told_otherwise() -> None:
    """Without other rules 1,000 scopes and 1,000 secrets a scope are allowed."""
    assert (Rules().max_scopes, Rules().max_keys_per_scope) == (MAX_SCOPES_PER_WORKSPACE, MAX_KEYS_PER_SCOPE)
    assert (MAX_SCOPES_PER_WORKSPACE, MAX_KEYS_PER_SCOPE) == (1000, 1000)


def test_time_of_a_secret_moves_with_every_put(admin: Caller) -> None:
    """``last_updated_timestamp`` is the time in ms and grows with each put, also of the same value at once."""
    before_ms = time.time_ns() // 1_000_000
    seen = []
    for _ in range(5):
        admin.post("put", scope="scope", key="key", string_value="same")
        seen.append(_times(admin)["key"])
    assert seen == sorted(set(seen))
    assert before_ms <= seen[0] <= time.time_ns() // 1_000_000


def test_names_of_scopes_are_listed_to_everybody_and_their_keys_are_not(admin: Caller, user: Caller) -> None:
    """Scope names are readable by all users in the workspace; what is in a scope needs READ."""
    assert [scope["name"] for scope in user.get("scopes/list").json["scopes"]] == ["Scope"]
    assert user.get("list", scope="Scope").code == "PERMISSION_DENIED"


def test_empty_lists_are_left_out(admin: Caller) -> None:
    """Like the platform, the answer for an empty list is an empty object."""
    assert admin.get("list", scope="scope").text == "{}"
    admin.post("acls/delete", scope="scope", principal="admin@example.com")
    assert admin.get("acls/list", scope="scope").text == "{}"
    admin.post("scopes/delete", scope="scope")
    assert admin.get("scopes/list").text == "{}"


@pytest.mark.parametrize(
    ("permission", "allowed"),
    [
        pytest.param(None, set(), id="nothing"),
        pytest.param("READ", {"read"}, id="READ"),
        pytest.param("WRITE", {"read", "write"}, id="WRITE"),
        pytest.param("MANAGE", {"read", "write", "manage"}, id="MANAGE"),
    ],
)
@pytest.mark.parametrize("principal", ["user@example.com", "users", "USERS"])
def test_permission_includes_those_below(
    admin: Caller, user: Caller, principal: str, permission: str | None, allowed: set[str]
) -> None:
    """READ < WRITE < MANAGE, granted to the user or to a group of theirs, whatever the case."""
    admin.post("put", scope="scope", key="key", string_value="x")
    if permission is not None:
        admin.post("acls/put", scope="scope", principal=principal, permission=permission)
    statuses = {
        "read": user.get("get", scope="scope", key="key").status,
        "write": user.post("put", scope="scope", key="key", string_value="y").status,
        "manage": user.get("acls/list", scope="scope").status,
    }
    assert {what for what, status in statuses.items() if status == 200} == allowed
    assert set(statuses.values()) <= {200, 403}


def test_strongest_grant_counts(admin: Caller, user: Caller) -> None:
    """A weak grant of one's own does not take away what a group gives."""
    admin.post("acls/put", scope="scope", principal="users", permission="WRITE")
    admin.post("acls/put", scope="scope", principal="user@example.com", permission="READ")
    assert user.post("put", scope="scope", key="key", string_value="x").status == 200


def test_grant_to_another_group_does_not_count(admin: Caller, user: Caller) -> None:
    """Grants to groups that the caller is not in give nothing."""
    admin.post("acls/put", scope="scope", principal="Data Team", permission="MANAGE")
    admin.post("acls/put", scope="scope", principal="admins", permission="MANAGE")
    assert user.get("list", scope="scope").status == 403


def test_creator_has_manage_and_nobody_else_but_admins(admin: Caller, user: Caller) -> None:
    """A user's own scope is theirs alone; workspace admins have MANAGE without an entry."""
    user.post("scopes/create", scope="mine")
    assert user.get("acls/list", scope="mine").json == {
        "items": [{"principal": "user@example.com", "permission": "MANAGE"}]
    }
    assert admin.post("put", scope="mine", key="key", string_value="x").status == 200
    assert admin.post("acls/delete", scope="mine", principal="user@example.com").status == 200
    assert user.get("list", scope="mine").status == 403
    assert admin.get("acls/list", scope="mine").status == 200


def test_without_the_premium_plan_everybody_manages_every_scope() -> None:
    """What needs no ACL works, for everybody: that is the one grant that there is."""
    with Emulator(rules=Rules(premium=False)) as emulator, as_user(emulator) as user:
        assert user.post("scopes/create", scope="ours").code == "BAD_REQUEST"
        assert user.post("scopes/create", scope="ours", initial_manage_principal="users").status == 200
        assert user.post("put", scope="ours", key="key", string_value="x").status == 200
        assert user.get("get", scope="ours", key="key").status == 200
        assert user.get("acls/list", scope="nowhere").code == "RESOURCE_DOES_NOT_EXIST"
        assert user.post("scopes/delete", scope="ours").status == 200


def test_initial_manage_principal_takes_the_creators_place(admin: Caller, user: Caller) -> None:
    """``initial_manage_principal: users`` gives everybody MANAGE and the creator no entry."""
    admin.post("scopes/create", scope="all", initial_manage_principal="users")
    assert admin.get("acls/list", scope="all").json == {"items": [{"principal": "users", "permission": "MANAGE"}]}
    assert user.post("put", scope="all", key="key", string_value="x").status == 200


@pytest.mark.parametrize(
    ("principal", "listed"),
    [
        pytest.param("DATA TEAM", "Data Team", id="a further group"),
        pytest.param("other@example.com", "other@example.com", id="a further user"),
        pytest.param("admins", "admins", id="a system group"),
        pytest.param(
            "0D9C5F0E-1111-4222-8333-944445555666",
            "0d9c5f0e-1111-4222-8333-944445555666",
            id="an application id",
        ),
    ],
)
def test_known_principals_can_be_granted(admin: Caller, principal: str, listed: str) -> None:
    """Users, groups and application ids can be named, and are listed as the workspace spells them."""
    assert admin.post("acls/put", scope="scope", principal=principal, permission="READ").status == 200
    assert {"principal": listed, "permission": "READ"} in admin.get("acls/list", scope="scope").json["items"]


@pytest.mark.parametrize("permission", ["read", "OWN", "", "3"])
def test_permission_must_be_one_of_three(admin: Caller, permission: str) -> None:
    """Other words, and the right ones in lower case, are refused."""
    answer = admin.post("acls/put", scope="scope", principal="users", permission=permission)
    assert answer.code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        pytest.param({"scope_backend_type": "VAULT"}, "INVALID_PARAMETER_VALUE", id="unknown type"),
        pytest.param({"scope_backend_type": "AZURE_KEYVAULT"}, "INVALID_PARAMETER_VALUE", id="no vault"),
        pytest.param(
            {"scope_backend_type": "azure_keyvault", "backend_azure_keyvault": {"resource_id": "x"}},
            "INVALID_PARAMETER_VALUE",
            id="no dns name",
        ),
        pytest.param(
            {"scope_backend_type": "azure_keyvault", "backend_azure_keyvault": "x"},
            "INVALID_PARAMETER_VALUE",
            id="vault as text",
        ),
        pytest.param({"backend_azure_keyvault": {"resource_id": "x"}}, "BAD_REQUEST", id="vault without the type"),
    ],
)
def test_backend_must_fit(admin: Caller, parameters: dict[str, object], code: str) -> None:
    """A Key-Vault-backed scope needs its vault, another must not have one."""
    assert admin.post("scopes/create", scope="new", **parameters).code == code


def test_backend_type_may_be_written_in_lower_case(admin: Caller) -> None:
    """The reference's own example writes ``databricks``."""
    assert admin.post("scopes/create", scope="new", scope_backend_type="databricks").status == 200


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b"\xff{}", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="too deep"),
    ],
)
def test_body_must_be_a_json_object(admin: Caller, body: bytes) -> None:
    """Anything else is MALFORMED_REQUEST, and the server goes on."""
    assert admin.send("POST", "/api/2.0/secrets/put", body).code == "MALFORMED_REQUEST"
    assert admin.get("scopes/list").status == 200


def test_endless_body_is_not_read_to_its_end(admin: Caller) -> None:
    """A body of more than 16 MiB is refused."""
    assert admin.send("POST", "/api/2.0/secrets/put", b" " * (16 * 1024 * 1024 + 1)).code == "MALFORMED_REQUEST"


def test_unknown_fields_are_ignored(admin: Caller) -> None:
    """Fields that a call does not know do no harm."""
    assert admin.post("put", scope="scope", key="key", string_value="x", surprise={"a": 1}).status == 200


@pytest.mark.parametrize("path", ["/", "/api/2.0/secrets/put/", "/api/2.0/jobs/list", "/oidc/v1/token", "//"])
def test_nothing_else_is_served(admin: Caller, path: str) -> None:
    """Other paths are not found in the platform's error shape, and are not redirected."""
    answer = admin.send("POST", path, b"{}")
    assert (answer.status, answer.code) == (404, "ENDPOINT_NOT_FOUND")
