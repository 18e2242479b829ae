"""What an operator does about money, and about a study that runs."""

from urllib.parse import quote

from aarlab.api._http import HttpClient
from aarlab.api.ledger import Charge, ChargeCreate, LedgerView
from aarlab.api.schemas import Researcher, ResearcherChange, Study, StudyChange


class LedgerCalls(HttpClient):
    """A part of `OperatorClient`. All methods raise `ApiError` and its kinds, and may be repeated safely."""

    def change(self, study: str, change: StudyChange) -> Study:
        """Pause a study, let it go on, or change its budgets. What is not set stays; None lifts a limit.

        Raises:
            Refused: the study is over, or a budget would fall below what is spent.
        """
        return self._call("PATCH", _path(study), Study, body=change)

    def change_researcher(self, study: str, researcher: int, change: ResearcherChange) -> Researcher:
        """Give a researcher budgets of its own. What is not set stays; None takes the study's for each.

        Raises:
            Refused: the study is over, or a budget would fall below what is spent.
        """
        return self._call("PATCH", f"{_path(study)}/researchers/{researcher}", Researcher, body=change)

    def charge(self, study: str, charge: ChargeCreate) -> Charge:
        """Enter a charge, once a key.

        Raises:
            Refused: the key came with another content, or nobody says what it costs.
        """
        return self._post(f"{_path(study)}/charges", Charge, charge)

    def charges(self, study: str) -> list[Charge]:
        """All charges of a study, in the order in which they were entered."""
        return self._list(f"{_path(study)}/charges", Charge)

    def ledger(self, study: str) -> LedgerView:
        """The ledger of a study, summed up."""
        return self._get(f"{_path(study)}/ledger", LedgerView)


def _path(study: str) -> str:
    return f"/studies/{quote(study, safe='')}"
