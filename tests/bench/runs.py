"""What is measured: whole processes, from start to exit, against a server that notes what it served."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reconciler.model import LEDGER_SCOPE
from tests.bench.server import Server, Traffic, run
from tests.support.age_keys import AgeKey
from tests.support.secrets_repo import ENCRYPTED_REGEX, SecretsRepo
from tests.support.sops_tool import SopsTool, find_sops


CONCURRENCY: Final = 16
"""What the product does by default."""

SCOPE: Final = "app"
"""What the scopes are called; where there are several, with a number behind it."""

FILES: Final = 100
"""How many files are decrypted."""

KEYS_PER_FILE: Final = 5

CHECKED_FILES: Final = 500
"""How many scope files are validated."""

VALUES: Final = 1000
"""How many values one large file holds."""

_CHECKED_TARGETS: Final = 10

_RECIPIENTS: Final = 3

_TOOL: Final = (sys.executable, "-m", "reconciler")

_LOOP: Final = """
import sys
from databricks.sdk import WorkspaceClient
scope, count = sys.argv[1], int(sys.argv[2])
client = WorkspaceClient()
client.secrets.create_scope(scope)
for number in range(count):
    client.secrets.put_secret(scope, f"key-{number:04}", string_value=f"value {number} of the loop")
"""

_LOAD: Final = """
import sys
from pathlib import Path
from reconciler import pysops
loaded = [pysops.load(path) for path in sorted(Path(sys.argv[1]).glob("*.yaml"))]
sys.exit(len(loaded) != int(sys.argv[2]))
"""

_LOAD_ONE: Final = """
import sys
from reconciler import pysops
pysops.load(sys.argv[1])
"""

_LOAD_LOADED: Final = """
import sys, time
from reconciler import pysops
pysops.load(sys.argv[2])
start = time.perf_counter()
pysops.load(sys.argv[1])
print(time.perf_counter() - start)
"""
"""Reads another file first, as a run does that has several: all that is imported is there then."""

_SOPS_LOOP: Final = 'for file in "$2"/*.yaml; do "$1" decrypt "$file" >/dev/null || exit 1; done'


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Several runs of one command. Requests are the same in each, or it is a mistake; times are medians.

    But for reads while there is no ledger: whether an entry is asked for depends on which answer comes first.
    """

    name: str
    scopes: int
    keys: int
    """In each scope."""

    seconds: float
    """Of the whole process."""

    reads: int
    """Most that one run made."""

    writes: int
    values_read: int
    """Those of the reads that ask for the value of a secret, the ledger's own records aside."""

    connections: int
    """Most that one run used."""

    puts: int
    """Those of the writes that put a value, the ledger's own records aside."""

    puts_seconds: float
    """From the arrival of the first put at the server to its answer to the last."""

    values_seconds: float
    """From the arrival of the first put or get of a value to the answer to the last."""


@dataclass(slots=True)
class Series:
    """The runs of one command so far."""

    name: str
    scopes: int
    keys: int
    runs: list[tuple[float, Traffic]] = field(default_factory=list)

    def result(self) -> Measured:
        """Return the medians.

        Raises:
            RuntimeError: Two runs made different numbers of requests.
        """
        counts = {(traffic.writes, len(_puts(traffic).served), len(_gets(traffic).served)) for _, traffic in self.runs}
        reads = sorted(traffic.reads for _, traffic in self.runs)
        if len(counts) != 1 or reads[-1] - reads[0] > self.scopes:
            raise RuntimeError(
                f"{self.name} of {self.keys} keys made different requests each time: {sorted(counts)}, reads {reads}"
            )
        ((writes, puts, gets),) = counts
        return Measured(
            name=self.name,
            scopes=self.scopes,
            keys=self.keys,
            seconds=statistics.median(seconds for seconds, _ in self.runs),
            reads=reads[-1],
            writes=writes,
            values_read=gets,
            connections=max(traffic.connections for _, traffic in self.runs),
            puts=puts,
            puts_seconds=statistics.median(_puts(traffic).span_s for _, traffic in self.runs),
            values_seconds=statistics.median(traffic.of_values.span_s for _, traffic in self.runs),
        )


