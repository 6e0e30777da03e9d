"""Reading ``secrets/targets.yaml``.

The rules, each with the accident or attack it prevents:

* An allow-list of fields. Whoever can push a branch writes this file; a field that names a program or a file would have
  the pipeline run or read it, and a secret does not belong in git.
* Hosts by `reconciler.policy.zones`.
* No two targets share a workspace: each would take the other's keys for strays.
* ``age_key_file`` stays below ``secrets/`` and is tracked, so that no branch makes use of a private key lying around.
* All problems are collected, with file, line and column; no text is quoted that may be a secret put in a wrong field.
"""

import re

from reconciler.model import LEDGER_SCOPE, Principal, ScopeName, fold, is_scope_name
from reconciler.policy import names, target_fields, zones
from reconciler.policy.findings import KINDS, Findings, article_of, mapping_of, note_twins, quoted
from reconciler.policy.sources import FOLDER, TARGETS_FILE, Sources, is_yaml
from reconciler.policy.targets import EmbeddedSettings, Target, Targets, WorkspaceSettings
from reconciler.pysops import DocumentError, Entry, Mapping, Mark, Node, Scalar, ScalarKind, Sequence, parse


def read_targets(sources: Sources, extra_hosts: tuple[str, ...] = ()) -> Targets:
    """Read ``secrets/targets.yaml``. Never raises for what stands in it.

    Args:
        sources: the files, of which ``age_key_file`` must be one.
        extra_hosts: as `zones.parse_extra_hosts` returns them.
    """
    findings = Findings(TARGETS_FILE)
    data = sources.files.get(TARGETS_FILE)
    if data is None:
        if not any(problem.path == TARGETS_FILE for problem in sources.problems):
            findings.add(
                None,
                "there is no such file" if sources.commit is None else "there is no such file in the commit",
                expected="a file that names the targets",
                advice="reconciler init writes one; -C DIR runs in another directory",
                rule="missing-field",
            )
        return Targets(owner=None, targets=(), problems=tuple(findings))
    findings.add_hidden(data)
    try:
        root = parse(data).root
    except DocumentError as error:
        findings.add_error(error, rule="strict-reading")
        return Targets(owner=None, targets=(), problems=tuple(findings))
    return _Reader(findings=findings, sources=sources, extra_hosts=extra_hosts).read(root)


