"""The same text, or nearly the same, on two sides of a split.

Exact duplicates are found by the digests of a pack, and with text also where only capitals and blanks differ. Near
duplicates are texts whose TF-IDF vectors of character 4-grams have a cosine above .95. Comparing all with all would
take too long and too much memory, so the vectors are first projected to 128 dimensions (Johnson and Lindenstrauss
1984), the five nearest by that are looked up in blocks, and only for these the exact cosine is computed. Without
text, hidden states take the place of it.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

from aarlab.students import Strings
from aarlab.testbeds.check.report import FETCH, Check, Figure, Verdict
from aarlab.testbeds.testbed import SCORED, SPLITS, Testbed

NEAR = 0.95
NEAR_HIDDEN = 0.98
CHARACTERS = 2000  # of each text that are compared
BUCKETS = 2**16
DIMENSIONS = 128
NEIGHBOURS = 5
BLOCK = 512
TOLERATED = 0.01  # share of a scored split that may stand elsewhere too before the testbed fails

Keys = NDArray[np.uint64]


def check_duplicates(testbed: Testbed) -> Iterator[Check]:
    """Duplicates across splits, exact and near, of answers and of questions."""
    split = _split_of_rows(testbed)
    yield _exact(testbed, split)
    if testbed.texts is None:
        yield _hidden(testbed, split)
        return
    yield _questions(testbed, split, testbed.texts)
    yield _near(testbed, split, testbed.texts)
    yield _shared(testbed, split, testbed.texts)


def _split_of_rows(testbed: Testbed) -> NDArray[np.int8]:
    """Position in `SPLITS` of each row's split; -1 if it has none."""
    split = np.full(len(testbed.pack.labels), -1, np.int8)
    for (name, _), rows in testbed.drawn.items():
        split[rows] = SPLITS.index(name)
    return split


