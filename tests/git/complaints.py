"""What is said about files that are not handed in."""

from reconciler.policy.sources import Sources


LINK = "this is a symbolic link, and links are not followed"
ODD_NAME = "the name of this file has characters that do not print"
IRREGULAR = "this is neither a regular file nor a directory"
TOO_LARGE = "the file is larger than 16 MiB and was not read"


def what(sources: Sources) -> dict[str, str]:
    """Return place to what is wrong there."""
    return {problem.where: problem.what for problem in sources.problems}
