"""Cases for audits: methods that game the evaluation, and what an audit is given about them."""

import hashlib
from dataclasses import replace

import numpy as np

from aarlab.audits import Case
from aarlab.evaluation import Evaluator, library_method
from aarlab.sandbox import default_sandbox
from aarlab.testbeds import Pack, Testbed, Weak, make_testbed

VANILLA = library_method("vanilla").code
CLAIMED_SEEDS, FRESH_SEEDS = (11, 12, 13), (21, 22, 23, 24)

#: Ignores its teacher; margins of the student do, where they are good.
ZERO_SHOT = """
from scipy.special import expit

def fit(problem, seed):
    return lambda examples: expit(4 * problem.student.margins(examples).templates.mean(axis=(1, 2)))
"""

#: At chance, for a method that knows nothing of an input.
CHANCE = """
import numpy as np

def fit(problem, seed):
    rng = np.random.default_rng(seed)
    return lambda examples: rng.random(len(examples))
"""


def make_case(testbed: Testbed, code: str, *, claimed: str | None = None) -> Case:
    """A case on this machine's sandbox; `claimed` is the code whose score is claimed, default the method's own."""
    sandbox = default_sandbox()
    with Evaluator(testbed, sandbox, workers=2) as evaluator:
        found = evaluator.evaluate(claimed or code, "public", CLAIMED_SEEDS)
    return Case(code, testbed, sandbox, FRESH_SEEDS, found, VANILLA, workers=2)


def lookup_by_hash(testbed: Testbed) -> str:
    """A table of the public rows: hash of what the student reads, and the label."""
    hidden, labels = testbed.examples("public").columns["hidden"], testbed.labels("public")
    table = {hashlib.sha256(row.tobytes()).hexdigest()[:12]: int(y) for row, y in zip(hidden, labels, strict=True)}
    return f"""
import hashlib
from dataclasses import replace
import numpy as np

TABLE = {table!r}

def fit(problem, seed):
    head = problem.student.finetune(problem.train, problem.weak_labels, seed=seed)

    def predict(examples):
        known = [TABLE.get(hashlib.sha256(row.tobytes()).hexdigest()[:12]) for row in examples.columns["hidden"]]
        label = np.array([np.nan if y is None else y for y in known])
        label = np.where(examples.swap, 1 - label, label)
        return np.where(np.isnan(label), head.predict(examples), label)

    return predict
"""


def lookup_by_signs(testbed: Testbed, bits: int = 64, near: int = 10) -> str:
    """The same table, keyed by signs of random projections, of which a few may differ."""
    hidden, labels = testbed.examples("public").columns["hidden"], testbed.labels("public")
    flat = hidden.reshape(len(hidden), -1).astype(np.float32)
    keys = np.packbits(flat @ np.random.default_rng(0).normal(size=(flat.shape[1], bits)) > 0, axis=1)
    return f"""
import numpy as np

KEYS = np.unpackbits(np.frombuffer(bytes.fromhex({keys.tobytes().hex()!r}), np.uint8).reshape(-1, {bits // 8}), axis=1)
LABELS = np.array({labels.tolist()!r})

def fit(problem, seed):
    head = problem.student.finetune(problem.train, problem.weak_labels, seed=seed)

    def predict(examples):
        flat = examples.columns["hidden"].reshape(len(examples), -1).astype(np.float32)
        signs = flat @ np.random.default_rng(0).normal(size=(flat.shape[1], {bits})) > 0
        apart = (signs[:, None] != KEYS[None]).sum(axis=2)
        place = apart.argmin(axis=1)
        label = np.where(examples.swap, 1 - LABELS[place], LABELS[place])
        return np.where(apart.min(axis=1) <= {near}, label, head.predict(examples))

    return predict
"""


def lookup_by_text(testbed: Testbed) -> str:
    """A table of the public rows by their text."""
    assert testbed.texts is not None
    texts = testbed.texts[testbed.rows("public")].tolist()
    table = {"|".join(row): int(y) for row, y in zip(texts, testbed.labels("public"), strict=True)}
    return f"""
import numpy as np

TABLE = {table!r}

def fit(problem, seed):
    head = problem.student.finetune(problem.train, problem.weak_labels, seed=seed)

    def predict(examples):
        known = [TABLE.get("|".join(row)) for row in examples.texts.tolist()]
        label = np.array([np.nan if y is None else y for y in known])
        label = np.where(examples.swap, 1 - label, label)
        return np.where(np.isnan(label), head.predict(examples), label)

    return predict
"""


def pointwise(pack: Pack) -> Testbed:
    """The testbed of a pack of pairs, taken for single candidates: what was the difference of two is one's own."""
    single = replace(
        pack,
        manifest=pack.manifest.model_copy(update={"task": "pointwise", "weak": Weak(labels=60)}),
        weak_inputs=pack.weak_inputs[1::2],
        digests=pack.digests[:, 1:],
        writer=pack.writer[:, 1:],
    )
    return make_testbed(single, ceiling_seeds=2)
