"""Tests of the edge to git and the work tree."""
