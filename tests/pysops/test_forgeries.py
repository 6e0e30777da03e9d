"""Forgeries as `pysops` alone sees them: which it refuses by itself, and which a reader of any file cannot tell."""

import json

import pytest

from reconciler.pysops import (
    DecryptionError,
    DocumentError,
    Identities,
    MetadataError,
    SopsError,
    load,
    parse,
    read_metadata,
)
from tests.support.age_keys import AgeKey
from tests.support.forgeries_groups import GROUPS, GroupScene, make_group_scene
from tests.support.forgeries_loose import LOOSE, PLAINTEXT
from tests.support.forgery import Scene, Stage, make_scene
from tests.support.forgery_tables import FORGERIES
from tests.support.sops_tool import SopsFailed, SopsTool


ERRORS: dict[Stage, type[SopsError]] = {
    Stage.DOCUMENT: DocumentError,
    Stage.METADATA: MetadataError,
    Stage.UNLOCKING: DecryptionError,
}
"""Of the stages that need no policy."""

OWN = [name for name, forgery in FORGERIES.items() if forgery.stage in ERRORS]
ACCEPTED = [name for name, forgery in FORGERIES.items() if forgery.stage is Stage.HARMLESS]


@pytest.fixture(scope="module")
def key() -> AgeKey:
    """One key for all cases: it is the files that differ."""
    return AgeKey.generate()


@pytest.fixture(scope="module")
def identities(key: AgeKey) -> Identities:
    """Who reads."""
    return Identities.from_text(key.identity, "test")


@pytest.fixture(scope="module")
def scene(sops: SopsTool, key: AgeKey) -> Scene:
    """One honest file, of which all cases are made."""
    return make_scene(sops, key)


@pytest.fixture(scope="module")
def loose(sops: SopsTool, key: AgeKey) -> str:
    """One honest file without any shape, encrypted by default rules."""
    return sops.encrypt(PLAINTEXT, [key.recipient]).decode()


@pytest.fixture(scope="module")
def group_scene(sops: SopsTool) -> GroupScene:
    """One honest file of three key groups."""
    return make_group_scene(sops)


def _bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


@pytest.mark.parametrize("name", OWN)
def test_forgery_is_refused(name: str, scene: Scene, identities: Identities) -> None:
    """Without any policy, by the class that belongs to its stage, and without a key where none is needed."""
    forgery = FORGERIES[name]
    forged = _bytes(forgery.forge(scene))
    with pytest.raises(ERRORS[forgery.stage]) as caught:
        load(forged, identities)
    assert forgery.words in str(caught.value)
    if forgery.stage is Stage.UNLOCKING:
        read_metadata(parse(forged))
        return
    with pytest.raises(ERRORS[forgery.stage]):
        read_metadata(parse(forged))


@pytest.mark.parametrize("name", ACCEPTED)
def test_harmless_forgery_means_the_same(name: str, scene: Scene, identities: Identities) -> None:
    """What is accepted reads as the honest file does, each plain field included."""
    values = load(_bytes(FORGERIES[name].forge(scene)), identities)
    assert {**values, "version": "1"} == {**load(scene.honest.encode(), identities), "version": "1"}


@pytest.mark.parametrize("name", LOOSE)
def test_file_of_any_shape(name: str, loose: str, identities: Identities, key: AgeKey, sops: SopsTool) -> None:
    """`load` returns what the binary returns, or both refuse."""
    forgery = LOOSE[name]
    forged = forgery.forge(loose).encode()
    assert forged != loose.encode()
    if forgery.changed is None:
        with pytest.raises(SopsFailed) as failed:
            sops.decrypt(forged, key.identity)
        assert failed.value.exit_code == forgery.sops
        with pytest.raises(DecryptionError):
            load(forged, identities)
        return
    values = load(forged, identities)
    assert values == json.loads(sops.decrypt(forged, key.identity, output_type="json"))
    honest = load(loose.encode(), identities)
    added = {name for name, value in forgery.changed.items() if value is not None or name in values}
    assert values == {
        name: value
        for name, value in {**honest, **forgery.changed}.items()
        if name in added or name not in forgery.changed
    }


@pytest.mark.parametrize("name", GROUPS)
def test_key_groups(name: str, group_scene: GroupScene, sops: SopsTool) -> None:
    """Games with parts and thresholds open what the honest file holds, or nothing; the binary agrees."""
    forgery = GROUPS[name]
    forged = forgery.forge(group_scene).encode()
    identities = "\n".join(key.identity for key in group_scene.keys)
    try:
        sops.decrypt(forged, identities)
        said = 0
    except SopsFailed as error:
        said = error.exit_code
    assert said == forgery.sops
    ours = Identities.from_text(identities, "test")
    if forgery.error is None:
        assert load(forged, ours) == load(group_scene.honest.encode(), ours)
        return
    with pytest.raises(forgery.error) as caught:
        load(forged, ours)
    assert type(caught.value) is forgery.error
    assert forgery.words in str(caught.value)


def test_a_known_part_alone_opens_nothing(group_scene: GroupScene) -> None:
    """Who holds the key of one group of three reads nothing, whatever threshold he writes."""
    attacker = Identities.from_text(group_scene.keys[0].identity, "test")
    for threshold in (None, 0, 1, 2):
        with pytest.raises(DecryptionError):
            load(group_scene.with_groups(*group_scene.groups, threshold=threshold).encode(), attacker)
