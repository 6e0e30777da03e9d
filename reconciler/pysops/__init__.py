"""SOPS files, read in-process."""
