"""Tests of reading SOPS files in-process."""
