"""The ledger, and the controls of a running study: pause, go on, budgets."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from aarlab.api.ledger import Charge, ChargeCreate, LedgerView
from aarlab.api.schemas import Researcher, ResearcherChange, Study, StudyChange
from aarlab.api.text import MAX_ID
from aarlab.server._auth import AnyIdentity, AnyServices, require_operator, require_reader
from aarlab.server._paging import Paged
from aarlab.server._parameters import StudyId
from aarlab.server._studies import change_researcher, change_study
from aarlab.server._summary import charge_views, ledger_view
from aarlab.server._tokens import Operator
from aarlab.server._views import researcher_view

router = APIRouter(prefix="/studies", tags=["operator"], dependencies=[Depends(require_operator)])
shared = APIRouter(prefix="/studies", tags=["operator", "viewer"], dependencies=[Depends(require_reader)])

ResearcherId = Annotated[int, Path(ge=1, le=MAX_ID)]


@router.patch("/{study}")
def patch_study(study: StudyId, wanted: StudyChange, services: AnyServices) -> Study:
    """Pause a study, let it go on, or change its budgets: what is left out stays, and null lifts a limit."""
    row = change_study(services.database, study, wanted)
    services.worker.wake()
    return services.study_view(row)


@router.patch("/{study}/researchers/{researcher}")
def patch_researcher(
    study: StudyId, researcher: ResearcherId, wanted: ResearcherChange, services: AnyServices
) -> Researcher:
    """Give a researcher budgets of its own: what is left out stays, and null takes the study's for each."""
    row = change_researcher(services.database, study, researcher, wanted)
    return researcher_view(row, services.store.spent(study))


@router.post("/{study}/charges", status_code=201, responses={200: {"description": "This was charged already."}})
def enter_charge(study: StudyId, wanted: ChargeCreate, services: AnyServices, response: Response) -> Charge:
    """Charge what a researcher used, once a key: sent again, it changes nothing and gives the first answer."""
    row, new = services.ledger.charge(study, wanted)
    if not new:
        response.status_code = 200
    return charge_views(services.store, study, [row])[0]


@router.get("/{study}/charges")
def list_charges(study: StudyId, services: AnyServices, page: Paged) -> list[Charge]:
    """All charges, in the order in which they were entered."""
    rows = services.ledger.charges(study, after=page.after, limit=page.fetch)
    return charge_views(services.store, study, page.cut(rows, lambda row: row.id))


@shared.get("/{study}/ledger")
def get_ledger(study: StudyId, services: AnyServices, identity: AnyIdentity) -> LedgerView:
    """The ledger summed up; viewers are not told what a point of PGR on `private` costs."""
    return ledger_view(services.store, study, exact=isinstance(identity, Operator))
