"""What is the lora student's own; that it keeps the Student contract is in test_conformance.py."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tiny_model import tiny_model, word_examples

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

import torch

from aarlab.evaluation import Evaluator
from aarlab.sandbox import default_sandbox
from aarlab.students import Unsupported, make_student
from aarlab.students._lora_prompts import PAIR, POINTWISE, Prompt, encode
from aarlab.students.embedding import Candidate, Embedder
from aarlab.students.language_model import load_language_model
from aarlab.students.lora import INSIDE, LoraStudent
from aarlab.students.lora_settings import PRESETS, LoraSettings
from aarlab.testbeds import correctness, load_testbed
from aarlab.testbeds.fitting import Fitting

pytestmark = pytest.mark.torch

SETTINGS = LoraSettings(rank=8, alpha=16, learning_rate=1e-2, epochs=2, batch=16, micro_batch=8, max_length=64)


def make(**changes):
    return LoraStudent.load(tiny_model(), replace(SETTINGS, **changes))


@pytest.fixture(scope="module")
def student():
    return make()


@pytest.fixture(scope="module")
def train():
    return word_examples(48, pairs=True)


def test_training_lowers_the_loss(student, train):
    trained = student.finetune(*train)
    assert len(trained.losses) == 6  # 2 epochs of 3 batches
    assert np.mean(trained.losses[3:]) < np.mean(trained.losses[:3])


@pytest.mark.parametrize(
    "changes",
    [{"micro_batch": 3}, {"micro_batch": 64}, {"gradient_checkpointing": True}],
)
def test_what_saves_memory_changes_nothing(student, train, changes):
    expected = student.finetune(*train)
    got = make(**changes).finetune(*train)
    np.testing.assert_allclose(got.losses, expected.losses, rtol=1e-3)
    np.testing.assert_allclose(got.predict(train[0]), expected.predict(train[0]), atol=1e-3)


@pytest.mark.parametrize("changes", [{}, {"dropout": 0.3}])
def test_a_killed_run_goes_on_and_ends_the_same(train, tmp_path, monkeypatch, changes):
    examples, labels = train
    weights = np.linspace(0.5, 1.5, len(labels))
    expected = make(**changes).finetune(examples, labels, weights, seed=3)

    student = make(checkpoints=tmp_path, checkpoint_every=2, **changes)
    steps = dying_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        student.finetune(examples, labels, weights, seed=3)
    assert len(list(tmp_path.glob("*.pt"))) == 1

    again = make(checkpoints=tmp_path, checkpoint_every=2, **changes)
    resumed = again.finetune(examples, labels, weights, seed=3)
    assert steps == [6 + 1 - 2]  # the step it died in, and all after the last checkpoint
    assert resumed.losses == expected.losses
    for name, tensor in expected.state.items():
        torch.testing.assert_close(resumed.state[name], tensor, rtol=0, atol=0)

    finished = again.finetune(examples, labels, weights, seed=3)  # all done: no further step
    assert steps == [6 + 1 - 2]
    np.testing.assert_array_equal(finished.predict(examples), expected.predict(examples))


def dying_after(monkeypatch, count):
    """Let the optimiser raise once, in step `count`; afterwards it counts the steps since then, that one included."""
    step, taken, since = torch.optim.AdamW.step, [], [0]

    def counted(self, *arguments, **named):
        taken.append(1)
        if len(taken) == count:
            raise KeyboardInterrupt
        since[0] = len(taken) - count + 1
        return step(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", counted)
    return since


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"l2": 0.1},
        {"max_steps": 2},
        {"loss": "squared"},
        {"targets": 0.25},
        {"weights": 2.0},
        {"start": 1},
    ],
)
def test_other_arguments_do_not_meet_a_checkpoint(train, tmp_path, change):
    examples, labels = train
    student, plain = make(checkpoints=tmp_path), make()
    first = student.finetune(examples, labels)
    arguments = {"targets": labels.astype(float), "weights": np.ones(len(labels)), **change}
    if "targets" in change:
        arguments["targets"] = np.where(labels, 1 - change["targets"], change["targets"])
    if "weights" in change:
        arguments["weights"] = np.where(labels, change["weights"], 1.0)
    if "start" in change:
        arguments["start"] = first
    expected = plain.finetune(examples, **arguments)
    assert student.finetune(examples, **arguments).losses == expected.losses


def test_a_loss_that_may_remember_is_not_kept(train, tmp_path):
    make(checkpoints=tmp_path).finetune(*train, loss=lambda logits, _: (logits * 0, logits * 0 + 0.1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "loss",
    [
        lambda logits, _: (logits, logits[:1]),
        lambda logits, _: (logits, logits * np.nan),
        lambda logits, _: (logits * np.inf, logits),
    ],
)
def test_a_loss_that_is_no_loss_is_named(student, train, loss):
    with pytest.raises(ValueError, match="finite"):
        student.finetune(*train, loss=loss, max_steps=1)


def test_no_step_from_a_start_is_the_start(student, train):
    first = student.finetune(*train)
    same = student.finetune(*train, start=first, max_steps=0)
    assert same.losses == ()
    np.testing.assert_array_equal(same.predict(train[0]), first.predict(train[0]))


def test_a_start_of_another_shape_is_refused(student, train):
    with pytest.raises(TypeError, match="start is of another model"):
        student.finetune(*train, start=make(rank=4).finetune(*train, max_steps=1))


def test_an_untrained_adapter_changes_nothing(train):
    examples, labels = train
    student = make()
    untrained = student.finetune(examples, labels, max_steps=0).logits(examples)
    model = load_language_model(tiny_model(), device="cpu")
    for texts, logit in zip(examples.read()[:5], untrained[:5], strict=True):
        ids = encode(PAIR, [str(t) for t in texts], model.tokens, 64)
        with torch.inference_mode():
            last = model.model(torch.tensor([ids])).logits[0, -1]
        assert logit == pytest.approx(float(last[model.single_token("B")] - last[model.single_token("A")]), abs=1e-4)


def test_hidden_states_and_margins_are_those_of_the_untrained_model(train):
    examples, labels = train
    student = make()
    student.finetune(examples, labels)
    some = examples.take(np.arange(8))
    embedder = Embedder(load_language_model(tiny_model(), device="cpu"), (1, 2), student.settings.templates)
    made = [
        embedder.embed([Candidate(f"Q: {row[0]}\nA:", f" {row[i]}") for row in some.texts.tolist()]) for i in (1, 2)
    ]
    assert student.representations == ((1, "mean"), (1, "last"), (2, "mean"), (2, "last"))
    for r, (layer, pooling) in enumerate(student.representations):
        expected = (made[1]["hidden"] - made[0]["hidden"])[:, r // 2, r % 2]
        np.testing.assert_allclose(student.hidden(some, layer, pooling), expected, atol=2e-3)
    np.testing.assert_allclose(student.margins(some).templates, made[1]["margins"] - made[0]["margins"], atol=2e-3)
    np.testing.assert_allclose(student.margins(some).logprob, made[1]["logprob"] - made[0]["logprob"], atol=2e-3)


def test_training_leaves_the_callers_random_numbers_alone(train):
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    make(dropout=0.2).finetune(*train, max_steps=2)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


def test_threads_may_ask_different_classifiers(student, train):
    examples, labels = train
    trained = [student.finetune(examples, targets, max_steps=3) for targets in (labels, 1 - labels)]
    alone = [classifier.predict(examples) for classifier in trained]
    together: dict[int, list] = {0: [], 1: []}

    def ask(which):
        together[which] = [trained[which].predict(examples) for _ in range(5)]

    threads = [threading.Thread(target=ask, args=(which,)) for which in together]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for which, answers in together.items():
        assert len(answers) == 5
        for answer in answers:
            np.testing.assert_array_equal(answer, alone[which])


def test_what_it_cannot_do_is_named(student, train):
    examples, labels = train
    for arguments in ({"representations": [(1, "mean")]}, {"hidden_units": 4}):
        with pytest.raises(Unsupported, match="it can: finetune, hidden, margins, texts"):
            student.finetune(examples, labels, **arguments)
    untold = replace(examples, texts=None)
    for ask in (lambda: student.finetune(untold, labels), lambda: student.hidden(untold, 1, "mean")):
        with pytest.raises(Unsupported, match="read texts"):
            ask()


def words(text):
    return [ord(c) for c in text]


@pytest.mark.parametrize(
    ("texts", "room", "expected"),
    [
        (("question", "one", "three"), 99, "Q:question|A:one|B:three|?"),
        (("question", "one", "three"), 23, "Q:stion|A:one|B:three|?"),
        (("question", "one", "three"), 18, "Q:|A:one|B:three|?"),
        (("question", "one", "three"), 16, "Q:|A:one|B:thr|?"),
        (("question", "one", "three"), 10, "Q:|A:|B:|?"),
        (("what {first} {question}?", "{second}", "{"), 99, "Q:what {first} {question}?|A:{second}|B:{|?"),
    ],
)
def test_what_is_too_long_loses_its_question_first(texts, room, expected):
    prompt = Prompt(("Q:", "{question}", "|A:", "{first}", "|B:", "{second}", "|?"), "B", "A")
    assert "".join(map(chr, encode(prompt, texts, words, room))) == expected


def test_a_prompt_without_room_is_named():
    with pytest.raises(ValueError, match="raise max_length"):
        encode(POINTWISE, ("question", "answer"), words, 20)


def test_settings_survive_json():
    settings = replace(SETTINGS, layers=(1, 2), target_modules=("q_proj", "v_proj"), checkpoints=Path("here"))
    again = LoraSettings.from_json(json.loads(json.dumps(settings.to_json())))
    assert again == replace(settings, checkpoints=None)


@pytest.mark.parametrize(
    "wrong",
    [{"rank": 0}, {"epochs": 0}, {"micro_batch": 0}, {"learning_rate": 0.0}, {"dropout": 1.0}, {"warmup": -0.1}],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LoraSettings(**wrong)


def test_a_job_finds_the_model_where_the_sandbox_mounts_it(tmp_path):
    """A Hugging Face cache holds links to files elsewhere, and a folder mounted alone would lose them."""
    cache = tmp_path / "snapshot"
    cache.mkdir()
    for file in tiny_model().iterdir():
        (cache / file.name).symlink_to(file)
    student = LoraStudent.load(cache, SETTINGS)
    about, arrays = student.to_job()
    assert (about["kind"], about["model"], arrays) == ("lora", INSIDE, {})
    assert str(tmp_path) not in json.dumps(about)
    runtime = student.runtime()
    assert f"{INSIDE}/config.json" in runtime.mounts
    assert all(path.is_file() and not path.is_symlink() for path in runtime.mounts.values())
    assert {"torch", "transformers", "peft", "tokenizers", "safetensors"} <= set(runtime.packages)
    assert any(name.startswith("tokenizers-") and name.endswith(".dist-info") for name in runtime.packages)
    assert not {"pytest", "mypy", "aarlab"} & set(runtime.packages)
    assert runtime.memory_bytes >= 8 * 2**30
    assert make_student(about, arrays).name == student.name == "lora:snapshot"


def test_a_job_with_a_file_names_the_file(tmp_path):
    (tmp_path / "weights.gguf").write_bytes(b"GGUF")
    student = LoraStudent.load(tmp_path / "weights.gguf")
    assert student.to_job()[0]["model"] == f"{INSIDE}/weights.gguf"
    assert student.runtime().mounts == {f"{INSIDE}/weights.gguf": (tmp_path / "weights.gguf").resolve()}


def test_the_studys_pair_is_there_with_its_settings_and_marked_untested():
    settings = LoraSettings()
    assert (settings.rank, settings.learning_rate, settings.epochs, settings.batch) == (32, 1e-4, 5, 32)
    assert set(PRESETS) == {"Qwen/Qwen1.5-0.5B-Chat", "Qwen/Qwen3-4B-Base"}
    assert not any(preset.tested for preset in PRESETS.values())


METHOD = """
def fit(problem, seed):
    student, some = problem.student, problem.train.take([0, 1])
    assert student.hidden(some, 2, "mean").shape == (2, 32)
    assert student.margins(some).templates.shape == (2, 2, 2)
    hard = (problem.weak_labels > 0.5).astype(float)
    return student.finetune(problem.train, hard, seed=seed).predict
