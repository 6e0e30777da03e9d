"""The sops program: everything that is asked of it, and what is believed of its answers."""

from reconciler.pysops.binary.wrapper import SopsBinary


__all__ = ["SopsBinary"]
