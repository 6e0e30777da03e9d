"""Looking at one thing without letting it keep us from the next."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from reconciler.errors import EXIT_INVALID_INPUT, EXIT_USAGE, EXIT_WORKSPACE, InputError, ReconcilerError
from reconciler.report.checkup import Check, Verdict


@dataclass(frozen=True, slots=True)
class Section:
    """Makes the checks of one section."""

    name: str

    def ok(self, name: str, text: str, *, subject: str = "") -> Check:
        """Return that a thing is as it should be."""
        return Check(section=self.name, name=name, subject=subject, text=text)

    def warn(self, name: str, text: str, advice: str | None, *, subject: str = "") -> Check:
        """Return that somebody should know of a thing."""
        return Check(section=self.name, name=name, subject=subject, verdict=Verdict.WARN, text=text, advice=advice)

    def fail(self, name: str, text: str, advice: str | None, *, code: int, subject: str = "") -> Check:
        """Return that a thing has to be put right."""
        return Check(
            section=self.name,
            name=name,
            subject=subject,
            verdict=Verdict.FAIL,
            text=text,
            advice=advice,
            exit_code=code,
        )

    def error(self, name: str, error: ReconcilerError, *, subject: str = "") -> Check:
        """Return what an error of ours says."""
        if isinstance(error, InputError):
            first, *more = error.problems
            text = f"{first.where}: {first.what}" + (f", and {len(more)} more" if more else "")
            advice = first.advice or "reconciler validate shows all of it"
            return self.fail(name, text, advice, code=error.exit_code, subject=subject)
        # What a variable says wrongly is input here: the command line itself was fine.
        code = EXIT_INVALID_INPUT if error.exit_code == EXIT_USAGE else error.exit_code
        return self.fail(name, str(error), error.advice, code=code, subject=subject)

    def probe(self, name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
        """Yield what ``look`` finds, and what ends it early.

        A defect of ours is one of the things that can be wrong; of its message nothing is shown, as it may quote what
        stands in files.
        """
        try:
            yield from look()
        except ReconcilerError as error:
            yield self.error(name, error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the other checks matter all the same
            text = f"this could not be looked at: internal error, {type(error).__name__}"
            yield self.fail(name, text, "this is a bug of the reconciler: please report it", code=EXIT_WORKSPACE)
