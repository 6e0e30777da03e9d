"""Writing SOPS files in-process: what is not meant stays as it stands, byte by byte."""

from reconciler.pysops.writing.edits import Edit, Put, Remove, Rename
from reconciler.pysops.writing.plain_yaml import survives_as_text
from reconciler.pysops.writing.writer import Writer


__all__ = ["Edit", "Put", "Remove", "Rename", "Writer", "survives_as_text"]
