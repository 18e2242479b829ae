"""Frames on the pipes between evaluation and harness: one byte of kind, eight of length, then the payload.

To the harness: BATCH (an .npz of `Examples` columns). From it: READY after `fit` returned, PREDICTIONS
(float64 in machine byte order, one an example), FAILURE (JSON: kind, message). No pickles either way.
"""

import struct

HEADER = struct.Struct("=cQ")

BATCH = b"B"
READY = b"R"
PREDICTIONS = b"P"
FAILURE = b"F"

MAX_FAILURE_BYTES = 65_536


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """One frame, ready to send."""
    return HEADER.pack(kind, len(payload)) + payload
