"""How a call to the server can fail.

ApiError(status)
├── Unreachable                   no answer, after several tries
├── Unauthorized                  401: the token is missing, unknown, expired or revoked
├── Forbidden                     403: the token is of the wrong role
├── NotFound                      404: no such thing, or it belongs to another study
├── BudgetExceeded(spent, limit)  429: all evaluations, or dollars, are spent
├── RateLimited                   429: too many requests, still after the waits that the server asked for
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
    """The token is missing, unknown, expired or revoked."""


class Forbidden(ApiError):
    """The token is of the wrong role."""


class NotFound(ApiError):
    """There is no such thing, or it belongs to another study."""


class BudgetExceeded(ApiError):
    """All evaluations are spent, or as much money as may be.

    Attributes:
        spent: evaluations used, or dollars.
        limit: evaluations granted, or dollars.
    """

    def __init__(self, message: str, advice: str, *, spent: float, limit: float) -> None:
        super().__init__(message, advice, status=429, type="urn:aarlab:budget")
        self.spent = spent
        self.limit = limit


class RateLimited(ApiError):
    """Too many requests, still after the waits that the server asked for. It was not carried out."""

    TYPE = "urn:aarlab:rate"

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message, advice, status=429, type=self.TYPE)


class Refused(ApiError):
    """The request itself is at fault: invalid, too large, or it comes at the wrong time."""


class ServerFailed(ApiError):
    """The server failed, or what it answered cannot be read."""
