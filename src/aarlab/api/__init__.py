"""The HTTP API as its users see it: schemas, clients, errors. All that a researcher needs to import."""

from aarlab.api.client import OperatorClient, ResearcherClient
from aarlab.api.errors import (
    ApiError,
    BudgetExceeded,
    Forbidden,
    NotFound,
    RateLimited,
    Refused,
    ServerFailed,
    Unauthorized,
    Unreachable,
)

__all__ = [
    "ApiError",
    "BudgetExceeded",
    "Forbidden",
    "NotFound",
    "OperatorClient",
    "RateLimited",
    "Refused",
    "ResearcherClient",
    "ServerFailed",
    "Unauthorized",
    "Unreachable",
]
