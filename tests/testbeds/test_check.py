"""The checker finds what is planted, and lets a clean testbed pass."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from aarlab.students import Strings
from aarlab.students.remote import RemoteStudent
from aarlab.testbeds import (
    CALIBRATION,
    Fitting,
    Pack,
    Shortcut,
    Testbed,
    TestbedError,
    load_testbed,
    make_testbed,
    pack_names,
    read_pack,
    write_calibration,
    write_pack,
)
from aarlab.testbeds.check import Check, Report, check_by_name, check_testbed
from conftest import synthetic_pack

WORDS = np.array([f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "bdgklmnrst"])
NO_TEXT = "not measured: the text is not on this machine"


def texts_for(pack: Pack, words: int = 12, seed: int = 0) -> Strings:
    """A prompt for each question and different answers of so many random words for each row."""
    rng = np.random.default_rng(seed)

    def speak(count: int) -> str:
        return " ".join(rng.choice(WORDS, count))

    prompts = {group: speak(words) + "?" for group in np.unique(pack.groups).tolist()}
    candidates = pack.digests.shape[1]
    rows = [[prompts[g], *(speak(words) for _ in range(candidates))] for g in pack.groups.tolist()]
    return np.array(rows, dtype=np.dtypes.StringDType())


def single_candidates(pack: Pack) -> Pack:
    """The same rows as single candidates that are right where the second was better."""
    about = {"task": "pointwise", "question": "Is it right?"}
    return replace(
        pack,
        manifest=pack.manifest.model_copy(update=about),
        weak_inputs=pack.weak_inputs[1::2],
        writer=pack.writer[:, 1:],
        digests=pack.digests[:, 1:],
    )


def named(report: Report, name: str) -> Check:
    (found,) = (check for check in report.checks if check.name == name)
    return found


def accuracy(report: Report, rule: str) -> list[float]:
    (found,) = (one for one in report.rules if one.name == rule)
    return [score.accuracy for score in found.scores]


@pytest.fixture(scope="module")
def clean(small_testbed: Testbed) -> Report:
    return check_testbed(small_testbed)


def test_a_clean_testbed_passes(clean: Report):
    assert clean.verdict != "fail"
    assert named(clean, "gap on public id").verdict == "pass"
    assert named(clean, "gap on private id").verdict == "pass"
    for name in ("pack", "questions across splits", "fields given to students", "fields that predict the label"):
        assert named(clean, name).verdict == "pass"
    assert all(check.advice for check in clean.checks if check.verdict != "pass")
    assert json.loads(json.dumps(clean.document()))["verdict"] == clean.verdict


def test_an_unresolved_part_outside_the_distribution_only_warns(clean: Report):
    """Its 30 questions are too few."""
    assert named(clean, "gap on public ood").verdict == "warn"
    assert "not reported" in named(clean, "gap on public ood").advice


def test_an_unresolved_gap_fails(small_testbed: Testbed):
    report = check_testbed(replace(small_testbed, ceiling_predictions=small_testbed.weak_labels[None]))
    assert report.verdict == "fail"
    for split in ("public", "private"):
        assert named(report, f"gap on {split} id").verdict == "fail"
        assert named(report, f"gap on {split} id").advice


def test_a_student_without_ceiling_warns(small_testbed: Testbed):
    report = check_testbed(replace(small_testbed, ceiling_predictions=np.empty((0, len(small_testbed.weak_labels)))))
    assert report.verdict == "warn"
    assert named(report, "gap on public id").verdict == "warn"


def test_a_remote_student_is_asked_about_some_rows_only(small_testbed: Testbed):
    """Of the others there are no numbers."""
    inputs, student = small_testbed.pack.inputs, RemoteStudent("openai", "model", ("forced_choice",))
    columns = {"margins": inputs.margins.astype(np.float32), "logprob": inputs.logprob.astype(np.float32)}
    for column in columns.values():
        column[small_testbed.rows("teacher")] = np.nan
    untrained = np.empty((0, len(small_testbed.weak_labels)))
    testbed = replace(small_testbed, fitting=Fitting(student, columns), ceiling_predictions=untrained)
    report = check_testbed(testbed)
    assert named(report, "fields given to students").verdict == "pass"
    assert min(accuracy(report, "zero-shot margins")) > 0.6


def test_a_ceiling_that_lacks_rows_fails(small_testbed: Testbed):
    ceilings = small_testbed.ceiling_predictions.copy()
    ceilings[0, small_testbed.rows("public")[0]] = np.nan
    report = check_testbed(replace(small_testbed, ceiling_predictions=ceilings))
    assert "ceiling" in named(report, "pack").finding
    assert report.verdict == "fail"


def with_columns(testbed: Testbed, **columns: NDArray[np.generic]) -> Testbed:
    return replace(testbed, fitting=Fitting(testbed.student, {**testbed.fitting.columns, **columns}))


FIELDS: dict[str, tuple[Callable[[Testbed], Testbed], tuple[str, ...]]] = {
    "the label by name": (
        lambda testbed: with_columns(testbed, label=testbed.pack.labels),
        ("fields given to students", "fields that predict the label"),
    ),
    "a name that tells": (
        lambda testbed: with_columns(testbed, final_answer=np.zeros(len(testbed.pack.labels))),
        ("fields given to students",),
    ),
    "a field that nobody expects": (
        lambda testbed: with_columns(testbed, extra=np.zeros((len(testbed.pack.labels), 2))),
        ("fields given to students",),
    ),
    "the label in disguise": (
        lambda testbed: with_columns(testbed, logprob=3 - 0.5 * testbed.pack.labels),
        ("fields that predict the label",),
    ),
    "the label in one of many numbers": (
        lambda testbed: with_columns(
            testbed,
            hidden=np.concatenate(
                [testbed.pack.inputs.hidden[..., :-1], np.tile(testbed.pack.labels[:, None, None], (1, 3, 1))], axis=2
            ),
        ),
        ("fields that predict the label",),
    ),
    "the label as a word": (
        lambda testbed: with_columns(testbed, verdict=np.where(testbed.pack.labels == 1, "yes", "no")),
        ("fields given to students", "fields that predict the label"),
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_that_leak_are_found(small_testbed: Testbed, name: str):
    plant, found = FIELDS[name]
    report = check_testbed(plant(small_testbed))
    assert report.verdict == "fail"
    assert {check.name for check in report.checks if check.verdict == "fail"} == set(found)


def test_a_question_in_two_splits_is_found(small_testbed: Testbed):
    drawn = dict(small_testbed.drawn)
    question = small_testbed.groups("train")[0]
    (moved,) = np.flatnonzero(small_testbed.groups("train") == question)[:1]
    drawn["public", "id"] = np.append(drawn["public", "id"], drawn["train", "id"][moved])
    drawn["train", "id"] = np.delete(drawn["train", "id"], moved)
    check = named(check_testbed(replace(small_testbed, drawn=drawn)), "questions across splits")
    assert check.verdict == "fail"
    assert check.figures["in_two_places"] == 1
    assert str(question) in check.finding


def test_a_row_in_two_splits_is_found(small_testbed: Testbed):
    drawn = dict(small_testbed.drawn)
    drawn["private", "id"] = np.append(drawn["private", "id"], drawn["public", "id"][:1])
    check = named(check_testbed(replace(small_testbed, drawn=drawn)), "questions across splits")
    assert check.verdict == "fail"
    assert check.figures["rows_in_two_places"] == 1


def test_duplicates_are_found_by_digests_alone(small_testbed: Testbed):
    digests = small_testbed.pack.digests.copy()
    digests[small_testbed.rows("public")[:5]] = digests[small_testbed.rows("train")[:5]]
    report = check_testbed(replace(small_testbed, pack=replace(small_testbed.pack, digests=digests)))
    check = named(report, "duplicates across splits")
    assert check.verdict == "fail"
    assert check.figures["public id"] == pytest.approx(5 / 240, abs=1e-4)
    assert check.figures["private id"] == 0


def test_one_duplicate_only_warns(small_testbed: Testbed):
    digests = small_testbed.pack.digests.copy()
    digests[small_testbed.rows("public")[0], 0] = digests[small_testbed.rows("train")[0], 1]
    report = check_testbed(replace(small_testbed, pack=replace(small_testbed.pack, digests=digests)))
    assert named(report, "duplicates across splits").verdict == "warn"


TEXT_CHECKS = (
    "duplicates across splits",
    "questions repeated across splits",
    "near duplicates across splits",
    "answers shared across splits",
)


def test_different_texts_are_no_duplicates(small_testbed: Testbed):
    report = check_testbed(replace(small_testbed, texts=texts_for(small_testbed.pack)))
    for name in TEXT_CHECKS:
        assert named(report, name).verdict == "pass"
        assert named(report, name).figures["public id"] == 0


def planted(testbed: Testbed, change: Callable[[Strings], Strings], rows: int = 12) -> Report:
    """A check where some rows of public hold changed text of rows of train."""
    texts = texts_for(testbed.pack, words=60)
    texts[testbed.rows("public")[:rows]] = change(texts[testbed.rows("train")[:rows]].copy())
    return check_testbed(replace(testbed, texts=texts))


def same_answers(texts: Strings) -> Strings:
    texts[:, 0] = texts_for(synthetic_pack(1), seed=7)[: len(texts), 0]
    return texts


def other_answers(texts: Strings) -> Strings:
    texts[:, 1:] = texts_for(synthetic_pack(1), seed=7)[: len(texts), 1:]
    return texts


#: What is done to text of train before it stands in public, and which checks see it.
COPIES: dict[str, tuple[Callable[[Strings], Strings], set[str]]] = {
    "as it is": (lambda texts: texts, set(TEXT_CHECKS)),
    "other capitals and blanks": (
        lambda texts: np.strings.replace(np.strings.upper(texts), " ", "  "),
        set(TEXT_CHECKS),
    ),
    "one word more": (
        lambda texts: np.strings.add(texts, " bab"),
        {"near duplicates across splits"},
    ),
    "the question only": (other_answers, {"questions repeated across splits"}),
    "the answers only": (same_answers, {"answers shared across splits"}),
}


@pytest.mark.parametrize("name", COPIES)
def test_copied_text_is_found(small_testbed: Testbed, name: str):
    change, seen = COPIES[name]
    report = planted(small_testbed, change)
    for check in TEXT_CHECKS:
        assert (named(report, check).figures["public id"] == pytest.approx(12 / 240, abs=1e-4)) == (check in seen), (
            check
        )
    fails = {"duplicates across splits", "questions repeated across splits"} & seen
    assert (report.verdict == "fail") == bool(fails)


def test_without_text_hidden_states_tell_of_near_duplicates(small_testbed: Testbed):
    hidden = small_testbed.fitting.columns["hidden"].copy()
    hidden[small_testbed.rows("public")[:12]] = -hidden[small_testbed.rows("train")[:12]]  # sides exchanged
    check = named(check_testbed(with_columns(small_testbed, hidden=hidden)), "near duplicates across splits")
    assert check.verdict == "warn"
    assert check.figures["public id"] == pytest.approx(12 / 240, abs=1e-4)


def test_sides_that_tell_the_label_are_found():
    pack = synthetic_pack()
    flip = (pack.labels == 0) & (np.arange(len(pack.labels)) % 10 < 7)
    hidden = np.where(flip[:, None, None], -pack.inputs.hidden, pack.inputs.hidden)
    one_sided = replace(pack, labels=np.where(flip, 1, pack.labels), inputs=replace(pack.inputs, hidden=hidden))
    report = check_testbed(make_testbed(one_sided, ceiling_seeds=1))
    assert named(report, "sides of pairs").verdict == "fail"
    assert report.verdict == "fail"


def test_order_that_tells_the_label_is_found(small_pack: Pack):
    pack = single_candidates(small_pack)
    order = np.lexsort((pack.labels, pack.groups))
    inputs = {name: getattr(pack.inputs, name)[order] for name in ("hidden", "margins", "logprob")}
    ordered = replace(
        pack, labels=pack.labels[order], inputs=replace(pack.inputs, **inputs), weak_inputs=pack.weak_inputs[order]
    )
    assert named(check_testbed(make_testbed(pack, ceiling_seeds=1)), "order of rows").verdict == "pass"
    check = named(check_testbed(make_testbed(ordered, ceiling_seeds=1)), "order of rows")
    assert check.verdict == "fail"
    assert check.figures["position_correlation"] > 0.5  # type: ignore[operator]


def test_single_candidates_are_checked_too(small_pack: Pack):
    report = check_testbed(make_testbed(single_candidates(small_pack), ceiling_seeds=1))
    assert {check.verdict for check in report.checks if not check.name.startswith(("baseline", "gap"))} == {"pass"}
    assert named(report, "class balance").verdict == "pass"


@pytest.mark.parametrize("task", ["pair", "pointwise"])
def test_a_length_shortcut_shows_up(small_pack: Pack, task: str):
    pack = small_pack if task == "pair" else single_candidates(small_pack)
    testbed = make_testbed(pack, ceiling_seeds=1)
    before = check_testbed(replace(testbed, texts=texts_for(pack)))
    texts = texts_for(pack)
    right = np.where(pack.labels == 1, texts.shape[1] - 1, 1 if task == "pair" else 0)
    for row in np.flatnonzero(np.arange(len(right)) % 10 < 9):
        if right[row]:
            texts[row, right[row]] += " and so on and so forth, as I said."
    after = check_testbed(replace(testbed, texts=texts))
    assert max(accuracy(before, "length")) < 0.65
    assert min(accuracy(after, "length")) > 0.85
    assert named(before, "baseline: length").verdict == "pass"
    assert named(after, "baseline: length").verdict == "warn"


def test_words_that_reach_the_ceiling_are_told(small_testbed: Testbed):
    texts = texts_for(small_testbed.pack)
    for row, label in enumerate(small_testbed.pack.labels):
        texts[row, 1 + label] += " indeed"
    told = replace(
        small_testbed, texts=texts, pack=replace(small_testbed.pack, weak_inputs=np.zeros((1200, 0), np.float16))
    )
    report = check_testbed(told)
    assert named(report, "baseline: words").verdict == "warn"
    assert min(accuracy(report, "words")) > 0.9


def voted(pack: Pack) -> Strings:
    """Text in which the better answers of a question end in its number, the worse in random ones."""
    texts = texts_for(pack)
    rng = np.random.default_rng(0)
    for row, (label, group) in enumerate(zip(pack.labels, pack.groups, strict=True)):
        texts[row, 1 + label] += f" = {group}."
        texts[row, 2 - label] += f" = {rng.integers(1000, 10**9):,}."
    return texts


def test_the_most_frequent_answer_is_measured(small_testbed: Testbed):
    report = check_testbed(replace(small_testbed, texts=voted(small_testbed.pack)))
    assert min(accuracy(report, "majority_answer")) > 0.99
    check = named(report, "shortcut: majority_answer")
    assert check.verdict == "warn"
    assert "not declared" in check.finding


def declaring(testbed: Testbed, *shortcuts: Shortcut) -> Testbed:
    manifest = testbed.pack.manifest.model_copy(update={"shortcuts": shortcuts})
    return replace(testbed, pack=replace(testbed.pack, manifest=manifest))


def test_a_declared_shortcut_is_measured_and_accepted(small_testbed: Testbed):
    shortcut = Shortcut(name="majority_answer", what="the most frequent number is right", without="other")
    testbed = declaring(replace(small_testbed, texts=voted(small_testbed.pack)), shortcut)
    check = named(check_testbed(testbed), "shortcut: majority_answer")
    assert check.verdict == "pass"
    assert "other is the same without it" in check.finding


def test_a_declared_shortcut_that_needs_text_says_so(small_testbed: Testbed):
    testbed = declaring(
        small_testbed, Shortcut(name="majority_answer", what="by number"), Shortcut(name="executing", what="run it")
    )
    report = check_testbed(testbed)
    assert named(report, "shortcut: majority_answer").verdict == "warn"
    assert named(report, "shortcut: majority_answer").finding == NO_TEXT
    assert "fetch synthetic" in named(report, "shortcut: majority_answer").advice
    assert "nothing here can measure it" in named(report, "shortcut: executing").finding


def test_writers_that_tell_the_label_are_measured(small_testbed: Testbed):
    pack = small_testbed.pack
    writer = np.zeros((len(pack.labels), 2), np.int16)
    writer[np.arange(len(pack.labels)), pack.labels] = 1
    manifest = pack.manifest.model_copy(update={"writers": ("small", "large")})
    report = check_testbed(replace(small_testbed, pack=replace(pack, writer=writer, manifest=manifest)))
    assert min(accuracy(report, "generator")) > 0.99
    assert named(report, "shortcut: generator").verdict == "warn"


def test_candidates_that_are_shown_more_often_are_measured(small_testbed: Testbed):
    """One right answer against several wrong ones: the right one stands in every pair."""
    digests = small_testbed.pack.digests.copy()
    rows = np.arange(len(digests))
    digests[rows, small_testbed.pack.labels] = small_testbed.pack.groups
    report = check_testbed(replace(small_testbed, pack=replace(small_testbed.pack, digests=digests)))
    assert min(accuracy(report, "repeated_candidate")) > 0.99
    assert named(report, "shortcut: repeated_candidate").verdict == "warn"
    about = Shortcut(name="majority_answer", what="the answer that occurs most often is right")
    told = declaring(replace(small_testbed, pack=replace(small_testbed.pack, digests=digests)), about)
    assert named(check_testbed(told), "shortcut: repeated_candidate").verdict == "pass"


def test_a_pack_that_does_not_fit_its_manifest_fails(small_testbed: Testbed):
    manifest = small_testbed.pack.manifest.model_copy(update={"examples": 7, "writers": ()})
    weak = small_testbed.weak_labels.copy()
    weak[3] = np.nan
    broken = replace(small_testbed, pack=replace(small_testbed.pack, manifest=manifest), weak_labels=weak)
    finding = named(check_testbed(broken), "pack").finding
    for fault in ("7 examples", "writer that the manifest does not know", "weak labels are not in [0, 1]"):
        assert fault in finding


def test_a_damaged_pack_fails_and_a_missing_one_is_an_error(tmp_path: Path, small_testbed: Testbed):
    folder = tmp_path / "mine"
    write_pack(small_testbed.pack, folder)
    with pytest.raises(TestbedError, match="missing"):
        check_by_name(str(folder))
    write_calibration(make_testbed(read_pack(folder), ceiling_seeds=1), folder / CALIBRATION)
    assert check_by_name(str(folder)).verdict != "fail"
    content = bytearray((folder / "inputs.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "inputs.npz").write_bytes(content)
    report = check_by_name(str(folder))
    assert report.verdict == "fail"
    assert named(report, "pack").verdict == "fail"
    assert report.summary is None
    with pytest.raises(TestbedError, match="no testbed"):
        check_by_name("poems")


@pytest.mark.parametrize("name", pack_names())
def test_shipped_testbeds_are_clean(name: str):
    """A shipped testbed may be unresolved on purpose, for a larger student to open; nothing else may be wrong."""
    report = check_testbed(replace(load_testbed(name), texts=None))
    assert [check for check in report.checks if check.verdict == "fail" and not check.name.startswith("gap on")] == []
    if name in ("chat", "math"):
        assert report.verdict != "fail"
