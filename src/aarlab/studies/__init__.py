"""Studies: launch a team on a testbed, carry it through any interruption, and report what it found."""

from aarlab.studies.folder import Settings, StudyError, StudyFolder
from aarlab.studies.report import write_report
from aarlab.studies.team import Outcome, Progress, ResearcherProgress, Team

__all__ = [
    "Outcome",
    "Progress",
    "ResearcherProgress",
    "Settings",
    "StudyError",
    "StudyFolder",
    "Team",
    "write_report",
]
