"""The `lora` student: a language model that is fine-tuned itself, by low-rank adapters.

An example is rendered into a prompt that ends where the label comes; the logit is that of the token
for label 1 minus that of the token for label 0. Only adapters are trained; the model below them is
read once and stays as it is, and each classifier is a set of adapter weights that is put in place when
it is asked. A 4-billion model wants a GPU; a small one trains on a CPU, slowly.

Weak supervisors are made of it too: `finetune` on labelled examples, then `predict`.

Needs the extra `torch`.
"""

import hashlib
import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from aarlab.students._lora_prompts import encode
from aarlab.students._lora_training import Adapter, AdapterShape, Keeper, Schedule, State, TrainingSet
from aarlab.students._packages import with_requirements
from aarlab.students._targets import LOSSES, checked
from aarlab.students.embedding import POOLINGS, Candidate, Embedder
from aarlab.students.language_model import LanguageModel, best_device, find_model, load_language_model
from aarlab.students.lora_settings import PRESETS, LoraSettings
from aarlab.students.protocol import (
    Classifier,
    Examples,
    Floats,
    Loss,
    Margins,
    Representation,
    Unsupported,
)
from aarlab.students.runtime import Runtime

CAPABILITIES = ("finetune", "hidden", "margins", "texts")
INSIDE = "/model"  # where the sandbox mounts the model
GIB = 2**30

#: What the untrained model makes of a candidate: hidden states (layers, poolings, d), log-probability (), margins.
Embedded: TypeAlias = tuple[NDArray[np.float16], ...]


class LoraClassifier:
    """Trained adapter weights, ready to predict.

    Attributes:
        state: the adapter, in the CPU's memory.
        losses: training loss of each step.
    """

    def __init__(self, student: "LoraStudent", state: State, losses: tuple[float, ...]) -> None:
        self.state = state
        self.losses = losses
        self._student = student

    def logits(self, examples: Examples) -> Floats:
        """Log-odds of label 1, shape (n,)."""
        return self._student.logits(self, examples)

    def predict(self, examples: Examples) -> Floats:
        """P(label = 1), shape (n,)."""
        return np.asarray(expit(self.logits(examples)), dtype=np.float64)


