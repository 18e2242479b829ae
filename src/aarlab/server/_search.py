"""Full-text search over findings, by what each database brings: FTS5 in SQLite, tsvector in PostgreSQL.

Both stem English words and keep accents, and both look for all words of a query, those in double quotes as a phrase.
Nothing else in a query has a meaning: whatever is no letter and no digit separates words, so no text is an error in
either language. PostgreSQL does not look for words as common as "the" or "before".
"""

import re
from typing import Any

from sqlalchemy import ColumnElement, Select, column, desc, func, literal_column, table

from aarlab.server._models import FindingRow

#: The table of migration 0002 in SQLite and its shadows begin with this name; in PostgreSQL it is a column of
#: `findings`, and its index ends with it. No model knows them.
SEARCH = "finding_search"

TITLE_WEIGHT, BODY_WEIGHT = 4.0, 1.0
MAX_WORDS = 32

_QUOTED = re.compile(r'"([^"]*)"?|([^"]+)')
_WORD = re.compile(r"[^\W_]+")


def phrases(text: str) -> list[tuple[str, ...]]:
    """The phrases that a query asks for: one for each word, and one for all words between double quotes.

    Args:
        text: as somebody typed it.
    """
    found: list[tuple[str, ...]] = []
    for quoted, plain in _QUOTED.findall(text):
        if quoted:
            found.append(tuple(_WORD.findall(quoted)))
        found += [(word,) for word in _WORD.findall(plain)]
    return [phrase for phrase in found if phrase][:MAX_WORDS]


def matching(query: Select[Any], dialect: str, text: str) -> Select[Any]:
    """Narrow a query on findings to those that hold all that is asked for, the most relevant first.

    Args:
        query: a select of `FindingRow`, without an order.
        dialect: SQLAlchemy's name of the database.
        text: as somebody typed it; has at least one word.
    """
    wanted = " ".join(f'"{" ".join(phrase[:MAX_WORDS])}"' for phrase in phrases(text))
    if dialect == "postgresql":
        words = func.websearch_to_tsquery("english", wanted)
        stored: ColumnElement[Any] = literal_column(f"findings.{SEARCH}")
        query = query.where(stored.op("@@")(words))
        return query.order_by(desc(func.ts_rank_cd(stored, words, 1)), FindingRow.id.desc())
    index = table(SEARCH, column("rowid"))
    rank = func.bm25(literal_column(SEARCH), TITLE_WEIGHT, BODY_WEIGHT)
    query = query.join(index, index.c.rowid == FindingRow.id).where(literal_column(SEARCH).op("MATCH")(wanted))
    return query.order_by(rank, FindingRow.id.desc())
