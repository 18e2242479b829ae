"""Build the `code` pack: which of two programs for a problem is correct.

    python recipes/code_packs.py --source DIR

In distribution: programs for MBPP problems, judged by running the tests. A canonical solution is
paired with a model sample that fails, or else with its own failing mutant, which differs from it in
one place; a model sample that passes is paired with its own mutant. Out of distribution: samples of CodeGen
for HumanEval problems, correct and wrong ones of one writer.

Two shortcuts are recorded. Whoever can execute the text needs neither teacher nor student. And who
wrote a program tells much: in distribution canonical solutions are always right and mutants always
wrong. Writers are known to the operator only.

The pack holds numbers only. About 15 minutes on two cores; interrupt and run again at will.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from aarlab.students.embedding import Candidate, Template
from aarlab.testbeds.sources import Answer, read_answers
from common import (
    LAYERS,
    Activations,
    Row,
    arguments,
    describe,
    finish,
    first_resolved_draw,
    pair,
    select,
    smollm2,
    to_inputs,
    to_pack,
)

log = logging.getLogger("recipes.code_packs")

SEED = 20261125
LONGEST, LONGEST_SHIFTED = 300, 600  # characters of a program
SHIFTED_PAIRS = 6  # of a HumanEval problem
# (writer, label) of the right and the wrong program of a pair; no program stands in two.
MBPP_PAIRS = (
    (("mbpp_canonical", 1), ("mbpp_model_sample", 0)),
    (("mbpp_canonical", 1), ("mbpp_mutant_of_canonical", 0)),
    (("mbpp_model_sample", 1), ("mbpp_mutant_of_sample", 0)),
)
KEPT = ((12, "mean"), (18, "mean"), (24, "mean"), (30, "mean"))
WEAK = (12, "last")  # a bag of words is at chance here
WEAK_LABELS = 120
SMALLEST_GAP = 0.1
TEMPLATES = (
    Template("correct_yes_no", ("\nIs this correct, yes or no?", "\nIs this correct, no or yes?"), " Yes", " No"),
)


def candidate(answer: Answer) -> Candidate:
    return Candidate(f"{answer.question}\n\nSolution:\n", answer.text)


def by_problem(name: str, path: Path, rng: np.random.Generator) -> Iterator[list[Answer]]:
    """Programs of each problem, problems in random order."""
    grouped: dict[str, list[Answer]] = defaultdict(list)
    for answer in read_answers(name, path):
        grouped[answer.group].append(answer)
    for group in rng.permutation(sorted(grouped)):
        yield grouped[str(group)]


def mbpp_pairs(path: Path, rng: np.random.Generator) -> list[tuple[Answer, Answer]]:
    """Right and wrong program, each in one pair."""
    pairs = []
    for programs in by_problem("code_mbpp", path, rng):
        by_writer = {(p.writer, p.label): p for p in programs if len(p.text) <= LONGEST}
        for right, wrong in MBPP_PAIRS:
            if right in by_writer and wrong in by_writer:
                pairs.append((by_writer.pop(right), by_writer.pop(wrong)))
    return pairs


def humaneval_pairs(path: Path, rng: np.random.Generator) -> list[tuple[Answer, Answer]]:
    """Right and wrong sample, each in one pair."""
    pairs = []
    for programs in by_problem("code", path, rng):
        right, wrong = (
            [by_text[text] for text in sorted(by_text) if len(text) < LONGEST_SHIFTED]
            for by_text in ({p.text: p for p in programs if p.label == label} for label in (1, 0))
        )
        count = min(len(right), len(wrong), SHIFTED_PAIRS)
        for r, w in zip(rng.permutation(len(right))[:count], rng.permutation(len(wrong))[:count], strict=True):
            pairs.append((right[r], wrong[w]))
    return pairs


def drawn_rows(source: str, pairs: Sequence[tuple[Answer, Answer]], rng: np.random.Generator) -> list[Row]:
    return [pair(source, right, wrong, rng) for right, wrong in pairs]


def main() -> None:
    args = arguments(__doc__, "code")
    mbpp, humaneval = args.source / "code_mbpp.jsonl.gz", args.source / "code.jsonl.gz"
    rng = np.random.default_rng(SEED)
    known, shifted = mbpp_pairs(mbpp, rng), humaneval_pairs(humaneval, rng)
    log.info("%d pairs, and %d out of distribution", len(known), len(shifted))

    activations = Activations(smollm2(LAYERS, TEMPLATES), args.work)
    for pairs in (known, shifted):
        activations.add(candidate(p) for both in pairs for p in both)
    sides = np.random.default_rng([SEED, 1])
    rows = [*drawn_rows("code_mbpp", known, sides), *drawn_rows("code", shifted, sides)]
    arrays = activations.of([[candidate(p) for p in row.answers] for row in rows])
    pack = to_pack(
        rows,
        to_inputs(arrays, KEPT, np.arange(len(rows)) < len(known)),
        select(arrays["hidden"], [WEAK])[:, 0].astype(np.float16),
        (
            describe("code_mbpp", "id", "amazon-science/mxeval, MBPP solutions @e09974f", "CC-BY-4.0", mbpp),
            describe("code", "ood", "microsoft/CodeT samples @35f54d6, openai/human-eval @6d43fb9", "MIT", humaneval),
        ),
        name="code",
        domain="code",
        question="Which of two programs for a problem is correct? 1: the second.",
        shortcuts=(
            {"name": "executable", "what": "the programs can be executed on the examples in the question"},
            {
                "name": "generator",
                "what": "in distribution canonical solutions are always right and mutants always wrong",
            },
        ),
        recipe={"script": "recipes/code_packs.py", "seed": SEED, **activations.embedder.recipe()},
        representations=KEPT,
        default_representations=KEPT[1:],
        templates=tuple(t.name for t in TEMPLATES),
        weak={"kind": "hidden", "labels": WEAK_LABELS, "what": "layer 12 at the last token of the program"},
    )
    finish(first_resolved_draw(pack, SMALLEST_GAP), args.to / "code")


if __name__ == "__main__":
    main()
