"""Frames on the pipes between evaluation and harness: one byte of kind, eight of length, then the payload.

| from    | frame       | payload                                                                      |
|---------|-------------|------------------------------------------------------------------------------|
| harness | WARM        | one byte: whether system calls are filtered from now on; waits for its job    |
| outside | JOB         | seed, seconds of CPU (two int64), then the method's source as UTF-8           |
| harness | STARTED     | nothing; all that follows, the method may have caused                        |
| harness | READY       | nothing; `fit` has returned                                                  |
| outside | BATCH       | an .npz of `Examples` columns                                                |
| harness | PREDICTIONS | float64 in machine byte order, one an example                                |
| outside | DONE        | nothing; no batch will follow                                                |
| harness | RECORD      | JSON: how often the method did what, as `_record.py` saw it; then it ends    |
| harness | FAILURE     | JSON: kind, message; instead of any frame after STARTED; then it ends        |

No pickles either way. A frame that is longer than its kind may be is refused by whoever reads it, before its payload.
"""

import struct

HEADER = struct.Struct("=cQ")
ORDER = struct.Struct("=qq")

WARM = b"W"
JOB = b"J"
STARTED = b"S"
READY = b"R"
BATCH = b"B"
PREDICTIONS = b"P"
DONE = b"D"
RECORD = b"E"
FAILURE = b"F"

MAX_METHOD_BYTES = 2**22
MAX_BATCH_BYTES = 2**28
MAX_FAILURE_BYTES = 65_536
MAX_RECORD_BYTES = 16_384

LONGEST = {JOB: ORDER.size + MAX_METHOD_BYTES, BATCH: MAX_BATCH_BYTES, DONE: 0}


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """One frame, ready to send.

    Raises:
        ValueError: the payload is longer than the harness takes.
    """
    if len(payload) > LONGEST.get(kind, len(payload)):
        raise ValueError(f"a frame {kind!r} holds at most {LONGEST[kind]} bytes, not {len(payload)}")
    return HEADER.pack(kind, len(payload)) + payload
