"""`aarlab testbed`: what it prints, as tables and as JSON, and its exit codes."""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from aarlab.cli import app
from aarlab.testbeds import CALIBRATION, Pack, make_testbed, pack_names, read_pack, write_calibration, write_pack
from aarlab.testbeds.own import presets, read_config
from aarlab.testbeds.texts import digests
from conftest import synthetic_pack

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"<!-- testbeds -->\n+(.*?)\n+<!-- /testbeds -->", re.DOTALL)
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `aarlab testbed`, with no text on this machine."""
    monkeypatch.setenv("AARLAB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["testbed", *arguments])


def in_words(pack: Pack) -> tuple[Pack, list[dict[str, Any]]]:
    """The pack with digests of real text, and rows of a data set that holds it."""
    rows = []
    for row, (group, label) in enumerate(zip(pack.groups.tolist(), pack.labels.tolist(), strict=True)):
        about = {"id": f"r{row}", "source": "test", "group": f"q{group}", "label": label}
        rows.append(
            about | {"prompt": f"Which is it, {group}?", "a": f"It is {row}.", "b": f"No: [b]{row + 1}[/b]\x1b[31m."}
        )
    texts = np.array([[row["prompt"], row["a"], row["b"]] for row in rows], dtype=np.dtypes.StringDType())
    sources = tuple(
        source.model_copy(update={"name": "chat", "file": "chat.jsonl.gz"}) for source in pack.manifest.sources
    )
    manifest = pack.manifest.model_copy(update={"sources": sources, "name": "mine"})
    return replace(pack, digests=digests(texts), manifest=manifest), rows


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A testbed in a folder, and beside it the folder `from` with the data set that its text is in."""
    folder = tmp_path_factory.mktemp("testbeds")
    pack, rows = in_words(synthetic_pack())
    write_pack(pack, folder / "mine")
    write_calibration(make_testbed(read_pack(folder / "mine"), ceiling_seeds=2), folder / "mine" / CALIBRATION)
    (folder / "from").mkdir()
    with gzip.open(folder / "from" / "chat.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return folder / "mine"


@pytest.mark.parametrize("command", ["list", "show", "check", "fetch", "build", "calibrate"])
def test_help_teaches(run: Run, command: str):
    done = run(command, "--help")
    assert done.exit_code == 0
    assert f"Example: aarlab testbed {command}" in " ".join(done.stdout.split()).replace("│ ", "")


def test_list_prints_what_every_shipped_testbed_can_show(run: Run):
    done = run("list")
    assert done.exit_code == 0, done.stderr
    assert all(name in done.stdout for name in pack_names())
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 80
    summaries = json.loads(run("list", "--json").stdout)
    assert [summary["testbed"] for summary in summaries] == pack_names()
    for summary in summaries:
        assert {part["split"] for part in summary["parts"]} == {"public", "private"}
        for part in summary["parts"]:
            assert part["resolved"] == (part["gap"] >= 0.1 and part["gap_standard_errors"] >= 6)


def test_list_takes_folders(run: Run, mine: Path):
    (summary,) = json.loads(run("list", str(mine), "--json").stdout)
    assert (summary["testbed"], summary["rows"], summary["questions"]) == ("mine", 1200, 300)
    assert [(part["split"], part["part"]) for part in summary["parts"]] == [
        ("public", "id"),
        ("public", "ood"),
        ("private", "id"),
        ("private", "ood"),
    ]
    table = run("list", str(mine)).stdout
    assert "public ood" in table
    assert "yes" in table
    assert "no" in table


def same(first: str, second: str) -> bool:
    """Whether cells agree; figures may differ in their last digit, since libraries round differently."""
    numbers = [re.findall(r"-?\d*\.\d+", cell) for cell in (first, second)]
    words = [re.sub(r"-?\d*\.\d+", "#", cell) for cell in (first, second)]
    digits = max((len(number.partition(".")[2]) for number in numbers[0]), default=0)
    return words[0] == words[1] and all(
        abs(float(a) - float(b)) < 1.5 * 10**-digits for a, b in zip(*numbers, strict=True)
    )


def test_the_readme_shows_the_list(run: Run):
    block = BLOCK.search(README.read_text(encoding="utf-8"))
    assert block is not None, "README.md has no <!-- testbeds --> block"
    printed = run("list", "--md").stdout.strip().splitlines()
    written = block[1].strip().splitlines()
    assert len(printed) == len(written)
    for new, old in zip(printed, written, strict=True):
        assert all(same(a, b) for a, b in zip(new.split("|"), old.split("|"), strict=True)), f"{new}\n{old}"


def test_the_markdown_table_is_one(run: Run, mine: Path):
    lines = run("list", str(mine), "--md").stdout.strip().splitlines()
    assert len(lines) == 2 + 4
    assert len({line.count("|") for line in lines}) == 1
    assert lines[3].startswith("| mine | chat | pair | public ood | 120 | 30 | ")


def test_show_tells_what_it_is_and_how_to_get_text(run: Run, mine: Path):
    done = run("show", str(mine))
    assert done.exit_code == 0
    for told in ("Which has the larger hidden score?", "drawn at random", "30 labels of teacher", "train id", "1 last"):
        assert told in done.stdout
    assert f"aarlab testbed fetch {mine}" in done.stdout.replace("\n", "")
    document = json.loads(run("show", str(mine), "--json").stdout)
    assert document["has_text"] is False
    assert document["examples"] == []
    assert document["splits"]["train id"] == 384


def test_fetched_text_is_shown_of_train_only_unless_asked(run: Run, mine: Path):
    done = run("fetch", str(mine), "--from", str(mine.parent / "from"))
    assert done.exit_code == 0, done.stderr
    assert "mine.npz" in done.stdout
    assert "already" in run("fetch", str(mine)).stdout
    pack = read_pack(mine)
    shown = json.loads(run("show", str(mine), "--json", "--examples", "7").stdout)["examples"]
    assert len({example["prompt"] for example in shown}) == 7
    for example in shown:
        assert example["candidates"][0] == f"It is {example['row']}."
        assert example["label"] == pack.labels[example["row"]]
    printed = run("show", str(mine), "--examples", "2")
    better = ["✓" in line for line in printed.stdout.splitlines() if "It is " in line]
    assert better == [example["label"] == 0 for example in [shown[0], shown[-1]]]
    assert "[b]" in printed.stdout
    assert "\x1b" not in printed.stdout
    train = {example["row"] for example in shown}
    private = json.loads(run("show", str(mine), "--json", "--split", "private").stdout)["examples"]
    assert not train & {example["row"] for example in private}


def test_check_passes_or_fails_by_exit_code(run: Run, mine: Path, tmp_path: Path):
    done = run("check", str(mine))
    assert done.exit_code == 0, done.stdout
    assert "passes" in done.stdout
    report = json.loads(run("check", str(mine), "--json").stdout)
    assert report["verdict"] == "warn"
    assert {rule["name"] for rule in report["rules"]} >= {"majority class", "length", "words", "zero-shot margins"}
    for check in report["checks"]:
        assert set(check) == {"name", "verdict", "finding", "advice", "figures"}
        assert check["verdict"] in ("pass", "warn", "fail")
    unresolved = tmp_path / "unresolved"
    write_pack(read_pack(mine), unresolved)
    testbed = make_testbed(read_pack(unresolved), ceiling_seeds=1)
    write_calibration(replace(testbed, ceiling_predictions=testbed.weak_labels[None]), unresolved / CALIBRATION)
    done = run("check", str(unresolved))
    assert done.exit_code == 1
    assert "fails" in done.stdout
    assert "→" in done.stdout
    assert json.loads(run("check", str(unresolved), "--json").stdout)["verdict"] == "fail"


def test_a_damaged_pack_is_a_report_that_fails(run: Run, mine: Path, tmp_path: Path):
    damaged = tmp_path / "damaged"
    write_pack(read_pack(mine), damaged)
    (damaged / "operator.npz").write_bytes(b"nothing")
    done = run("check", str(damaged), "--json")
    assert done.exit_code == 1
    (check,) = json.loads(done.stdout)["checks"]
    assert "checksum" in check["finding"]
    assert "fails" in run("check", str(damaged)).stdout


MISTAKES = {
    "no testbed": (("check", "poems"), "There is no testbed 'poems'"),
    "nothing to show": (("show", "poems"), "There is no testbed 'poems'"),
    "list of nothing": (("list", "poems"), "There is no testbed 'poems'"),
    "no folder": (("fetch", "chat", "--from", "nowhere"), "nowhere is no folder"),
    "not in the folder": (("fetch", "chat", "--from", "."), "Copy it there"),
    "no configuration": (("build", "nowhere.yaml"), "nowhere.yaml cannot be read"),
    "no preset": (("build", "study_poems"), "study_chat"),
    "never calibrated": (("check", "chat", "--student", "lora:some/model"), "aarlab testbed calibrate chat"),
    "no student": (("calibrate", "chat", "--student", "poet"), "There is no student 'poet'"),
    "no text": (("calibrate", "chat", "--student", "lora:some/model"), "aarlab testbed fetch chat"),
    "no readout": (("calibrate", "chat", "--student", "remote:openai/m", "--readout", "guess"), "forced_choice"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_say_what_to_do(run: Run, name: str):
    arguments, says = MISTAKES[name]
    done = run(*arguments)
    assert done.exit_code == 1
    assert says in done.stderr
    assert "→" in done.stderr
    assert "Traceback" not in done.stderr


def test_fetching_all_goes_on_after_a_failure(run: Run, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    done = run("fetch", "all", "--from", "empty", "--json")
    assert done.exit_code == 1
    brought = json.loads(done.stdout)
    assert [one["testbed"] for one in brought] == pack_names()
    assert all(one.get("advice") or one.get("already_here") for one in brought)


def rows_for(path: Path, bad: int = 0) -> None:
    lines = [
        {"question": f"What is {i // 2}?", "one": f"It is {i}.", "two": f"It was {i + 7}.", "better": "ab"[i * 7 % 2]}
        for i in range(120)
    ]
    lines += [{"question": "", "one": "x", "two": "y", "better": "a"}] * bad
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


CONFIG = """\
name: own
data: rows.jsonl
columns: {prompt: question, first: one, second: two, label: better}
labels: {a: 0, b: 1}
weak: {kind: bag_of_words, labels: 8}
student: {kind: lora, model: some/model}
"""


def test_build_refuses_bad_rows_until_they_are_allowed(run: Run, tmp_path: Path):
    rows_for(tmp_path / "rows.jsonl", bad=3)
    (tmp_path / "own.yaml").write_text(CONFIG, encoding="utf-8")
    done = run("build", "own.yaml")
    assert done.exit_code == 1
    assert "3 of 123 rows" in done.stderr
    assert "empty text" in done.stderr
    assert "--allow-bad-rows" in done.stderr
    failure = json.loads(run("build", "own.yaml", "--json").stdout)["failure"]
    assert failure["kind"] == "bad_rows"
    assert sum(failure["counts"].values()) == len(failure["rejected"]) == 3
    assert not (tmp_path / "own").exists()
    done = run("build", "own.yaml", "--allow-bad-rows")
    assert done.exit_code == 0, done.stderr
    assert "120 pairs, 60 questions" in done.stdout
    assert "empty text" in done.stdout
    assert "--student lora:some/model" in done.stdout.replace("\n", " ")
    assert (tmp_path / "own" / "rejected.jsonl").is_file()


def test_build_puts_it_where_it_is_told_and_shows_what_it_built(run: Run, tmp_path: Path):
    rows_for(tmp_path / "rows.jsonl")
    (tmp_path / "own.yaml").write_text(CONFIG, encoding="utf-8")
    done = run("build", "own.yaml", "--to", "there/it", "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["check"] is None  # text only: nothing to check before it is calibrated
    assert document["rejected"] == []
    assert document["manifest"]["groups"] == 60
    shown = json.loads(run("show", "there/it", "--json", "--examples", "3").stdout)
    assert all(example["prompt"].startswith("What is") for example in shown["examples"])
    assert "already" in run("build", "own.yaml", "--to", "there/it").stderr


@pytest.mark.parametrize("preset", presets())
def test_build_knows_the_presets(run: Run, tmp_path: Path, preset: str):
    """It goes as far as to find that the folder, named as the preset says, is not free."""
    name = read_config(presets()[preset]).name
    (tmp_path / name).mkdir()
    done = run("build", preset)
    assert done.exit_code == 1
    assert f"{name} exists and is no testbed" in done.stderr


@pytest.mark.slow
def test_build_with_activations_ends_in_a_check(run: Run, tmp_path: Path):
    pytest.importorskip("torch")
    from tiny_model import tiny_model

    rows_for(tmp_path / "rows.jsonl")
    student = f"student: {{kind: probe, model: {tiny_model()}}}\n"
    (tmp_path / "own.yaml").write_text(CONFIG[: CONFIG.index("student")] + student, encoding="utf-8")
    done = run("build", "own.yaml", "--json")
    document = json.loads(done.stdout)
    assert document["check"]["testbed"] == "own"
    assert done.exit_code == (1 if document["check"]["verdict"] == "fail" else 0)


def test_calibrate_measures_and_keeps(run: Run, mine: Path, tmp_path: Path):
    folder = tmp_path / "bare"
    write_pack(read_pack(mine), folder)
    missing = run("check", str(folder))
    assert missing.exit_code == 1
    assert "is missing" in missing.stderr
    done = run("calibrate", str(folder), "--student", "probe", "--seeds", "2", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["parts"] == json.loads(run("list", str(folder), "--json").stdout)[0]["parts"]
