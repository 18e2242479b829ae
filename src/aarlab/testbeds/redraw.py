"""Draw a testbed's splits anew: by an operator's secret for a new study, or below a study for a replication."""

import hashlib
import hmac
import logging

import numpy as np

from aarlab.stats import RESOLVED_STANDARD_ERRORS
from aarlab.students import Strings
from aarlab.testbeds.calibration import CEILING_SEEDS, Drawn, make_testbed, measure
from aarlab.testbeds.pack import Pack, TestbedError
from aarlab.testbeds.testbed import SCORED, Testbed

log = logging.getLogger(__name__)

PROBE = "probe"
TRIES = 20
SCREENING_SEEDS = 1  # of the ceiling, to see whether a draw is worth measuring in full


def redraw(testbed: Testbed, rng: np.random.Generator, *, ceiling_seeds: int = CEILING_SEEDS) -> Testbed:
    """The same test questions, another teacher, other questions to learn from.

    The questions of `teacher` and `train` are drawn anew among themselves, as many for each as before; `public` and
    `private` stay. The weak supervisor is trained anew on other labels, and the ceiling on the new `train`.

    What it shows: whether a result hangs on one draw of teacher and train. What it does not: whether it hangs on the
    test questions, which are the same.

    Args:
        testbed: with the student `probe`, whose ceiling takes seconds.
        rng: decides the draw.
        ceiling_seeds: training seeds of the ceiling.

    Raises:
        TestbedError: not a testbed for it (`can_redraw`).
    """
    if not can_redraw(testbed):
        raise TestbedError(
            f"Splits of {testbed.name} with {testbed.student.name} cannot be drawn anew: training takes too long.",
            "Replicate on fresh seeds alone.",
        )
    groups = testbed.pack.groups
    pool = np.concatenate([testbed.rows("teacher"), testbed.rows("train")])
    questions = rng.permutation(np.unique(groups[pool]))
    teachers = questions[: len(np.unique(testbed.groups("teacher")))]
    pool.sort()
    of_teacher = np.isin(groups[pool], teachers)
    drawn: Drawn = {**testbed.drawn, ("teacher", "id"): pool[of_teacher], ("train", "id"): pool[~of_teacher]}
    return measure(testbed.pack, drawn, rng, fitting=testbed.fitting, texts=testbed.texts, ceiling_seeds=ceiling_seeds)


def can_redraw(testbed: Testbed) -> bool:
    """Whether teacher and ceiling take seconds: the student is `probe`, the teacher no language model."""
    return testbed.student.name == PROBE and testbed.pack.manifest.weak.kind != "lora"


def secret_draw(
    pack: Pack,
    secret: bytes,
    *,
    texts: Strings | None = None,
    standard_errors: float = RESOLVED_STANDARD_ERRORS,
    tries: int = TRIES,
    ceiling_seeds: int = CEILING_SEEDS,
) -> Testbed:
    """The testbed of a new study, with the student `probe`: its splits follow from an operator's secret.

    Draws are tried in the order that the secret fixes, and the first is taken whose gap between floor and ceiling
    stands clear of its noise on `public` and on `private`, in distribution. The same secret gives the same
    testbed; how many draws were passed over is logged.

    What it protects: who knows the pack, or the data set that it was made from, does not know which questions are
    scored, so neither a list of "the test set" nor a score on it carries over. What it does not: labels of public data
    sets are public, and who has them all needs no list; and taking the first resolved draw leans a little towards
    draws that look wide by luck.

    Args:
        pack: inputs and labels.
        secret: the operator's, at least 16 bytes nobody can guess.
        texts: text of all rows.
        standard_errors: how far the gap must stand clear of its noise; below the default no PGR is reported.
        tries: draws to look at before giving up.
        ceiling_seeds: training seeds of the ceiling.

    Raises:
        TestbedError: none of the draws is resolved.
    """
    widest = -np.inf
    for tried in range(tries):
        digest = hmac.new(secret, f"draw:{tried}".encode(), hashlib.sha256).digest()
        draw = int.from_bytes(digest, "big")
        for seeds in (min(SCREENING_SEEDS, ceiling_seeds), ceiling_seeds):
            testbed = make_testbed(pack, draw, texts=texts, ceiling_seeds=seeds)
            clear = min(gap_standard_errors(testbed).values())
            if clear < standard_errors:
                break
        else:
            log.info("%s: took draw %d of at most %d; gap %.1f SE", pack.manifest.name, tried + 1, tries, clear)
            return testbed
        widest = max(widest, clear)
    raise TestbedError(
        f"None of {tries} draws of {pack.manifest.name} has a gap of {standard_errors:g} standard errors on public and "
        f"private; the widest has {widest:.1f}.",
        "Choose a testbed with more questions, a weaker supervisor or a stronger student: `aarlab testbed check`.",
    )


def gap_standard_errors(testbed: Testbed) -> dict[str, float]:
    """Gap between floor and ceiling in standard errors, by scored split, in distribution."""
    return {split: testbed.estimate(split, testbed.ceiling_correct(split)).gap_standard_errors for split in SCORED}
