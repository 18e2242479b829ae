"""Zero-shot elicitation: the student's own margins, without teacher or training (a baseline of Wen et al. 2026).

Assumes that the student already knows which answer is right and says so when asked. Margins are averaged over templates
and orders. Those of single candidates are centred on their median over the train examples, since language models
have a favourite word whatever is asked; that presumes as many right answers as wrong ones.
"""

import numpy as np
from scipy.special import expit

from aarlab.methods._steps import opinion
from aarlab.students import Examples, Floats, Predictor, Problem

ELICITATION = True  # the teacher is not used


def fit(problem: Problem, seed: int) -> Predictor:  # noqa: ARG001 - nothing is random
    center = 0.0 if problem.pairs else float(np.median(opinion(problem.student, problem.train)))

    def predict(examples: Examples) -> Floats:
        return np.asarray(expit(opinion(problem.student, examples) - center))

    return predict
