"""What stands below ``secrets:`` of a scope file: host, scope, key, and the form of each value. Needs no key.

Host and scope stand above the values because a value that SOPS encrypts is bound to the mapping keys above it: in a
copied or renamed file, under another host or scope, it does not decrypt. For that to hold every value must be
encrypted, and no name may hold a colon, with which SOPS joins them.
"""

import enum
import re
from dataclasses import dataclass
from typing import Final, assert_never

from reconciler.model import LEDGER_SCOPE, MAX_VALUE_BYTES, KeyName, ScopeName, fold, is_key_name, is_scope_name
from reconciler.policy import names
from reconciler.policy.findings import KINDS, Findings, article_of, mapping_of, note_twins, quoted
from reconciler.pysops import Entry, Envelope, Mapping, Mark, Node, Scalar, ScalarKind, Sequence


class Form(enum.Enum):
    """How a value is written."""

    TEXT = "text"
    """``key: "…"``: the bytes are the text in UTF-8."""

    BASE64 = "base64"
    """``key: {base64: "…"}``: any bytes."""

    EMPTY = "empty"
    """``key: {empty: "yes"}``: no bytes. SOPS leaves empty text unencrypted, so that anybody could add it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """One key of one scope in one file."""

    name: KeyName
    form: Form
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """The keys that one file gives to one scope of one workspace."""

    host_key: str
    """The mapping key as written, see `Target.host_key`."""

    host_mark: Mark
    scope: ScopeName
    mark: Mark
    """Where the scope's name stands."""

    keys: tuple[KeyEntry, ...]
    """In file order; without those whose name or value has problems."""

    misfits: tuple[str, ...] = ()
    """The names of those that have problems, as written, in file order: they may be any text, and stand in the file."""


EMPTY_TEXT: Final = "yes"
"""What must stand behind ``empty``."""

_EXPECTED_SECRETS: Final = "secrets: HOST: SCOPE: KEY: value"
_EXPECTED_VALUE: Final = 'text, {base64: "…"} for bytes or {empty: "yes"} for no bytes'
_HOST_KEY: Final = re.compile(r"[a-z0-9._-]{1,253}(?:\?o=[A-Za-z0-9-]{1,64})?")

_MAX_BASE64_CHARS: Final = (MAX_VALUE_BYTES + 2) // 3 * 4
"""How long base64 of the largest value is."""


