import csv
import importlib
import json
import shutil

import numpy as np
import pytest

from aarlab.testbeds import CALIBRATION, SCORED, TestbedError, draw_splits, load_testbed, read_pack
from aarlab.testbeds.own import REJECTED, BadRows, ConfigError, build
from aarlab.testbeds.texts import TEXTS, digests, texts_of
from tiny_model import BAD, GOOD, PLAIN, tiny_model

PAIR = """\
name: mine
data: my.jsonl
columns: {prompt: question, first: answer_a, second: answer_b, label: better, group: question_id}
labels: {a: 0, b: 1}
"""
POINTWISE = """\
name: mine
data: my.jsonl
columns: {prompt: question, candidate: answer, label: right, group: question_id, writer: model}
ood: {data: other.jsonl}
"""
TEXT_ONLY = "student: {kind: lora, model: some/model}\n"


def answers(rng, number):
    """A question for a colour, with a right and a wrong answer; the number tells texts apart."""
    thing = rng.choice(PLAIN[:6])
    right, wrong = (f"the {thing} is {rng.choice(words)} . {number}" for words in (GOOD, BAD))
    return f"what colour has the {thing} ?", right, wrong


def pair_rows(count=200, per_question=2, first_question=0):
    rng = np.random.default_rng(first_question)
    rows = []
    for number in range(count):
        question, right, wrong = answers(rng, first_question + number)
        label = "ab"[rng.integers(2)]
        first, second = (right, wrong) if label == "a" else (wrong, right)
        rows.append(
            {"question": question, "answer_a": first, "answer_b": second, "better": label}
            | {"question_id": first_question + number // per_question}
        )
    return rows


def single_rows(count=200, first_question=0):
    rng = np.random.default_rng(first_question)
    rows = []
    for number in range(count):
        question, right, wrong = answers(rng, first_question + number)
        label = bool(number % 2)
        model = "large" if label else "small"
        rows.append(
            {"question": question, "answer": right if label else wrong, "right": label}
            | {"question_id": first_question + number // 2, "model": model}
        )
    return rows


def write(folder, text, student="", **sources):
    for name, rows in sources.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "my.yaml").write_text(text + student)
    return folder / "my.yaml"


def probe(layers="[1, 2]"):
    pytest.importorskip("torch")
    return f"student: {{kind: probe, model: {tiny_model()}, layers: {layers}}}\n"


def left_in(folder):
    return {path.name for path in folder.iterdir()} - {"my.yaml", "my.jsonl", "other.jsonl"}


def test_two_hundred_pairs_become_a_testbed(tmp_path):
    rows = pair_rows()
    path = write(tmp_path, PAIR, probe(), my=rows)
    assert path.read_text().count("\n") <= 15
    seen = []
    built = build(path, tmp_path / "out" / "mine", lambda *event: seen.append(event))

    pack = read_pack(built.folder)
    assert (pack.manifest.examples, pack.manifest.groups, pack.manifest.task) == (200, 100, "pair")
    assert pack.inputs.hidden.shape == (200, 4, 32)
    assert pack.manifest.representations == ((1, "mean"), (1, "last"), (2, "mean"), (2, "last"))
    assert pack.inputs.margins.shape == (200, 2, 2)
    assert pack.manifest.weak.labels <= 30
    assert pack.labels.tolist() == ["ab".index(row["better"]) for row in rows]
    source = pack.manifest.sources[0]
    assert (source.name, source.part, source.file, len(source.sha256)) == ("my.jsonl", "id", "my.jsonl", 64)

    texts = texts_of(pack, built.folder)
    assert texts[:, 0].tolist() == [row["question"] for row in rows]
    assert texts[:, 2].tolist() == [row["answer_b"] for row in rows]
    np.testing.assert_array_equal(digests(texts), pack.digests)

    testbed = load_testbed(str(built.folder))
    for split in SCORED:
        assert testbed.anchors(split) == pytest.approx(built.anchors[split, "id"], abs=0.02)
        assert testbed.anchors(split).ceiling > 0.9, "colours and numbers are far apart in any model"
    assert {what for what, _, _ in seen} >= {"rows of my.jsonl", "activations", "ceiling"}
    assert [path.name for path in built.folder.parent.iterdir()] == ["mine"], "nothing else is left"


def test_single_candidates_with_ood_writers_and_a_shallow_weak_supervisor(tmp_path):
    text = POINTWISE + "weak: {kind: hidden, layer: 1, labels: 12}\ndomain: math\n"
    path = write(tmp_path, text, probe("[2]"), my=single_rows(), other=single_rows(60, 1000))
    built = build(path, tmp_path / "mine")
    pack = read_pack(built.folder)
    assert pack.manifest.task == "pointwise"
    assert pack.weak_inputs.shape == (260, 32)
    assert pack.weak_inputs.dtype == np.float16
    assert pack.inputs.hidden.shape == (260, 2, 32), "the weak supervisor's layer is not the student's"
    assert [pack.manifest.writers[w] for w in pack.writer[:2, 0]] == ["small", "large"]
    assert len(pack.rows_of("ood")) == 60
    assert set(built.anchors) == {(split, part) for split in SCORED for part in ("id", "ood")}


def test_a_testbed_for_a_lora_student_holds_text_only(tmp_path):
    built = build(write(tmp_path, PAIR, TEXT_ONLY, my=pair_rows()), tmp_path / "mine")
    pack = read_pack(built.folder)
    assert pack.manifest.representations == ()
    assert pack.inputs.hidden.size == 0
    assert pack.weak_inputs.shape == (400, 2**15)
    assert pack.manifest.recipe["student"] == "lora:some/model"
    assert len(texts_of(pack, built.folder)) == 200
    assert not (built.folder / CALIBRATION).exists()
    assert built.anchors == {}


def test_a_lora_weak_supervisor_learns_from_all_of_teacher(tmp_path):
    text = PAIR + "weak: {kind: lora, model: small/model}\n"
    built = build(write(tmp_path, text, TEXT_ONLY, my=pair_rows()), tmp_path / "mine")
    weak = built.manifest.weak
    assert (weak.kind, weak.model, weak.labels) == ("lora", "small/model", 20)


@pytest.mark.parametrize("kind", ["csv", "parquet", "hf"])
def test_other_formats_make_the_same_testbed(tmp_path, monkeypatch, kind):
    rows = pair_rows()
    same = build(write(tmp_path, PAIR, TEXT_ONLY, my=rows), tmp_path / "same")
    place = f"data: my.{kind}"
    if kind == "csv":
        with (tmp_path / "my.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pytest.importorskip("pyarrow").Table.from_pylist(rows), tmp_path / "my.parquet")
    else:
        datasets = pytest.importorskip("datasets")
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        place = f"hf: {{path: json, data_files: {tmp_path / 'my.jsonl'}}}"
    text = PAIR.replace("data: my.jsonl", place)
    first, second = read_pack(same.folder), read_pack(build(write(tmp_path, text, TEXT_ONLY), tmp_path / "mine").folder)
    np.testing.assert_array_equal(first.digests, second.digests)
    np.testing.assert_array_equal(first.groups, second.groups)
    np.testing.assert_array_equal(first.labels, second.labels)


def test_bad_rows_stop_the_build_unless_allowed_and_are_kept_as_a_list(tmp_path):
    rows = pair_rows()
    rows[7]["better"], rows[11]["answer_a"] = "c", ""
    path = write(tmp_path, PAIR, TEXT_ONLY, my=rows)
    with pytest.raises(BadRows, match="2 of 200 rows cannot be used") as caught:
        build(path, tmp_path / "mine")
    assert caught.value.counts == {"unknown label": 1, "empty text": 1}
    assert left_in(tmp_path) == set()
    built = build(path, tmp_path / "mine", allow_bad_rows=True)
    kept = [json.loads(line) for line in (built.folder / REJECTED).read_text().splitlines()]
    assert [(row["line"], row["reason"]) for row in kept] == [(8, "unknown label"), (12, "empty text")]
    assert read_pack(built.folder).manifest.examples == 198


def test_an_interrupted_build_leaves_nothing_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    path = write(tmp_path, PAIR, probe("[2]"), my=pair_rows())
    from aarlab.students.embedding import Embedder

    computed, real = [], Embedder._chunk

    def counted(self, chunk):
        computed.append(len(chunk))
        return real(self, chunk)

    def stop_after(what, done):
        def progress(now, count, _of):
            if now == what and count > done:
                raise KeyboardInterrupt

        return progress

    monkeypatch.setattr(Embedder, "_chunk", counted)
    for what, done in (("activations", 0), ("ceiling", 3)):
        with pytest.raises(KeyboardInterrupt):
            build(path, tmp_path / "mine", stop_after(what, done))
        assert left_in(tmp_path) == {".mine.work"}, "no testbed, and no half of one"
    built = build(path, tmp_path / "mine")
    assert computed == [192, 192, 16], "no answer was read twice"
    assert left_in(tmp_path) == {"mine"}
    whole = build(path, tmp_path / "whole")
    assert read_pack(built.folder).manifest.checksums == read_pack(whole.folder).manifest.checksums
    assert built.anchors == whole.anchors


def test_checkpoints_of_other_data_are_not_taken_for_these(tmp_path):
    text = PAIR + "draw: 5\n" + probe("[2]")
    path = write(tmp_path, text, my=pair_rows())
    with pytest.raises(KeyboardInterrupt):
        build(path, tmp_path / "mine", lambda what, done, of: _stop(what == "ceiling" and done == of))
    write(tmp_path, text, my=pair_rows(first_question=5000))
    resumed = build(path, tmp_path / "mine")
    fresh = build(path, tmp_path / "fresh")
    assert resumed.anchors == fresh.anchors


def _stop(when):
    if when:
        raise KeyboardInterrupt


def test_the_sources_own_splits_are_kept(tmp_path):
    rows = pair_rows()
    splits = ["teacher", "train", "train", "private", "public"]
    for row in rows:
        row["fold"] = splits[row["question_id"] % 5]
    text = PAIR.replace("group: question_id", "group: question_id, split: fold") + "draw: 4\n"
    built = build(write(tmp_path, text, TEXT_ONLY, my=rows), tmp_path / "mine")
    pack = read_pack(built.folder)
    drawn = draw_splits(pack, np.random.default_rng(pack.manifest.draw))
    for split in set(splits):
        assert drawn[split, "id"].tolist() == [i for i, row in enumerate(rows) if row["fold"] == split]
    together = [[row["question_id"] for row in rows], pack.groups.tolist()]
    assert len(set(zip(*together, strict=True))) == len(set(together[0])) == pack.manifest.groups


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        (pair_rows(30), "", "id rows that can be used belong to 15 groups; 20 are the fewest.*columns.group"),
        (pair_rows(), "weak: {labels: 50}\n", r"weak\.labels: 50 are asked for, and teacher has 20 rows"),
        ([row | {"better": "a"} for row in pair_rows()], "", "id part of teacher .* has only label 0"),
        (pair_rows(), "ood: {data: other.jsonl}\n", "ood rows that can be used belong to 1 groups; 4 are the fewest"),
        ([row | {"fold": "train"} for row in pair_rows()], None, r"columns\.split: no row belongs to teacher"),
    ],
)
def test_a_draw_that_cannot_be_is_told_before_the_long_part(tmp_path, rows, more, message):
    text = PAIR + (more or "") if more is not None else PAIR.replace("group:", "split: fold, group:")
    path = write(tmp_path, text, TEXT_ONLY, my=rows, other=pair_rows(2, first_question=900))
    with pytest.raises(ConfigError, match=message):
        build(path, tmp_path / "mine")
    assert left_in(tmp_path) == set()


