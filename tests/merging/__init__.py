"""Tests of merging scope files."""
