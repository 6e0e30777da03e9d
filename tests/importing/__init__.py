"""Tests of what becomes files: scopes of a workspace, and those of a state of Terraform."""