def test_a_file_without_a_usable_row_says_so(tmp_path):
    with pytest.raises(ConfigError, match="belong to 0 groups"):
        build(write(tmp_path, PAIR, TEXT_ONLY, my=[]), tmp_path / "mine")


def test_a_name_of_a_testbed_that_comes_with_aarlab_is_refused(tmp_path):
    path = write(tmp_path, PAIR.replace("mine", "chat"), TEXT_ONLY, my=pair_rows())
    with pytest.raises(ConfigError, match="name: a testbed 'chat' comes with aarlab"):
        build(path, tmp_path / "mine")


def test_what_lies_there_already_is_replaced_only_if_asked(tmp_path):
    path = write(tmp_path, PAIR, TEXT_ONLY, my=pair_rows())
    first = build(path, tmp_path / "mine")
    with pytest.raises(TestbedError, match=r"There is a testbed in .* already.*--overwrite"):
        build(path, tmp_path / "mine")
    write(tmp_path, PAIR, TEXT_ONLY, my=pair_rows(120))
    assert build(path, tmp_path / "mine", overwrite=True).manifest.examples == 120
    assert read_pack(first.folder).manifest.examples == 120
    assert left_in(tmp_path) == {"mine"}
    (tmp_path / "thesis").mkdir()
    with pytest.raises(TestbedError, match="exists and is no testbed"):
        build(path, tmp_path / "thesis", overwrite=True)


