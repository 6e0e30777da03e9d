"""Tests of the embedded workspace, over real HTTP."""
