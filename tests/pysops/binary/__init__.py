"""The wrapper of the sops program."""
