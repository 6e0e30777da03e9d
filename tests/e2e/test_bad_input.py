"""What git may hold by mistake, as far as it shows without a key: exit 4, its place, what was expected, what to do.

No credential is loaded and nobody is contacted. What shows on unlocking alone is the business of test_unlocking.
"""

import os

import pytest

from tests.support.age_keys import AgeKey
from tests.support.audit import watched
from tests.support.cli import Cli
from tests.support.secrets_repo import SecretsRepo, scope_text
from tests.support.sops_tool import SopsTool
from tests.support.workshop import (
    PLAINTEXT,
    Make,
    Workshop,
    behind,
    edited,
    flipped,
    forged,
    place_of,
    plain,
    replaced,
    rewritten,
    swap,
    text,
)
from tests.support.workspace_server import WorkspaceServer


FILE = "secrets/prod/app.yaml"


@pytest.fixture
def workshop(
    repo: SecretsRepo, sops: SopsTool, age_key: AgeKey, run: Cli, workspace_server: WorkspaceServer
) -> Workshop:
    """Make wrong files for a target whose other scope has nothing wrong with it."""
    repo.targets({"prod": workspace_server.fields})
    repo.scope_file("prod/other.yaml", {workspace_server.host_key: {"other": {"key": "fine"}}})
    return Workshop(sops=sops, key=age_key, host_key=workspace_server.host_key)


def _refused(run: Cli, server: WorkspaceServer, *arguments: str) -> str:
    """Apply, and return what was said of the input, after making sure that nobody at all was contacted."""
    server.traffic()
    with watched() as deeds:
        refused = run("apply", *(arguments or ("prod",))).expect(4)
    assert deeds.contacts == []
    assert server.traffic() == []
    assert refused.stdout == ""
    assert refused.stderr.endswith("; nothing was written\n")
    return refused.stderr


