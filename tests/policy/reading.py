"""Scope files read without a key, with what is wrong with them on one line each."""

from reconciler.policy import ScopeFile
from reconciler.policy.scope_files import UnreadableFile, read_scope_file
from tests.policy.samples import PATH


CANARY = "canary-3c9e"


def read(text: str, path: str = PATH) -> tuple[ScopeFile | UnreadableFile, list[str]]:
    """Return the file, and each problem as ``line:column: what``."""
    file = read_scope_file(path, text.encode())
    assert all(CANARY not in str(problem) for problem in file.problems)
    return file, [f"{each.line}:{each.column}: {each.what}" for each in file.problems]


def good(text: str) -> ScopeFile:
    """Return a file with which nothing is wrong."""
    file, problems = read(text)
    assert problems == []
    assert isinstance(file, ScopeFile)
    assert file.complete
    return file
