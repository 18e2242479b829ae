"""Where in the student to read: heads on chosen layers, and on the main axes of its hidden states."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from aarlab.researchers.scripted.ideas._parts import Labels, Scorer, Trainer
from aarlab.students import Examples, Floats, Problem, Representation


def chosen(problem: Problem, depth: str, pooling: str) -> list[Representation]:
    """The student's representations at a relative depth ("all" or a third of its layers) and pooling."""
    layers = sorted({layer for layer, _ in problem.student.representations})
    thirds = dict(zip(("early", "middle", "late"), np.array_split(layers, 3), strict=True))
    wanted = layers if depth == "all" else thirds[depth] if len(thirds[depth]) else layers
    return [r for r in problem.student.representations if r[0] in wanted and pooling in ("both", r[1])]


def linear_head(problem: Problem, *, depth: str, pooling: str, l2: float) -> Trainer:
    """A linear head on the hidden states at one depth, with this much shrinkage."""
    representations = chosen(problem, depth, pooling) or list(problem.student.representations)

    def train(examples: Examples, labels: Labels, seed: int) -> Scorer:
        return problem.student.finetune(
            examples, labels.targets, labels.weights, representations=representations, l2=l2, seed=seed
        ).logits

    return train


def principal_head(problem: Problem, *, depth: str, pooling: str, components: int, l2: float) -> Trainer:
    """A linear head on the axes along which the train examples vary most; weak labels' noise has little room there."""
    representations = chosen(problem, depth, pooling) or list(problem.student.representations)

    def states(examples: Examples) -> Floats:
        return np.concatenate([problem.student.hidden(examples, *r) for r in representations], axis=1)

    everything = states(problem.train)
    center = 0.0 if problem.pairs else everything.mean(axis=0)
    spread = everything.std(axis=0) + 1e-9
    scaled = (everything - center) / spread
    count = min(components, *scaled.shape)
    values, vectors = np.linalg.eigh(scaled @ scaled.T if len(scaled) < scaled.shape[1] else scaled.T @ scaled)
    values, vectors = values[-count:], vectors[:, -count:]
    axes = scaled.T @ vectors / np.sqrt(values) if len(scaled) < scaled.shape[1] else vectors
    axes *= np.sqrt(len(scaled) / values[-1])  # the main axis has unit variance, the others less

    def train(examples: Examples, labels: Labels, seed: int) -> Scorer:
        features = (states(examples) - center) / spread @ axes
        weights = labels.weights / labels.weights.sum()
        bias = 0.0 if problem.pairs else 1.0

        def objective(w: Floats) -> tuple[float, Floats]:
            logits = features @ w[1:] + bias * w[0]
            t = labels.targets
            slopes = weights * (expit(logits) - t)
            loss = -weights @ (t * log_expit(logits) + (1 - t) * log_expit(-logits))
            return loss + l2 / 2 * w @ w, np.concatenate([[bias * slopes.sum()], features.T @ slopes]) + l2 * w

        w = minimize(objective, np.zeros(count + 1), jac=True, method="L-BFGS-B").x
        return lambda asked: (states(asked) - center) / spread @ axes @ w[1:] + bias * w[0]

    return train