def test_a_failed_replacement_leaves_the_old_testbed(tmp_path, monkeypatch):
    path = write(tmp_path, PAIR, TEXT_ONLY, my=pair_rows())
    build(path, tmp_path / "mine")
    before = {file.name: file.read_bytes() for file in (tmp_path / "mine").iterdir()}
    module = importlib.import_module("aarlab.testbeds.own.build")
    monkeypatch.setattr(module, "write_calibration", lambda *_: _raise(OSError(28, "No space left")))
    path = write(tmp_path, PAIR, probe("[2]"), my=pair_rows())
    with pytest.raises(TestbedError, match="cannot be written: No space left"):
        build(path, tmp_path / "mine", overwrite=True)
    assert {file.name: file.read_bytes() for file in (tmp_path / "mine").iterdir()} == before
    assert left_in(tmp_path) == {"mine", ".mine.work"}, "activations are kept for another try"


def _raise(error):
    raise error


def test_a_word_that_stands_there_often_is_not_counted_as_rare(tmp_path):
    rows = pair_rows()
    rows[0]["answer_a"] += " green" * 300
    pack = read_pack(build(write(tmp_path, PAIR, TEXT_ONLY, my=rows), tmp_path / "mine").folder)
    assert pack.weak_inputs[0].max() == 255, "the largest that a pack stores"


def test_a_model_that_is_not_there_says_so(tmp_path):
    pytest.importorskip("torch")
    from aarlab.students.language_model import ModelError

    path = write(tmp_path, PAIR, "student: {model: nowhere/at/all}\n", my=pair_rows())
    with pytest.raises(ModelError, match="no model at nowhere/at/all"):
        build(path, tmp_path / "mine")
    shutil.copytree(tiny_model(), tmp_path / "model")
    path = write(tmp_path, PAIR, "student: {model: model, layers: [9]}\n", my=pair_rows())
    with pytest.raises(ModelError, match="no layer 9"):
        build(path, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
    assert TEXTS not in left_in(tmp_path)
