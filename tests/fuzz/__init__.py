"""Tests that take minutes: not part of `make test`, see docs/fuzzing.md."""
