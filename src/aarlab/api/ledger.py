"""What research costs: charges, and budgets of money."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from aarlab.api.schemas import Schema
from aarlab.api.text import MAX_ID, Id, Line

#: Most that one charge may be, in dollars.
MAX_DOLLARS = 1_000_000.0

#: What a researcher-hour cost in the study of 2026: about 800 hours for about $18,000 (Wen et al. 2026).
STUDY_DOLLARS_PER_HOUR = 22.0

Dollars = Annotated[float, Field(ge=0, le=MAX_DOLLARS, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=MAX_ID)]  # what a database column holds


class ChargeKind(StrEnum):
    """What was paid for."""

    TOKENS = "tokens"
    CPU = "cpu"
    GPU = "gpu"


class ChargeCreate(Schema):
    """Something that a researcher used, as the operator's own software measured it."""

    key: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,200}$")] = Field(
        description="names what was used; a key that the study has already is not charged again"
    )
    kind: ChargeKind
    researcher: Id | None = None
    submission: Id | None = None
    model: Line | None = None
    input_tokens: Count = 0
    output_tokens: Count = 0
    cached_tokens: Count = 0
    seconds: Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)] = 0.0
    dollars: Dollars | None = Field(
        default=None, description="its price; None lets the server price seconds by the study's prices of an hour"
    )


class Charge(Schema):
    """An entry of the ledger."""

    id: int
    key: str
    kind: ChargeKind
    researcher: str | None
    submission: int | None
    model: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    seconds: float
    dollars: float
    created_at: datetime


class Spending(Schema):
    """What one researcher, or everybody together, has spent so far.

    Attributes:
        researcher: its name; None for a sum over all, what nobody pays included.
        hours: that it worked: from its first request to its last, long silences left out.
        evaluations: scored or failed submissions that it paid for.
        dollars_limit: None is no limit.
        dollars_stop: where it is stopped: the limit less a margin for what is under way; None if there is no limit.
        stopped: whether it is.
    """

    researcher: str | None
    hours: float
    evaluations: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cpu_seconds: float
    gpu_seconds: float
    dollars: float
    dollars_limit: float | None
    dollars_stop: float | None
    stopped: bool


class ModelSpending(Schema):
    """What the calls of one model came to."""

    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    dollars: float


class LedgerView(Schema):
    """The ledger of a study, summed up.

    Attributes:
        total: everything.
        researchers: each one's.
        models: each model's.
        unassigned_dollars: what nobody pays: the baseline, audits, looks on `private`.
        dollars_per_hour: of all dollars, a researcher-hour; None before anybody has worked. The study of 2026: 22.
        dollars_per_point: dollars for each hundredth of PGR by which the best confirmed method beats vanilla on
            `private`; None if none is confirmed or it gains nothing. For operators only.
    """

    total: Spending
    researchers: tuple[Spending, ...]
    models: tuple[ModelSpending, ...]
    unassigned_dollars: float
    dollars_per_hour: float | None
    dollars_per_point: float | None
