"""What leaves a public function when it fails: no frame, no argument, no foreign text."""

import gc
import inspect
import weakref
from pathlib import Path

import pytest

from reconciler import pysops
from reconciler.pysops import DecryptionError, DocumentError
from reconciler.pysops.leaving import fit_to_leave, frameless


@frameless
def fail(data: bytes, failure: BaseException) -> None:
    """Fail, with data at hand."""
    raise failure from ValueError(data)


class Panic(BaseException):
    """As pyo3 raises where Rust code panics: no `Exception`."""


@pytest.mark.parametrize(
    ("failure", "leaving"),
    [
        pytest.param(DocumentError("ours"), DocumentError, id="ours"),
        pytest.param(KeyError("canary"), DecryptionError, id="defect"),
        pytest.param(TypeError("canary"), DecryptionError, id="type error within"),
        pytest.param(MemoryError("canary"), DecryptionError, id="memory"),
        pytest.param(Panic("canary"), DecryptionError, id="panic"),
        pytest.param(KeyboardInterrupt(), KeyboardInterrupt, id="interrupt"),
        pytest.param(SystemExit(3), SystemExit, id="exit"),
        pytest.param(GeneratorExit(), GeneratorExit, id="generator"),
    ],
)
def test_errors_leave_without_frames_and_causes(failure: BaseException, leaving: type[BaseException]) -> None:
    """Ours and interrupts as they are; of all others the kind and the place."""
    with pytest.raises(leaving) as caught:
        fail(b"canary", failure)
    entries = caught.traceback
    assert [Path(entry.path).name for entry in entries] == [Path(__file__).name, "leaving.py"]
    assert "canary" not in repr(entries[-1].frame.f_locals)
    assert "canary" not in repr((caught.value.args, vars(caught.value)))
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert (caught.value is failure) is not isinstance(caught.value, DecryptionError)


def test_a_defect_is_told_by_kind_and_place() -> None:
    """As much as a maintainer needs to find it."""
    with pytest.raises(DecryptionError, match=r"^an unexpected KeyError at test_leaving\.py:[0-9]+$") as caught:
        fail(b"", KeyError("canary"))
    assert caught.value.advice == "this is a defect of the program: please report it"


def test_an_error_that_was_never_raised_has_no_place() -> None:
    """Nor does it need one."""
    assert str(fit_to_leave(KeyError("canary"))) == "an unexpected KeyError at ?:0"


def test_a_call_that_does_not_fit_is_no_defect_of_ours() -> None:
    """Whoever mistypes an argument is told so, without the arguments."""
    with pytest.raises(TypeError, match=r"^load_bytes does not take these arguments$") as caught:
        pysops.load_bytes(b"canary", identites=None)  # type: ignore[call-arg]
    assert "canary" not in repr(caught.traceback[-1].frame.f_locals)


def test_what_leaves_does_not_hold_itself() -> None:
    """Frames and errors that hold each other would stay until the next collection, and with them what they hold."""
    gone = []
    gc.disable()
    try:
        pysops.parse(b"]")
    except DocumentError as error:
        gone.append(weakref.ref(error))
    finally:
        gc.enable()
    assert [each() for each in gone] == [None]


def test_a_decorated_function_looks_the_same() -> None:
    """Its name, its documentation and its signature, for whoever reads `help`."""
    assert (fail.__name__, fail.__doc__) == ("fail", "Fail, with data at hand.")
    assert list(inspect.signature(pysops.load).parameters) == ["source", "identities"]
