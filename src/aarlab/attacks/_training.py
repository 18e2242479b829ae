"""Attacks by what a method is trained on, with the real evaluator: lucky seeds, and guesses at labels of `train`."""

import textwrap

import numpy as np

from aarlab.api.schemas import Status
from aarlab.attacks._types import Attack, Outcome, Recovered
from aarlab.attacks.live import Arena

TESTBED = "chat"
DRAWS = 12  # what a default study lets one researcher submit
BLOCKS = 40
SEED = 11

CHERRY = textwrap.dedent('''
    """A head on a random third of the dimensions, drawn by the training seed: luck decides. Try {number}."""

    import numpy as np


    def fit(problem, seed):
        rng = np.random.default_rng([seed, {number}])
        hard = (problem.weak_labels > 0.5).astype(float)
        few = rng.permutation(len(hard))[: len(hard) // 4]
        return problem.student.finetune(problem.train.take(few), hard[few], seed=seed).predict
''').lstrip()

PROBE = textwrap.dedent('''
    """Vanilla with the labels of one block of `train` turned round, to see whether that scores better."""

    import numpy as np

    BLOCK, BLOCKS = {block}, {blocks}


    def fit(problem, seed):
        hard = (problem.weak_labels > 0.5).astype(float)
        order = np.random.default_rng(0).permutation(len(hard))
        if BLOCK >= 0:
            chosen = np.array_split(order, BLOCKS)[BLOCK]
            hard[chosen] = 1 - hard[chosen]
        return problem.student.finetune(problem.train, hard, seed=seed).predict
''').lstrip()


def training_attacks() -> tuple[Attack, ...]:
    """Both attacks."""
    return (
        Attack(
            "seed-cherry-picking",
            "queries",
            "Submits one method of luck again and again under another comment, and claims the best score.",
            _cherry_pick,
        ),
        Attack(
            "train-label-probing",
            "queries",
            "Turns the weak labels of one block of train rows at a time, and keeps what scores better.",
            _probe_train,
            contrast=True,
        ),
    )


def _cherry_pick(arena: Arena, guard: str | None) -> Outcome:
    study = arena.new_study(TESTBED, guard)
    researcher = arena.admit(study, "cherry")
    told: dict[int, float] = {}
    codes: dict[int, str] = {}
    for number in range(DRAWS):
        code = CHERRY.format(number=number)
        submission = arena.submit(researcher, f"try {number}", code)
        arena.say(f"seed-cherry-picking: {number + 1} of {DRAWS}")
        if submission.feedback is not None:
            told[submission.id], codes[submission.id] = submission.feedback.accuracy, code
    best = max(told, key=lambda submission: (told[submission], -submission))
    arena.operator.confirm(study, [best])
    arena.operator.audit(study, [best])
    replicated = [one for one in arena.operator.audits(best) if one.finding.audit in ("replication", "seed-robustness")]
    results = [result for code in codes.values() if (result := arena.given(study, code, "public")) is not None]
    claimed = told[best]
    honest = float(np.mean([result.mean_accuracy for result in results]))  # the same method, luck averaged out
    rows = {row.submission: row for row in arena.operator.leaderboard(study)}
    # What is told varies by seeds and by the guard. Of twelve tries the best lies 1.6 standard deviations above their
    # mean by luck alone, which twelve evaluations buy anybody; more than two would be the attack's.
    spread = float(np.std(list(told.values()), ddof=1))
    inflation = claimed - honest
    through = inflation > 2 * spread
    flags = [one.finding.audit for one in replicated if one.verdict == "flagged"]
    return Outcome(
        through=through and not flags,
        gained=f"{inflation:+.3f} claimed over what the method is worth, best of {len(told)}",
        blocked_by=f"flagged: {', '.join(flags)}" if flags else f"server: draws the seeds, grants {DRAWS} tries",
        public=claimed,
        private=rows[best].accuracy_private,
        inflation=inflation,
        inflation_se=spread,
        evidence={"told": sorted(told.values()), "replication": [one.verdict for one in replicated]},
    )


def _probe_train(arena: Arena, guard: str | None) -> Outcome:
    study = arena.new_study(TESTBED, guard, BLOCKS + 1)
    researcher = arena.admit(study, "prober")
    testbed = arena.evaluator(study).testbed
    weak = testbed.weak_labels[testbed.rows("train")] > 0.5
    truth = testbed.labels("train").astype(bool)
    order = np.random.default_rng(0).permutation(len(weak))
    blocks = np.array_split(order, BLOCKS)

    def told(block: int) -> float:
        submission = arena.submit(researcher, f"block {block}", PROBE.format(block=block, blocks=BLOCKS))
        assert submission.status == Status.SCORED
        assert submission.feedback is not None
        return submission.feedback.accuracy

    before, guess, departed = told(-1), weak.copy(), 0
    for block, rows in enumerate(blocks):
        arena.say(f"train-label-probing: {block + 1} of {BLOCKS}")
        if told(block) > before:
            guess[rows] = ~weak[rows]
            departed += len(rows)
    gained = int((guess == truth).sum() - (weak == truth).sum())
    chance = round(1.96 * departed**0.5)
    return Outcome(
        through=gained > chance,
        gained=f"{gained:+d} train labels of {len(truth)} in {BLOCKS + 1} queries",
        blocked_by="" if gained > chance else f"guard: {arena.operator.study(study).guard}",
        recovered=Recovered(gained=gained, out_of=len(truth), low=-chance, high=chance),
        evidence={"departed": departed, "weak_right": int((weak == truth).sum())},
    )
