"""Audits: counterfactual questions to a submission. Does the gain need its teacher, its student, an honest testbed?"""

from aarlab.audits._types import Audit, AuditFinding, Audits, Case, Verdict

__all__ = ["Audit", "AuditFinding", "Audits", "Case", "Verdict"]