class _Reader:
    """Walks the tree of one targets.yaml."""

    def __init__(self, *, findings: Findings, sources: Sources, extra_hosts: tuple[str, ...]) -> None:
        self._findings = findings
        self._sources = sources
        self._extra_hosts = extra_hosts
        self._hosts: dict[str, dict[str, tuple[str, Mark]]] = {}
        """Host as it is compared, to the same with workspace id, to the target that named it first and where."""

    def read(self, root: Mapping) -> Targets:
        fields = self._fields(root, "the file", target_fields.TOP_FIELDS)
        owner = self._owner(fields["owner"]) if "owner" in fields else None
        targets: list[Target] = []
        every_embedded = True
        if "targets" in fields:
            entries = mapping_of(fields["targets"], self._findings, "targets", "names of targets, each with its fields")
            for entry in entries:
                target, embedded = self._target(entry)
                every_embedded = every_embedded and embedded
                targets.extend(() if target is None else (target,))
            note_twins((entry.key for entry in entries), self._findings, "target")
        elif not any(entry.key.text == "targets" for entry in root.entries):
            what, expected = "there is no field 'targets'", "targets: with at least one target"
            self._findings.add(root.mark, what, expected=expected, rule="missing-field")
        if "owner" not in fields and not every_embedded:
            self._findings.add(
                root.mark,
                "there is no field 'owner', and not all targets are embedded",
                expected="owner: UUID, which says whose the written secrets are",
                advice="make one with uuidgen, once, and keep it; reconciler init does",
                rule="missing-field",
            )
        return Targets(owner=owner, targets=tuple(targets), problems=tuple(self._findings))

    def _fields(self, node: Node, what: str, known: tuple[str, ...]) -> dict[str, Node]:
        """Return the known fields of a mapping; note the others."""
        fields: dict[str, Node] = {}
        for entry in mapping_of(node, self._findings, what, f"the fields {', '.join(known)}"):
            if entry.key.text in known:
                fields[entry.key.text] = entry.value
            else:
                self._unknown_field(entry.key, known)
        return fields

    def _unknown_field(self, key: Scalar, known: tuple[str, ...]) -> None:
        name = key.text
        variable = target_fields.SECRET_FIELDS.get(name)
        if name == "sops":
            self._findings.add(key.mark, "the file is encrypted", expected="plaintext, so that a review can read it")
        elif variable is not None:
            self._findings.add(
                key.mark,
                f"'{name}' is a secret, and git is no place for one",
                expected="no such field",
                advice=f"put it into the environment as {variable}; if it was pushed, revoke it",
                rule="target-credential",
            )
        elif target_fields.PLACE_FIELD.fullmatch(name) and target_fields.other_level(name) is None:
            self._findings.add(
                key.mark,
                f"'{name}' names a program, a file or an address: whoever can push a branch could have it used",
                expected="no such field",
                advice="the environment may name it, or a profile of your own",
                rule="target-credential",
            )
        else:
            self._findings.add(
                key.mark,
                f"unknown field {quoted(name)}",
                expected=f"one of {', '.join(known)}",
                advice=target_fields.other_level(name) or self._findings.guess(name, known),
                rule="unknown-field",
            )

    def _owner(self, node: Node) -> str | None:
        text = self._text(node, "owner", target_fields.UUID, "a UUID such as 123e4567-e89b-42d3-a456-426614174000")
        return None if text is None else text.lower()

    def _target(self, entry: Entry) -> tuple[Target | None, bool]:
        """Return a target, None when it has problems; and whether it is an embedded one."""
        before = len(self._findings)
        name = entry.key.text
        if not names.is_target_name(name):
            what = f"{quoted(name)} does not fit as a target"
            self._findings.add(entry.key.mark, what, expected=names.EXPECTED_TARGET, rule="name")
        fields = self._fields(entry.value, "the target", target_fields.TARGET_FIELDS)
        embedded = "embedded" in fields and "workspace" not in fields
        place: WorkspaceSettings | EmbeddedSettings | None
        place = self._embedded(fields, entry.key.mark) if embedded else self._remote(fields, entry.key.mark)
        operators, ledger_readers, protected_principals = (
            self._principals(fields[field], field) if field in fields else ()
            for field in ("operators", "ledger_readers", "protected_principals")
        )
        ledger_scope = self._ledger_scope(fields["ledger_scope"]) if "ledger_scope" in fields else LEDGER_SCOPE
        if place is None or len(self._findings) > before:
            return None, embedded
        target = Target(
            name=name,
            workspace=place,
            operators=operators,
            ledger_readers=ledger_readers,
            protected_principals=protected_principals,
            ledger_scope=ledger_scope,
            mark=entry.key.mark,
        )
        return (target if self._is_alone(target, entry.key.mark) else None), embedded

    def _embedded(self, fields: dict[str, Node], mark: Mark) -> EmbeddedSettings | None:
        flag = fields["embedded"]
        if not (isinstance(flag, Scalar) and flag.kind is ScalarKind.BOOL and flag.text == "true"):
            self._findings.add(flag.mark, "embedded is not true", expected="true, or no such field")
        if "age_key_file" not in fields:
            self._findings.add(
                mark,
                "an embedded target needs an age_key_file",
                expected=f"age_key_file: PATH below {FOLDER}/",
                advice="it is the only identity that the target uses",
                rule="age-key-file",
            )
            return None
        path = self._age_key_file(fields["age_key_file"])
        return None if path is None else EmbeddedSettings(age_key_file=path)

    def _age_key_file(self, node: Node) -> str | None:
        expected = f"a path below {FOLDER}/ such as demo/demo.agekey"
        text = self._text(node, "age_key_file", target_fields.PLAIN, expected)
        if text is None:
            return None
        path = f"{FOLDER}/{text}"
        parts = text.split("/")
        if "\\" in text or ":" in text or any(part in {"", ".", ".."} for part in parts) or is_yaml(text):
            what = f"age_key_file leaves {FOLDER}/, or is no plain path of a file that is not YAML"
            self._findings.add(node.mark, what, expected=expected, rule="age-key-file")
        elif path not in self._sources.files:
            what = "age_key_file names a file that is not there"
            self._findings.add(node.mark, what, expected=expected, rule="age-key-file")
        elif not self._sources.is_tracked(path):
            self._findings.add(
                node.mark,
                "age_key_file names a file that git does not track",
                expected="an identity that is committed and protects nothing",
                advice="private keys of people and pipelines come from the environment",
                rule="age-key-file",
            )
        else:
            return path
        return None

    def _remote(self, fields: dict[str, Node], mark: Mark) -> WorkspaceSettings | None:
        if "embedded" in fields:
            self._findings.add(
                fields["embedded"].mark, "a target is embedded or has a workspace, not both", expected="one of them"
            )
        if "age_key_file" in fields:
            self._findings.add(
                fields["age_key_file"].mark,
                "age_key_file is for embedded targets only",
                expected="no such field",
                advice="identities for real workspaces come from the environment: SOPS_AGE_KEY or SOPS_AGE_KEY_FILE",
                rule="age-key-file",
            )
        if "workspace" not in fields:
            what = "the target has neither workspace nor embedded"
            self._findings.add(mark, what, expected="workspace: with a host", rule="missing-field")
            return None
        node = fields["workspace"]
        found = self._fields(node, "workspace", tuple(target_fields.WORKSPACE_FIELDS))
        settings = {field: self._setting(field, value) for field, value in found.items()}
        host = settings.pop("host", None)
        if "host" not in found and isinstance(node, Mapping) and node.entries:
            what, expected = "workspace has no host", f"host: {zones.EXPECTED_HOST}"
            self._findings.add(node.mark, what, expected=expected, rule="missing-field")
        return None if host is None else WorkspaceSettings(host=host, **settings)

    def _setting(self, field: str, node: Node) -> str | None:
        pattern, expected = target_fields.WORKSPACE_FIELDS[field]
        if field == "workspace_id" and isinstance(node, Scalar) and node.kind is ScalarKind.INT:
            # Ids look like numbers, and nobody quotes them; digits mean themselves whatever YAML makes of them.
            pattern, node = target_fields.DIGITS, Scalar(text=node.text, kind=ScalarKind.STR, mark=node.mark)
        text = self._text(node, field, pattern, expected)
        if text is None:
            return None
        if field == "host":
            problem = zones.host_problem(text, self._extra_hosts)
            if problem is not None:
                self._findings.add(node.mark, problem[0], expected=expected, advice=problem[1], rule="target-host")
                return None
        if field == "auth_type" and text not in target_fields.AUTH_TYPES:
            reason = target_fields.REFUSED_AUTH_TYPES.get(text)
            self._findings.add(
                node.mark,
                "unknown auth_type" if reason is None else f"auth_type '{text}' cannot be chosen here: {reason}",
                expected=expected,
                advice=self._findings.guess(text, target_fields.AUTH_TYPES)
                if reason is None
                else "a profile of your own may use it",
                rule="target-credential",
            )
            return None
        return text

    def _principals(self, node: Node, field: str) -> tuple[Principal, ...]:
        if not isinstance(node, Sequence):
            self._findings.add(node.mark, f"{field} is {article_of(node)}", expected=f"a list of {field}, or []")
            return ()
        found: list[Principal] = []
        scalars: list[Scalar] = []
        for item in node.items:
            principal = names.principal_of(item.text) if isinstance(item, Scalar) else None
            if principal is None or not isinstance(item, Scalar) or item.kind is not ScalarKind.STR:
                what = f"{field} has an entry that is no name"
                self._findings.add(item.mark, what, expected=names.EXPECTED_PRINCIPAL, rule="name")
                continue
            found.append(principal)
            scalars.append(item)
        note_twins(scalars, self._findings, f"entry of {field}")
        return tuple(found)

    def _ledger_scope(self, node: Node) -> ScopeName:
        if isinstance(node, Scalar) and node.kind is ScalarKind.STR and is_scope_name(node.text):
            return ScopeName(node.text)
        what = "ledger_scope does not fit as a scope"
        self._findings.add(node.mark, what, expected=names.EXPECTED_SCOPE, rule="name")
        return LEDGER_SCOPE

    def _text(self, node: Node, field: str, pattern: re.Pattern[str], expected: str) -> str | None:
        """Return the text of a field that fits ``pattern``; note a problem and return None otherwise."""
        if not isinstance(node, Scalar):
            self._findings.add(node.mark, f"{field} is {article_of(node)}", expected=expected)
        elif node.kind is ScalarKind.NULL or not node.text:
            self._findings.add(node.mark, f"{field} is empty", expected=expected)
        elif node.kind is not ScalarKind.STR:
            self._findings.add(
                node.mark,
                f"{field} is {KINDS[node.kind.value]}, not text",
                expected=expected,
                advice="put it in quotes",
            )
        elif not pattern.fullmatch(node.text):
            self._findings.add(node.mark, f"{field} does not look as it must", expected=expected)
        else:
            return node.text
        return None

    def _is_alone(self, target: Target, mark: Mark) -> bool:
        """Tell whether no other target goes to the same workspace; note it otherwise.

        The same host with and without a workspace_id counts as the same: what the one calls by its host alone is, or
        may be, what the other calls by its id.
        """
        host = fold(target.host_key).replace("localhost", "127.0.0.1", 1)
        name = host.partition("?")[0]
        taken = self._hosts.setdefault(name, {})
        same = taken.get(host) or taken.get(name) or (next(iter(taken.values()), None) if host == name else None)
        if same is None:
            taken[host] = target.name, mark
            return True
        self._findings.add(
            mark,
            f"the targets '{same[0]}' (line {same[1].line}) and '{target.name}' share a workspace",
            expected="one target per workspace",
            advice="several files and folders may feed one target; behind one host, each needs a workspace_id",
            rule="shared-workspace",
        )
        return False
