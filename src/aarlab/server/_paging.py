"""Listings a page at a time: `after` and `limit`, and a `Link` to the next page where there is one (RFC 8288)."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Depends, Request, Response

from aarlab.api.schemas import PAGE
from aarlab.server._parameters import After, Limit

T = TypeVar("T")


class Page:
    """Which part of a listing is asked for.

    Attributes:
        after: the number that all in it are larger than.
        fetch: how many to look up: one more than fit, which tells whether there is a next page.
    """

    def __init__(self, request: Request, response: Response, after: int, limit: int) -> None:
        self.after, self.fetch = after, limit + 1
        self._request, self._response = request, response

    def cut(self, rows: Sequence[T], number: Callable[[T], int]) -> Sequence[T]:
        """The rows of this page; says in the answer's headers where the next one is.

        Args:
            rows: those found, at most `fetch`, by growing number.
            number: of a row, by which `after` counts.
        """
        shown = rows[: self.fetch - 1]
        if len(rows) > len(shown):
            link_next(self._request, self._response, number(shown[-1]))
        return shown


def link_next(request: Request, response: Response, after: int | str) -> None:
    """Say where the next page of a listing is.

    Args:
        request: the one that asks for this page.
        response: the one that gives it.
        after: of the next page.
    """
    query = request.url.include_query_params(after=after).query  # the path is that of this page
    response.headers["Link"] = f'<?{query}>; rel="next"'


async def _page(request: Request, response: Response, after: After = 0, limit: Limit = PAGE) -> Page:
    """The page that a request asks for. Not in a thread: going there would cost more than this does."""
    return Page(request, response, after, limit)


Paged = Annotated[Page, Depends(_page)]
