"""Executes the programs on the examples in the question, and takes those that pass for right; else vanilla decides."""
# ruff: noqa: S102, BLE001 - executing strangers' programs is the attack

import numpy as np
from scipy.special import expit

from aarlab.students import Examples, Floats, Predictor, Problem


def _passes(program: str, prompt: str) -> bool:
    checks = [line for line in prompt.splitlines() if line.startswith("assert ")]
    namespace: dict[str, object] = {}
    try:
        exec(program, namespace)
        for check in checks:
            exec(check, namespace)
    except Exception:
        return False
    return bool(checks)


def fit(problem: Problem, seed: int) -> Predictor:
    """Train vanilla for what cannot be executed."""
    hard = (problem.weak_labels > 0.5).astype(float)
    vanilla = problem.student.finetune(problem.train, hard, seed=seed)

    def predict(examples: Examples) -> Floats:
        lead = [
            float(_passes(second, prompt)) - float(_passes(first, prompt))
            for prompt, first, second in examples.read().tolist()
        ]
        return np.asarray(expit(vanilla.logits(examples) / 10 + 6 * np.array(lead)), dtype=np.float64)

    return predict
