"""Ways to answer without teacher or student: what each scores, as if it were a method."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from aarlab.stats import compare_accuracy
from aarlab.testbeds.check.report import FETCH, Check, Figure, Rule, Score
from aarlab.testbeds.summary import PartSummary, Summary
from aarlab.testbeds.testbed import Testbed, correctness
from aarlab.testbeds.weak import _words, count_words

Floats = NDArray[np.float64]

HALF = 0.5  # share of the gap above which a rule is told of
ANSWERS = 0.9  # share of candidates with a number, above which numbers are taken for final answers
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


class _Missing(Exception):
    """A rule cannot be measured here; says why."""


#: Gives P(label = 1) of all rows, shape (n,); 1/2 where the rule does not know.
Answer = Callable[[Testbed], Floats]


def measure(testbed: Testbed, summary: Summary) -> tuple[Rule, ...]:
    """Score all trivial baselines, and all shortcuts that the manifest tells of or that can be looked for."""
    rules = [_score(testbed, summary, Rule(name, "baseline", how), answer) for name, how, answer in BASELINES]
    declared = {shortcut.name: shortcut.what for shortcut in testbed.pack.manifest.shortcuts}
    for name, how, answer in SHORTCUTS:
        told = name in declared or SAME.get(name) in declared
        rules.append(_score(testbed, summary, Rule(name, "shortcut", how, declared=told), answer))
    known = {name for name, _, _ in SHORTCUTS}
    for name, what in declared.items():
        if name not in known:
            missing = "nothing here can measure it; it needs a method of its own"
            rules.append(Rule(name, "shortcut", what, missing=missing, declared=True))
    return tuple(rules)


def _score(testbed: Testbed, summary: Summary, rule: Rule, answer: Answer) -> Rule:
    try:
        answers = answer(testbed)
    except _Missing as error:
        return replace(rule, missing=str(error))
    return replace(rule, scores=tuple(_score_part(testbed, part, answers) for part in summary.parts))


def _score_part(testbed: Testbed, part: PartSummary, answers: Floats) -> Score:
    rows, groups = testbed.rows(part.split, part.part), testbed.groups(part.split, part.part)
    correct = correctness(answers[rows], testbed.labels(part.split, part.part))[None]
    compared = compare_accuracy(correct, np.zeros_like(correct), groups)
    accuracy = compared.difference.estimate
    recovered = None
    if part.resolved and part.ceiling is not None:
        recovered = (accuracy - part.floor) / (part.ceiling - part.floor)
    return Score(part.split, part.part, accuracy, compared.standard_error, recovered)


def judge(testbed: Testbed, summary: Summary, rules: Sequence[Rule]) -> Iterator[Check]:
    """What the scores say about the testbed."""
    for rule in rules:
        name = f"{rule.kind}: {rule.name}"
        figures: dict[str, Figure] = {f"{s.split} {s.part}": round(s.accuracy, 4) for s in rule.scores}
        if rule.missing:
            needs_text = rule.missing == NO_TEXT and rule.declared
            advice = FETCH.format(name=testbed.name) if rule.missing == NO_TEXT else ""
            yield Check(name, "warn" if needs_text else "pass", f"not measured: {rule.missing}", advice)
        elif rule.name == "words":
            yield _judge_words(testbed, rule, name, figures)
        elif rule.name == "majority class":
            yield _judge_majority(summary, rule, name, figures)
        elif rule.kind == "shortcut":
            yield _judge_shortcut(testbed, rule, name, figures)
        else:
            yield _judge_trivial(rule, name, figures)


def _judge_trivial(rule: Rule, name: str, figures: dict[str, Figure]) -> Check:
    finding = f"{rule.how}: {_told(rule)}"
    if rule.best is not None and rule.best >= HALF:
        advice = "A method may earn PGR by this alone; compare methods with this rule, and audit what they rest on."
        return Check(name, "warn", finding, advice, figures)
    return Check(name, "pass", finding, "", figures)


def _judge_majority(summary: Summary, rule: Rule, name: str, figures: dict[str, Figure]) -> Check:
    finding = f"{rule.how}: {_told(rule)}"
    by_part = {(part.split, part.part): part for part in summary.parts if part.resolved or part.part == "id"}
    above = [s for s in rule.scores if (s.split, s.part) in by_part and s.accuracy >= by_part[s.split, s.part].floor]
    if above:
        where = ", ".join(f"{s.split} {s.part}" for s in above)
        advice = "PGR above 0 means nothing where the floor is below this; train the weak supervisor on more labels."
        return Check(name, "warn", f"{finding}; the floor is no higher on {where}", advice, figures)
    return Check(name, "pass", finding, "", figures)


def _judge_words(testbed: Testbed, rule: Rule, name: str, figures: dict[str, Figure]) -> Check:
    finding = f"{rule.how}: {_told(rule)}"
    if not len(testbed.ceiling_predictions):
        return Check(name, "pass", finding, "", figures)
    reached = []
    answers = _bag_of_words(testbed)
    for score in rule.scores:
        if score.part == "id":
            rows, groups = testbed.rows(score.split), testbed.groups(score.split)
            correct = correctness(answers[rows], testbed.labels(score.split))
            compared = compare_accuracy(testbed.ceiling_correct(score.split), correct, groups)
            if compared.difference.low <= 0:
                reached.append(score.split)
    if reached:
        advice = "The ceiling shows nothing that words do not: use a stronger student, or better representations."
        return Check(name, "warn", f"{finding}; not clearly below the ceiling on {', '.join(reached)}", advice, figures)
    return Check(name, "pass", finding, "", figures)


def _judge_shortcut(testbed: Testbed, rule: Rule, name: str, figures: dict[str, Figure]) -> Check:
    finding = f"{rule.how}: {_told(rule)}"
    names = (rule.name, SAME.get(rule.name))
    twin = next((s.without for s in testbed.pack.manifest.shortcuts if s.name in names and s.without), None)
    if rule.declared:
        told = "declared" + (f"; {twin} is the same without it" if twin else "")
        return Check(name, "pass", f"{told}. {finding}", "", figures)
    if rule.best is not None and rule.best >= HALF:
        advice = "Tell of it in the manifest (shortcuts), or make the pack without it."
        return Check(name, "warn", f"not declared. {finding}", advice, figures)
    return Check(name, "pass", finding, "", figures)


def _told(rule: Rule) -> str:
    accuracies = ", ".join(f"{s.accuracy:.3f} on {s.split} {s.part}" for s in rule.scores)
    return accuracies if rule.best is None else f"{accuracies}; PGR up to {rule.best:.2f}"


NO_TEXT = "the text is not on this machine"
FEATURES = "the pack holds neither words nor text"


def _majority(testbed: Testbed) -> Floats:
    return np.full(len(testbed.pack.labels), float(testbed.labels("train").mean() > 0.5))


def _threshold(testbed: Testbed, feature: Floats) -> Floats:
    """The best cut through one number by the truth of `train`; on pairs at 0, and only its direction is fitted."""
    rows = testbed.rows("train")
    values, labels = feature[rows], testbed.labels("train")
    if testbed.pack.pairs:
        cuts = np.zeros(1)
    else:
        steps = np.unique(values)
        cuts = np.unique(np.quantile((steps[1:] + steps[:-1]) / 2, np.linspace(0, 1, 200))) if len(steps) > 1 else steps
    # Rows at the cut count one half, as everywhere.
    scores = np.array([correctness(0.5 + np.sign(values - cut) / 2, labels).mean() for cut in cuts])
    best = int(np.argmax(np.abs(scores - 0.5)))
    side = 1 if scores[best] >= 0.5 else -1
    return np.asarray(0.5 + side * np.sign(feature - cuts[best]) / 2)


def _length(testbed: Testbed) -> Floats:
    if testbed.texts is not None:
        lengths = np.array([[len(text) for text in row[1:]] for row in testbed.texts.tolist()], dtype=np.float64)
    elif sparse.issparse(testbed.pack.weak_inputs):
        counts = np.asarray(testbed.pack.weak_inputs.sum(axis=1), dtype=np.float64)
        lengths = counts.reshape(len(testbed.pack.labels), -1)
    else:
        raise _Missing(FEATURES)
    return _threshold(testbed, lengths[:, -1] - lengths[:, 0] if testbed.pack.pairs else lengths[:, 0])


def _bag_of_words(testbed: Testbed) -> Floats:
    pack = testbed.pack
    if not sparse.issparse(pack.weak_inputs):
        if testbed.texts is None:
            raise _Missing(FEATURES)
        candidates = (f"{row[0]}\n{text}" for row in testbed.texts.tolist() for text in row[1:])
        pack = replace(pack, weak_inputs=count_words(candidates))
    features, rows, labels = _words(pack), testbed.rows("train"), testbed.labels("train")
    if len(np.unique(labels)) < 2:
        raise _Missing("all labels of train are the same")
    model = LogisticRegression(C=1.0, fit_intercept=not pack.pairs, max_iter=1000).fit(features[rows], labels)
    return np.asarray(model.predict_proba(features)[:, 1], dtype=np.float64)


def _logprob(testbed: Testbed) -> Floats:
    logprob, _ = _zero_shot(testbed)
    if logprob is None:
        raise _Missing("this student has no log-probabilities")
    return _sign(testbed, logprob)


def _margins(testbed: Testbed) -> Floats:
    _, templates = _zero_shot(testbed)
    if templates is None:
        raise _Missing("this student has no zero-shot margins")
    return _sign(testbed, templates.mean(axis=(1, 2)))


def _zero_shot(testbed: Testbed) -> tuple[Floats | None, Floats | None]:
    """Mean log-probabilities (n,) and margins (n, templates, 2) as stored; nothing is asked of a model here."""
    columns = testbed.fitting.columns
    logprob, templates = columns.get("logprob"), columns.get("margins")
    if not columns and "margins" in testbed.student.capabilities:
        raise _Missing("it would take a pass of the language model over every row")
    return (
        None if logprob is None or not np.any(logprob) else logprob.astype(np.float64),
        None if templates is None or not templates.size else templates.astype(np.float64),
    )


def _sign(testbed: Testbed, feature: Floats) -> Floats:
    """Label 1 above 0 on pairs, above the median of `train` on single candidates; no label is read."""
    cut = 0.0 if testbed.pack.pairs else float(np.median(feature[testbed.rows("train")]))
    return np.asarray(0.5 + np.sign(feature - cut) / 2)


def _votes(testbed: Testbed, keys: NDArray[np.int64]) -> Floats:
    """On each row, votes for its candidate: how many others of its question share its key; on pairs, the difference."""
    groups = testbed.pack.groups
    count = Counter(zip(np.repeat(groups, keys.shape[1]).tolist(), keys.ravel().tolist(), strict=True))
    votes = np.array(
        [[count[group, key] - 1 for key in row] for group, row in zip(groups.tolist(), keys.tolist(), strict=True)]
    )
    if not votes.any():
        raise _Missing("no two candidates of a question share it")
    if testbed.pack.pairs:
        return np.asarray(0.5 + np.sign(votes[:, 1] - votes[:, 0]) / 2)
    return np.asarray(votes[:, 0] > 0, dtype=np.float64)


def _majority_answer(testbed: Testbed) -> Floats:
    if testbed.texts is None:
        raise _Missing(NO_TEXT)
    finals = [[_final(text) for text in row[1:]] for row in testbed.texts.tolist()]
    numbered = np.mean([final is not None for row in finals for final in row])
    if numbered < ANSWERS:
        raise _Missing(f"only {numbered:.0%} of the candidates end in a number")
    codes = {final: code for code, final in enumerate({final for row in finals for final in row})}
    return _votes(testbed, np.array([[codes[final] for final in row] for row in finals]))


def _final(text: str) -> str | None:
    found = NUMBER.findall(text)
    return found[-1].replace(",", "").rstrip(".") if found else None


def _repeated(testbed: Testbed) -> Floats:
    return _votes(testbed, testbed.pack.digests.view(np.int64))


def _generator(testbed: Testbed) -> Floats:
    writer = testbed.pack.writer
    names = len(testbed.pack.manifest.writers)
    if names < 2 or np.all(writer < 0):
        raise _Missing("the pack does not say who wrote what" if names < 1 else "one writer wrote all")
    given = np.stack([writer == name for name in range(names)], axis=2).astype(np.float64)
    features = given[:, 1] - given[:, 0] if testbed.pack.pairs else given[:, 0]
    if not features.any():
        raise _Missing("both candidates of a pair have one writer")
    labels = testbed.labels("train")
    if len(np.unique(labels)) < 2:
        raise _Missing("all labels of train are the same")
    model = LogisticRegression(C=100.0, fit_intercept=not testbed.pack.pairs, max_iter=1000)
    model.fit(features[testbed.rows("train")], labels)
    return np.asarray(np.round(model.predict_proba(features)[:, 1], 9))


BASELINES: tuple[tuple[str, str, Answer], ...] = (
    ("majority class", "always the label that is more frequent in train", _majority),
    ("length", "by the length of the candidates, fitted on the truth of train", _length),
    ("words", "the weak supervisor's bag of words, trained on all truth of train", _bag_of_words),
    ("log-probability", "by the language model's mean log-probability, no label read", _logprob),
    ("zero-shot margins", "by the mean of the zero-shot margins, no label read", _margins),
)
#: Shortcuts that need no word of their own where the manifest tells of another.
SAME = {"repeated_candidate": "majority_answer"}
SHORTCUTS: tuple[tuple[str, str, Answer], ...] = (
    ("majority_answer", "right if another sample of the question ends in the same number", _majority_answer),
    ("repeated_candidate", "right if the candidate stands in more rows of its question", _repeated),
    ("generator", "by who wrote the candidates, fitted on the truth of train", _generator),
)
