"""Tests of the workspace over the SDK, through real HTTP."""
