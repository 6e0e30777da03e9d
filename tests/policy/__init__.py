"""Tests of what needs no key."""
