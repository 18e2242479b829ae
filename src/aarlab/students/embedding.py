"""What a frozen language model makes of candidate answers: hidden states, log-probabilities, zero-shot margins.

One pass per answer gives everything: hidden states at several layers, pooled over the answer's
tokens; the answer's mean log-probability; and zero-shot margins from short templates. A prompt is
read once for the answers of a batch that share it, and each template goes on from the key-value
cache of prompt and answer, so both cost only their own few tokens.

Needs the extra `torch`.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aarlab.students.language_model import BATCH, BATCH_TOKENS, LanguageModel, ModelError

log = logging.getLogger(__name__)

POOLINGS = ("mean", "last")
CHUNK = 192  # answers to a checkpoint
MAX_TOKENS = 2048  # of prompt and answer
LARGEST = float(np.finfo(np.float16).max)


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
        # Here, for the module above says what to install where these are missing.
        import torch
        from transformers import DynamicCache

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
        import torch

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
