"""The two imports as a whole: read everything, draft everything, write the files at the very end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.connections import local_problem
from reconciler.editing import Draft
from reconciler.errors import EXIT_DONE, EXIT_REFUSED, EXIT_WORKSPACE, InvalidInput, UsageError, exit_code_of
from reconciler.importing.found import TAKEN, Asked, Standing
from reconciler.importing.from_state import Forgetting, InGit, forgettable, of_provider, scopes_in
from reconciler.importing.from_workspace import look
from reconciler.importing.placing import FED, Outcome, Placer, Wish
from reconciler.importing.tfstate import read_state
from reconciler.model import FoldedName, fold
from reconciler.policy import Target
from reconciler.settings import Observer, Settings


STATE_NOTE: Final = (
    "grants that Terraform did not make, such as that of whoever created a scope, are not in its state: plan shows "
    "them, they are left alone, and where there are any the first apply needs --adopt"
)

_CODES: Final = {Standing.FAILED: EXIT_WORKSPACE, Standing.REFUSED: EXIT_REFUSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of an import."""

    outcomes: tuple[Outcome, ...]
    """One per scope."""

    written: tuple[str, ...]
    """Files that were written, sorted."""

    notes: tuple[str, ...] = ()
    """What is to be known about all of it."""

    forgetting: Forgetting | None = None
    """What Terraform may forget, after an import from its state."""

    @property
    def exit_code(self) -> int:
        """What the process exits with: 0 unless something that was asked for is not in git now."""
        return exit_code_of(frozenset(_CODES.get(one.standing, EXIT_DONE) for one in self.outcomes))

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets of which something was written, as they were named."""
        return tuple(dict.fromkeys(one.target for one in self.outcomes if one.files))


def import_scopes(settings: Settings, observer: Observer, wish: Wish) -> Imported:
    """Import scopes from workspaces into files. Nothing is written before all of them have been read.

    Args:
        settings: Which scopes, by its selectors, and the surroundings.
        observer: Whom to tell how it goes.
        wish: How.

    Raises:
        UsageError: A target or a scope does not exist; no rule of ``.sops.yaml`` is for a new file.
        InvalidInput: What git holds, or would, breaks a rule; or a profile of this machine does not fit.
        CannotDecrypt: A file that feeds a scope does not unlock.
        Refused: A file was changed meanwhile, or all of them together became too large.
        WorkspaceError: A workspace cannot be reached, or does not accept the credential.
    """
    draft = Draft(settings)
    chosen = _asked_for(draft, settings.selectors)
    _check_file(chosen, wish)
    problems = (local_problem(target, settings) for target, _ in chosen)
    if wrong := tuple(problem for problem in problems if problem is not None):
        raise InvalidInput(wrong)
    placer = Placer(draft, wish)
    seen = [
        (target, asked, look(target, asked, _spared(placer, target, wish), settings, observer))
        for target, asked in chosen
    ]
    outcomes = tuple(placer.place(target, one, asked) for target, asked, found in seen for one in found)
    placer.draft()
    return Imported(outcomes=outcomes, written=draft.save())


def _spared(placer: Placer, target: Target, wish: Wish) -> Mapping[FoldedName, str]:
    """Return the scopes that need not be read, as they are not touched anyway -> why."""
    return {} if wish.merge else dict.fromkeys(placer.fed(target), FED)


def import_state(settings: Settings, wish: Wish, data: bytes, *, path: str, provider: str | None = None) -> Imported:
    """Import scopes from a state of Terraform into files, without asking anybody.

    Args:
        settings: For which target, and perhaps which of its scopes, by its selectors; and the surroundings.
        wish: How.
        data: The state.
        path: How it is called, for messages.
        provider: Which configuration of the provider is the target, where the state is about several.

    Raises:
        UsageError: No target, or several; the state has nothing for it, or is about several workspaces.
        InvalidInput: The state is none, or says what is not understood; and as `import_scopes`.
        CannotDecrypt: As `import_scopes`.
        Refused: The state is about another workspace; and as `import_scopes`.
    """
    draft = Draft(settings)
    chosen = _asked_for(draft, settings.selectors)
    if len(chosen) != 1:
        raise UsageError(f"a state is imported for one target, not for {len(chosen)}", advice="name one of them")
    _check_file(chosen, wish)
    ((target, asked),) = chosen
    records = read_state(data, path)
    about = of_provider(records, target, asked, provider)
    placer = Placer(draft, wish)
    outcomes = tuple(placer.place(target, one, asked) for one in scopes_in(about, target, asked))
    placer.draft()
    in_git = _in_git(draft, target, outcomes)
    return Imported(
        outcomes=outcomes,
        written=draft.save(),
        notes=(STATE_NOTE,) if in_git else (),
        forgetting=forgettable(records, about, in_git),
    )


def _asked_for(draft: Draft, selectors: Iterable[str]) -> tuple[tuple[Target, Asked], ...]:
    """Return targets, each with the scopes that are asked for, as named.

    Raises:
        UsageError: An unknown target.
    """
    names: dict[str, set[FoldedName] | None] = {}
    for selector in selectors:
        name, slash, scope = selector.partition("/")
        draft.target(name)
        known = names.setdefault(name, set())
        if not slash or known is None:
            names[name] = None
        else:
            known.add(fold(scope))
    return tuple(
        (draft.target(name), Asked(names=None if scopes is None else frozenset(scopes)))
        for name, scopes in names.items()
    )


def _check_file(chosen: tuple[tuple[Target, Asked], ...], wish: Wish) -> None:
    if wish.file is not None and [len(asked.names or ()) for _, asked in chosen] != [1]:
        raise UsageError("--file is for one scope", advice="name it as TARGET/SCOPE, or leave --file out")


def _in_git(draft: Draft, target: Target, outcomes: tuple[Outcome, ...]) -> Mapping[FoldedName, InGit]:
    acls = {fold(scope.scope): scope.acls for scope in draft.policy.scopes_of(target)}
    return {
        fold(outcome.scope): InGit(
            standing=outcome.standing,
            flawed=frozenset(fold(flaw.key) for flaw in outcome.flaws if flaw.key is not None),
            acls=acls.get(fold(outcome.scope)) or (),
        )
        for outcome in outcomes
        if outcome.standing in TAKEN
    }
