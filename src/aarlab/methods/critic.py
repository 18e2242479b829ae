"""Critic: the student's critiques help the weak supervisor to label (McAleese et al. 2024; Wen et al. 2026).

Assumes that the student names flaws which a weak reader recognises once they are pointed out. The weak supervisor is
out of a method's reach; its stand-in is a logistic regression on the words of the critiques, fitted to the weak labels
and asked out of fold. Its log-odds and those of the weak label are added, and the student learns from that. Needs a
student that generates text.
"""

from typing import Protocol, cast

import numpy as np
from scipy.special import expit, logit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from aarlab.methods._steps import as_confident_as, split_questions, verdicts
from aarlab.students import Examples, Predictor, Problem, Unsupported

FOLDS = 5
PAIR = "Name the gravest error in each of the two answers, then say which answer is better."
SINGLE = "Name the gravest error in the answer, or say that there is none."


class Critic(Protocol):
    """A student that writes."""

    def generate(self, examples: Examples, instruction: str) -> list[str]:
        """One text an example, as presented, after an instruction."""


def fit(problem: Problem, seed: int) -> Predictor:
    student, train, weak = problem.student, problem.train, problem.weak_labels
    if "generate" not in student.capabilities:
        raise Unsupported("generate", student.capabilities)
    critic, instruction = cast("Critic", student), PAIR if problem.pairs else SINGLE
    critiques = critic.generate(train, instruction)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    read = words.fit_transform(critiques)
    if problem.pairs:  # what is said of one order counts against what is said of the other
        read = read - words.transform(critic.generate(train.swapped(), instruction))
    labels, fold_of = verdicts(weak), split_questions(train, FOLDS, np.random.default_rng(seed))
    scores = np.empty(len(labels))
    for fold in range(FOLDS):
        out = fold_of == fold
        reader = LogisticRegression(fit_intercept=not problem.pairs).fit(read[~out], labels[~out])
        scores[out] = reader.decision_function(read[out])
    helped = expit(logit(np.clip(weak, 0.01, 0.99)) + logit(as_confident_as(labels, scores)))
    return student.finetune(train, helped, seed=seed).predict
