"""Requests that may be sent again: the header `Idempotency-Key`, kept on the row that the request made.

The row and its key are one insert, and the database holds the key unique: however often a request arrives, at once or
after a restart, it makes one row, and each time that row is the answer. A researcher's keys are its own and never meet
another's; those of operators, who trust each other, are of all of them.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import Header

from aarlab.server._problems import ProblemError

MAX_KEY = 200

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=MAX_KEY,
        pattern=r"^[\x21-\x7e]+$",
        description="any text that no other request of yours has, such as a UUID; sent again with the same body, the "
        "request does nothing and gives the first answer",
        examples=["6f1c0d0e-3a53-4c0b-9d0e-2b1f0a6f7c11"],
    ),
]


def check_repeated(same: bool) -> None:
    """Refuse a key that came with another body before.

    Args:
        same: whether the body is what was asked for the first time.

    Raises:
        ProblemError: it is not.
    """
    if not same:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "key-reused",
            "This Idempotency-Key came with another body before.",
            "Send the same body, or a new key.",
        )