class LoraStudent:
    """Adapters on a language model. See `aarlab.students.protocol.Student` for the contract."""

    capabilities = CAPABILITIES

    def __init__(self, path: Path, model_name: str, settings: LoraSettings | None = None) -> None:
        """A student whose model is read when it is first needed.

        Args:
            path: folder or GGUF file of the model.
            model_name: what to call it.
            settings: how to train; default the W2S study's.
        """
        self.path = path
        self.model_name = model_name
        self.settings = settings or LoraSettings()
        self._embedded: dict[Candidate, Embedded] = {}
        self._in_place: State | None = None
        self._lock = threading.RLock()  # there is one model, and one adapter in it at a time

    @classmethod
    def load(cls, source: str | Path, settings: LoraSettings | None = None) -> Self:
        """The student on a model.

        Args:
            source: a folder in Hugging Face's layout, a GGUF file, or a Hugging Face name.
            settings: how to train; default the preset of that name, else the W2S study's.

        Raises:
            ModelError: there is no such model here, and it cannot be fetched.
        """
        path = find_model(source)
        preset = PRESETS.get(str(source))
        name = path.name if Path(source).expanduser().exists() else str(source)
        return cls(path, name, settings or (preset.settings if preset else None))

    @property
    def name(self) -> str:
        """Such as "lora:Qwen/Qwen3-4B-Base"; no folder."""
        return f"lora:{self.model_name}"

    def to_job(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """See `Student.to_job`."""
        model = f"{INSIDE}/{self.path.name}" if self.path.is_file() else INSIDE
        return {"kind": "lora", "model": model, "name": self.model_name, "settings": self.settings.to_json()}, {}

    @classmethod
    def from_job(cls, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:  # noqa: ARG003
        """See `Student.from_job`."""
        return cls(Path(about["model"]), about["name"], LoraSettings.from_json(about["settings"]))

    def runtime(self) -> Runtime:
        """What it needs around a method's process. Files are mounted one by one: a Hugging Face cache holds links."""
        files = [self.path] if self.path.is_file() else sorted(f for f in self.path.rglob("*") if f.is_file())
        base = self.path.parent if self.path.is_file() else self.path
        size = sum(file.stat().st_size for file in files)
        gpu = best_device() == "cuda"
        return Runtime(
            packages=with_requirements("torch", "transformers", "peft", *(["gguf"] if self.path.is_file() else [])),
            mounts={f"{INSIDE}/{file.relative_to(base)}": file.resolve() for file in files},
            devices=tuple(sorted(str(d) for d in Path("/dev").glob("nvidia*") if d.is_char_device())) if gpu else (),
            seconds=self.settings.seconds,
            memory_bytes=max(16 * GIB, 8 * GIB + 4 * size),
            processes=256,
            threads=4 if gpu else 1,  # without a GPU several seeds at once make better use of the cores
        )

    @property
    def representations(self) -> tuple[Representation, ...]:
        """All (layer, pooling) offered."""
        return tuple((layer, pooling) for layer in self._layers for pooling in POOLINGS)

    def hidden(self, examples: Examples, layer: int, pooling: str) -> Floats:
        """Hidden states of the untrained model, shape (n, d); of the second candidate minus the first, on pairs."""
        if (layer, pooling) not in self.representations:
            raise Unsupported(f"read {(layer, pooling)}", [str(r) for r in self.representations])
        place = self._layers.index(layer), POOLINGS.index(pooling)
        return self._of_candidates(examples, lambda embedded: embedded[0][place])

    def margins(self, examples: Examples) -> Margins:
        """Zero-shot margins of the untrained model; exchanging a pair's candidates changes their sign."""
        return Margins(
            templates=self._of_candidates(examples, lambda embedded: embedded[2]),
            logprob=self._of_candidates(examples, lambda embedded: embedded[1]),
        )

    def finetune(
        self,
        examples: Examples,
        targets: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        loss: Loss = "cross_entropy",
        start: Classifier | None = None,
        seed: int = 0,
        representations: Sequence[Representation] | None = None,
        l2: float | None = None,
        hidden_units: int = 0,
        max_steps: int | None = None,
    ) -> LoraClassifier:
        """Train an adapter; see `aarlab.students.protocol.Student.finetune`.

        An example of weight 0 is left out. `l2` is AdamW's weight decay, default 0. With `max_steps` the learning
        rate falls to 0 within them. A loss function gets the examples of one forward pass, not the whole batch. The
        seed fixes the result on a CPU; on a GPU, up to the order in which it sums.

        Pairs are read in the order they are presented in: to be sure that order does not matter, train on
        `concatenate([train, train.swapped()])`.
        """
        if representations is not None:
            raise Unsupported("train on chosen representations", self.capabilities)
        if hidden_units:
            raise Unsupported("train a head with hidden units", self.capabilities)
        target = checked(targets, len(examples), "targets", upper=1.0)
        weight = np.ones(len(examples)) if weights is None else checked(weights, len(examples), "weights")
        kept = np.flatnonzero(weight > 0)
        if len(kept) == 0:
            raise ValueError("nothing to train on: no examples, or all weights are 0")
        if start is not None and not isinstance(start, LoraClassifier):
            raise TypeError("start must be a classifier that finetune returned")
        schedule = self._schedule(len(kept), seed, l2, max_steps)
        with self._lock:
            data = TrainingSet(
                rows=self._rows(examples.take(kept)),
                targets=target[kept],
                weights=weight[kept] / weight[kept].mean(),
                loss=LOSSES[loss] if isinstance(loss, str) else loss,
            )
            state = self._adapter.fresh(seed) if start is None else start.state
            if not self._adapter.fits(state):
                raise TypeError("start is of another model, rank or choice of layers")
            keeper = self._keeper(data, schedule, state, loss)
            self._in_place = None
            trained = self._adapter.train(state, data, self._options(examples.pairs), schedule, keeper)
        return LoraClassifier(self, *trained)

    def logits(self, classifier: LoraClassifier, examples: Examples) -> Floats:
        """Log-odds of label 1 by a classifier of this student, shape (n,)."""
        with self._lock:
            rows = self._rows(examples)
            if self._in_place is not classifier.state:
                self._adapter.put(classifier.state)
                self._in_place = classifier.state
            return self._adapter.predict(rows, self._options(examples.pairs))

    @cached_property
    def _model(self) -> LanguageModel:
        return load_language_model(self.path, name=self.model_name)

    @cached_property
    def _adapter(self) -> Adapter:
        s = self.settings
        return Adapter(self._model, AdapterShape(s.rank, s.alpha, s.dropout, s.target_modules))

    @cached_property
    def _layers(self) -> tuple[int, ...]:
        depth = self._model.layers
        return self.settings.layers or tuple(sorted({max(1, round(depth * fifth / 5)) for fifth in range(1, 6)}))

    def _options(self, pairs: bool) -> tuple[int, int]:
        prompt = self.settings.pair if pairs else self.settings.pointwise
        return self._model.single_token(prompt.positive), self._model.single_token(prompt.negative)

    def _rows(self, examples: Examples) -> list[list[int]]:
        """Token ids of each example as presented."""
        prompt = self.settings.pair if examples.pairs else self.settings.pointwise
        texts = examples.read().tolist()
        beginning, tokens = self._model.beginning, cache(self._model.tokens)
        room = self.settings.max_length - len(beginning)
        return [beginning + encode(prompt, row, tokens, room) for row in texts]

    def _schedule(self, count: int, seed: int, l2: float | None, max_steps: int | None) -> Schedule:
        s = self.settings
        steps = s.epochs * math.ceil(count / s.batch)
        checkpointing = s.gradient_checkpointing
        return Schedule(
            steps=steps if max_steps is None else min(steps, int(max_steps)),
            batch=s.batch,
            micro_batch=s.micro_batch,
            learning_rate=s.learning_rate,
            warmup=s.warmup,
            clip=s.clip,
            weight_decay=0.0 if l2 is None else float(l2),
            seed=int(seed),
            gradient_checkpointing=best_device() != "cpu" if checkpointing is None else checkpointing,
        )

    def _keeper(self, data: TrainingSet, schedule: Schedule, start: State, loss: Loss) -> Keeper:
        """A file named after all that the result depends on."""
        if self.settings.checkpoints is None or not isinstance(loss, str):
            return Keeper()
        about = [self._model.weights, self.settings.to_json(), asdict(schedule), data.rows, loss]
        digest = hashlib.sha256(json.dumps(about).encode())
        for array in (data.targets, data.weights, *(start[name].numpy() for name in sorted(start))):
            digest.update(np.ascontiguousarray(array).tobytes())
        return Keeper(self.settings.checkpoints / f"{digest.hexdigest()[:32]}.pt", self.settings.checkpoint_every)

    def _of_candidates(self, examples: Examples, read: Callable[[Embedded], NDArray[np.float16]]) -> Floats:
        """What the untrained model makes of each candidate, first axis = example; a difference, on pairs."""
        if examples.texts is None:
            examples.read()  # says what is missing
        before, after = self.settings.candidate
        texts = np.asarray(examples.texts).tolist()
        columns = [
            [Candidate(before.replace("{question}", row[0]), after.replace("{answer}", row[i])) for row in texts]
            for i in range(1, 3 if examples.pairs else 2)
        ]
        self._embed([candidate for column in columns for candidate in column])
        values = [np.stack([read(self._embedded[c]) for c in column]).astype(np.float64) for column in columns]
        if not examples.pairs:
            return values[0]
        sign = np.where(examples.swap, -1.0, 1.0).reshape(-1, *[1] * (values[0].ndim - 1))
        difference: Floats = (values[1] - values[0]) * sign
        return difference

    def _embed(self, candidates: Sequence[Candidate]) -> None:
        """Run the untrained model over candidates that it has not seen yet."""
        new = [c for c in dict.fromkeys(candidates) if c not in self._embedded]
        if not new:
            return
        with self._lock, self._adapter.disabled():
            made = Embedder(self._model, self._layers, self.settings.templates).embed(new)
        for i, candidate in enumerate(new):
            self._embedded[candidate] = tuple(
                made[name][i].astype(np.float16) for name in ("hidden", "logprob", "margins")
            )
