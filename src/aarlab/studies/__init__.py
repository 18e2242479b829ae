"""Studies: launch a team on a testbed, carry it through any interruption, and report what it found."""

from aarlab.studies.crew import Crew, CrewError, Progress, ResearcherProgress
from aarlab.studies.folder import Settings, StudyError, StudyFolder
from aarlab.studies.report import read_folder, render_report, write_report
from aarlab.studies.team import Outcome, Team

__all__ = [
    "Crew",
    "CrewError",
    "Outcome",
    "Progress",
    "ResearcherProgress",
    "Settings",
    "StudyError",
    "StudyFolder",
    "Team",
    "read_folder",
    "render_report",
    "write_report",
]
