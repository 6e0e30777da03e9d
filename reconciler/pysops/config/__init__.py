"""``.sops.yaml``: who can open which files, by the rules of whoever keeps them. Needs no key."""

from reconciler.pysops.config.creation_rules import CreationRule, SopsConfig, parse_config


__all__ = ["CreationRule", "SopsConfig", "parse_config"]
