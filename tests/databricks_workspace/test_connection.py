"""Where a workspace is: https, or http on this very machine."""

import pytest

from reconciler.databricks_workspace import Connection


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        pytest.param("http://127.0.0.1:8080", True, id="127.0.0.1"),
        pytest.param("http://127.9.8.7", True, id="another of the network"),
        pytest.param("http://localhost:1", True, id="localhost"),
        pytest.param("http://LOCALHOST:1", True, id="upper case"),
        pytest.param("http://[::1]:8080", True, id="IPv6"),
        pytest.param("https://127.0.0.1", True, id="https"),
        pytest.param("https://127.evil.example", False, id="name that begins like one"),
        pytest.param("https://localhost.evil.example", False, id="likewise"),
        pytest.param("https://adb-1.2.azuredatabricks.net", False, id="workspace"),
        pytest.param("https://10.0.0.1", False, id="private network"),
    ],
)
def test_tells_loopback_by_address(host: str, loopback: bool) -> None:  # noqa: FBT001
    """What counts as loopback gets its token in the clear and by no proxy."""
    assert Connection(host=host).is_loopback is loopback


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("http://127.evil.example", id="name that begins like loopback"),
        pytest.param("http://localhost.evil.example", id="likewise"),
        pytest.param("http://127.0.0.1.evil.example", id="address within a name"),
        pytest.param("http://127.1", id="short for an address"),
        pytest.param("http://adb-1.2.azuredatabricks.net", id="workspace"),
        pytest.param("ftp://127.0.0.1", id="another scheme"),
        pytest.param("https://", id="no name"),
        pytest.param("adb-1.2.azuredatabricks.net", id="no scheme"),
    ],
)
def test_refuses_what_would_send_a_token_in_the_clear(host: str) -> None:
    """Policy refuses such hosts long before; this is where the token would leave."""
    with pytest.raises(ValueError, match="host"):
        Connection(host=host)


def test_refuses_an_empty_token() -> None:
    """The SDK would look for another one."""
    with pytest.raises(ValueError, match="token"):
        Connection(host="http://127.0.0.1:1", token="")
