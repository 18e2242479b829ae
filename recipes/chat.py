r"""Build the `chat` pack: which of two answers to a question is the better one.

    python recipes/chat.py --source DIR

In distribution: answers of people and models to the 817 TruthfulQA questions (Lin et al. 2022),
judged true or false. A pair holds one true and one false answer to one question. Each answer stands
in at most one pair, so how often an answer is shown says nothing about its label. Answers that are
given to many questions ("Yes.", "I have no comment.") are left out: they would stand on both sides
of a split.

Out of distribution, only to be tested on: which of two replies crowd workers found less harmful
(hh-rlhf; noisy, offensive content), and which of two answers to an instruction annotators preferred
(PandaLM), the pairs with the shortest texts of each.

The pack holds numbers only. About 30 minutes on two cores; interrupt and run again at will. With
`--known FOLDER` the numbers of the in-distribution rows are taken from an earlier pack of them.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aarlab.students.embedding import Candidate, Template
from aarlab.testbeds.pack import Inputs
from aarlab.testbeds.sources import Answer, read_answers
from common import (
    LAYERS,
    Activations,
    Arrays,
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

log = logging.getLogger("recipes.chat")

PAIRS_PER_QUESTION = 5
COMMON_ANSWER = 3  # an answer to more questions than this is left out
SEED = 20261123
KEPT = tuple((layer, pooling) for layer in (12, 18, 24) for pooling in ("mean", "last"))
WEAK_LABELS = 120
SMALLEST_GAP = 0.15
SHIFTED = {"chat": 550, "chat_pandalm": 450}  # pairs of each out-of-distribution source
TEMPLATES = (
    Template(
        "true_or_false",
        ("\nTrue or false? The answer is", "\nFalse or true? The answer is"),
        " true",
        " false",
    ),
    Template("correct_yes_no", ("\nIs this correct, yes or no?", "\nIs this correct, no or yes?"), " Yes", " No"),
)


def normal(answer: str) -> str:
    return re.sub(r"\W+", " ", answer).strip().lower()


def judged_answers(answers: Sequence[Answer]) -> dict[str, dict[str, bool]]:
    """Judged answers by question; answers judged both ways, or common to many questions, dropped."""
    judged: dict[str, dict[str, set[bool]]] = defaultdict(lambda: defaultdict(set))
    for answer in answers:
        judged[answer.question][answer.text].add(bool(answer.label))
    spread = Counter(text for texts in judged.values() for text in {normal(a) for a in texts})
    kept: dict[str, dict[str, bool]] = {}
    for question, texts in judged.items():
        distinct: dict[str, tuple[str, set[bool]]] = {}
        for text, verdicts in texts.items():
            distinct.setdefault(normal(text), (text, set()))[1].update(verdicts)
        kept[question] = {
            text: verdicts.copy().pop()
            for key, (text, verdicts) in distinct.items()
            if key and len(verdicts) == 1 and spread[key] <= COMMON_ANSWER
        }
    return kept


def draw_pairs(answers: dict[str, dict[str, bool]], rng: np.random.Generator) -> list[Row]:
    """Up to `PAIRS_PER_QUESTION` disjoint pairs a question, true side at random."""
    rows = []
    for question in sorted(answers):
        true = sorted(a for a, verdict in answers[question].items() if verdict)
        false = sorted(a for a, verdict in answers[question].items() if not verdict)
        count = min(len(true), len(false), PAIRS_PER_QUESTION)
        for t, f in zip(rng.permutation(len(true))[:count], rng.permutation(len(false))[:count], strict=True):
            right, wrong = Answer(question, question, true[t], 1), Answer(question, question, false[f], 0)
            rows.append(pair("truthfulqa_judge_raw", right, wrong, rng))
    return rows


def shifted_pairs(name: str, path: Path) -> list[Row]:
    """The pairs with the shortest texts, sides as in the source."""
    answers = read_answers(name, path)
    pairs = list(zip(answers[0::2], answers[1::2], strict=True))
    pairs.sort(key=lambda p: (len(p[0].question) + len(p[0].text) + len(p[1].text), p[0].pair))
    return [Row(name, (a, b), b.label) for a, b in pairs[: SHIFTED[name]]]


def candidates(rows: Sequence[Row]) -> list[list[Candidate]]:
    """How the model reads the answers of each row."""
    shape = {"truthfulqa_judge_raw": "Q: {}\nA:"} | dict.fromkeys(SHIFTED, "{}\n\nAssistant:")
    return [[Candidate(shape[r.source].format(a.question), f" {a.text}") for a in r.answers] for r in rows]


def main() -> None:
    args = arguments(__doc__, "chat", known="pack whose in-distribution rows are these; they are not computed again")
    paths = {name: args.source / f"{name}.jsonl.gz" for name in ("truthfulqa_judge_raw", *SHIFTED)}
    judged = judged_answers(read_answers("truthfulqa_judge_raw", paths["truthfulqa_judge_raw"]))
    known = draw_pairs(judged, np.random.default_rng(SEED))
    shifted = [row for name in SHIFTED for row in shifted_pairs(name, paths[name])]
    log.info("%d pairs, and %d out of distribution", len(known), len(shifted))

    embedder = smollm2(LAYERS, TEMPLATES)
    activations = Activations(embedder, args.work)
    activations.add(c for row in candidates(shifted) for c in row)
    if args.known is None:
        activations.add(c for row in candidates(known) for c in row)
        rows = [*known, *shifted]
        inputs = to_inputs(activations.of(candidates(rows)), KEPT, np.arange(len(rows)) < len(known))
    else:
        inputs = extend(args.known, known, activations.of(candidates(shifted)))
    rows = [*known, *shifted]
    pack = to_pack(
        rows,
        inputs,
        words(rows),
        (
            describe(
                "truthfulqa_judge_raw",
                "id",
                "TruthfulQA judge data (Lin et al. 2022, arXiv 2109.07958), a public copy",
                "Apache-2.0 (upstream)",
                paths["truthfulqa_judge_raw"],
            ),
            describe("chat", "ood", "anthropics/hh-rlhf, harmless-base/test @354e5c3", "MIT", paths["chat"]),
            describe(
                "chat_pandalm", "ood", "WeOpenML/PandaLM, testset-v1 @3871806", "Apache-2.0", paths["chat_pandalm"]
            ),
        ),
        name="chat",
        domain="chat",
        question="Which of two answers to a question is truthful (out of distribution: the better)? 1: the second.",
        recipe={"script": "recipes/chat.py", "seed": SEED, **embedder.recipe()},
        representations=KEPT,
        default_representations=KEPT,
        templates=tuple(t.name for t in TEMPLATES),
        weak={"kind": "bag_of_words", "labels": WEAK_LABELS, "what": "words and word pairs of the answers"},
    )
    finish(first_resolved_draw(pack, SMALLEST_GAP), args.to / "chat")


def extend(folder: Path, rows: Sequence[Row], shifted: Arrays) -> Inputs:
    """Numbers of an earlier pack of the in-distribution rows, with those of the shifted rows behind."""
    with np.load(folder / "operator.npz") as arrays:
        labels, groups = arrays["labels"][: len(rows)], arrays["groups"][: len(rows)]
    questions = {group: row.answers[0].question for group, row in zip(groups.tolist(), rows, strict=True)}
    same = [questions[g] == row.answers[0].question for g, row in zip(groups.tolist(), rows, strict=True)]
    if not all(same) or labels.tolist() != [row.label for row in rows]:
        raise SystemExit(f"{folder} holds other rows")
    with np.load(folder / "inputs.npz") as arrays:
        old = Inputs(**{name: arrays[name] for name in ("hidden", "scale", "margins", "logprob")})
    new = to_inputs(shifted, KEPT, old.scale)
    return Inputs(
        hidden=np.concatenate([old.hidden[: len(rows)], new.hidden]),
        scale=old.scale,
        margins=np.concatenate([old.margins[: len(rows)], new.margins]),
        logprob=np.concatenate([old.logprob[: len(rows)], new.logprob]),
    )


if __name__ == "__main__":
    main()
