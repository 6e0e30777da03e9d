"""Runs the reconciler as somebody would who wants to see everything: all logs, local variables in every traceback.

``python loud.py LOG FUNCTION ARGUMENTS…`` writes all that is logged to LOG. FUNCTION, as ``module:name`` or ``-``, is
replaced by one that fails with its arguments, secret values revealed, in its message: a bug of the worst kind.
"""

import importlib
import logging
import sys
from typing import Never

import rich.traceback


LEDGER_SCOPE = "reconciler-ledger"


def _revealed(argument: object) -> object:
    reveal = getattr(argument, "reveal", None)
    return reveal() if callable(reveal) else argument


def _break(place: str) -> None:
    module_name, _, name = place.partition(":")
    owner: object = importlib.import_module(module_name)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)

    def fail(*arguments: object, **named: object) -> Never:
        values = [_revealed(argument) for argument in (*arguments, *named.values())]
        raise RuntimeError(f"the worst bug: {values!r}")

    works = getattr(owner, last)
    # What goes to the ledger first holds no value, so that failing there would prove nothing.
    setattr(owner, last, lambda *a, **named: (works if LEDGER_SCOPE in a else fail)(*a, **named))


def main() -> None:
    """Turn everything up, then run."""
    log, place, *arguments = sys.argv[1:]
    logging.basicConfig(filename=log, level=1, format="%(name)s %(message)s", encoding="utf-8")
    for name in ("databricks", "databricks.sdk", "urllib3", "urllib3.connectionpool", "requests", "asyncio", "uvicorn"):
        logging.getLogger(name).setLevel(1)
    logging.captureWarnings(capture=True)
    rich.traceback.install(show_locals=True)
    if place != "-":
        _break(place)
    from reconciler.cli import cli

    logging.getLogger("loud").debug("the log works")
    sys.argv = ["reconciler", *arguments]
    cli.main(prog_name="reconciler")


if __name__ == "__main__":
    main()
