"""What a workspace holds, as far as the files in git care: lists, grants, and evidence on every wanted value.

In: which keys are wanted in which scopes, and where the ledger is. Out: a `Survey`. Used before applying, to plan, and
after, to see what came of it (`look_into`).

Parts: `facts` is what is brought home; `inquiry` decides which values have to be read, and what is known of the
others; `ledger_reader` and `looking` make the requests. The ledger saves reading: a value that nobody has written to
since it was seen is known by its fingerprint. Whether the ledger counts is decided by `reconciler.ledger.trust`, and
nothing of one that does not count leaves this room.
"""

from reconciler.survey.facts import (
    Absent,
    Evidence,
    Fingerprint,
    Known,
    LedgerSpot,
    MissingScope,
    ScopeState,
    ScopeSurvey,
    Survey,
    UnknownScope,
    Unreadable,
    Want,
    sight_of,
)
from reconciler.survey.inquiry import questions
from reconciler.survey.looking import SETTLE_S, Pause, Wants, introduce, look_into, take


__all__ = [
    "SETTLE_S",
    "Absent",
    "Evidence",
    "Fingerprint",
    "Known",
    "LedgerSpot",
    "MissingScope",
    "Pause",
    "ScopeState",
    "ScopeSurvey",
    "Survey",
    "UnknownScope",
    "Unreadable",
    "Want",
    "Wants",
    "introduce",
    "look_into",
    "questions",
    "sight_of",
    "take",
]
