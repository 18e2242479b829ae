"""The scripted researcher: an evolutionary search over combinations of ideas; needs no model and no key."""

from aarlab.researchers.scripted.researcher import ScriptedResearcher

__all__ = ["ScriptedResearcher"]
