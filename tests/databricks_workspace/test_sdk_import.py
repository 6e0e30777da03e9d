"""Importing the SDK without its package: quick, and nobody else notices. Each case in a process of its own."""

import subprocess
import sys
import textwrap

import pytest


_PRELOAD = "from reconciler.databricks_workspace import preload; preload()"


def _run(code: str) -> str:
    """Run ``code`` in a fresh interpreter; return what it printed."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_leaves_out_the_services_that_nobody_needs() -> None:
    """After preloading, two services of some fifty are loaded."""
    loaded = _run(
        f"""
        {_PRELOAD}
        import sys
        print(*sorted(name for name in sys.modules if name.startswith("databricks.sdk.service.")))
        """
    ).split()

    assert "databricks.sdk.service.workspace" in loaded
    assert len(loaded) <= 5


def test_importing_the_adapter_loads_nothing_heavy() -> None:
    """The room itself stays cheap, for commands that reach no workspace."""
    heavy = _run(
        """
        import reconciler.databricks_workspace, sys
        print(*(name for name in ("databricks.sdk", "requests", "urllib3", "cryptography") if name in sys.modules))
        """
    )

    assert heavy == ""


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("from databricks.sdk import WorkspaceClient", id="from import"),
        pytest.param("from databricks.sdk import *", id="star"),
    ],
)
def test_gives_others_the_package_they_know(code: str) -> None:
    """The real package appears on demand, with the classes that were loaded before; pickle finds all of them."""
    assert _run(
        f"""
        import sys
        {_PRELOAD}
        import pickle
        from databricks.sdk.core import Config
        from databricks.sdk.service.workspace import AclItem, AclPermission, SecretsAPI
        before = sys.modules["databricks.sdk"]
        item = AclItem(principal="a", permission=AclPermission.READ)
        assert pickle.loads(pickle.dumps(item)) == item
        assert pickle.loads(pickle.dumps(SecretsAPI)) is SecretsAPI
        {code}
        import databricks.sdk
        client = WorkspaceClient(config=Config(host="http://127.0.0.1:9", token="x", retry_timeout_seconds=-1))
        assert databricks.sdk is before is sys.modules["databricks.sdk"]
        assert type(client.config) is Config
        assert isinstance(client.secrets, SecretsAPI)
        assert "__getattr__" not in vars(databricks.sdk)
        assert pickle.loads(pickle.dumps(WorkspaceClient)) is WorkspaceClient
        print("fine")
        """
    ).endswith("fine")


def test_has_the_names_of_the_real_package_and_no_others() -> None:
    """Nothing is missing or added, no submodule hides behind a name that means something else; others are errors.

    An unknown name is an AttributeError, or an ImportError, as for any module. And where the real package is loaded
    already, nothing is put in its place.
    """
    names = "print(*sorted((name, type(value).__name__) for name, value in vars(databricks.sdk).items()))"
    real = _run(
        f"""
        import databricks.sdk, databricks.sdk.service.workspace, sys
        {names}
        before = databricks.sdk
        {_PRELOAD}
        {_PRELOAD}
        assert sys.modules["databricks.sdk"] is before
        assert "__getattr__" not in vars(before)
        """
    )
    ours = _run(
        f"""
        {_PRELOAD}
        import databricks.sdk
        assert not hasattr(databricks.sdk, "__warningregistry__")
        assert "__getattr__" in vars(databricks.sdk), "tools that look round must not load everything"
        assert not hasattr(databricks.sdk, "Nonsense")
        {names}
        try:
            from databricks.sdk import Nonsense
        except ImportError:
            pass
        else:
            raise AssertionError("it has a name that does not exist")
        """
    )

    assert ours == real


def test_gives_submodules_without_the_rest() -> None:
    """``from databricks.sdk import oauth`` needs no other service."""
    assert (
        _run(
            f"""
            {_PRELOAD}
            from databricks.sdk import oauth, data_plane
            import databricks.sdk
            assert data_plane.oauth is oauth
            print("__getattr__" in vars(databricks.sdk))
            """
        )
        == "True"
    )


def test_runs_the_package_once_when_many_threads_ask() -> None:
    """Whoever asks first runs it, the others wait and get the same class; preloading at the same time does no harm."""
    assert (
        _run(
            """
            import sys, threading
            from reconciler.databricks_workspace import preload
            barrier = threading.Barrier(8)
            found, errors = [], []
            def ask(number):
                barrier.wait()
                try:
                    preload()
                    if number % 2:
                        from databricks.sdk import WorkspaceClient
                        found.append(WorkspaceClient)
                except BaseException as error:
                    errors.append(error)
            threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            print(len(found), len(set(found)), errors)
            """
        )
        == "4 1 []"
    )


def test_imports_plainly_when_anything_surprises() -> None:
    """If a later Python or SDK does not play along, the SDK is loaded the usual, slower way."""
    assert (
        _run(
            """
            import importlib.util
            def broken(*arguments):
                raise RuntimeError("surprise")
            importlib.util.module_from_spec = broken
            from reconciler.databricks_workspace import preload
            preload()
            import databricks.sdk, sys
            print("WorkspaceClient" in vars(databricks.sdk), "databricks.sdk.core" in sys.modules)
            """
        )
        == "True True"
    )
