"""Tests of what must change."""
