"""Build the packs `math`, `math_majority` and `math_gsm8k`.

    python recipes/math_packs.py --source DIR

`math`: a right and a wrong statement to an arithmetic story, made from a seed (see
`aarlab.testbeds.arithmetic`); one pair a story. Out of distribution: the same stories answered in
Python, and stories in other words. The weak supervisor knows the words of the story and the sign of
the statement, nothing else.

`math_majority`: its twin with a planted shortcut. A story has three pairs, which share their right
statement: whoever counts the statements to a story needs no arithmetic.

`math_gsm8k`: is a language model's solution of a GSM8K question right? The student's states do not
tell, so its gap is unresolved; a larger student opens it. Out of distribution: programs for other
questions of GSM8K. The same shortcut is in it: of four solutions, those that agree are mostly right.

The packs hold numbers only. About 35 minutes on two cores; interrupt and run again at will.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aarlab.students.embedding import Candidate, Template
from aarlab.testbeds.pack import Pack, Source
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
    smollm2,
    to_inputs,
    to_pack,
    words,
)

log = logging.getLogger("recipes.math_packs")

SEED = 20261124
STORIES, SHIFTED = 2016, 240  # questions of `math`, and of each of its out-of-distribution forms
MAJORITY_STORIES, MAJORITY_SHIFTED = 600, 120
FORMS = ("arithmetic_story", "arithmetic_program", "arithmetic_other_story")
GSM8K_QUESTIONS, GSM8K_SHIFTED = 240, 120
GSM8K_LONGEST = 500  # characters of a solution
GSM8K_LABELS = 80
KEPT = ((12, "mean"), (18, "mean"), (24, "mean"), (30, "mean"))
KEPT_GSM8K = ((18, "mean"), (24, "mean"))
WEAK_LABELS = 120
SMALLEST_GAP, MOST_VANILLA = 0.15, 0.4
TEMPLATES = (
    Template("correct_yes_no", ("\nIs this correct, yes or no?", "\nIs this correct, no or yes?"), " Yes", " No"),
)
MAJORITY = "the answer that occurs most often among a question's candidates is the right one{}"


def candidate(answer: Answer) -> Candidate:
    return Candidate(f"Q: {answer.question}\nA:", f" {answer.text}")


def by_question(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    grouped: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        grouped[answer.group].append(answer)
    return grouped


def statement_pairs(form: str, questions: int, wrong: int, rng: np.random.Generator) -> list[Row]:
    """Pairs of the right and one wrong statement, `wrong` to a question, right side at random."""
    stories = list(by_question(read_answers(form)).values())[:questions]
    return [pair(form, right, other, rng) for right, *others in stories for other in others[:wrong]]


def words_with_sign(answer: Answer) -> str:
    """Each word of the question, joined with the sign of the statement: "sellsplus"."""
    sign = "plus" if "+" in answer.text else "minus"
    return " ".join(word + sign for word in re.findall("[A-Za-z]+", answer.question))


def arithmetic_pack(
    name: str, rows: Sequence[Row], activations: Activations, shortcuts: Sequence[dict[str, str]] = ()
) -> Pack:
    known = np.array([row.source == FORMS[0] for row in rows])
    about = ("one-step stories", "the same stories, answered in Python", "stories in other words")
    arrays = activations.of([[candidate(a) for a in row.answers] for row in rows])
    return to_pack(
        rows,
        to_inputs(arrays, KEPT, known),
        words(rows, words_with_sign),
        [
            describe(form, "id" if form == FORMS[0] else "ood", f"made by aarlab: {what}", "Apache-2.0")
            for form, what in zip(FORMS, about, strict=True)
        ],
        name=name,
        domain="math",
        question="Which of two statements to an arithmetic story is right? 1: the second.",
        shortcuts=shortcuts,
        recipe={"script": "recipes/math_packs.py", "seed": SEED, **activations.embedder.recipe()},
        representations=KEPT,
        default_representations=KEPT[1:],
        templates=tuple(t.name for t in TEMPLATES),
        weak={
            "kind": "bag_of_words",
            "labels": WEAK_LABELS,
            "what": "each word of the story joined with the sign of the statement",
        },
    )


def solutions(
    name: str, path: Path, among: set[str], count: int, rng: np.random.Generator
) -> tuple[list[Row], set[str]]:
    """All solutions of `count` questions drawn from `among` whose solutions are short, and these questions."""
    grouped = by_question(read_answers(name, path))
    short = [g for g in sorted(grouped) if g in among and max(len(a.text) for a in grouped[g]) <= GSM8K_LONGEST]
    chosen = [str(group) for group in rng.permutation(short)[:count]]
    return [Row(name, (a,), a.label) for group in chosen for a in grouped[group]], set(chosen)


def gsm8k_rows(source: Path, rng: np.random.Generator) -> list[Row]:
    """Solutions, and programs for other questions."""
    known_path, shifted_path = source / "math.jsonl.gz", source / "math_pot_gsm8k.jsonl.gz"
    everything = {a.group for a in read_answers("math", known_path)}
    known, used = solutions("math", known_path, everything, GSM8K_QUESTIONS, rng)
    shifted, _ = solutions("math_pot_gsm8k", shifted_path, everything - used, GSM8K_SHIFTED, rng)
    return [*known, *shifted]


def gsm8k_pack(rows: Sequence[Row], sources: Sequence[Source], activations: Activations) -> Pack:
    # Solutions come by model, and some models are right more often: in their order the label would show.
    rows = [rows[i] for i in np.random.default_rng([SEED, 3]).permutation(len(rows))]
    known = np.array([row.source == "math" for row in rows])
    return to_pack(
        rows,
        to_inputs(activations.of([[candidate(row.answers[0])] for row in rows]), KEPT_GSM8K, known),
        words(rows),
        sources,
        name="math_gsm8k",
        domain="math",
        question="Is this solution of a grade school word problem right? 1: yes.",
        shortcuts=[{"name": "majority_answer", "what": MAJORITY.format(", more often than not")}],
        recipe={"script": "recipes/math_packs.py", "seed": SEED, **activations.embedder.recipe()},
        representations=KEPT_GSM8K,
        default_representations=KEPT_GSM8K,
        templates=tuple(t.name for t in TEMPLATES),
        weak={"kind": "bag_of_words", "labels": GSM8K_LABELS, "what": "words and word pairs of the solution"},
    )


def main() -> None:
    args = arguments(__doc__, "math")
    single = [
        statement_pairs(form, count, 1, np.random.default_rng([SEED, 0, i]))
        for i, (form, count) in enumerate(zip(FORMS, (STORIES, SHIFTED, SHIFTED), strict=True))
    ]
    majority = [
        statement_pairs(form, count, 3, np.random.default_rng([SEED, 1, i]))
        for i, (form, count) in enumerate(
            zip(FORMS, (MAJORITY_STORIES, MAJORITY_SHIFTED, MAJORITY_SHIFTED), strict=True)
        )
    ]
    gsm8k = gsm8k_rows(args.source, np.random.default_rng([SEED, 2]))

    activations = Activations(smollm2(LAYERS, TEMPLATES), args.work)
    for rows in (*single, *majority):
        # Right before wrong, whatever the side: checkpoints do not hang on how sides were drawn.
        activations.add(candidate(a) for row in rows for a in sorted(row.answers, key=lambda a: -a.label))
    pack = arithmetic_pack("math", [row for rows in single for row in rows], activations)
    finish(first_resolved_draw(pack, SMALLEST_GAP, MOST_VANILLA), args.to / "math")
    shortcut = {"name": "majority_answer", "what": MAJORITY.format(""), "without": "math"}
    pack = arithmetic_pack("math_majority", [row for rows in majority for row in rows], activations, [shortcut])
    finish(first_resolved_draw(pack, SMALLEST_GAP, MOST_VANILLA), args.to / "math_majority")

    activations.add(candidate(a) for row in gsm8k if row.source == "math" for a in row.answers)
    activations.add(candidate(a) for row in gsm8k if row.source != "math" for a in row.answers)
    sources = (
        describe(
            "math",
            "id",
            "openai/grade-school-math, example_model_solutions @3101c7d",
            "MIT",
            args.source / "math.jsonl.gz",
        ),
        describe(
            "math_pot_gsm8k",
            "ood",
            "TIGER-AI-Lab/Program-of-Thoughts, outputs @850399c",
            "MIT",
            args.source / "math_pot_gsm8k.jsonl.gz",
        ),
    )
    finish(gsm8k_pack(gsm8k, sources, activations), args.to / "math_gsm8k")  # unresolved, whatever the draw


if __name__ == "__main__":
    main()
