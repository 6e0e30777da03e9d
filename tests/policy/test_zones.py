"""Which hosts may be told our credentials."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import UsageError
from reconciler.policy.zones import ZONES, host_key_of, host_problem, parse_extra_hosts


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("https://adb-1234567890123456.7.azuredatabricks.net", id="azure"),
        pytest.param("https://adb-1.2.databricks.azure.cn", id="azure-china"),
        pytest.param("https://adb-1.2.databricks.azure.us", id="azure-government"),
        pytest.param("https://dbc-a1b2c3d4-e5f6.cloud.databricks.com", id="aws"),
        pytest.param("https://dbc-a1b2.cloud.databricks.us", id="aws-government"),
        pytest.param("https://dbc-a1b2.cloud.databricks.mil", id="aws-dod"),
        pytest.param("https://123.4.gcp.databricks.com", id="gcp"),
        pytest.param("http://127.0.0.1:8080", id="loopback"),
        pytest.param("http://localhost:1", id="loopback-name"),
        pytest.param("http://localhost", id="loopback-without-port"),
    ],
)
def test_hosts_of_databricks_and_loopback_are_accepted(host: str) -> None:
    """Every cloud that Databricks runs on, and what an emulator listens on."""
    assert host_problem(host, ()) is None


@pytest.mark.parametrize(
    ("host", "fragment"),
    [
        pytest.param("adb-1.2.azuredatabricks.net", "begin with https://", id="no-scheme"),
        pytest.param("HTTPS://adb-1.2.azuredatabricks.net", "begin with https://", id="upper-case-scheme"),
        pytest.param("ftp://adb-1.2.azuredatabricks.net", "begin with https://", id="other-scheme"),
        pytest.param("http://adb-1.2.azuredatabricks.net", "loopback only", id="http"),
        pytest.param("https://adb-1.2.azuredatabricks.net/", "a path", id="slash"),
        pytest.param("https://adb-1.2.azuredatabricks.net/x", "a path", id="path"),
        pytest.param("https://adb-1.2.azuredatabricks.net?o=1", "a query", id="query"),
        pytest.param("https://adb-1.2.azuredatabricks.net#x", "a fragment", id="fragment"),
        pytest.param("https://adb-1.2.azuredatabricks.net:443", "a port", id="port"),
        pytest.param("https://adb-1.2.azuredatabricks.net.", "ends in a dot", id="trailing-dot"),
        pytest.param("https://user:pw@adb-1.2.azuredatabricks.net", "a user or a password", id="user"),
        pytest.param("https://evil.example#@x.azuredatabricks.net", "a user or a password", id="user-trick"),
        pytest.param("https://Adb-1.2.azuredatabricks.net", "upper-case", id="upper-case"),
        pytest.param("https://\u0430db-1.2.azuredatabricks.net", "beyond ASCII", id="cyrillic"),
        pytest.param("https://adb-1.2.azuredatabricks.net ", "no host name", id="space"),
        pytest.param("https://a\nb.azuredatabricks.net", "no host name", id="line-break"),
        pytest.param("https://a\\b.azuredatabricks.net", "no host name", id="backslash"),
        pytest.param("https://a..azuredatabricks.net", "no host name", id="empty-label"),
        pytest.param("https://-a.azuredatabricks.net", "no host name", id="hyphen-first"),
        pytest.param("https://", "nothing", id="nothing"),
        pytest.param("https://evil.example", "none of Databricks' own zones", id="elsewhere"),
        pytest.param("https://azuredatabricks.net", "none of Databricks' own zones", id="the-zone-itself"),
        pytest.param("https://evilazuredatabricks.net", "none of Databricks' own zones", id="no-dot-before-the-zone"),
        pytest.param("https://x.azuredatabricks.net.evil.example", "none of Databricks' own zones", id="zone-within"),
        pytest.param("https://x.databricksapps.com", "none of Databricks' own zones", id="apps-of-customers"),
        pytest.param("https://acme.databricks.com", "none of Databricks' own zones", id="custom-url"),
        pytest.param("https://127.0.0.1", "none of Databricks' own zones", id="https-loopback"),
        pytest.param("http://127.0.0.1:0", "behind the port", id="port-zero"),
        pytest.param("http://127.0.0.1:65536", "behind the port", id="port-too-high"),
        pytest.param("http://127.0.0.1:80/", "behind the port", id="loopback-path"),
        pytest.param("http://127.0.0.1@evil.example", "loopback only", id="loopback-user"),
        pytest.param("http://127.0.0.1.evil.example", "loopback only", id="loopback-prefix"),
        pytest.param("http://0177.0.0.1", "loopback only", id="octal-loopback"),
        pytest.param("http://[::1]:8080", "loopback only", id="ipv6"),
    ],
)
def test_any_other_host_is_refused(host: str, fragment: str) -> None:
    """Each trick by which a host passes for another, with a message that says what is odd."""
    problem = host_problem(host, ())
    assert problem is not None
    assert fragment in problem[0]


def test_a_password_in_a_host_is_not_repeated() -> None:
    """The message about a URL with credentials holds none of them."""
    problem = host_problem("https://user:canary-5up3r@adb-1.2.azuredatabricks.net", ())
    assert problem is not None
    assert "canary" not in str(problem)


@given(st.text(alphabet="aA.-:/@?#%\\ \u0430", max_size=12), st.sampled_from(ZONES))
def test_whatever_is_accepted_is_a_plain_host_in_a_zone(text: str, zone: str) -> None:
    """What passes has nothing but labels in front of the zone, so that every URL library reads the same host."""
    host = f"https://{text}{zone}"
    if host_problem(host, ()) is None:
        assert set(text) <= set("a.-")
        assert text
        assert not text.startswith((".", "-"))


def test_extra_hosts_add_hosts_and_zones() -> None:
    """An entry is that host alone; one with a leading dot is every host below it, not itself."""
    extra = parse_extra_hosts(" acme.databricks.com,.corp.example\n")
    assert extra == ("acme.databricks.com", ".corp.example")
    assert host_problem("https://acme.databricks.com", extra) is None
    assert host_problem("https://a.b.corp.example", extra) is None
    assert host_problem("https://x.acme.databricks.com", extra) is not None
    assert host_problem("https://corp.example", extra) is not None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("https://acme.databricks.com", id="scheme"),
        pytest.param("acme.databricks.com:443", id="port"),
        pytest.param("ACME.databricks.com", id="upper-case"),
        pytest.param(".com", id="top-level-domain"),
        pytest.param(".", id="everything"),
        pytest.param("*.corp.example", id="wildcard"),
    ],
)
def test_extra_hosts_that_are_none_are_refused(text: str) -> None:
    """A mistake in the variable is an error of usage and does not open the world."""
    with pytest.raises(UsageError, match="RECONCILER_EXTRA_HOSTS"):
        parse_extra_hosts(text)


@pytest.mark.parametrize(
    ("host", "workspace_id", "key"),
    [
        pytest.param("https://a.cloud.databricks.com", None, "a.cloud.databricks.com", id="host"),
        pytest.param("https://a.cloud.databricks.com", "12", "a.cloud.databricks.com?o=12", id="with-id"),
        pytest.param("http://127.0.0.1:8080", None, "127.0.0.1_8080", id="loopback"),
    ],
)
def test_the_host_key_has_no_colon(host: str, workspace_id: str | None, key: str) -> None:
    """SOPS joins mapping keys with colons; one within a key would make two paths look the same."""
    assert host_key_of(host, workspace_id) == key
