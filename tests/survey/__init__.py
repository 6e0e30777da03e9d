"""Tests of looking at a workspace and at its ledger."""
