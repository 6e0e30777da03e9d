"""Declarative GitOps reconciler for Databricks secret scopes.

SOPS-encrypted files in git are the wish, the scopes of a workspace are the fact; a run makes the fact follow the wish.
"""

__version__ = "0.1.0"
