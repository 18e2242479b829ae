"""Lists a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Cut(Generic[T]):
    """One page of a list.

    Attributes:
        page: which, from 1.
        pages: how many there are, at least 1.
        total: entries on all of them.
    """

    items: Sequence[T]
    page: int
    pages: int
    total: int


def cut(items: Sequence[T], page: int, size: int) -> Cut[T]:
    """A page of a list; the last one if it has not so many."""
    pages = max(1, -(-len(items) // size))
    page = min(max(1, page), pages)
    return Cut(items[(page - 1) * size : page * size], page, pages, len(items))
