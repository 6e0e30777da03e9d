"""What somebody without a key can do to a scope file, and where it ends.

Every case first asks the real binary. What it decrypts is then refused without a key, or when it is unlocked; or it is
shown to mean what the honest file means; or it is on record that only review can tell.
"""

import pytest

from reconciler import pysops
from reconciler.errors import InvalidInput
from reconciler.policy import Policy, Sources, load
from reconciler.policy.sources import RulesFile
from tests.policy.samples import TARGETS, sources
from tests.support.age_keys import AgeKey
from tests.support.forgery import KEYLESS, PATH, Forgery, Scene, Stage, make_scene, sops_rules, sops_says
from tests.support.forgery_tables import CHAPTERS, FORGERIES
from tests.support.sops_tool import SopsTool


_SELECTED = ("prod", "test")
"""The host of the file, and one that it does not feed."""


@pytest.fixture(scope="module")
def key() -> AgeKey:
    """One key for all cases: it is the files that differ."""
    return AgeKey.generate()


@pytest.fixture(scope="module")
def scene(sops: SopsTool, key: AgeKey) -> Scene:
    """One honest file, of which all cases are made."""
    return make_scene(sops, key)


@pytest.fixture(scope="module")
def new_metadata(sops: SopsTool) -> bool:
    """Tell whether the binary reads metadata as 3.13 does."""
    version = sops.run(("--disable-version-check", "--version")).split()[1]
    return tuple(map(int, version.split(b".")[:2])) >= (3, 13)


def _policy(content: str | bytes, key: AgeKey) -> Policy:
    """Read the file as the only one of a repository whose ``.sops.yaml`` names the one recipient."""
    data = content if isinstance(content, bytes) else content.encode()
    rules = RulesFile(path=".sops.yaml", data=sops_rules(key).encode())
    return load(Sources(files={"secrets/targets.yaml": TARGETS.encode(), PATH: data}, rules=rules))


def _applied(content: str | bytes, key: AgeKey) -> object:
    """Return all that a run would apply: keys, grants and prune rule of each scope, and the values.

    Raises:
        DecryptionError: it shows on unlocking that something is wrong.
    """
    policy = _policy(content, key)
    scopes = [scope for target in policy.select(_SELECTED).targets for scope in target.scopes]
    (file,) = policy.files
    values = pysops.decrypt(file.document, pysops.Identities.from_text(key.identity, "test"))
    return [(scope.scope, scope.keys, scope.acls, scope.prune, scope.rotation) for scope in scopes], values["secrets"]


def test_the_honest_file_is_accepted(scene: Scene, key: AgeKey) -> None:
    """Or the cases below would prove nothing."""
    assert _policy(scene.honest, key).problems() == ()
    assert "newer value" in str(_applied(scene.honest, key))


def test_forgeries_have_names_of_their_own() -> None:
    """The tables are put together by name; none may hide another."""
    assert len(FORGERIES) == sum(len(chapter.forgeries) for chapter in CHAPTERS)


@pytest.mark.parametrize("name", FORGERIES)
def test_forgery(name: str, scene: Scene, key: AgeKey, sops: SopsTool, *, new_metadata: bool) -> None:
    """One by one: what the binary says is on record, and so is where it ends here."""
    forgery = FORGERIES[name]
    forged = forgery.forge(scene)
    assert forged != scene.honest
    assert sops_says(sops, forged, key) in _expected(forgery, new_metadata=new_metadata)
    if forgery.stage in KEYLESS:
        with pytest.raises(InvalidInput) as caught:
            _policy(forged, key).select(_SELECTED)
        assert forgery.words in str(caught.value)
        return
    if forgery.stage is Stage.UNLOCKING:
        with pytest.raises(pysops.DecryptionError) as failed:
            _applied(forged, key)
        assert forgery.words in str(failed.value)
        return
    same = _applied(forged, key) == _applied(scene.honest, key)
    assert same is (forgery.stage is Stage.HARMLESS)


def _expected(forgery: Forgery, *, new_metadata: bool) -> set[int]:
    return {forgery.sops} if new_metadata else {forgery.sops, forgery.sops_3_11}


def test_what_only_review_can_tell() -> None:
    """The accepted forgeries that change what is applied; the guide says of each what review has to look for."""
    assert {name for name, forgery in FORGERIES.items() if forgery.stage is Stage.REVIEW} == {
        "an older commit",
        "a secret that was split, whole again",
        "a file of the attacker's own",
    }


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("an older commit", {"second", "login", "user", "word", "mac"}, id="an-older-commit"),
        # Neither the MAC nor lastmodified changes: an honest change of values always shows both.
        pytest.param("a secret that was split, whole again", {"login", "user", "word"}, id="whole-again"),
        pytest.param(
            "a file of the attacker's own",
            {"known", "port", "flag", "first", "second", "base64", "empty", "invoice", "mac", "login", "user", "word"},
            id="a-file-of-his-own",
        ),
    ],
)
def test_what_a_review_is_shown(name: str, shown: set[str], scene: Scene) -> None:
    """Which lines of the honest file the forgery changes, by the names that stand in them."""
    changed = set(scene.honest.splitlines()) ^ set(str(FORGERIES[name].forge(scene)).splitlines())
    names = {line.partition(":")[0].strip() for line in changed if ": ENC[" in line}
    assert names == shown


def test_a_secret_that_was_split_comes_back_beside_newer_ones(scene: Scene, key: AgeKey) -> None:
    """Such a file was never committed: its older secret stands beside a rotated one, and the MAC fits."""
    values = str(_applied(FORGERIES["a secret that was split, whole again"].forge(scene), key))
    assert "alice-and-her-password" in values
    assert "newer value" in values


def test_a_copy_of_a_file_is_refused(scene: Scene) -> None:
    """It decrypts, as the path is in no MAC; but then two files feed the same keys."""
    policy = load(sources({PATH: scene.honest, "secrets/other/copy.yaml": scene.honest}))
    whats = [problem.what for problem in policy.problems()]
    assert any("is also fed by secrets/other/copy.yaml" in what for what in whats)
    with pytest.raises(InvalidInput):
        policy.select(("prod/app",))


def test_an_older_file_as_a_second_one_is_refused(scene: Scene) -> None:
    """So no older value comes back through a new file either, while its key is still there."""
    policy = load(sources({PATH: scene.honest, "secrets/prod/old.yaml": scene.older}))
    with pytest.raises(InvalidInput, match="each key in one file only"):
        policy.select(("prod",))
