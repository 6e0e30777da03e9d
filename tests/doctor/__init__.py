"""Tests of looking at everything that a run depends on."""
