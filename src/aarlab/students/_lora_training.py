"""Adapters on a frozen language model, and the loop that trains them."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from aarlab.students.language_model import INSTALL, LanguageModel, ModelError, batches
from aarlab.students.protocol import Floats

try:
    from peft import LoraConfig, get_peft_model
except ImportError as error:
    raise ModelError(f"Adapters cannot be trained here: {error}.", INSTALL) from error

#: An adapter's parameters by name, float32, in the CPU's memory.
State = dict[str, Any]

PREDICT_ROWS, PREDICT_TOKENS = 32, 8192  # rows, and tokens with padding, to a batch


@dataclass(frozen=True)
class AdapterShape:
    """What adapters look like: rank, scale (alpha / rank), dropout, and the layers they sit on as peft names them."""

    rank: int
    alpha: float
    dropout: float
    target_modules: str | tuple[str, ...]


@dataclass(frozen=True)
class Schedule:
    """How an adapter is trained.

    Attributes:
        steps: steps in all; the learning rate falls linearly to 0 over them.
        batch: examples to a step.
        micro_batch: examples to a forward pass; gradients of several add up to a step.
        learning_rate: at the beginning.
        warmup: share of the steps over which the learning rate rises first.
        clip: largest norm of the gradient.
        weight_decay: of AdamW.
        seed: fixes the order of examples and dropout.
        gradient_checkpointing: compute activations twice to hold fewer of them.
    """

    steps: int
    batch: int
    micro_batch: int
    learning_rate: float
    warmup: float
    clip: float
    weight_decay: float
    seed: int
    gradient_checkpointing: bool

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rising = math.ceil(self.warmup * self.steps)
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        return self.learning_rate * (self.steps - step) / max(1, self.steps - rising)


@dataclass(frozen=True)
class TrainingSet:
    """Token ids, targets in [0, 1], weights with mean 1, and the loss on arrays (see `protocol.Loss`)."""

    rows: Sequence[Sequence[int]]
    targets: Floats
    weights: Floats
    loss: Callable[[Floats, Floats], tuple[Floats, Floats]]


class Adapter:
    """The one place in a language model where adapters are put, one at a time."""

    def __init__(self, model: LanguageModel, shape: AdapterShape) -> None:
        self.model = model
        modules = shape.target_modules
        config = LoraConfig(
            r=shape.rank,
            lora_alpha=shape.alpha,
            lora_dropout=shape.dropout,
            target_modules=modules if isinstance(modules, str) else list(modules),
            task_type="CAUSAL_LM",
        )
        self.dropout = shape.dropout
        with warnings.catch_warnings(), torch.random.fork_rng():  # peft draws a beginning, which `put` replaces
            # Of peft about what it asks of transformers, where that is the newer one.
            warnings.simplefilter("ignore", FutureWarning)
            self._peft: Any = get_peft_model(model.model, config)
        self._peft.eval()
        self._parameters = {name: p for name, p in self._peft.named_parameters() if p.requires_grad}

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """The model as it was before any training."""
        with self._peft.disable_adapter():
            yield

    def fresh(self, seed: int) -> State:
        """An adapter that changes nothing yet: A uniform within 1 / sqrt(inputs), B zero."""
        rng = np.random.default_rng(seed)
        return {
            name: torch.zeros(p.shape)
            if "lora_B" in name
            else torch.from_numpy((rng.uniform(-1, 1, tuple(p.shape)) / math.sqrt(p.shape[1])).astype(np.float32))
            for name, p in self._parameters.items()
        }

    def fits(self, state: State) -> bool:
        """Whether the state is one of an adapter like this."""
        return {n: tuple(t.shape) for n, t in state.items()} == {n: tuple(p.shape) for n, p in self._parameters.items()}

    def put(self, state: State) -> None:
        """Make the model behave as this adapter says."""
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(state[name])

    def state(self) -> State:
        """A copy of the adapter that is in place."""
        return {name: p.detach().to("cpu", torch.float32).clone() for name, p in self._parameters.items()}

    def logits(self, rows: Sequence[Sequence[int]], options: tuple[int, int]) -> Any:
        """Logit of the first option's token minus that of the second, after each row; a tensor, shape (n,)."""
        ids, mask, lengths = self.model.padded(rows)
        # Rows end at different places, and a layer of all words is dear: compute it at these places only.
        ends, place = (lengths - 1).unique(return_inverse=True)
        out = self.model.forward(input_ids=ids, attention_mask=mask, logits_to_keep=ends)
        last = out.logits[torch.arange(len(rows), device=ids.device), place].float()
        return last[:, options[0]] - last[:, options[1]]

    def predict(self, rows: Sequence[Sequence[int]], options: tuple[int, int]) -> Floats:
        """As `logits`, for any number of rows, shape (n,)."""
        logits = np.empty(len(rows))
        with torch.inference_mode():
            for batch in batches([len(row) for row in rows], PREDICT_ROWS, PREDICT_TOKENS):
                logits[batch] = self.logits([rows[i] for i in batch], options).cpu().numpy()
        return logits

    def train(
        self, start: State, data: TrainingSet, options: tuple[int, int], schedule: Schedule, keep: "Keeper"
    ) -> tuple[State, tuple[float, ...]]:
        """Train from `start` on, or from where `keep` says an interrupted run stopped.

        Nothing is remembered between steps but parameters, optimiser and step: the order of examples and
        dropout are drawn from the seed and the step. So a run that goes on ends as one that never stopped.

        Returns:
            The trained adapter and the loss of each step.
        """
        parameters = list(self._parameters.values())
        optimizer = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
        self.put(start)
        losses: list[float] = []
        if kept := keep.read():
            self.put(kept["state"])
            losses = list(kept["losses"])
            if len(losses) < schedule.steps:
                optimizer.load_state_dict(kept["optimizer"])
        with self._training(schedule.gradient_checkpointing):
            for step in range(len(losses), schedule.steps):
                for group in optimizer.param_groups:
                    group["lr"] = schedule.rate(step)
                losses.append(self._step(step, data, options, schedule))
                torch.nn.utils.clip_grad_norm_(parameters, schedule.clip)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                if keep.due(step + 1, schedule.steps):
                    done = step + 1 == schedule.steps
                    keep.write(self.state(), losses, {} if done else optimizer.state_dict())
        return self.state(), tuple(losses)

    def _step(self, step: int, data: TrainingSet, options: tuple[int, int], schedule: Schedule) -> float:
        """Add up the gradient of one step; returns its loss."""
        count = len(data.rows)
        epoch, place = divmod(step, math.ceil(count / schedule.batch))
        order = np.random.default_rng((schedule.seed, epoch)).permutation(count)
        batch = order[place * schedule.batch : (place + 1) * schedule.batch]
        batch = batch[np.argsort([len(data.rows[i]) for i in batch], kind="stable")]
        whole = 0.0
        with self._dropout_drawn_from(schedule.seed, step):
            for start in range(0, len(batch), schedule.micro_batch):
                which = batch[start : start + schedule.micro_batch]
                logits = self.logits([data.rows[i] for i in which], options)
                values, slopes = data.loss(logits.detach().cpu().numpy().astype(np.float64), data.targets[which])
                gradient = _checked(slopes, len(which)) * data.weights[which] / len(batch)
                logits.backward(torch.from_numpy(gradient).to(logits))
                whole += float(data.weights[which] @ _checked(values, len(which))) / len(batch)
        return whole

    @contextmanager
    def _training(self, gradient_checkpointing: bool) -> Iterator[None]:
        model = self.model.model
        # transformers 5 renamed it on the way
        name = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
        if gradient_checkpointing:
            options = {f"{name}_checkpointing_kwargs": {"use_reentrant": False}}
            getattr(model, f"{name}_checkpointing_enable")(**options)
        self._peft.train()
        try:
            yield
        finally:
            self._peft.eval()
            self._peft.zero_grad(set_to_none=True)
            if gradient_checkpointing:
                getattr(model, f"{name}_checkpointing_disable")()

    @contextmanager
    def _dropout_drawn_from(self, seed: int, step: int) -> Iterator[None]:
        if not self.dropout:
            yield
            return
        with torch.random.fork_rng():
            torch.manual_seed(int(np.random.SeedSequence((seed, step)).generate_state(1)[0]))
            yield


@dataclass(frozen=True)
class Keeper:
    """Where a run's state is kept, so that it can go on after it was killed.

    Attributes:
        path: the file; None to keep nothing.
        every: steps between two writings.
    """

    path: Path | None = None
    every: int = 100

    def due(self, step: int, steps: int) -> bool:
        """Whether to write after this many steps."""
        return self.path is not None and (step == steps or step % self.every == 0)

    def write(self, state: State, losses: Sequence[float], optimizer: dict[str, Any]) -> None:
        """Write, so that whoever is killed meanwhile leaves the last whole file."""
        assert self.path is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        torch.save({"state": state, "losses": list(losses), "optimizer": optimizer}, partial)
        partial.replace(self.path)

    def read(self) -> dict[str, Any] | None:
        """What was written last."""
        if self.path is None or not self.path.exists():
            return None
        kept: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        return kept


def _checked(values: NDArray[Any], count: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (count,) or not np.isfinite(array).all():
        raise ValueError(f"the loss must give {count} finite losses and {count} finite derivatives")
    return array
