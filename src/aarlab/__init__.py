"""Run teams of automated alignment researchers, and know which of their results to believe."""

__version__ = "0.1.0"
