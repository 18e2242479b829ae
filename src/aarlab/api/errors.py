"""How a call to the server can fail.

ApiError(status)
├── Unreachable                   no answer, after several tries
├── Unauthorized                  401: the token is missing or unknown
├── Forbidden                     403: the token is of the wrong role
├── NotFound                      404: no such thing, or it belongs to another study
├── BudgetExceeded(spent, limit)  429: all evaluations are spent
├── Refused                       other 4xx: the request itself is at fault
└── ServerFailed                  5xx, or an answer that cannot be read
"""

from aarlab.errors import AarlabError


class ApiError(AarlabError):
    """The server refused or could not answer.

    Attributes:
        status: HTTP status; None if there was no answer.
        type: URI of the kind of problem (RFC 9457), such as `urn:aarlab:finished`.
    """

    def __init__(
        self,
        message: str,
        advice: str = "",
        *,
        status: int | None = None,
        type: str = "about:blank",  # noqa: A002 - RFC 9457's word
    ) -> None:
        super().__init__(message, advice)
        self.status = status
        self.type = type


class Unreachable(ApiError):
    """No answer, after several tries."""


class Unauthorized(ApiError):
    """The token is missing or unknown."""


class Forbidden(ApiError):
    """The token is of the wrong role."""


class NotFound(ApiError):
    """There is no such thing, or it belongs to another study."""


class BudgetExceeded(ApiError):
    """All evaluations are spent.

    Attributes:
        spent: evaluations used.
        limit: evaluations granted.
    """

    def __init__(self, message: str, advice: str, *, spent: int, limit: int) -> None:
        super().__init__(message, advice, status=429, type="urn:aarlab:budget")
        self.spent = spent
        self.limit = limit


class Refused(ApiError):
    """The request itself is at fault: invalid, too large, or it comes at the wrong time."""


class ServerFailed(ApiError):
    """The server failed, or what it answered cannot be read."""