class SecretsReader:
    """Walks what stands below ``secrets:``."""

    def __init__(self, findings: Findings, *, encrypted: bool) -> None:
        self._findings = findings
        self._encrypted = encrypted
        """The file has metadata of sops. If not, that is one problem of the file and not one of each value."""
        self.complete = True
        """Every host and scope that the file feeds is known. If not, it may be about any of them."""

    def read(self, node: Node) -> tuple[Feed, ...]:
        """Return what the file feeds; note everything that is wrong with it."""
        hosts = self._names_of(node, "secrets", _EXPECTED_SECRETS, "host")
        feeds: list[Feed] = []
        for host in hosts:
            self._check_host(host.key)
            for scope in self._names_of(host.value, "the host", _EXPECTED_SECRETS, "scope"):
                self._check_scope(scope.key)
                keys = mapping_of(scope.value, self._findings, "the scope", _EXPECTED_SECRETS)
                note_twins((key.key for key in keys), self._findings, "key")
                found = [(key.key.text, self._key(key)) for key in keys]
                feeds.append(
                    Feed(
                        host_key=host.key.text,
                        host_mark=host.key.mark,
                        scope=ScopeName(scope.key.text),
                        mark=scope.key.mark,
                        keys=tuple(entry for _, entry in found if entry is not None),
                        misfits=tuple(name for name, entry in found if entry is None),
                    )
                )
        return tuple(feeds)

    def _names_of(self, node: Node, what: str, expected: str, kind: str) -> tuple[Entry, ...]:
        entries = mapping_of(node, self._findings, what, expected)
        note_twins((entry.key for entry in entries), self._findings, kind)
        self.complete = self.complete and bool(entries)
        return entries

    def _check_host(self, key: Scalar) -> None:
        if _HOST_KEY.fullmatch(key.text):
            return
        advice = None
        if "://" in key.text:
            advice = "leave https:// out; a loopback port is written 127.0.0.1_8080"
        elif key.text != key.text.lower():
            advice = "write it in lower case"
        self._complain(key, "host", "a host name, with ?o=ID behind it when the target has a workspace_id", advice)

    def _check_scope(self, key: Scalar) -> None:
        if not is_scope_name(key.text):
            self._complain(key, "scope", names.EXPECTED_SCOPE, None)
        elif fold(key.text) == fold(LEDGER_SCOPE):
            self._findings.add(
                key.mark,
                f"the scope '{LEDGER_SCOPE}' is reserved for what the reconciler knows of a workspace",
                expected="another scope",
                rule="reserved-scope",
            )

    def _complain(self, key: Scalar, kind: str, expected: str, advice: str | None) -> None:
        self.complete = False
        what = f"the name {quoted(key.text)} does not fit as a {kind}"
        self._findings.add(key.mark, what, expected=expected, advice=advice, rule="name")

    def _key(self, entry: Entry) -> KeyEntry | None:
        fits = is_key_name(entry.key.text)
        if not fits:
            what = f"the name {quoted(entry.key.text)} does not fit as a key"
            self._findings.add(entry.key.mark, what, expected=names.EXPECTED_KEY, rule="name")
        form = self._form(entry.value)
        if form is None or not fits:
            return None
        return KeyEntry(name=KeyName(entry.key.text), form=form, mark=entry.key.mark)

    def _form(self, node: Node) -> Form | None:
        """Return the form of a value; note a problem and return None where it has none."""
        match node:
            case Scalar():
                return self._checked(node, Form.TEXT)
            case Sequence():
                self._findings.add(node.mark, "a value is a list", expected=_EXPECTED_VALUE, rule="value-form")
                return None
            case Mapping(entries=(Entry(key=Scalar(text="base64" | "empty" as word), value=Scalar() as inner),)):
                return self._checked(inner, Form(word))
            case Mapping():
                self._odd_mapping(node)
                return None
            case _:
                assert_never(node)

    def _odd_mapping(self, node: Mapping) -> None:
        known = (Form.BASE64.value, Form.EMPTY.value)
        if not node.entries:
            self._findings.add(node.mark, "a value is an empty mapping", expected=_EXPECTED_VALUE, rule="value-form")
            return
        for entry in node.entries:
            if entry.key.text not in known:
                self._findings.add(
                    entry.key.mark,
                    f"unknown form of a value {quoted(entry.key.text)}",
                    expected=_EXPECTED_VALUE,
                    advice=self._findings.guess(entry.key.text, known),
                    rule="value-form",
                )
            elif not isinstance(entry.value, Scalar):
                what = f"this is {article_of(entry.value)}"
                self._findings.add(entry.value.mark, what, expected=_EXPECTED_VALUE, rule="value-form")
        if len(node.entries) > 1 and all(entry.key.text in known for entry in node.entries):
            self._findings.add(node.mark, "a value has two forms", expected=_EXPECTED_VALUE, rule="value-form")

    def _checked(self, node: Scalar, form: Form) -> Form | None:
        """Return ``form`` when ``node`` is an encrypted text of fitting size."""
        envelope = node.envelope
        if envelope is None:
            return form if self._is_fit_plain(node) else None
        if envelope.kind != "str":
            self._findings.add(
                node.mark,
                f"an encrypted value is {KINDS[envelope.kind]}, and secrets are text",
                expected="text",
                advice="put it in quotes with sops edit",
                rule="value-form",
            )
            return None
        return form if self._has_fit_size(node, envelope, form) else None

    def _is_fit_plain(self, node: Scalar) -> bool:
        """Tell whether a value that is not encrypted would do if it were; note what is wrong with it."""
        if node.kind is ScalarKind.NULL:
            self._findings.add(node.mark, "a value is null", expected=_EXPECTED_VALUE, rule="value-form")
        elif not node.text:
            what = "a value is empty text, which SOPS does not encrypt"
            self._findings.add(node.mark, what, expected='{empty: "yes"}', rule="value-form")
        elif node.kind is not ScalarKind.STR:
            self._findings.add(
                node.mark,
                f"a value is {KINDS[node.kind.value]}, and secrets are text",
                expected="text, encrypted" if self._encrypted else "text",
                advice="put it in quotes",
                rule="value-form",
            )
        elif self._encrypted:
            self._findings.add(
                node.mark,
                "a value is not encrypted, though the file is",
                expected="ENC[…]",
                advice="take it out and add it again with sops edit; if it was pushed, change the value too",
                rule="not-encrypted",
            )
        else:
            return True
        return False

    def _has_fit_size(self, node: Scalar, envelope: Envelope, form: Form) -> bool:
        """Tell whether the plaintext is as long as its form allows. The length shows, as AES-GCM does not pad."""
        limit = MAX_VALUE_BYTES if form is Form.TEXT else _MAX_BASE64_CHARS
        if form is Form.EMPTY and envelope.size != len(EMPTY_TEXT):
            what = "behind 'empty' stands another text than yes"
            self._findings.add(node.mark, what, expected='{empty: "yes"}', rule="value-form")
        elif form is not Form.EMPTY and envelope.size > limit:
            self._findings.add(
                node.mark,
                "a value is larger than the platform takes",
                expected=f"at most {MAX_VALUE_BYTES // 1024} KB",
                advice="store a reference to it instead, or split it over several keys",
                rule="value-size",
            )
        elif form is Form.BASE64 and envelope.size % 4:
            self._findings.add(
                node.mark,
                "a value is not base64: its length is no multiple of four",
                expected="standard base64 with padding, in one line, without white space",
                rule="value-form",
            )
        else:
            return True
        return False