def _elsewhere(keys: Keys, split: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Where a key stands in another split too; shapes (n, candidates) and (n,)."""
    _, flat = np.unique(keys, return_inverse=True)
    index: NDArray[np.intp] = flat.reshape(keys.shape)
    seen = np.zeros((int(index.max(initial=-1)) + 1, len(SPLITS)), np.bool_)
    for which in range(len(SPLITS)):
        seen[index[split == which].ravel(), which] = True
    crossing: NDArray[np.bool_] = np.asarray(seen.sum(axis=1) > 1)
    return crossing[index]


def _shares(testbed: Testbed, bad: NDArray[np.bool_]) -> dict[str, Figure]:
    """Share of the rows of each scored part of which something is bad, shape (n,) or (n, candidates)."""
    by_row: NDArray[np.bool_] = np.asarray(bad.reshape(len(bad), -1).any(axis=1))
    return {
        f"{split} {part}": round(float(by_row[testbed.rows(split, part)].mean()), 4)
        for split in SCORED
        for part in testbed.parts(split)
    }


def _verdict(shares: dict[str, Figure], tolerated: float = TOLERATED) -> Verdict:
    largest = max((float(share) for share in shares.values() if share is not None), default=0.0)
    return "pass" if largest == 0 else "warn" if largest <= tolerated else "fail"


def _percent(shares: dict[str, Figure]) -> str:
    if not any(shares.values()):
        return "none"
    return ", ".join(f"{float(share or 0):.1%} of {where}" for where, share in shares.items())


def _hashes(texts: list[str]) -> Keys:
    """Hash of each text, capitals and blanks aside."""
    plain = (" ".join(text.casefold().split()) for text in texts)
    return np.array([int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") for text in plain], np.uint64)


def _exact(testbed: Testbed, split: NDArray[np.int8]) -> Check:
    """Answers to one question that are in two splits."""
    keys = testbed.pack.digests
    if testbed.texts is not None:
        flat = [f"{row[0]}\0{text}" for row in testbed.texts.tolist() for text in row[1:]]
        keys = _hashes(flat).reshape(keys.shape)
    shares = _shares(testbed, _elsewhere(keys, split))
    verdict = _verdict(shares)
    finding = f"the same answer to the same question in another split: {_percent(shares)}"
    advice = "" if verdict == "pass" else "Give both the same group, or keep one of them."
    return Check("duplicates across splits", verdict, finding, advice, shares)


def _questions(testbed: Testbed, split: NDArray[np.int8], texts: Strings) -> Check:
    """The same prompt under two groups in two splits."""
    keys = _hashes(texts[:, 0].tolist())[:, None]
    shares = _shares(testbed, _elsewhere(keys, split))
    verdict = _verdict(shares)
    finding = f"the same question in another split, under another group: {_percent(shares)}"
    advice = "" if verdict == "pass" else "Give rows of one question one group."
    return Check("questions repeated across splits", verdict, finding, advice, shares)


def _shared(testbed: Testbed, split: NDArray[np.int8], texts: Strings) -> Check:
    """Answers of any question in train that answer another one in a scored split, and whether they keep their label."""
    keys = _hashes(texts[:, 1:].ravel().tolist()).reshape(len(texts), -1)
    shares = _shares(testbed, _elsewhere(keys, split))
    copied, right = _copied(testbed, keys)
    figures = {**shares, "copied": copied, "copied_right": right}
    finding = f"an answer that stands in another split too, whatever its question: {_percent(shares)}"
    if right is not None:
        finding += (
            f"; where the label of such answers in train can be copied ({copied} rows), it is right on {right:.1%}"
        )
    if copied >= 20 and right is not None and right > 0.75 and copied > 0.05 * _scored(testbed):
        advice = "These answers are recognised, not judged: leave out answers that many questions share."
        return Check("answers shared across splits", "warn", finding, advice, figures)
    return Check("answers shared across splits", "pass", finding, "", figures)


def _scored(testbed: Testbed) -> int:
    return sum(len(testbed.rows(split, part)) for split in SCORED for part in testbed.parts(split))


def _copied(testbed: Testbed, keys: Keys) -> tuple[int, float | None]:
    """On how many scored rows the mean label of the same text in train decides, and on what share it is right."""
    labels, rows = testbed.pack.labels, testbed.rows("train")
    values, index = np.unique(keys, return_inverse=True)
    index = index.reshape(keys.shape)
    # Of a candidate: whether it is the right one, or the better one.
    right = labels[:, None] == (np.arange(keys.shape[1]) if testbed.pack.pairs else np.ones(1))
    votes = np.zeros(len(values))
    np.add.at(votes, index[rows].ravel(), np.where(right[rows], 1.0, -1.0).ravel())
    known = np.sign(votes)[index]
    lean = known[:, 1] - known[:, 0] if testbed.pack.pairs else known[:, 0]
    scored = np.concatenate([testbed.rows(split, part) for split in SCORED for part in testbed.parts(split)])
    decided = scored[lean[scored] != 0]
    if not len(decided):
        return 0, None
    return len(decided), float(np.mean((lean[decided] > 0) == (labels[decided] == 1)))


def _near(testbed: Testbed, split: NDArray[np.int8], texts: Strings) -> Check:
    """Answers that are nearly those of another split, question included."""
    flat = [f"{row[0]}\n{text}"[:CHARACTERS] for row in texts.tolist() for text in row[1:]]
    hashing = HashingVectorizer(
        analyzer="char", ngram_range=(4, 4), n_features=BUCKETS, norm=None, alternate_sign=False
    )
    vectors = sparse.csr_matrix(TfidfTransformer(sublinear_tf=True).fit_transform(hashing.transform(flat)))
    cosine = _nearest(vectors.astype(np.float32), np.repeat(split, texts.shape[1] - 1)).reshape(len(texts), -1)
    shares = _shares(testbed, cosine > NEAR)
    finding = f"nearly the same question and answer (cosine above {NEAR}) in another split: {_percent(shares)}"
    if _verdict(shares) == "fail":  # of near duplicates, only many are worth a word
        advice = (
            "Look at them: if they are one question, give them one group. Texts made from templates are expected here."
        )
        return Check("near duplicates across splits", "warn", finding, advice, shares)
    return Check("near duplicates across splits", "pass", finding, "", shares)


def _nearest(vectors: sparse.csr_matrix, split: NDArray[np.int8]) -> NDArray[np.float32]:
    """Cosine to the nearest vector of another split, for vectors of scored splits; 0 for others. Lower bounds."""
    rng = np.random.default_rng(0)
    directions = rng.choice(np.array([-1, 1], np.float32), size=(vectors.shape[1], DIMENSIONS)) / np.float32(
        DIMENSIONS**0.5
    )
    projected = np.asarray(vectors @ directions, dtype=np.float32)
    nearest = np.zeros(len(split), np.float32)
    for scored in (SPLITS.index(name) for name in SCORED):
        inside, outside = np.flatnonzero(split == scored), np.flatnonzero((split != scored) & (split >= 0))
        count = min(NEIGHBOURS, len(outside))
        if not count:
            continue
        for start in range(0, len(inside), BLOCK):
            block = inside[start : start + BLOCK]
            similar = projected[block] @ projected[outside].T
            found = outside[np.argpartition(similar, -count, axis=1)[:, -count:]]
            repeated = np.repeat(block, count)
            exact = np.asarray(vectors[repeated].multiply(vectors[found.ravel()]).sum(axis=1)).reshape(-1, count)
            nearest[block] = exact.max(axis=1)
    return nearest


def _hidden(testbed: Testbed, split: NDArray[np.int8]) -> Check:
    """Rows whose hidden states are nearly those of another split; what can be said without text."""
    name = "near duplicates across splits"
    hidden = testbed.fitting.columns.get("hidden")
    if hidden is None or not hidden.size:
        return Check(name, "warn", "not measured: the text is not on this machine", FETCH.format(name=testbed.name))
    states = hidden[:, -1].astype(np.float32)
    if not testbed.pack.pairs:
        states -= states.mean(axis=0)
    states /= np.linalg.norm(states, axis=1, keepdims=True) + np.float32(1e-6)
    nearest = np.zeros(len(split), np.float32)
    for scored in (SPLITS.index(name) for name in SCORED):
        inside, outside = np.flatnonzero(split == scored), np.flatnonzero((split != scored) & (split >= 0))
        for start in range(0, len(inside), BLOCK):
            block = inside[start : start + BLOCK]
            cosine = states[block] @ states[outside].T
            nearest[block] = (np.abs(cosine) if testbed.pack.pairs else cosine).max(axis=1, initial=0)
    shares = _shares(testbed, nearest > NEAR_HIDDEN)
    finding = f"hidden states nearly those of another split (cosine above {NEAR_HIDDEN}): {_percent(shares)}"
    verdict: Verdict = "warn" if _verdict(shares) == "fail" else "pass"
    return Check(name, verdict, f"{finding}; from hidden states only", FETCH.format(name=testbed.name), shares)
