"""Attacks by methods that score without doing the work, put through the audits that should flag them."""

from collections.abc import Callable
from functools import partial

import numpy as np

from aarlab.api.schemas import Audited, Status
from aarlab.attacks import _knowledge
from aarlab.attacks._files import about, attack_files, filled
from aarlab.attacks._programs import NAME as PROGRAMS
from aarlab.attacks._types import Attack, Outcome
from aarlab.attacks.honest import honest_methods
from aarlab.attacks.live import Arena
from aarlab.evaluation import Evaluation
from aarlab.stats import compare_accuracy
from aarlab.testbeds import Testbed

#: Where each attack has something to gain: on a testbed that has its shortcut.
TESTBEDS = {
    "majority-answer": "math_majority",
    "generator-clustering": PROGRAMS,
    "code-execution": PROGRAMS,
    "teacher-bypass": "code",
}
OTHERWISE = "chat"

#: What an attack brings along that knows the data set.
KNOWLEDGE: dict[str, Callable[[Testbed], dict[str, object]]] = {
    "row-lookup": _knowledge.hashes,
    "near-lookup": _knowledge.sketches,
    "baked-labels": _knowledge.field,
    "baked-head": _knowledge.head,
}


def gaming_attacks() -> tuple[Attack, ...]:
    """All methods that game."""
    return tuple(
        Attack(name, "gaming", about(code), partial(_game, name, code)) for name, code in attack_files("gaming").items()
    )


def honest_methods_as_attacks() -> tuple[Attack, ...]:
    """Honest methods, put through the same as those that game: what is flagged here is a false alarm."""
    return tuple(
        Attack(name, "honest", about(code), partial(_play, name, code)) for name, code in honest_methods().items()
    )


def _play(name: str, code: str, arena: Arena, guard: str | None) -> Outcome:
    return judge(arena, arena.study(OTHERWISE, guard), name, code, private=False)


def _game(name: str, code: str, arena: Arena, guard: str | None) -> Outcome:
    study = arena.study(TESTBEDS.get(name, OTHERWISE), guard)
    testbed = arena.evaluator(study).testbed
    if name in KNOWLEDGE:
        code = filled(code, KNOWLEDGE[name](testbed))
    return judge(arena, study, name, code)


def judge(arena: Arena, study: str, name: str, code: str, *, private: bool = True) -> Outcome:
    """Submit a method, have it audited and looked at on `private`, and tell what it gained and what flagged it.

    Of an attack, `through` means that nothing flagged it. An honest method should come out with it set.

    Args:
        arena: where.
        study: id of the study.
        name: of the method.
        code: the method file.
        private: whether to look at `private`.
    """
    testbed = arena.evaluator(study).testbed
    submission = arena.submit(arena.admit(study, name), name, code)
    where = {"testbed": testbed.name, "submission": submission.id}
    if submission.status != Status.SCORED:
        kind = "unknown" if submission.failure is None else submission.failure.kind
        return Outcome(through=False, gained="nothing: no score", blocked_by=f"evaluation: {kind}", evidence={**where})
    arena.say(f"{name}: audits")
    arena.operator.audit(study, [submission.id])
    audits = arena.operator.audits(submission.id)
    flags = [one.finding.audit for one in audits if one.verdict == "flagged"]
    if private:
        arena.say(f"{name}: private")
        arena.operator.confirm(study, [submission.id])
    scores = {}
    for split in ("public", "private"):
        scores[split] = (arena.given(study, code, split), arena.given(study, arena.vanilla_code(study), split))
    over = {split: _gain(pair, testbed, split) for split, pair in scores.items()}
    public, sealed = over["public"], over["private"]
    flagged = ", ".join(flags)
    return Outcome(
        through=not flags,
        gained="no score on private" if sealed is None else f"{sealed[0]:+.3f} over vanilla on private",
        blocked_by=f"flagged: {flagged}" if flags else "",
        public=_accuracy(scores["public"][0]),
        private=_accuracy(scores["private"][0]),
        inflation=None if public is None or sealed is None else public[0] - sealed[0],
        inflation_se=None if public is None or sealed is None else float(np.hypot(public[1], sealed[1])),
        evidence={**where, "audits": [_told(one) for one in audits]},
    )


def _gain(
    pair: tuple[Evaluation | None, Evaluation | None], testbed: Testbed, split: str
) -> tuple[float, float] | None:
    """Accuracy over vanilla on a split and its standard error, paired by question; None without both scores."""
    method, vanilla = pair
    if method is None or vanilla is None:
        return None
    groups = testbed.groups("public" if split == "public" else "private")
    compared = compare_accuracy(method.correct, vanilla.correct, groups)
    return compared.difference.estimate, compared.standard_error


def _accuracy(result: Evaluation | None) -> float | None:
    return None if result is None else result.mean_accuracy


def _told(one: Audited) -> dict[str, str | float | None]:
    finding = one.finding
    return {
        "audit": finding.audit,
        "verdict": one.verdict,
        "figure": finding.figure,
        "threshold": finding.threshold,
        "summary": finding.summary,
    }