"""


@pytest.mark.slow
def test_a_method_trains_it_in_the_sandbox(worded):
    testbed = load_testbed(str(worded))
    settings = replace(SETTINGS, epochs=6)
    student = LoraStudent.load(tiny_model(), settings)
    testbed = replace(testbed, fitting=Fitting(student, {}, student.runtime()))
    with Evaluator(testbed, default_sandbox()) as evaluator:
        result = evaluator.evaluate(METHOD, "public", [1])
    problem = testbed.problem()
    here = student.finetune(problem.train, (problem.weak_labels > 0.5).astype(float), seed=1)
    asked = testbed.examples("public")
    combined = (here.predict(asked) + 1 - here.predict(asked.swapped())) / 2
    assert result.accuracy[0] == correctness(combined, testbed.labels("public")).mean()
    assert result.student == student.name


def test_adapters_stay_float32_where_the_model_is_bfloat16(train):
    """As on a GPU."""
    examples, labels = train
    student = make()
    model = student._model.model.to(torch.bfloat16)
    trained = student.finetune(examples, labels)
    assert student._model.precision == "bfloat16"
    assert {parameter.dtype for parameter in model.parameters() if parameter.requires_grad} == {torch.float32}
    assert {tensor.dtype for tensor in trained.state.values()} == {torch.float32}
    assert np.mean(trained.losses[3:]) < np.mean(trained.losses[:3])
    assert np.isfinite(student.hidden(examples, 2, "mean")).all()
    order = np.random.default_rng(0).permutation(len(examples))
    np.testing.assert_allclose(
        trained.logits(examples.take(order)), trained.logits(examples)[order], atol=0.2, rtol=0.05
    )