def _puts(traffic: Traffic) -> Traffic:
    return traffic.of_values.of("/secrets/put")


def _gets(traffic: Traffic) -> Traffic:
    return traffic.of_values.of("/secrets/get")


class Bench:
    """A server, a repository of secrets, and the environment in which everything runs."""

    def __init__(self, server: Server, folder: Path, key: AgeKey) -> None:
        self._server = server
        self._folder = folder
        self._sops = SopsTool(binary=find_sops())
        self._key = key
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "SOPS_AGE_KEY": key.identity,
            "DATABRICKS_HOST": server.url,
            "DATABRICKS_TOKEN": server.token,
        }

    @classmethod
    @contextmanager
    def started(cls) -> Iterator["Bench"]:
        """Start the server and make an empty folder."""
        with tempfile.TemporaryDirectory() as folder, Server() as server:
            yield cls(server, Path(folder), AgeKey.generate())

    def lifecycle(self, keys: int, times: int) -> tuple[Measured, ...]:
        """Measure plan, first apply, no-op and rotation of one value in one scope, ``times`` times over."""
        repo = self._repo(f"repo-{keys}")
        names = ("plan, all new", "first apply", "no-op", "plan, in sync", "rotate one")
        series = {name: Series(name, 1, keys) for name in names}
        for turn in range(times):
            self._write(repo, SCOPE, keys, rotated=f"first value of turn {turn}")
            repo.commit()
            self._note(series["plan, all new"], (*_TOOL, "-C", str(repo.root), "plan", "prod"))
            apply = (*_TOOL, "-C", str(repo.root), "apply", "prod", "--yes")
            self._note(series["first apply"], apply)
            self._note(series["no-op"], apply)
            self._note(series["plan, in sync"], (*_TOOL, "-C", str(repo.root), "plan", "prod"))
            self._write(repo, SCOPE, keys, rotated=f"second value of turn {turn}")
            repo.commit()
            self._note(series["rotate one"], apply)
            self._delete(SCOPE)
        return tuple(one.result() for one in series.values())

    def many_scopes(self, scopes: int, keys: int, times: int) -> tuple[Measured, ...]:
        """Measure the first apply of many scopes, each from a file of its own, and no-op and rotation ``times`` times.

        The first apply takes longer than all others together, and is done once.
        """
        repo = self._repo(f"repo-{scopes}-{keys}")
        names = [f"{SCOPE}-{number:03}" for number in range(scopes)]
        for name in names:
            self._write(repo, name, keys, rotated="first value")
        repo.commit()
        series = {name: Series(name, scopes, keys) for name in ("first apply", "no-op", "plan, in sync", "rotate one")}
        apply = (*_TOOL, "-C", str(repo.root), "apply", "prod", "--yes")
        self._note(series["first apply"], apply)
        for turn in range(times):
            self._note(series["no-op"], apply)
            self._note(series["plan, in sync"], (*_TOOL, "-C", str(repo.root), "plan", "prod"))
            self._write(repo, names[0], keys, rotated=f"value of turn {turn}")
            repo.commit()
            self._note(series["rotate one"], apply)
        self._delete(*names)
        return tuple(one.result() for one in series.values())

    def loop_of_puts(self, keys: int, times: int) -> Measured:
        """Measure a script that puts value after value through the plain SDK."""
        series = Series("loop of puts", 1, keys)
        for _ in range(times):
            self._note(series, (sys.executable, "-c", _LOOP, SCOPE, str(keys)))
            self._delete(SCOPE)
        return series.result()

    def decryption(self, times: int) -> tuple[float, float]:
        """Return the seconds that FILES files take in-process, and by the binary called on each; alternating."""
        folder = self._folder / "files"
        folder.mkdir()
        for number in range(FILES):
            plain = "\n".join(f'key-{key}: "value {key} of file {number}"' for key in range(KEYS_PER_FILE))
            (folder / f"{number:03}.yaml").write_bytes(self._sops.encrypt(plain.encode(), (self._key.recipient,)))
        ours, theirs = [], []
        for _ in range(times):
            ours.append(run((sys.executable, "-c", _LOAD, folder, str(FILES)), self._environ))
            theirs.append(run(("/bin/sh", "-c", _SOPS_LOOP, "sh", self._sops.binary, folder), self._environ))
        return statistics.median(ours), statistics.median(theirs)

    def one_file(self, times: int) -> tuple[float, float, float]:
        """Return the seconds that a file of VALUES values takes; alternating.

        In a process of its own, within one that has read another file before, and by the binary.
        """
        file = self._folder / "large.yaml"
        plain = "\n".join(f'key-{number:04}: "value {number} of one file"' for number in range(VALUES))
        file.write_bytes(self._sops.encrypt(plain.encode(), (self._key.recipient,)))
        small = self._folder / "small.yaml"
        small.write_bytes(self._sops.encrypt(b"a: 1\n", (self._key.recipient,)))
        ours, loaded, theirs = [], [], []
        for _ in range(times):
            ours.append(run((sys.executable, "-c", _LOAD_ONE, file), self._environ))
            command = (sys.executable, "-c", _LOAD_LOADED, file, small)
            printed = subprocess.run(command, env=self._environ, check=True, capture_output=True)
            loaded.append(float(printed.stdout))
            theirs.append(run((self._sops.binary, "decrypt", file), self._environ))
        return statistics.median(ours), statistics.median(loaded), statistics.median(theirs)

    def validation(self, times: int) -> float:
        """Return the seconds that `validate` takes for CHECKED_FILES files in a repository that is in order.

        One file is encrypted and the others are copies under other names of host and scope: nobody could decrypt those,
        and `validate` has no key with which it would notice.
        """
        recipients = (self._key.recipient, *(AgeKey.generate().recipient for _ in range(_RECIPIENTS - 1)))
        repo = SecretsRepo(self._folder / "checked", sops=self._sops, key=self._key)
        hosts = [f"adb-{number}.2.azuredatabricks.net" for number in range(_CHECKED_TARGETS)]
        repo.targets({f"target-{at}": {"workspace": {"host": f"https://{host}"}} for at, host in enumerate(hosts)})
        repo.write(
            ".sops.yaml",
            f"creation_rules:\n    - path_regex: ^secrets/.*\\.yaml$\n      encrypted_regex: {ENCRYPTED_REGEX}\n"
            f"      age: {','.join(recipients)}\n",
        )
        keys = {f"key-{number}": f"value {number} of many" for number in range(KEYS_PER_FILE)}
        repo.scope_file("model.yaml", {"HOST": {"SCOPE": keys}}, acls=["<READ users>"], recipients=recipients)
        model = repo.read("secrets/model.yaml").decode()
        (repo.root / "secrets" / "model.yaml").unlink()
        for number in range(CHECKED_FILES):
            target = number % _CHECKED_TARGETS
            text = model.replace("HOST:", f"{hosts[target]}:").replace("SCOPE:", f"scope-{number:03}:")
            repo.write(f"secrets/target-{target}/scope-{number:03}.yaml", text)
        repo.commit()
        command = (*_TOOL, "-C", str(repo.root), "validate")
        return statistics.median(run(command, self._environ) for _ in range(times))

    def start_up(self, arguments: Sequence[str], times: int) -> float:
        """Return the seconds that Python takes with ``arguments``."""
        return statistics.median(run((sys.executable, *arguments), self._environ) for _ in range(times))

    def _repo(self, name: str) -> SecretsRepo:
        repo = SecretsRepo(self._folder / name, sops=self._sops, key=self._key)
        return repo.targets({"prod": {"workspace": {"host": self._server.url}}})

    def _write(self, repo: SecretsRepo, scope: str, keys: int, *, rotated: str) -> None:
        values = {f"key-{number:04}": f"value {number} of {keys}" for number in range(keys)} | {"key-0000": rotated}
        repo.scope_file(f"prod/{scope}.yaml", {self._server.host_key: {scope: values}}, acls=["<READ users>"])

    def _note(self, series: Series, command: Sequence[str]) -> None:
        self._server.traffic()
        seconds = run(command, self._environ)
        series.runs.append((seconds, self._server.traffic()))

    def _delete(self, *scopes: str) -> None:
        """Delete scopes and what the ledger knows of them, so that the next first apply is one."""
        for scope in (*scopes, LEDGER_SCOPE):
            self._server.delete_scope(scope)
