"""Tokens and roles."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from aarlab.api.schemas import Schema
from aarlab.api.text import Id, Line


class Role(StrEnum):
    """What a token may do.

    An operator may do and see everything. A researcher sees guarded figures of its own study, and submits. A viewer
    sees what researchers see, and changes nothing.
    """

    OPERATOR = "operator"
    RESEARCHER = "researcher"
    VIEWER = "viewer"


class TokenCreate(Schema):
    """A token to issue."""

    role: Role
    study: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="the study it opens; None opens all, for operators and viewers"
    )
    researcher: Id | None = Field(default=None, description="whose it is; a researcher's token needs one")
    label: Line = ""
    hours: Annotated[float, Field(gt=0, le=24 * 366)] | None = Field(
        default=None, description="after how many it expires; None is never"
    )


class Token(Schema):
    """A token as it can be listed: never the token itself."""

    id: int
    role: Role
    study: str | None
    researcher: str | None
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class Issued(Schema):
    """A new token, which is shown this once and stored only as a hash."""

    token: str
    about: Token
