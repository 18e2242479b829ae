"""Whether a study's submissions look like probing for labels; asked of a whole study, told of each submission."""

from aarlab.audits import AuditFinding
from aarlab.audits.probing import ProbingFinding, Submitted, detect
from aarlab.server._store import PUBLIC, Store

AUDIT = "probing"


def probing(store: Store, study: str) -> list[ProbingFinding]:
    """Sequences of submissions that look like probing, the strongest first.

    Args:
        store: what the server knows.
        study: id of the study.
    """
    return detect([Submitted(one.submission, one.author, one.predictions) for one in store.scored(study, PUBLIC)])


def probing_audit(found: list[ProbingFinding], researcher: str) -> AuditFinding:
    """What that says of a researcher's submission.

    A sequence of its own flags it; one that shows only in the submissions of all together names nobody, and is noted.

    Args:
        found: of its study, so far.
        researcher: who submitted it.
    """
    for finding in found:
        if finding.researcher in (researcher, None):
            return AuditFinding(
                audit=AUDIT,
                verdict="noted" if finding.researcher is None else "flagged",
                summary=finding.summary,
                figure=finding.figure,
                threshold=finding.threshold,
                error_rate=finding.error_rate,
                evidence=finding.model_dump(mode="json", include={"submissions", "counted", "pairs", "noise"}),
            )
    summary = f"The submissions of {researcher} so far do not look like a search for labels."
    return AuditFinding(audit=AUDIT, verdict="passed", summary=summary)
