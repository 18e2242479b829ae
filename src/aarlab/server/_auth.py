"""Roles: each router asks for one, so that no route of it can forget to."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request

from aarlab.server._problems import ProblemError
from aarlab.server._services import Services, services_of
from aarlab.server._tokens import Identity, Member, Operator, Viewer


async def _services(request: Request) -> Services:
    return services_of(request.app)


async def _identity(request: Request) -> Identity:
    """Who asks, as the middleware found out; without it no request gets here."""
    identity = request.state.identity
    assert isinstance(identity, (Operator, Member, Viewer))
    return identity


AnyServices = Annotated[Services, Depends(_services)]
AnyIdentity = Annotated[Identity, Depends(_identity)]


async def require_operator(identity: AnyIdentity) -> None:
    """Refuse everybody but the operator."""
    if not isinstance(identity, Operator):
        raise ProblemError(HTTPStatus.FORBIDDEN, "operator-only", "This is for the operator.")


async def require_researcher(identity: AnyIdentity) -> Member:
    """The researcher that asks; refuses the operator, who has no budget to spend."""
    if not isinstance(identity, Member):
        advice = "Admit a researcher and use its token."
        raise ProblemError(HTTPStatus.FORBIDDEN, "researcher-only", "This is for researchers.", advice)
    return identity


async def visible_study(identity: AnyIdentity) -> str | None:
    """The only study that whoever asks may see; None if all."""
    return identity.study


Researching = Annotated[Member, Depends(require_researcher)]
VisibleStudy = Annotated[str | None, Depends(visible_study)]
