"""What came of attacks, as people and programs read it."""

import json
import re
from pathlib import Path

import pytest

from aarlab.attacks import suite, table
from aarlab.attacks._types import Outcome, Recovered
from aarlab.attacks.live import open_arena
from aarlab.attacks.suite import Result
from aarlab.sandbox import default_sandbox

DOCUMENT = (Path(__file__).parents[2] / "docs" / "attacks.md").read_text(encoding="utf-8")
CHEAP = ["over-budget", "another-token", "wrong-role", "second-look"]


def asked(gained: int, *, through: bool) -> Outcome:
    return Outcome(
        through=through,
        gained=f"{gained} labels",
        blocked_by="" if through else "guard: tapered",
        recovered=Recovered(gained=gained, out_of=957, low=-30, high=30),
        inflation=gained / 957,
        inflation_se=0.027,
    )


RESULTS = (
    Result(
        attack="flips",
        family="queries",
        what="Flips.",
        default=asked(4, through=False),
        exact=asked(280, through=True),
    ),
    Result(
        attack="lookup",
        family="gaming",
        what="Looks up.",
        default=Outcome(
            through=False, gained="+0.300 over vanilla on private", blocked_by="flagged: a, b", public=1, private=0.98
        ),
    ),
    Result(
        attack="bomb",
        family="hostile",
        what="A | bomb.",
        default=Outcome(through=True, gained="16 GiB", blocked_by=""),
    ),
    Result(attack="token", family="api", what="Steals.", default=None, trouble="ApiError: gone"),
)


def test_markdown_says_what_held_and_what_did_not():
    text = table.markdown(RESULTS)
    assert "| flips | +4 of 957 (-30 to 30) | +0.004 (0.027) | guard: tapered | +280 of 957 (-30 to 30)" in text
    assert "| lookup | 1.000 | 0.980 | +0.300 |  | a, b |" in text
    assert "| bomb | A \\| bomb | 16 GiB | **got through** |" in text
    assert "could not be run: ApiError: gone" in text
    assert "### Learning labels from answers: 1 of 1 held" in text
    assert "### Breaking out of the sandbox: 0 of 1 held" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    by_table = re.split(r"^### .*$", text, flags=re.MULTILINE)[1:]
    assert len(rows) == 3 * len(RESULTS)
    for one in by_table:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in one.splitlines() if line}) == 1


def test_the_document_is_whole():
    whole = json.loads(table.document(RESULTS, 2000))
    assert whole["queries"] == 2000
    assert whole["held"] is False
    assert [one["held"] for one in whole["attacks"]] == [True, True, False, False]
    assert whole["attacks"][0]["default"]["recovered"]["gained"] == 4


def documented() -> dict[str, str]:
    """Rows of the tables in docs/attacks.md by attack."""
    inside = re.search(r"<!-- attacks -->\n(.*?)\n<!-- /attacks -->", DOCUMENT, re.DOTALL)
    assert inside is not None
    rows = [line for line in inside[1].splitlines() if line.startswith("| ") and not line.startswith("| attack")]
    return {row.split("|")[1].strip(): row for row in rows}


def test_all_attacks_are_documented():
    assert set(documented()) == set(suite.attacks())


@pytest.mark.slow
def test_what_is_documented_comes_out_again():
    """Attacks whose outcome hangs on no chance and no machine."""
    with open_arena(default_sandbox(), 2) as arena:
        results = suite.run_suite(arena, suite.chosen(CHEAP), workers=2)
    rows = [line for line in table.markdown(results).splitlines() if line.startswith("| ")]
    printed = {row.split("|")[1].strip(): row for row in rows if not row.startswith("| attack")}
    assert printed == {name: documented()[name] for name in CHEAP}
