"""Bearer tokens: issued, listed, revoked, and told apart. Only hashes are kept."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from aarlab.api.access import Role, TokenCreate
from aarlab.server import _events
from aarlab.server._database import Database
from aarlab.server._models import ResearcherRow, StudyRow, TokenRow, now
from aarlab.server._problems import ProblemError, not_found
from aarlab.server._secrets import new_token, token_hash


@dataclass(frozen=True)
class Operator:
    """An operator, by a token.

    Attributes:
        study: the only one that it opens; None opens all.
    """

    study: str | None = None


@dataclass(frozen=True)
class Member:
    """A researcher, by a token.

    Attributes:
        id: the researcher's.
        study: the one it belongs to.
    """

    id: int
    study: str


@dataclass(frozen=True)
class Viewer:
    """Somebody who may look and change nothing, by a token.

    Attributes:
        study: the only one that it opens; None opens all.
    """

    study: str | None = None


Identity = Operator | Member | Viewer


class Tokens:
    """Who may come in. The token that the server was started with opens everything and cannot be revoked."""

    def __init__(self, database: Database, operator_hash: str) -> None:
        self._database, self._operator_hash = database, operator_hash

    def identify(self, token: str) -> Identity | None:
        """Whose token this is; None if nobody's, or if it is over."""
        return self.known(token_hash(token))

    def known(self, hashed: str) -> Identity | None:
        """Whose token has this hash; None if nobody's, or if it is over."""
        if hmac.compare_digest(hashed, self._operator_hash):
            return Operator()
        query = select(TokenRow.role, TokenRow.study_id, TokenRow.researcher_id, TokenRow.expires_at)
        with self._database.read() as session:
            found = session.execute(query.where(TokenRow.hash == hashed, TokenRow.revoked_at.is_(None))).one_or_none()
        if found is None:
            return None
        role, study, researcher, expires_at = found
        if expires_at is not None and expires_at <= now():
            return None
        match role:
            case Role.OPERATOR:
                return Operator(study)
            case Role.VIEWER:
                return Viewer(study)
            case Role.RESEARCHER:
                assert researcher is not None
                assert study is not None
                return Member(researcher, study)

    def issue(self, wanted: TokenCreate, only: str | None = None) -> tuple[str, TokenRow]:
        """A new token, and what is kept of it.

        Args:
            wanted: what was asked for.
            only: the one study that whoever issues it may see; the token then opens no other. None if all.

        Raises:
            ProblemError: there is no such study or researcher, or a researcher's token names none.
        """
        token = new_token()
        with self._database.write() as session:
            study = only if wanted.study is None else wanted.study
            if only not in (None, study):
                raise not_found("study", study)
            if study is not None and session.get(StudyRow, study) is None:
                raise not_found("study", study)
            if (wanted.role == Role.RESEARCHER) != (wanted.researcher is not None):
                detail = "A researcher's token names its researcher, and no other token does."
                raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail)
            if wanted.researcher is not None:
                member = session.get(ResearcherRow, wanted.researcher)
                if member is None or study not in (None, member.study_id):
                    raise not_found("researcher", wanted.researcher)
                study = member.study_id
            expires = None if wanted.hours is None else now() + timedelta(hours=wanted.hours)
            row = TokenRow(
                hash=token_hash(token),
                role=wanted.role,
                study_id=study,
                researcher_id=wanted.researcher,
                label=wanted.label,
                expires_at=expires,
            )
            session.add(row)
            session.flush()
            session.refresh(row)
            if study is not None:
                told = {"token": row.id, "role": row.role.value, "researcher": wanted.researcher}
                _events.append(session, study, "token.issued", _events.OPERATOR, **told)
            return token, row

    def tokens(self, only: str | None = None, *, after: int = 0, limit: int | None = None) -> Sequence[TokenRow]:
        """Tokens with a larger id than `after`, over or not, oldest first.

        Args:
            only: the study whose tokens may be seen; None if all.
            after: an id.
            limit: how many at most.
        """
        query = select(TokenRow).where(TokenRow.id > after).order_by(TokenRow.id).limit(limit)
        if only is not None:
            query = query.where(TokenRow.study_id == only)
        with self._database.read() as session:
            return session.scalars(query).all()

    def revoke(self, token: int, only: str | None = None) -> TokenRow:
        """End a token; ending it again changes nothing.

        Args:
            token: its id.
            only: the study whose tokens may be seen; None if all.

        Raises:
            ProblemError: there is none that may be seen.
        """
        with self._database.write() as session:
            row = session.get(TokenRow, token)
            if row is None or only not in (None, row.study_id):
                raise not_found("token", token)
            if row.revoked_at is None:
                row.revoked_at = now()
                if row.study_id is not None:
                    _events.append(session, row.study_id, "token.revoked", _events.OPERATOR, token=row.id)
            return row


def revoke(session: Session, *which: Any) -> None:
    """End all tokens that are not over yet and match."""
    session.execute(update(TokenRow).where(*which, TokenRow.revoked_at.is_(None)).values(revoked_at=now()))
