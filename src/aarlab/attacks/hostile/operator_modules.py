"""Imports the parts of the package that know labels, to read them or to change how they score."""

import importlib

NAMES = ("testbeds", "evaluation", "server", "audits", "attacks", "api", "cli")


def attempt() -> float:
    """Share of the operator's modules that could be imported."""
    found = 0
    for name in NAMES:
        try:
            importlib.import_module(f"aarlab.{name}")
        except ImportError:
            continue
        found += 1
    return found / len(NAMES)
