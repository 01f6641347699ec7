"""A report on fitted rules, in one file to mail or in a folder of pictures and tables."""

from ._write import write_report

__all__ = ["write_report"]
