"""Tests of the room that changes files."""
