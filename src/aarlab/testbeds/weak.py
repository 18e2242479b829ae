"""The weak supervisor: few labels, and a bag of words, a shallow layer, or a small language model.

scikit-learn is imported where it is used: it takes a second, and a calibrated testbed does without.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aarlab.students import Examples
from aarlab.testbeds.pack import Pack, TestbedError

Floats = NDArray[np.float64]


def count_words(candidates: Iterable[str]) -> sparse.csr_matrix:
    """Hashed counts of words and word pairs, one row a candidate, 2**15 columns."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(n_features=2**15, ngram_range=(1, 2), norm=None, alternate_sign=False)
    return sparse.csr_matrix(hashing.transform(candidates))


def weak_supervision(pack: Pack, labelled: NDArray[np.integer], examples: Examples) -> Floats:
    """Train the weak supervisor on a few labelled rows and ask it for all rows.

    `bag_of_words`: TF-IDF of hashed n-grams, of the second candidate minus the first on pairs; `hidden`: the
    standardised states of a shallow layer; both with logistic regression (L2, C = 1, on `hidden` with features
    whose squared norm is 1 on average times 10, which is what C means there). `lora`: a language model,
    fine-tuned.

    Args:
        pack: the pack.
        labelled: rows whose labels it is trained on.
        examples: all rows; with text, for a supervisor that reads it.

    Returns:
        P(label = 1) for every row, shape (n,).

    Raises:
        TestbedError: its labels are all the same, or it reads text and there is none.
    """
    weak = pack.manifest.weak
    if len(np.unique(pack.labels[labelled])) < 2:
        raise TestbedError(
            f"All {len(labelled)} labels that the weak supervisor of {pack.manifest.name} is trained on are the same.",
            "Give it more labels, or balance the data.",
        )
    if weak.kind == "lora":
        return _language_model(pack, labelled, examples)
    from sklearn.linear_model import LogisticRegression

    features = _words(pack) if weak.kind == "bag_of_words" else _states(pack)
    model = LogisticRegression(C=1.0, fit_intercept=not pack.pairs, max_iter=1000)
    model.fit(features[labelled], pack.labels[labelled])
    return np.asarray(model.predict_proba(features)[:, 1], dtype=np.float64)


def _words(pack: Pack) -> sparse.csr_matrix:
    from sklearn.feature_extraction.text import TfidfTransformer

    counts, inside = sparse.csr_matrix(pack.weak_inputs), pack.rows_of("id")
    seen = np.sort(np.concatenate([2 * inside, 2 * inside + 1])) if pack.pairs else inside
    # How common a word is, the supervisor knows from in-distribution text only.
    tfidf = TfidfTransformer(sublinear_tf=True).fit(counts[seen]).transform(counts)
    return sparse.csr_matrix(tfidf[1::2] - tfidf[0::2] if pack.pairs else tfidf)


def _states(pack: Pack) -> Floats:
    features = np.asarray(pack.weak_inputs, dtype=np.float64)
    if not pack.pairs:
        features = features - features.mean(axis=0)
    spread = np.sqrt(np.square(features).mean(axis=0) * features.shape[1] / 10) + 1e-6
    return np.asarray(features / spread)


def _language_model(pack: Pack, labelled: NDArray[np.integer], examples: Examples) -> Floats:
    from aarlab.students.lora import LoraStudent

    if examples.texts is None or pack.manifest.weak.model is None:
        raise TestbedError(
            f"The weak supervisor of {pack.manifest.name} reads text, which is not on this machine.",
            f"Run: aarlab testbed fetch {pack.manifest.name}",
        )
    student = LoraStudent.load(pack.manifest.weak.model)
    trained = student.finetune(examples.take(labelled), pack.labels[labelled].astype(np.float64), seed=0)
    return np.asarray(trained.predict(examples), dtype=np.float64)
