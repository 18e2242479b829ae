"""The weak supervisor: a bag of words and few labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from aarlab.testbeds.pack import Pack

Floats = NDArray[np.float64]


def weak_supervision(pack: Pack, labelled: Sequence[int] | NDArray[np.integer]) -> Floats:
    """Train the weak supervisor on a few labelled rows and ask it for all rows.

    TF-IDF of hashed n-grams, of the second candidate minus the first on pairs, and logistic
    regression (L2, C = 1).

    Args:
        pack: the pack.
        labelled: rows whose labels it is trained on.

    Returns:
        P(label = 1) for every row, shape (n,).
    """
    pairs = pack.manifest.task == "pair"
    tfidf = TfidfTransformer(sublinear_tf=True).fit_transform(pack.weak_inputs)
    features = sparse.csr_matrix(tfidf[1::2] - tfidf[0::2] if pairs else tfidf)
    model = LogisticRegression(C=1.0, fit_intercept=not pairs, max_iter=1000)
    model.fit(features[labelled], pack.labels[labelled])
    return np.asarray(model.predict_proba(features)[:, 1], dtype=np.float64)
