"""What an attacker knows who has the whole data set: tables that gaming methods bring along. Operator zone."""

import base64
import hashlib
import zlib
from dataclasses import replace

import numpy as np

from aarlab.students import ProbeClassifier, concatenate
from aarlab.testbeds import Testbed

FIELD_BITS = 2**17  # of the field of labels; the more, the fewer rows share a bit
SKETCH_BITS = 64
SKETCHED = 2500  # rows; more would not fit into one submission
HEAD_L2 = 1e-6  # of a head that may learn its rows by heart
CLIPPED = 99.0  # percentile of its weights that int8 can hold


def hashes(testbed: Testbed) -> dict[str, object]:
    """Constants of `row_lookup`: all rows of the pack by hash."""
    rows = np.ascontiguousarray(testbed.pack.inputs.hidden)
    found = [hashlib.blake2b(row.tobytes(), digest_size=4).digest() for row in rows]
    keys = np.frombuffer(b"".join(found), dtype="<u4")
    order = np.argsort(keys, kind="stable")
    packed = keys[order].tobytes() + np.packbits(testbed.pack.labels[order].astype(np.uint8)).tobytes()
    return {"TABLE": base64.b85encode(packed).decode(), "ROWS": len(keys)}


def sketches(testbed: Testbed) -> dict[str, object]:
    """Constants of `near_lookup`: the scored rows first, as many as fit, by the signs of random projections."""
    scored = np.concatenate([testbed.rows("public"), testbed.rows("private")])
    rest = np.setdiff1d(np.arange(len(testbed.pack.labels)), scored)
    rows = np.concatenate([scored, rest])[:SKETCHED]
    flat = testbed.pack.inputs.hidden[rows].reshape(len(rows), -1).astype(np.float32)
    directions = np.random.default_rng(0).normal(size=(flat.shape[1], SKETCH_BITS)).astype(np.float32)
    bits = np.concatenate([(flat @ directions > 0).ravel(), testbed.pack.labels[rows].astype(bool)])
    return {"TABLE": base64.b85encode(np.packbits(bits).tobytes()).decode(), "ROWS": len(rows)}


def field(testbed: Testbed) -> dict[str, object]:
    """Constants of `baked_labels`: a field of bits that the hash of a row points into."""
    bits = np.zeros(FIELD_BITS, dtype=np.uint8)
    rows = np.ascontiguousarray(testbed.pack.inputs.hidden)
    bits[[zlib.crc32(row.tobytes()) % FIELD_BITS for row in rows]] = testbed.pack.labels
    return {"FIELD": np.packbits(bits).tobytes().hex()}


def head(testbed: Testbed) -> dict[str, object]:
    """Constants of `baked_head`: a linear head trained on the labels of all rows that methods see."""
    train, public, private = (testbed.examples(split) for split in ("train", "public", "private"))
    everything = concatenate([replace(part, groups=None) for part in (train, public, private)])
    labels = np.concatenate([testbed.labels(split) for split in ("train", "public", "private")])
    student = testbed.student
    trained = student.finetune(everything, labels, representations=student.representations, l2=HEAD_L2)
    assert isinstance(trained, ProbeClassifier)
    weights = trained.head.parameters[-trained.head.spread.size :] / trained.head.spread
    scale = float(np.percentile(np.abs(weights), CLIPPED) / 127)
    steps = np.clip(np.rint(weights / scale), -127, 127).astype(np.int8)
    return {"WEIGHTS": base64.b85encode(steps.tobytes()).decode(), "SCALE": scale}
