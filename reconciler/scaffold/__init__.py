"""A repository of secrets from nothing, or completed where it was left half made: `init`.

In: the directory of the run, what the command line says, and perhaps somebody to ask. Out: files that `validate` finds
in order. What is there already is never overwritten, and nothing is written before all of it was checked together.
Killed at any moment, the next run goes on with what is missing.
"""

from reconciler.scaffold.outcome import Outcome, render
from reconciler.scaffold.questions import Answers, Question
from reconciler.scaffold.starting import Surroundings, init


__all__ = ["Answers", "Outcome", "Question", "Surroundings", "init", "render"]
