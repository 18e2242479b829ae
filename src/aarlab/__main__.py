"""`python -m aarlab`: the command line."""

from aarlab.cli import app

app(prog_name="aarlab")
