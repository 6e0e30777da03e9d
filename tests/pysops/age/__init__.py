"""Age identities."""
