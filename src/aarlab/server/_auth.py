"""Roles: each router asks for one, so that no route of it can forget to.

Whoever's token opens one study gets the same answer for another as for one that is not there. Paths that name a
`study` are checked here, with the role; routes that take the number of something in a study pass `VisibleStudy` on.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request

from aarlab.server._problems import ProblemError, not_found
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


async def require_operator(identity: AnyIdentity, request: Request) -> Operator:
    """The operator that asks; refuses everybody else, and an operator of another study than the path names.

    Raises:
        ProblemError: it may not.
    """
    if not isinstance(identity, Operator):
        raise ProblemError(HTTPStatus.FORBIDDEN, "operator-only", "This is for the operator.")
    _in_its_study(identity, request)
    return identity


async def require_operator_of_all(operator: Annotated[Operator, Depends(require_operator)]) -> None:
    """Refuse also an operator whose token opens one study only.

    Raises:
        ProblemError: it may not.
    """
    if operator.study is not None:
        detail = f"This token opens the study {operator.study} only."
        raise ProblemError(HTTPStatus.FORBIDDEN, "one-study", detail, "Use a token that opens all studies.")


async def require_reader(identity: AnyIdentity, request: Request) -> None:
    """Refuse researchers, who have routes of their own, and whoever may see another study than the path names.

    For routes that show what a researcher may see: guarded figures.

    Raises:
        ProblemError: it may not.
    """
    if isinstance(identity, Member):
        detail = "This is for the operator and for viewers."
        raise ProblemError(HTTPStatus.FORBIDDEN, "operator-only", detail, "Researchers ask without naming a study.")
    _in_its_study(identity, request)


async def require_researcher(identity: AnyIdentity) -> Member:
    """The researcher that asks; refuses the operator, who has no budget to spend, and viewers.

    Raises:
        ProblemError: it is none.
    """
    if not isinstance(identity, Member):
        advice = "Admit a researcher and use its token."
        raise ProblemError(HTTPStatus.FORBIDDEN, "researcher-only", "This is for researchers.", advice)
    return identity


async def visible_study(identity: AnyIdentity) -> str | None:
    """The only study that whoever asks may see; None if all."""
    return identity.study


def _in_its_study(identity: Identity, request: Request) -> None:
    named = request.path_params.get("study")
    if named is not None and identity.study not in (None, named):
        raise not_found("study", named)


Operating = Annotated[Operator, Depends(require_operator)]
Researching = Annotated[Member, Depends(require_researcher)]
VisibleStudy = Annotated[str | None, Depends(visible_study)]
