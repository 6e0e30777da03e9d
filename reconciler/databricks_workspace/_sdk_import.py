"""Import the parts of the SDK that are used, without its package ``__init__``.

``databricks/sdk/__init__.py`` imports every service of the platform: 1.0 to 1.2 s, where ``core`` and
``service.workspace`` take 0.2 s. So a module object for the package is put in place first, not yet executed. It has the
package's real ``__path__`` and ``__spec__``, so that submodules are found; and a module-level ``__getattr__`` (PEP 562)
that runs the real ``__init__`` in that same object, once, when something else is asked of it. Other users of the SDK in
this process see the package they know.

The same is done to three modules that ``core`` imports for strategies of authentication which hardly any run takes:
they pull in half of ``cryptography`` and one more service, another 0.1 s.
"""

import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Final


if TYPE_CHECKING:
    from importlib.abc import Loader  # takes 5 ms to import


_PACKAGE: Final = "databricks.sdk"
_NEEDED: Final = (f"{_PACKAGE}.core", f"{_PACKAGE}.service.workspace")
_SELDOM: Final = (f"{_PACKAGE}.azure", "google.auth.impersonated_credentials", "google.oauth2.service_account")
"""Modules of which ``databricks.sdk.credentials_provider`` asks nothing while it is imported."""

_preloading: Final = threading.Lock()


def preload() -> None:
    """Import what `connect` needs of the SDK; again is free. Safe from any thread.

    Raises:
        ImportError: The SDK is not installed.
    """
    with _preloading:
        if _PACKAGE in sys.modules:
            _import_needed()
            return
        try:
            for name in (_PACKAGE, *_SELDOM):
                if name not in sys.modules:
                    _place_unexecuted(name)
            _import_needed()
        except Exception:  # noqa: BLE001  # whatever it was, the plain way is right, only slower
            _forget_package()
            importlib.import_module(_PACKAGE)
            _import_needed()


def _import_needed() -> None:
    for name in _NEEDED:
        importlib.import_module(name)


def _forget_package() -> None:
    """Remove all of the SDK, as half of it beside a second copy would make two classes of each."""
    for name in tuple(sys.modules):
        if name == _PACKAGE or name.startswith(f"{_PACKAGE}."):
            del sys.modules[name]
    parent = sys.modules.get("databricks")
    if parent is not None and hasattr(parent, "sdk"):
        del parent.sdk


def _place_unexecuted(name: str) -> None:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{name} has no source to load")
    module = importlib.util.module_from_spec(spec)
    vars(module)["__getattr__"] = _run_on_demand(module, spec.loader)
    sys.modules[name] = module
    # What the import system does when it has imported a submodule, so that `databricks.sdk` is found as an attribute.
    parent, _, child = name.rpartition(".")
    vars(sys.modules[parent])[child] = module


def _run_on_demand(module: ModuleType, loader: "Loader") -> Callable[[str], object]:
    """Return the ``__getattr__`` of a module that has not been executed yet."""
    own_name = module.__name__
    is_package = hasattr(module, "__path__")
    namespace = vars(module)
    lock = threading.RLock()
    running = False

    def find(name: str) -> object:
        nonlocal running
        missing = AttributeError(f"module {own_name!r} has no attribute {name!r}")
        # Tools ask every module for __warningregistry__, __wrapped__ and the like; these have none of them.
        if name.startswith("__") and name != "__all__":
            raise missing
        # `from . import useragent` asks here before it imports. Without the lock: the import system has locks of its
        # own, and a thread that held one of those while it waited for ours could wait for ever.
        if is_package and name != "__all__" and importlib.util.find_spec(f"{own_name}.{name}") is not None:
            return importlib.import_module(f"{own_name}.{name}")
        with lock:
            if running:  # this very thread: a name that __init__ has not defined yet
                raise missing
            if "__getattr__" in namespace:
                running = True
                try:
                    loader.exec_module(module)
                finally:
                    running = False
                del namespace["__getattr__"]
            try:
                return namespace[name]
            except KeyError:
                raise missing from None

    return find
