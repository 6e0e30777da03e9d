"""Forgeries of what stands around a file: copies, names, links, rules of sops, attributes of git, commits."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import SecretsRepo
from tests.support.workshop import replaced


FILE: Final = "secrets/prod/app.yaml"

_Attack = Callable[[SecretsRepo], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeForgery:
    """One attack on a repository; what it leaves is then committed."""

    attack: str
    make: _Attack
    """Changes the work tree of a repository whose `FILE` is honest."""

    exit_code: int
    words: str
    """Of the message that refuses it, or what happens."""

    applied: frozenset[str]
    """Scopes that come into being."""

    review: bool
    """It is accepted, and only review can tell whether it is meant."""


_ALL: Final = frozenset({"app", "other"})


def _refused(attack: str, make: _Attack, words: str) -> TreeForgery:
    return TreeForgery(attack=attack, make=make, exit_code=4, words=words, applied=frozenset(), review=False)


def _accepted(attack: str, make: _Attack, words: str, applied: frozenset[str] = _ALL) -> TreeForgery:
    return TreeForgery(attack=attack, make=make, exit_code=0, words=words, applied=applied, review=False)


def _for_review(attack: str, make: _Attack, words: str, applied: frozenset[str] = _ALL) -> TreeForgery:
    return TreeForgery(attack=attack, make=make, exit_code=0, words=words, applied=applied, review=True)


def _copied(path: str) -> _Attack:
    return lambda repo: repo.write(path, repo.read(FILE))


def _written(path: str, content: str) -> _Attack:
    return lambda repo: repo.write(path, content)


def _renamed(path: str) -> _Attack:
    def make(repo: SecretsRepo) -> None:
        target = repo.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (repo.root / FILE).rename(target)

    return make


def _linked(path: str, to: str) -> _Attack:
    def make(repo: SecretsRepo) -> None:
        repo.write("outside/app.yaml", repo.read(FILE))
        (repo.root / FILE).unlink()
        (repo.root / path).symlink_to(to)

    return make


def _submodule(repo: SecretsRepo) -> None:
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{repo.git('rev-parse', 'HEAD').strip()},secrets/more")
    (repo.root / "secrets/more").mkdir()


def _with_stranger(repo: SecretsRepo) -> str:
    """Return the file with the stanza of somebody else, and who that is."""
    stranger = AgeKey.generate()
    content = repo.read(FILE).decode()
    (item,) = re.findall(r"(?m)^    age:\n((?: {8}.*\n)+)", content)
    added = re.sub(r"recipient: \S+", f"recipient: {stranger.recipient}", str(item))
    repo.write(FILE, replaced(content, str(item), f"{item}{added}"))
    return stranger.recipient


def _name(repo: SecretsRepo, *recipients: str) -> None:
    """Write rules that name other recipients."""
    rule = f"    - encrypted_regex: ^secrets$\n      age: {','.join(recipients)}\n"
    repo.write(".sops.yaml", f"creation_rules:\n{rule}")


def _rules_and_file(repo: SecretsRepo) -> None:
    """Add a recipient to the rules and to both files, so that each fits the other."""
    _name(repo, repo.key.recipient, _with_stranger(repo))
    (repo.root / "secrets/prod/other.yaml").unlink()


def _no_rules(repo: SecretsRepo) -> None:
    _with_stranger(repo)
    (repo.root / ".sops.yaml").unlink()


_TWICE: Final = "each key in one file only"
_AS_BEFORE: Final = "the blob of the commit is read, and git changes nothing in it"

TREE: Final[Mapping[str, TreeForgery]] = {
    "a copy": _refused("a copy in another folder", _copied("secrets/evil/app.yaml"), _TWICE),
    "a copy in a hidden folder": _refused("a copy in a hidden folder", _copied("secrets/.evil/app.yaml"), _TWICE),
    "a twin by extension": _refused("`app.yml` beside `app.yaml`", _copied("secrets/prod/app.yml"), _TWICE),
    "a twin by case": _refused(
        "`TWIN.YAML`, of which sops would not know that it is YAML",
        _copied("secrets/prod/TWIN.YAML"),
        "the name of the file does not end in .yaml",
    ),
    "a twin by a look-alike": _refused(
        "`\u0430pp.yaml` with a Cyrillic letter beside `app.yaml`", _copied("secrets/prod/\u0430pp.yaml"), _TWICE
    ),
    "a twin by a blank": _refused(
        "`app.yaml ` with a blank at the end", _copied("secrets/prod/twin.yaml "), "secrets/prod/twin.yaml"
    ),
    "a twin that cannot be seen": _refused(
        "`app.yaml` with a zero-width space", _copied("secrets/prod/app\u200b.yaml"), "characters that do not print"
    ),
    "targets in a folder": _refused(
        "a `targets.yaml` of the attacker below `secrets/prod/`",
        _written("secrets/prod/targets.yaml", "targets: {prod: {embedded: true}}\n"),
        "unknown field 'targets'",
    ),
    "targets by another extension": _refused(
        "`targets.yml` beside `targets.yaml`",
        _written("secrets/targets.yml", "targets: {prod: {embedded: true}}\n"),
        "unknown field 'targets'",
    ),
    "rules below secrets": _refused(
        "a `.sops.yaml` below `secrets/`, which sops would follow when called from there",
        _written("secrets/.sops.yaml", "creation_rules: [{age: age1evil}]\n"),
        "the rules of sops belong beside secrets/",
    ),
    "rules without our recipient": _refused(
        "`.sops.yaml` names somebody else",
        lambda repo: _name(repo, AgeKey.generate().recipient),
        "can open the file and read every value, though .sops.yaml:2 does not name it",
    ),
    "rules with a recipient more": _refused(
        "`.sops.yaml` names the attacker too, in the hope for a later `sops updatekeys`",
        lambda repo: _name(repo, repo.key.recipient, AgeKey.generate().recipient),
        "cannot open the file, though .sops.yaml:2 names it",
    ),
    "a recipient more in a file": _refused(
        "a stanza of the attacker's in the file alone",
        _with_stranger,
        "can open the file and read every value, though .sops.yaml:2 does not name it",
    ),
    "an empty file": _refused("an empty file", _written("secrets/prod/empty.yaml", ""), "the file is empty"),
    "a file that is a link": _refused(
        "`app.yaml` is a link to a file elsewhere", _linked(FILE, "../../outside/app.yaml"), "this is a symbolic link"
    ),
    "a folder that is a link": _refused(
        "a folder is a link to one elsewhere", _linked("secrets/more", "../outside"), "this is a symbolic link"
    ),
    "a submodule": _refused("a submodule below `secrets/`", _submodule, "neither a regular file nor a directory"),
    "another name": _accepted(
        "the file gets another name, in the folder of another target",
        _renamed("secrets/dev/evil.yaml"),
        "a path decides nothing: it feeds what it fed",
    ),
    "line ends by an attribute": _accepted(
        "`.gitattributes` asks for CRLF, another encoding, and `$Id$`",
        _written(".gitattributes", "*.yaml text eol=crlf ident\n"),
        _AS_BEFORE,
    ),
    "a filter by an attribute": _accepted(
        "`.gitattributes` names a filter and a driver for differences",
        _written(".gitattributes", "*.yaml filter=evil diff=evil merge=evil\n"),
        _AS_BEFORE,
    ),
    "hidden from review by an attribute": _for_review(
        "`.gitattributes` calls encrypted files binary and generated, so that sites fold their differences",
        _written("secrets/.gitattributes", "*.yaml -diff linguist-generated\n"),
        "what is applied stays the same, but may change unseen from then on. Review has to see the attributes.",
    ),
    "rules of another name": _accepted(
        "`.sops.yml`, which sops ignores, names somebody else",
        _written(".sops.yml", "creation_rules: [{age: age1evil}]\n"),
        "it is ignored, as sops does; `validate` warns",
    ),
    "a recipient more in rules and file": _for_review(
        "a stanza and a rule for the attacker, in the hope for a later `sops rotate`",
        _rules_and_file,
        "they fit each other. Review has to see who is new in `.sops.yaml`.",
        frozenset({"app"}),
    ),
    "no rules": _for_review(
        "`.sops.yaml` is removed, a stanza added",
        _no_rules,
        "there is nothing to compare with; `validate` warns. Review has to see that `.sops.yaml` is gone.",
    ),
    "a file that is YAML no more": _for_review(
        "the file gets the name `app.yaml.old`",
        _renamed("secrets/prod/app.yaml.old"),
        "its keys are gone from git. Review has to see that, as with any file that is removed.",
        frozenset({"other"}),
    ),
}
"""In the order of the guide."""