@pytest.mark.parametrize(
    ("make", "at", "words"),
    [
        # Not encrypted, or not wholly.
        pytest.param(text(PLAINTEXT), None, ("is not encrypted", "sops encrypt -i", "change the values"), id="plain"),
        pytest.param(
            forged(rewritten("second", lambda _: "typed in later")),
            "typed in later",
            ("not encrypted, though the file is", "ENC[", "sops edit", "change the value"),
            id="half-encrypted",
        ),
        pytest.param(
            forged(rewritten("base64", lambda _: "AAEC")),
            "AAEC",
            ("not encrypted, though the file is", "sops edit"),
            id="half-encrypted-bytes",
        ),
        pytest.param(
            lambda workshop: workshop.sops.encrypt(
                workshop.plaintext.encode(), (workshop.key.recipient,), encrypted_regex="^(first|second)$"
            ),
            "<MANAGE evil>",
            ("not encrypted, though the file is",),
            id="encrypted-by-another-rule",
        ),
        pytest.param(
            lambda workshop: workshop.sops.encrypt(
                workshop.plaintext.encode(), (workshop.key.recipient,), encrypted_regex="^secrets"
            ),
            "sops:",
            ("nothing else", "encrypted_regex: ^secrets$", "--encrypted-regex"),
            id="encrypted-by-a-wider-rule",
        ),
        pytest.param(
            lambda workshop: workshop.sops.encrypt(workshop.plaintext.encode(), (workshop.key.recipient,)),
            "sops:",
            ("nothing else", "encrypted_regex: ^secrets$"),
            id="encrypted-as-a-whole",
        ),
        pytest.param(
            forged(behind("encrypted_regex", "mac_only_encrypted: true")),
            "sops:",
            ("mac_only_encrypted", "without any protection"),
            id="mac-only-encrypted",
        ),
        # Not a document that is read.
        pytest.param(text(b""), None, ("the file is empty", "expected"), id="empty"),
        pytest.param(text("# nothing yet\n"), None, ("the file is empty",), id="comment-alone"),
        pytest.param(text("{}\n"), None, ("the file is empty",), id="empty-mapping"),
        pytest.param(text("version: 1\nsecrets: {a: [}\n"), "}", ("not valid YAML",), id="not-yaml"),
        pytest.param(text("version: 1\n\tsecrets: x\n"), "\tsecrets", ("not valid YAML",), id="tab"),
        pytest.param(text(b"version: \xff\xfe\n"), "\ufffd", ("not UTF-8",), id="not-utf-8"),
        pytest.param(text(b"\0\1\2\3"), "\0", ("control character U+0000",), id="binary"),
        pytest.param(text("- version: 1\n"), "-", ("a list at the top", "a mapping"), id="list-at-the-top"),
        pytest.param(text("hello\n"), "hello", ("a single value at the top", "a mapping"), id="text-at-the-top"),
        pytest.param(
            forged(lambda content: f"{content}---\nversion: 1\n"),
            "---\nversion",
            ("second document",),
            id="second-document",
        ),
        pytest.param(
            forged(swap("prune: owned\n", "<<<<<<< HEAD\nprune: owned\n=======\nprune: all\n>>>>>>> other\n")),
            "<<<<<<<",
            ("conflict markers", "git checkout --ours"),
            id="conflict-markers",
        ),
        pytest.param(lambda workshop: workshop.genuine()[:250], "ENC[", ("not whole",), id="truncated-in-a-value"),
        pytest.param(
            lambda workshop: workshop.genuine().partition("sops:\n")[0],
            None,
            ("is not encrypted",),
            id="truncated-before-the-metadata",
        ),
        pytest.param(
            lambda workshop: workshop.genuine().partition("    mac:")[0],
            "sops:",
            ("no mac",),
            id="truncated-before-mac",
        ),
        pytest.param(
            forged(lambda content: content[: content.rindex("    version:")]),
            "sops:",
            ("sops has no version", "restore"),
            id="truncated-by-one-line",
        ),
        pytest.param(
            edited("prune: owned\n", "prune: owned\nprune: all\n"), "prune: all", ("twice",), id="field-twice"
        ),
        pytest.param(
            lambda workshop: replaced(
                genuine := workshop.genuine(),
                line := next(each for each in genuine.splitlines(keepends=True) if "first:" in each),
                line * 2,
            ),
            None,
            ("a key that stands twice", "remove one"),
            id="key-twice",
        ),
        pytest.param(edited("prune: owned", "prune: &a owned"), "&a", ("an anchor", "write the value"), id="anchor"),
        pytest.param(forged(swap("prune: owned", "prune: *a")), "*a", ("an alias", "write the value out"), id="alias"),
        pytest.param(edited("prune: owned", "prune: !!str owned"), "!!str", ("a tag", "remove"), id="tag"),
        pytest.param(
            edited("prune: owned", "prune: !!python/name:os.system owned"), "!!py", ("a tag",), id="tag-that-runs"
        ),
        pytest.param(edited("prune: owned", "<<: {prune: owned}"), "<<", ("a merge key",), id="merge-key"),
        pytest.param(edited("prune: owned", "1: owned"), "1: owned", ("not text", "quotes"), id="key-is-a-number"),
        pytest.param(edited("prune: owned", "? {a: b}\n: owned"), "{a: b}", ("not text",), id="key-is-a-mapping"),
        pytest.param(forged(lambda content: f"\ufeff{content}"), "\ufeff", ("byte order mark",), id="bom"),
        pytest.param(forged(lambda content: f"%YAML 1.2\n---\n{content}"), "%", ("directive", "%"), id="directive"),
        pytest.param(edited("<READ users>", "<READ users\u2028>"), "\u2028", ("line separator",), id="line-separator"),
        pytest.param(edited("<READ users>", "<READ users\u0085>"), "\u0085", ("NEL",), id="next-line"),
        pytest.param(edited("<READ users>", "<READ\ruser>"), "\ruser", ("carriage return",), id="lone-cr"),
        pytest.param(edited("<READ users>", "<READ \x1b[2J>"), "\x1b", ("U+001B", "escape"), id="terminal-escape"),
        pytest.param(text("[" * 5000), None, ("nested too deeply",), id="nested"),
        # Names and fields.
        pytest.param(
            plain("prune:", "prun:"), "prun:", ("unknown field 'prun'", "did you mean 'prune'?"), id="misspelt"
        ),
        pytest.param(
            plain("version: 1\n", "version: 1\nnotes: x\n"),
            "notes",
            ("unknown field", "one of acls"),
            id="unknown-field",
        ),
        pytest.param(
            plain("prune: owned\nrotation:\n    - <90d known>\n", "rotation:\n    - <90d known>\nprune: owned\n"),
            "prune",
            ("stands behind 'rotation'", "the order acls, prune, rotation, version, secrets", "move it"),
            id="order",
        ),
        pytest.param(
            lambda workshop: workshop.encrypt(replaced(workshop.plaintext, "version: 1\n", "") + "version: 1\n"),
            "version",
            ("stands behind 'secrets'", "the order"),
            id="version-behind-the-secrets",
        ),
        pytest.param(plain("version: 1\n", ""), "acls", ("no field 'version'", "version: 1"), id="no-version"),
        pytest.param(plain("version: 1", "version: 2"), "2", ("the version is not 1",), id="version-2"),
        pytest.param(plain("prune: owned", "prune: everything"), "everything", ("owned, all, none",), id="prune"),
        pytest.param(plain("- <READ users>", "- users"), "users", ("not a grant", "<READ PRINCIPAL>"), id="grant"),
        pytest.param(plain("<READ users>", "<OWN users>"), "<OWN", ("not a grant", "<MANAGE"), id="permission"),
        pytest.param(plain("<READ users>", "<READ Admins>"), "<READ Admins>", ("without regard to case",), id="twins"),
        pytest.param(plain("<90d known>", "<90 known>"), "<90 known>", ("not a rule", "<90d KEY>"), id="rotation"),
        pytest.param(
            plain("first:", "First:\n            x: y\n            FIRST:"), "FIRST", ("case",), id="key-case"
        ),
        pytest.param(plain("first:", "fi rst:"), "fi rst", ("does not fit as a key", "1 to 128"), id="key-name"),
        pytest.param(plain("first:", '"fi/rst":'), "fi/rst", ("does not fit as a key",), id="key-with-slash"),
        pytest.param(plain("first:", f"{'k' * 129}:"), "kkk", ("does not fit as a key",), id="key-too-long"),
        pytest.param(plain("first:", "größe:"), "größe", ("does not fit as a key",), id="key-beyond-ascii"),
        pytest.param(plain("first:", '"first\\e[2J":'), '"first', ("not shown", "key"), id="key-with-escape"),
        pytest.param(plain("app:", '"a b":'), "a b", ("does not fit as a scope", "@"), id="scope-name"),
        pytest.param(plain("app:", '"app:x":'), "app:x", ("does not fit as a scope",), id="scope-with-colon"),
        pytest.param(plain("app:", "Reconciler-Ledger:"), "Reconciler-Ledger", ("reserved",), id="ledger-scope"),
        pytest.param(
            lambda workshop: workshop.encrypt(workshop.plaintext.replace(workshop.host_key, "127.0.0.1_1")),
            "127.0.0.1_1:",
            ("no target has the host '127.0.0.1_1'", "did you mean '127.0.0.1_"),
            id="unknown-host",
        ),
        pytest.param(
            lambda workshop: workshop.encrypt(workshop.plaintext.replace(workshop.host_key, "prod")),
            "prod:",
            ("no target has the host 'prod'", "write the host of target 'prod': '127.0.0.1_"),
            id="target-for-host",
        ),
        pytest.param(
            lambda workshop: workshop.encrypt(workshop.plaintext.replace(workshop.host_key, '"https://x.example"')),
            "https://x.example",
            ("does not fit as a host", "leave https:// out"),
            id="url-for-host",
        ),
        # Values.
        pytest.param(plain("second value", "5432"), None, ("whole number", "put it in quotes"), id="int"),
        pytest.param(plain("second value", "5.5"), None, ("a number, and", "put it in quotes"), id="float"),
        pytest.param(plain("second value", "true"), None, ("true or false", "put it in quotes"), id="bool"),
        pytest.param(plain("second value", "2024-01-02"), None, ("a date", "put it in quotes"), id="date"),
        pytest.param(plain("second value", "null"), "null", ("a value is null", "expected text"), id="null"),
        pytest.param(plain("second value", '""'), '""', ("empty text", '{empty: "yes"}'), id="empty-text"),
        pytest.param(plain("second value", "[a, b]"), None, ("a value is a list", "expected text"), id="list"),
        pytest.param(plain("second value", "{a: b}"), "a: ENC", ("unknown form of a value 'a'", "base64"), id="form"),
        pytest.param(plain("second value", "{bas64: AA==}"), "bas64", ("did you mean 'base64'?",), id="form-misspelt"),
        pytest.param(plain("second value", "{}"), "{}", ("an empty mapping",), id="empty-form"),
        pytest.param(plain("base64: AAEC", "base64: AAE"), None, ("no multiple of four",), id="base64-length"),
        pytest.param(plain('empty: "yes"', 'empty: "no"'), None, ("another text than yes",), id="empty-no"),
        pytest.param(
            plain("second value", "x" * (128 * 1024 + 1)),
            None,
            ("larger than the platform takes", "128 KB"),
            id="large",
        ),
        pytest.param(
            plain("AAEC", "A" * (4 * 43692)), None, ("larger than the platform takes", "128 KB"), id="large-bytes"
        ),
        pytest.param(
            lambda workshop: workshop.encrypt(
                scope_text({workshop.host_key: {"app": {f"key-{number:04}": "x" for number in range(1001)}}})
            ),
            "key-1000",
            ("1,001 keys", "at most 1,000", "split"),
            id="1001-keys",
        ),
    ],
)
def test_mistake_is_told_without_a_key_and_nobody_is_contacted(
    make: Make,
    at: str | None,
    words: tuple[str, ...],
    run: Cli,
    repo: SecretsRepo,
    workshop: Workshop,
    workspace_server: WorkspaceServer,
) -> None:
    """Exit 4, with the place, the words, and no value: though key and token are at hand, neither is used."""
    content = make(workshop)
    repo.write(FILE, content)
    said = _refused(run, workspace_server)
    where = f"{FILE}:" if at is None else f"{FILE}:{place_of(content, at)}: "
    lines = [line for line in said.splitlines() if line.startswith(where)]
    assert any(all(word in line for word in words) for line in lines), said
    assert "other.yaml" not in said
    assert "typed in later" not in said
    assert "first value" not in said


