"""Tests of the reconciler; the folders mirror the rooms of the package."""
