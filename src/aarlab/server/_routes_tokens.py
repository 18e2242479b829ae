"""Tokens: who gave out which, until when, and how they end. For operators.

An operator whose token opens one study sees, gives out and ends tokens of that study only.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from aarlab.api.access import Issued, Token, TokenCreate
from aarlab.api.text import MAX_ID
from aarlab.server._auth import AnyServices, VisibleStudy, require_operator
from aarlab.server._models import TokenRow
from aarlab.server._paging import Paged

router = APIRouter(prefix="/tokens", tags=["operator"], dependencies=[Depends(require_operator)])

TokenId = Annotated[int, Path(ge=1, le=MAX_ID)]


@router.post("", status_code=201)
def issue_token(wanted: TokenCreate, visible: VisibleStudy, services: AnyServices) -> Issued:
    """Give out a token. It is shown this once; what is kept is a hash."""
    token, row = services.tokens.issue(wanted, visible)
    return Issued(token=token, about=_view(row))


@router.get("")
def list_tokens(visible: VisibleStudy, services: AnyServices, page: Paged) -> list[Token]:
    """Tokens that were given out, over or not, oldest first: never the tokens themselves."""
    rows = services.tokens.tokens(visible, after=page.after, limit=page.fetch)
    return [_view(row) for row in page.cut(rows, lambda row: row.id)]


@router.post("/{token}/revoke")
def revoke_token(token: TokenId, visible: VisibleStudy, services: AnyServices) -> Token:
    """End a token, for good. Ending it again changes nothing."""
    return _view(services.tokens.revoke(token, visible))


def _view(row: TokenRow) -> Token:
    return Token(
        id=row.id,
        role=row.role,
        study=row.study_id,
        researcher=None if row.researcher is None else row.researcher.name,
        label=row.label,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
