"""Tests of beginning a repository of secrets."""
