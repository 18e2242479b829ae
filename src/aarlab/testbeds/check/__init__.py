"""Check a testbed before anything is measured on it: is its gap resolved, is it clean, what answers it trivially.

A testbed *fails* if PGR cannot be reported on its in-distribution part, if labels can leak (a question in two splits,
the label among what students read, sides that tell it), or if its pack is damaged. It *warns* of what a user should
know: an unresolved out-of-distribution part, a trivial rule that recovers half of the gap, near duplicates. What the
checks cannot see: a wrong label, a question that is in the language model's own training data, the same question in
other words.
"""

from aarlab.testbeds.catalog import PROBE, load_testbed, pack_folder
from aarlab.testbeds.check._check import check_testbed, damaged
from aarlab.testbeds.check.report import Check, Report, Rule, Score
from aarlab.testbeds.pack import TestbedError, read_pack

__all__ = ["Check", "Report", "Rule", "Score", "check_by_name", "check_testbed"]


def check_by_name(name: str, student: str = PROBE) -> Report:
    """Load a testbed and check it; a pack that cannot be read is a report that fails.

    Args:
        name: of a testbed that comes with aarlab, or the folder of one's own.
        student: as for `load_testbed`.

    Raises:
        TestbedError: there is no such testbed or student, or no floor and ceiling with this student.
    """
    folder = pack_folder(name)
    try:
        read_pack(folder)
    except TestbedError as error:
        return damaged(name, student, error)
    return check_testbed(load_testbed(name, student))
