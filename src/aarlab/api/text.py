"""What text and numbers of a request may be."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

MAX_ID = 2**31 - 1  # what a database column holds

BIDIRECTIONAL = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str, besides: str = "") -> str:
    """Refuse what steers a terminal or reorders what is shown; both deceive whoever reads."""
    for character in text:
        if character in besides:
            continue
        if unicodedata.category(character) in ("Cc", "Zl", "Zp") or character in BIDIRECTIONAL:
            raise ValueError(f"the character U+{ord(character):04X} is not allowed here")
    return text


def paragraphs(text: str) -> str:
    """Refuse the same in a text of several lines, and make its line ends plain."""
    return printable(text.replace("\r\n", "\n"), besides="\n\t")


def no_nul(text: str) -> str:
    """Refuse what no database keeps in a text."""
    if "\0" in text:
        raise ValueError("the character U+0000 is not allowed here")
    return text


def addressable(name: str) -> str:
    """Refuse a name that browsers fold away in an address."""
    if name in (".", ".."):
        raise ValueError(f"{name!r} cannot be part of an address")
    return name


Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(printable)]
Tag = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.+-]{0,39}$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=300), AfterValidator(printable)]
