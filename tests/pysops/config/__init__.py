"""``.sops.yaml``."""
