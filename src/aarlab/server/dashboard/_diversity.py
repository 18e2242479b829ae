"""What the page on diversity shows: how varied the team's methods are, and how that changed."""

from collections import defaultdict
from math import log2
from typing import Any

from aarlab.api.schemas import BASELINE
from aarlab.server._record import Record, SubmissionRecord
from aarlab.server.dashboard._diversity_figures import (
    code_table,
    complexity,
    entropy,
    entropy_table,
    families,
    families_table,
    likeness,
)
from aarlab.server.dashboard._people import told, unresolved
from aarlab.server.dashboard._shell import Table, figure, figure_json, level_name


def diversity_context(record: Record) -> dict[str, Any]:
    """Families, entropy, likeness and complexity of a study's methods."""
    ones = [one for one in record.submissions if one.researcher != BASELINE]
    if not ones:
        return {"count": 0}
    return {
        "count": len(ones),
        "families": len({one.family for one in ones}),
        "bits": record.diversity[-1] if record.diversity else None,
        "most_bits": log2(len({one.family for one in ones})),
        "likeness": record.likeness,
        "figures": {
            "entropy": figure_json(entropy(record)),
            "families": figure_json(families(record)),
            "complexity": figure_json(complexity(record)),
            "likeness": figure_json(likeness(record)),
        },
        "entropy_table": entropy_table(record),
        "families_table": families_table(record),
        "code_table": code_table(record),
        "summary": family_table(record),
    }


def family_table(record: Record) -> Table:
    """Each family: how many submissions and researchers it has, and what came of it; the most frequent first."""
    members: dict[str, list[SubmissionRecord]] = defaultdict(list)
    for one in record.submissions:
        if one.researcher != BASELINE:
            members[one.family].append(one)
    rows = []
    for family, ones in sorted(members.items(), key=lambda item: (-len(item[1]), item[0])):
        answers = [value for one in ones if (value := told(one)) is not None]
        level = max(one.level for one in ones)
        who = len({one.researcher for one in ones})
        best = figure(max(answers, default=None), 3 if unresolved(record) else 2)
        rows.append((family, len(ones), who, best, f"{level.value} {level_name(level)}"))
    best_of = "best accuracy told" if unresolved(record) else "best PGR told"
    return Table(
        "Families of methods", ("family", "submissions", "researchers", best_of, "highest level"), rows, (1, 2, 3)
    )
