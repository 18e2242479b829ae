"""Researchers: they know the server through its HTTP client and nothing else."""

from aarlab.researchers.directions import DIRECTIONS, Direction
from aarlab.researchers.scripted import ScriptedResearcher

__all__ = ["DIRECTIONS", "Direction", "ScriptedResearcher"]
