"""CCS, then an evolution strategy (Wen et al. 2026; CCS: Burns et al. 2022).

Assumes that truth is a direction along which states fall into two opposite clusters, whatever anybody says of them.
For each place in the student a probe looks for one; the probe with the lowest loss is kept and turned to agree with the
weak majority. Examples are drawn by how it agrees with their weak label, in a random order of candidates, and members
are trained on them for one pass of soft labels. An evolution strategy makes each member sure and consistent
over both orders on unlabelled train examples; the 15% trimmed mean of the members decides.

What differs: the protocol shows no parameters of a student, so the strategy moves each member within the span of all
members' log-odds, their size held fixed. Single candidates are mirrored at their mean. Confidences are compared as
ranks.
"""

import numpy as np
from scipy.special import expit

from aarlab.methods._steps import (
    ccs,
    confidence,
    evolve,
    member_logits,
    passes,
    principal,
    ranked,
    shuffled_orders,
    states,
)
from aarlab.students import Examples, Floats, Predictor, Problem

AXES = 64  # main ones of a place's states, not whitened, so that a probe prefers to read along the longer ones
DISAGREE = 0.25  # factor on the smaller confidence where probe and weak label disagree
MEMBERS, TRIMMED = 16, 0.15
SAMPLE = 200


def probe(problem: Problem, rng: np.random.Generator) -> Floats:
    """P(label = 1) by the probe with the lowest loss, shape (n,)."""
    found = [ccs(principal(states(problem, [place]), AXES), rng) for place in problem.student.representations]
    _, logits = min(found, key=lambda one: one[0])
    agreement = ((logits > 0) == (problem.weak_labels > 0.5)).mean()
    return np.asarray(expit(logits if agreement >= 0.5 else -logits))


def importance(p: Floats, weak: Floats) -> Floats:
    """Weight of each example, shape (n,), in (0, 1): where they agree, the larger confidence."""
    sure = np.stack([ranked(confidence(p)), ranked(confidence(weak))])
    return np.asarray(np.where((p > 0.5) == (weak > 0.5), sure.max(axis=0), DISAGREE * sure.min(axis=0)))


def fit(problem: Problem, seed: int) -> Predictor:
    rng = np.random.default_rng(seed)
    student, train, weak = problem.student, problem.train, problem.weak_labels
    weights = importance(probe(problem, rng), weak)
    members = []
    for member in range(MEMBERS):
        drawn = rng.choice(len(weak), len(weak), p=weights / weights.sum())
        examples, targets = shuffled_orders(train.take(drawn), weak[drawn], rng)
        steps = passes(student, examples, 1)
        members.append(student.finetune(examples, targets, seed=seed + member, max_steps=steps))

    sample = train.take(rng.choice(len(weak), min(SAMPLE, len(weak)), replace=False))
    shown = member_logits(members, sample)
    exchanged = member_logits(members, sample.swapped()) if problem.pairs else -shown
    mixes = evolve(np.eye(MEMBERS), shown, exchanged, rng)

    def predict(examples: Examples) -> Floats:
        return np.asarray(expit(trimmed_mean(member_logits(members, examples) @ mixes)))

    return predict


def trimmed_mean(logits: Floats) -> Floats:
    """Mean over members (axis 1) without the highest and the lowest 15%, shape (n,)."""
    cut = int(TRIMMED * logits.shape[1])
    return np.asarray(np.sort(logits, axis=1)[:, cut : logits.shape[1] - cut].mean(axis=1))
