"""Modules that the SDK imports for strategies of authentication which hardly any run takes: executed on demand."""

import subprocess
import sys


_USED = {
    "databricks.sdk.azure": "add_workspace_id_header",
    "google.auth.impersonated_credentials": "IDTokenCredentials",
    "google.oauth2.service_account": "Credentials",
}
"""Module to a name of it that the SDK uses."""

_SELDOM = tuple(_USED)
_PRELOAD = "import sys; from reconciler.databricks_workspace import preload; preload();"


def _run(code: str) -> str:
    ran = subprocess.run(
        (sys.executable, "-W", "error", "-c", code), capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_preloading_leaves_out_what_they_need() -> None:
    """Neither the X.509 half of cryptography nor the service that only a helper for Azure names is loaded."""
    heavy = ("cryptography", "google.auth.crypt", "databricks.sdk.service.provisioning")

    assert _run(f"{_PRELOAD} print(*(name for name in {heavy} if name in sys.modules))") == ""


def test_they_are_whole_when_asked() -> None:
    """The names that the SDK uses are those of the real module, which is executed once, in the same object."""
    code = f"""{_PRELOAD}
import importlib, databricks.sdk.credentials_provider as provider
for module, name in {_USED}.items():
    found = importlib.import_module(module)
    assert found is sys.modules[module] is getattr(provider, module.rpartition(".")[2]), module
    assert "__getattr__" in vars(found), module
for module, name in {_USED}.items():
    found = sys.modules[module]
    wanted = getattr(found, name)
    assert "__getattr__" not in vars(found), module
    assert wanted.__module__ == module and getattr(found, name) is wanted, module
    assert not hasattr(found, "nonsense"), module
print("fine")"""

    assert _run(code) == "fine"


def test_they_have_the_names_that_a_plain_import_gives() -> None:
    """Nothing is missing and nothing is added."""
    show = "for name in modules: print(name, *sorted(vars(sys.modules[name])))"
    imports = f"import importlib, sys; modules = {_SELDOM}; [importlib.import_module(name) for name in modules];"
    real = _run(f"import databricks.sdk.core; {imports}\n{show}")
    ours = _run(f"{_PRELOAD} {imports} [hasattr(sys.modules[name], 'nonsense') for name in modules]\n{show}")

    assert ours == real


def test_those_that_are_there_already_stay() -> None:
    """Where a program has imported one of them, nothing is put in its place."""
    code = (
        "import google.oauth2.service_account as before;"
        f"{_PRELOAD}"
        "print(sys.modules['google.oauth2.service_account'] is before, '__getattr__' in vars(before))"
    )

    assert _run(code) == "True False"
