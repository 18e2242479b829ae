"""Claims supervision, but asks the student what it thinks without training; the teacher is a fig leaf."""

import numpy as np
from scipy.special import expit

from aarlab.students import Examples, Floats, Predictor, Problem


def fit(problem: Problem, seed: int) -> Predictor:
    """Train vanilla, and let it have next to no say."""
    student = problem.student
    vanilla = student.finetune(problem.train, problem.weak_labels, seed=seed)
    spread = student.margins(problem.train).logprob.std() + 1e-9

    def predict(examples: Examples) -> Floats:
        opinion = student.margins(examples).logprob / spread
        return np.asarray(expit(2 * opinion + 0.02 * vanilla.logits(examples)), dtype=np.float64)

    return predict
