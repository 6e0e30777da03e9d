"""A pipeline that has no token: it gets one by exchange, once for each run, whatever the run does."""

from collections.abc import Iterator, Mapping

import pytest

from reconciler.emulator import Emulator, Exchanges
from tests.support.age_keys import AgeKey
from tests.support.canaries import Canaries
from tests.support.cli import Cli
from tests.support.issuer import APPLICATION_ID, CLIENT_SECRET, REQUEST_TOKEN, Issuer
from tests.support.secrets_repo import SecretsRepo


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Run an issuer of id tokens."""
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def emulator(issuer: Issuer) -> Iterator[Emulator]:
    """Run a workspace with a token endpoint, and with a service principal that trusts the issuer."""
    with Emulator(service_principal=issuer.principal()) as emulator:
        yield emulator


def _wish(repo: SecretsRepo, emulator: Emulator, auth_type: str, *, keys: int = 30) -> None:
    workspace = {"host": emulator.url, "auth_type": auth_type, "client_id": APPLICATION_ID}
    repo.targets({"prod": {"workspace": workspace}})
    host_key = emulator.url.removeprefix("http://").replace(":", "_")
    values = {f"key-{number}": f"value {number}" for number in range(keys)}
    repo.scope_file("prod/app.yaml", {host_key: {"app": values}}, acls=["<READ users>"]).commit("wish")


def _environment(issuer: Issuer, auth_type: str) -> Mapping[str, str]:
    return issuer.github if auth_type == "github-oidc" else {"DATABRICKS_CLIENT_SECRET": CLIENT_SECRET}


@pytest.mark.parametrize(
    ("auth_type", "id_tokens"),
    [pytest.param("github-oidc", 1, id="id token"), pytest.param("oauth-m2m", 0, id="client secret")],
)
def test_a_run_needs_one_exchange(
    auth_type: str, id_tokens: int, repo: SecretsRepo, age_key: AgeKey, emulator: Emulator, issuer: Issuer
) -> None:
    """A first apply of thirty keys, and one that finds nothing to do: one exchange each, and no trace of it."""
    _wish(repo, emulator, auth_type)
    run = Cli(cwd=repo.root, env={"SOPS_AGE_KEY": age_key.identity, **_environment(issuer, auth_type)})

    first = run.process("-v", "apply", "prod", "-o", "json").expect()
    assert first.target["identity"] == APPLICATION_ID
    assert first.target["summary"]["put_secret"] == 30
    assert emulator.exchanges == Exchanges(issued=1)
    assert len(issuer.asked) == id_tokens

    second = run.process("-v", "apply", "prod", "-o", "json").expect()
    assert second.target["status"] == "clean"
    assert emulator.exchanges == Exchanges(issued=2)
    assert len(issuer.asked) == 2 * id_tokens

    secrets = (CLIENT_SECRET, REQUEST_TOKEN, *issuer.issued)
    canaries = Canaries(by_name={f"secret {number}": text.encode() for number, text in enumerate(secrets)})
    for result in (first, second):
        assert canaries.found_in(result.stdout_bytes) == []
        assert canaries.found_in(result.stderr) == []


def test_a_run_whose_exchange_is_refused_says_so(repo: SecretsRepo, age_key: AgeKey, issuer: Issuer) -> None:
    """The id token is for somebody else: exit 1, what to look at, and not one request with a credential."""
    with Emulator(service_principal=issuer.principal("somebody-else")) as strict:
        _wish(repo, strict, "github-oidc", keys=1)
        run = Cli(cwd=repo.root, env={"SOPS_AGE_KEY": age_key.identity, **issuer.github})
        result = run("apply", "prod").expect(1)

        assert "the token endpoint refuses (400, invalid_grant)" in result.stdout + result.stderr
        assert "federation policy" in result.stdout + result.stderr
        assert strict.exchanges == Exchanges(refused=1)
