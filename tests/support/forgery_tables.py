"""All forgeries of files, by what they make use of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.support import (
    forgeries_history,
    forgeries_metadata,
    forgeries_plain,
    forgeries_sealed,
    forgeries_weightless,
    forgeries_yaml,
)
from tests.support.forgery import Forgery


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Forgeries that make use of one thing."""

    title: str
    about: str
    """What of it is protected, and what is not."""

    forgeries: Mapping[str, Forgery]


CHAPTERS: Final = (
    Chapter(
        title="Names of plain fields",
        about="The MAC covers values. Renaming a key that stands above plain text alone leaves no trace.",
        forgeries=forgeries_plain.NAMES,
    ),
    Chapter(
        title="Boundaries between plain values",
        about="The MAC covers the bytes of all values one after the other, wherever one ends and the next begins. So "
        "every plain value of a scope file stands in brackets, or is one of few words.",
        forgeries=forgeries_plain.BOUNDARIES,
    ),
    Chapter(
        title="Secrets whose text is known",
        about="To the MAC a value in plain is the same as one encrypted: whoever knows the text of a secret (`<MANAGE "
        "evil>` here) can put it into a plain field beside it. `version: 1` stands between the two.",
        forgeries=forgeries_plain.KNOWN_TEXT,
    ),
    Chapter(
        title="Spellings of a number",
        about="Numbers go into the MAC as sops prints them.",
        forgeries=forgeries_plain.NUMBERS,
    ),
    Chapter(
        title="Values that weigh nothing",
        about="Empty text, null, empty lists and empty mappings are neither encrypted nor in the MAC, whatever name "
        "stands above them.",
        forgeries=forgeries_weightless.EMPTY,
    ),
    Chapter(
        title="The selector",
        about="The metadata is in no MAC, so anybody can edit what it says about which values are encrypted.",
        forgeries=forgeries_weightless.SELECTOR,
    ),
    Chapter(
        title="Envelopes",
        about="AES-GCM authenticates the bytes of a value and the keys above it, not its type, nor what stands around "
        "its `ENC[…]`.",
        forgeries=forgeries_sealed.ENVELOPES,
    ),
    Chapter(
        title="Places",
        about="A value is bound to the mapping keys above it, joined with colons that nobody escapes. Lists add "
        "nothing.",
        forgeries=forgeries_sealed.PLACES,
    ),
    Chapter(
        title="Other files, and earlier commits",
        about="Every commit of a file has the same data key until somebody rotates it. Each file has its own.",
        forgeries=forgeries_history.HISTORY,
    ),
    Chapter(
        title="What the metadata is",
        about="sops takes it from the first document, by its exact name.",
        forgeries=forgeries_metadata.STRUCTURE,
    ),
    Chapter(
        title="MAC, lastmodified, version",
        about="The MAC is bound to `lastmodified`, as sops prints it to the second.",
        forgeries=forgeries_metadata.SEAL,
    ),
    Chapter(
        title="Recipients and key groups",
        about="Stanzas are in no MAC. Nobody without a key can encrypt the data key to somebody else, but everybody "
        "can write stanzas that say so.",
        forgeries=forgeries_metadata.RECIPIENTS,
    ),
    Chapter(
        title="Documents, directives, encodings, line breaks",
        about="What a viewer of differences shows, and what a parser reads, may be two things.",
        forgeries=forgeries_yaml.STREAM,
    ),
    Chapter(
        title="Anchors, merges, tags, styles",
        about="YAML has several ways to write the same, and some to write what nobody expects.",
        forgeries=forgeries_yaml.NODES,
    ),
)

FORGERIES: Final[Mapping[str, Forgery]] = {
    name: forgery for chapter in CHAPTERS for name, forgery in chapter.forgeries.items()
}
"""All of them; names are unique over all chapters, which a test makes sure of."""
