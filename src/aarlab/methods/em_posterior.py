"""EM posterior: how the weak supervisor errs, example by example, learned without labels (Wen et al. 2026).

Assumes that the student's zero-shot margins know something the weak supervisor does not; where they know nothing, the
posterior is little more than the weak label. The channel P(weak label | true label, features) is two logistic curves,
for true and for false positives, over weak confidence, size and spread of the margins, and agreement of their signs. It
is fitted by marginal likelihood, held near a supervisor that errs by one rate, since weak margins leave it
undetermined. Posteriors are tempered; twice the student learns from them and what it then says becomes the prior.

The margin enters the channel by its size alone: with its sign the channel would explain away what the prior knows.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from aarlab.methods._steps import as_confident_as, centred, confidence, unit, verdicts, views
from aarlab.students import Floats, Predictor, Problem

ROUNDS = 2
TEMPERATURE = 2.0
USUAL = 0.65  # how often a weak label is right, before anything is known
HOLD = 0.01  # strength of the pull towards that


def evidence(channel: Floats, weak: Floats, features: Floats) -> tuple[Floats, Floats]:
    """Log-likelihood of hard weak labels if the true label is 1, and if it is 0; each of shape (n,)."""
    sign, curves = 2 * weak - 1, features @ channel.reshape(2, -1).T
    return log_expit(sign * curves[:, 0]), log_expit(sign * curves[:, 1])


def fit_channel(weak: Floats, features: Floats, prior: Floats) -> Floats:
    """Coefficients of both curves by marginal likelihood, shape (2 * features,).

    Args:
        weak: hard weak labels, shape (n,).
        features: the first is 1 throughout, shape (n, features).
        prior: P(label = 1) before the weak label is seen, shape (n,), in (0, 1).
    """
    start = np.zeros((2, features.shape[1]))
    start[:, 0] = logit(USUAL), -logit(USUAL)

    def objective(channel: Floats) -> tuple[float, Floats]:
        if_1, if_0 = evidence(channel, weak, features)
        both = np.logaddexp(np.log(prior) + if_1, np.log1p(-prior) + if_0)
        share = np.stack([np.exp(np.log(prior) + if_1 - both), np.exp(np.log1p(-prior) + if_0 - both)])
        slopes = share * (weak - expit(features @ channel.reshape(2, -1).T).T)
        away = channel - start.ravel()
        return float(HOLD * away @ away / 2 - both.mean()), HOLD * away - (slopes @ features / len(weak)).ravel()

    return np.asarray(minimize(objective, start.ravel(), jac=True, method="L-BFGS-B").x)


def posterior(weak: Floats, features: Floats, prior: Floats) -> Floats:
    """P(label = 1), shape (n,), after a fit of the channel to these very examples; arguments as for `fit_channel`."""
    if_1, if_0 = evidence(fit_channel(weak, features, prior), weak, features)
    return np.asarray(expit((logit(prior) + if_1 - if_0) / TEMPERATURE))


def fit(problem: Problem, seed: int) -> Predictor:
    weak = verdicts(problem.weak_labels)
    asked = centred(views(problem.student, problem.train), problem.pairs)
    margin, signs = asked.mean(axis=1), np.abs(np.sign(asked).mean(axis=1))
    described = [confidence(problem.weak_labels), np.abs(margin), asked.std(axis=1), signs]
    features = np.column_stack([np.ones(len(weak)), *(unit(values) for values in described)])
    prior = as_confident_as(weak, margin, right=USUAL)
    for done in range(ROUNDS):
        student = problem.student.finetune(problem.train, posterior(weak, features, prior), seed=seed + done)
        prior = as_confident_as(weak, student.logits(problem.train), right=USUAL)
    targets = posterior(weak, features, prior)
    return problem.student.finetune(problem.train, targets, seed=seed + ROUNDS).predict