@pytest.mark.parametrize("size", [*range(1, 1800, 179), -1, -2])
def test_truncated_file_is_never_applied(
    size: int, run: Cli, repo: SecretsRepo, workshop: Workshop, workspace_server: WorkspaceServer
) -> None:
    """Wherever a file is cut off, it is refused; only its last line feed may be missing."""
    content = workshop.genuine()
    assert len(content) > 1800
    repo.write(FILE, content[:size])
    if size == -1:
        run("apply", "prod").expect()
    elif size == -2:  # "version: 3.13." is cut in a word that no rule knows
        assert "version" in _refused(run, workspace_server)
    else:
        assert FILE in _refused(run, workspace_server)


@pytest.mark.usefixtures("workshop")
def test_mistakes_of_several_files_are_told_at_once(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """One run shows all that is to be repaired, by file and line, the list of targets and links included."""
    host = workspace_server.host_key
    repo.scope_file("prod/a.yaml", {host: {"a": {"bad name": "x", "Twin": "x", "twin": "x"}}}, acls=["READ users"])
    repo.write("secrets/prod/b.yaml", "- list\n")
    repo.write("secrets/prod/c.yaml", f"version: 1\nsecrets:\n    {host}:\n        c:\n            port: 5432\n")
    (repo.root / "secrets/prod/d.yaml").symlink_to("a.yaml")
    said = _refused(run, workspace_server).splitlines()
    assert [line.split(": ")[0] for line in said[:-1]] == [
        "secrets/prod/a.yaml:2:7",
        "secrets/prod/a.yaml:7:13",
        "secrets/prod/a.yaml:9:13",
        "secrets/prod/b.yaml:1:1",
        "secrets/prod/c.yaml",
        "secrets/prod/c.yaml:5:19",
        "secrets/prod/d.yaml",
    ]
    assert said[-1] == "error: 7 problems; nothing was written"


def test_list_of_targets_does_not_hide_the_mistakes_of_files(
    run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Whoever repairs targets.yaml sees at once what else waits."""
    repo.targets({"prod": {"workspace": {"host": workspace_server.emulator.url, "token": "dapi123"}}})
    repo.write("secrets/prod/b.yaml", "- list\n")
    said = _refused(run, workspace_server)
    assert "secrets/targets.yaml:" in said
    assert "secrets/prod/b.yaml:1:1" in said
    assert "dapi123" not in said


@pytest.mark.usefixtures("workshop")
def test_key_fed_by_two_files(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Both places are named; case makes no difference."""
    repo.scope_file("team/other.yaml", {workspace_server.host_key: {"OTHER": {"KEY": "y", "mine": "z"}}})
    said = _refused(run, workspace_server, "prod/other")
    assert "secrets/team/other.yaml:5:13: the key 'KEY' of scope 'OTHER'" in said
    assert "secrets/prod/other.yaml:5:13" in said
    assert "each key in one file only" in said


@pytest.mark.usefixtures("workshop")
def test_policy_of_a_scope_in_two_files(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """Which of two answers counts must not depend on the order of files."""
    for team in ("a", "b"):
        repo.scope_file(f"{team}.yaml", {workspace_server.host_key: {"shared": {team: "x"}}}, prune="all")
    said = _refused(run, workspace_server)
    assert "secrets/b.yaml:1:1: acls, prune or rotation of scope 'shared' stand in secrets/a.yaml:1:1 too" in said


@pytest.mark.usefixtures("workshop")
def test_1001_keys_in_two_files(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """The limit is the scope's, however many files feed it."""
    for team, count in (("a", 500), ("b", 501)):
        repo.scope_file(
            f"{team}.yaml", {workspace_server.host_key: {"full": {f"{team}-{number}": "x" for number in range(count)}}}
        )
    said = _refused(run, workspace_server)
    assert "secrets/b.yaml:" in said
    assert "the scope 'full' gets 1,001 keys; expected at most 1,000" in said


@pytest.mark.usefixtures("workshop")
@pytest.mark.parametrize(
    ("selector", "words"),
    [
        pytest.param("prd", ("unknown target 'prd'", "did you mean 'prod'?"), id="target"),
        pytest.param("prod/othr", ("unknown scope 'prod/othr'", "did you mean 'prod/other'?"), id="scope"),
        pytest.param("\x1b[2J", ("unknown target of unusual text",), id="escape"),
        pytest.param("", ("unknown target",), id="nothing"),
        pytest.param("../prod", ("unknown target",), id="path"),
        pytest.param("prod/", ("unknown scope",), id="no-scope"),
    ],
)
def test_unknown_target_or_scope(
    selector: str, words: tuple[str, ...], run: Cli, workspace_server: WorkspaceServer
) -> None:
    """Exit 2, with a guess; nobody is contacted, and no byte of the argument reaches a terminal unescaped."""
    for command in ("plan", "apply"):
        refused = run(command, selector).expect(2)
        assert all(word in refused.stderr for word in words), refused.stderr
        assert "\x1b" not in refused.stderr
    assert workspace_server.traffic() == []


@pytest.mark.usefixtures("workshop")
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("a\nfine.yaml: no problem.yaml", r"a\nfine.yaml: no problem.yaml", id="newline"),
        pytest.param("a\x1b[2J\x1b[1A.yaml", r"a\x1b[2J\x1b[1A.yaml", id="escape"),
        pytest.param("a\u202elmay.exe.yaml", r"a\u202elmay.exe.yaml", id="direction"),
        pytest.param("a\r::error::x.yaml", r"a\r::error::x.yaml", id="workflow-command"),
        pytest.param(os.fsdecode(b"a\xff.yaml"), r"a\xff.yaml", id="not-utf-8"),
    ],
)
@pytest.mark.parametrize("where", ["commit", "work tree"])
def test_name_of_a_file_cannot_fake_a_line(
    name: str, shown: str, where: str, run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Refused and shown as an escape, be it read from the work tree or from the commit."""
    (repo.root / "secrets" / name).write_bytes(b"")
    if where == "commit":
        repo.commit()
    said = _refused(run, workspace_server)
    assert f"secrets/{shown}" in said
    assert "do not print" in said
    assert "rename the file" in said
    assert all(char.isprintable() or char == "\n" for char in said)
    assert not any(line.startswith(("fine", "::")) for line in said.splitlines())


@pytest.mark.usefixtures("workshop")
@pytest.mark.parametrize("where", ["commit", "work tree"])
@pytest.mark.parametrize(
    "links_to",
    [
        pytest.param("../outside.yaml", id="out-of-the-folder"),
        pytest.param("prod/other.yaml", id="to-a-good-file"),
        pytest.param("/dev/zero", id="endless"),
        pytest.param("nowhere.yaml", id="nowhere"),
    ],
)
def test_link_is_not_followed(
    links_to: str, where: str, run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer
) -> None:
    """Whatever it leads to."""
    repo.write("outside.yaml", repo.read("secrets/prod/other.yaml"))
    (repo.root / "secrets/link.yaml").symlink_to(links_to)
    if where == "commit":
        repo.commit()
    said = _refused(run, workspace_server)
    assert "secrets/link.yaml: this is a symbolic link, and links are not followed" in said


@pytest.mark.usefixtures("workshop")
def test_folder_that_is_a_link_or_a_pipe(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """A linked folder is not walked, and a pipe is not waited for."""
    (repo.root / "elsewhere").mkdir()
    (repo.root / "secrets/linked").symlink_to("../elsewhere", target_is_directory=True)
    os.mkfifo(repo.root / "secrets/pipe.yaml")
    said = _refused(run, workspace_server)
    assert "secrets/linked: this is a symbolic link" in said
    assert "secrets/pipe.yaml: this is neither a regular file" in said


@pytest.mark.usefixtures("workshop")
def test_secrets_folder_that_is_a_link(run: Cli, repo: SecretsRepo, workspace_server: WorkspaceServer) -> None:
    """The folder itself may not lead away either, in the work tree or in a commit."""
    (repo.root / "secrets").rename(repo.root / "moved")
    (repo.root / "secrets").symlink_to("moved")
    assert "secrets: this is a symbolic link" in _refused(run, workspace_server)
    repo.git("init", "--quiet")
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "linked")
    run("apply", "prod").expect(4)
    assert workspace_server.traffic() == []


def test_invalid_input_wins_over_what_shows_on_unlocking(
    run: Cli, repo: SecretsRepo, workshop: Workshop, workspace_server: WorkspaceServer
) -> None:
    """With both kinds of mistakes the run ends before a key is needed; one scope may still be applied by its name."""
    repo.write(FILE, str(forged(rewritten("second", flipped("tag")))(workshop)))
    repo.write("secrets/prod/more.yaml", workshop.encrypt(replaced(workshop.plaintext, "app:", "more:") + "\nx: y\n"))
    said = _refused(run, workspace_server)
    assert "secrets/prod/more.yaml" in said
    assert FILE not in said
    run("apply", "prod/other").expect()
    assert workspace_server.scopes() == ["other"]
