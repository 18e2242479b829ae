import re

import pytest

from aarlab.testbeds.own import ConfigError, presets, read_config

LEAST = """\
name: mine
data: my.jsonl
columns: {prompt: question, first: answer_a, second: answer_b, label: better}
"""


def config(tmp_path, text):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    return read_config(path)


def test_three_lines_are_enough(tmp_path):
    made = config(tmp_path, LEAST)
    (source,) = made.sources(tmp_path)
    assert made.pairs
    assert (made.domain, made.weak.kind, made.student.kind) == ("chat", "bag_of_words", "probe")
    assert source.place == tmp_path / "my.jsonl"
    assert source.labels.values == {"0": 0, "1": 1, "false": 0, "true": 1}


def test_a_full_file_has_fifteen_lines_at_most(tmp_path):
    text = """\
name: mine
domain: math
question: Is the solution right?
hf: {path: json, data_files: my.jsonl, split: train, revision: main}
columns: {prompt: q, candidate: a, label: right, group: id, writer: model}
labels: {yes: 1, no: 0}
licence: CC-BY-4.0
also: {data: more.csv}
ood: {data: other.parquet, columns: {prompt: q, candidate: a, label: score}, labels: {threshold: 3, ties: 0.5}}
splits: {teacher: .1, train: .4, public: .25, private: .25}
weak: {kind: hidden, layer: 2, labels: 60}
student: {kind: probe, model: models/small, layers: [1, 2]}
longest: 4000
draw: 3
"""
    assert text.count("\n") <= 15
    made = config(tmp_path, text)
    first, more, other = made.sources(tmp_path)
    assert not made.pairs
    assert first.labels.values == {"yes": 1, "no": 0}, "YAML's yes and no are words here"
    assert (more.columns, more.labels, more.part) == (first.columns, first.labels, "id")
    assert (other.part, other.labels.threshold, other.columns.group) == ("ood", 3, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("colums: {prompt: q}\n", r"unknown key 'colums'. Did you mean 'columns'\? The keys are: name, domain"),
        ("weak: {kind: bag_of_words, lables: 3}\n", r"weak: unknown key 'lables'. Did you mean 'labels'\?"),
        ("ood: {data: o.jsonl, columns: {prompt: q, chosn: c}}\n", r"ood\.0\.columns: unknown key 'chosn'"),
        ("labels: {threshold: 1, tie: 2}\n", r"labels: unknown key 'tie'. Did you mean 'ties'"),
        ("labels: {a: 0, b: 2}\n", r"labels: 'b' has the label 2; a label is 0 or 1"),
        ("labels: {a: 0, A: 1}\n", r"labels: 'A' is given twice"),
        ("labels: {a: 1, b: 1}\n", r"no value has the label 0"),
        ("labels: [a, b]\n", r"labels: should be \{value: 0"),
        ("splits: {teacher: .5}\n", r"splits: .*sum to 1\.4"),
        ("splits: {teacher: -1, train: 2}\n", r"splits\.teacher: .*greater than 0"),
        ("weak: {kind: hidden}\n", r"weak: layer goes with kind: hidden"),
        ("weak: {kind: lora}\n", r"weak: model goes with kind: lora"),
        ("weak: {layer: 3}\n", r"weak: layer goes with kind: hidden"),
        ("student: {kind: lora, model: m, layers: [3]}\n", r"student: layers goes with kind: probe"),
        ("student: {kind: lora, model: m}\nweak: {kind: hidden, layer: 1}\n", r"weak\.kind: hidden reads stored"),
        ("student: {kind: poet}\n", r"student\.kind: .*'probe' or 'lora'.*'poet'"),
        ("student: probe\n", r"student: should be a mapping with the keys kind, model, layers"),
        ("hf: {path: a/b}\n", r"give either data \(a file\) or hf"),
        ("ood: {licence: MIT}\n", r"ood\.0: give either data \(a file\) or hf"),
        ("ood: {data: o.jsonl, columns: {prompt: q, candidate: c, label: l}}\n", r"pairs and single candidates do not"),
        ("ood: {data: o.jsonl, columns: {prompt: q, chosen: c, rejected: r}, labels: {a: 0, b: 1}}\n", r"no use with"),
        ("domain: poetry\n", r"domain: .*'chat', 'math' or 'code'"),
        ("name: mine\n", r"line 4: no YAML: the key 'name' is given twice"),
        ("weak: {kind: [\n", r"no YAML"),
    ],
)
def test_an_error_names_the_key(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        config(tmp_path, LEAST + change)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("{first: a, second: b, label: l}", r"columns\.prompt: is missing; add it"),
        ("{prompt: q}", r"columns: nothing beside prompt is no known way.*candidate, label; first, second, label"),
        ("{prompt: q, first: a, label: l}", r"columns: first, label beside prompt"),
        ("{prompt: q, first: a, second: b, label: l, chosen: c}", r"columns: chosen, first"),
        ("{prompt: q, chosen: a, rejected: b, writer: w}", r"columns: chosen, rejected, writer"),
    ],
)
def test_columns_that_make_no_row_list_those_that_do(tmp_path, columns, message):
    with pytest.raises(ConfigError, match=message):
        config(tmp_path, f"name: mine\ndata: my.jsonl\ncolumns: {columns}\n")


def test_a_split_column_rules_out_shares_and_other_sources_without(tmp_path):
    text = LEAST.replace("label: better", "label: better, split: fold")
    assert config(tmp_path, text + "ood: {data: o.jsonl}\n").sources(tmp_path)[1].columns.split is None
    with pytest.raises(ConfigError, match="splits: leave it out"):
        config(tmp_path, text + "splits: {teacher: .1, train: .4, public: .25, private: .25}\n")
    with pytest.raises(ConfigError, match="map it for all id sources or for none"):
        config(tmp_path, text + "also: {data: b.jsonl, columns: {prompt: q, first: a, second: b, label: l}}\n")
    with pytest.raises(ConfigError, match=r"columns\.split goes with id rows"):
        config(tmp_path, text + "ood: {data: b.jsonl, columns: {prompt: q, first: a, second: b, label: l, split: s}}\n")


@pytest.mark.parametrize("name", ["My testbed", "../up", "", "ä"])
def test_a_name_that_cannot_name_a_folder_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="name: use 1 to 64 small letters"):
        config(tmp_path, LEAST.replace("mine", repr(name)))


def test_files_that_are_no_text_say_so(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 9"):
        read_config(tmp_path / "latin.yaml")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(ConfigError, match="should be a mapping with the keys name"):
        read_config(tmp_path / "empty.yaml")


@pytest.mark.parametrize("name", sorted(presets()))
def test_presets_are_read_and_say_that_they_are_untested(name):
    path = presets()[name]
    made = read_config(path)
    assert made.name == name
    assert (made.weak.model, made.student.model) == ("Qwen/Qwen1.5-0.5B-Chat", "Qwen/Qwen3-4B-Base")
    assert {source.part for source in made.sources(path.parent)} == {"id", "ood"}
    assert re.search("# Untested here", path.read_text())


def test_there_is_a_preset_for_each_domain():
    assert {read_config(path).domain for path in presets().values()} == {"chat", "math", "code"}
