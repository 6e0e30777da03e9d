"""The rules that a problem can break: one table of names and what each is about.

Names stay the same whatever the words of a message: reports for machines, SARIF for one, sort and silence by them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "invalid-input": "Input that a run cannot use: what shows on unlocking only, and what has no rule of its own.",
        "more-problems": "There are more problems of the kind than are listed.",
        # Collecting the files.
        "file-name": "The name of a file must be plain to read, and end in .yaml or .yml where it is meant as YAML.",
        "file-kind": "Only regular files that can be read are read: no links, devices or submodules.",
        "file-size": "A file has at most 16 MiB, and all of them together 64 MiB.",
        "hidden-from-review": "No attribute of git hides changes of .sops.yaml, or below secrets/, from a review.",
        # Any YAML file.
        "strict-reading": "YAML is read strictly: one document, no aliases, tags, twin keys or conflict markers.",
        "invisible-text": "No invisible character may change how the text around it looks in a review.",
        "unknown-field": "Fields are those of an allow-list, spelt as there.",
        "field-order": "Fields stand in a fixed order, so that plain text cannot change into another field unnoticed.",
        "missing-field": "Some fields must be there.",
        "field-form": "A field holds what it is for, in the form that it takes.",
        "duplicate-name": "Names are compared without regard to case, and each stands once.",
        # Scope files.
        "not-encrypted": "Every scope file, and every value in it, is encrypted by sops.",
        "sops-metadata": "The metadata of sops is whole: key sources, MAC, lastmodified, version.",
        "selector": "What stands below secrets is encrypted and nothing else: encrypted_regex: ^secrets$.",
        "mac-only-encrypted": "The MAC covers plain text too: no mac_only_encrypted.",
        "duplicate-recipient": "Each recipient stands once in a file.",
        "name": "Hosts, scopes, keys and principals have names that the platform takes.",
        "reserved-scope": "No file feeds the scope of the ledger.",
        "value-form": "A value is text, {base64: …} or {empty: yes}.",
        "value-size": "A value is no larger than the platform takes.",
        # Between files.
        "key-fed-twice": "Each key of a scope stands in one file.",
        "policy-twice": "Per scope at most one file has acls, prune or rotation.",
        "too-many-keys": "A scope holds at most 1,000 secrets.",
        "unknown-host": "Every host that files feed belongs to a target.",
        # targets.yaml.
        "target-host": "Hosts are those of Databricks, of RECONCILER_EXTRA_HOSTS, or loopback.",
        "target-credential": "Credentials, programs and files that hold them are not named in git.",
        "age-key-file": "Only embedded targets name an identity: a tracked file below secrets/.",
        "shared-workspace": "No two targets share a workspace.",
        "unused-target": "Every target is fed by a file.",
        # .sops.yaml.
        "sops-config": "sops can follow .sops.yaml, and it means what it says.",
        "sops-config-missing": "There is a .sops.yaml, which says who may open which files.",
        "sops-config-name": "The rules of sops stand in .sops.yaml: sops ignores .sops.yml.",
        "no-creation-rule": "A rule of .sops.yaml matches every scope file.",
        "recipients-missing": "Everybody whom .sops.yaml names can open the file.",
        "recipients-surplus": "Nobody whom .sops.yaml does not name can open the file.",
        "key-groups-differ": "Key groups and their threshold are those of .sops.yaml.",
        "rule-selector": "Rules of .sops.yaml for scope files encrypt what stands below secrets, and nothing else.",
        "shadowed-rule": "No earlier rule of .sops.yaml takes all files of a later one.",
        "unused-rule": "Every rule of .sops.yaml for files below secrets/ matches one.",
        "ignored-recipients": "A rule of .sops.yaml names recipients in key_groups or beside it, not both.",
    }
)
"""Rule to one line about what must hold, for every rule of a `Problem` that a keyless check makes."""
