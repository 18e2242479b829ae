"""The bench: methods side by side on testbeds, under one protocol, with intervals."""

from aarlab.bench._figure import write_figure
from aarlab.bench._run import Bench, Cell, Row, Score, run_bench
from aarlab.bench._table import document, markdown

__all__ = ["Bench", "Cell", "Row", "Score", "document", "markdown", "run_bench", "write_figure"]
