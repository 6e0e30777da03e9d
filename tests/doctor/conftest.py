"""The same repository and workspace as whole commands have."""

from tests.e2e.conftest import repo, run, workspace_server


__all__ = ["repo", "run", "workspace_server"]
