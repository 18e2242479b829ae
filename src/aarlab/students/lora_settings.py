"""How the `lora` student is trained and what it reads; and models with settings of their own.

Needs the extra `torch`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from aarlab.students._lora_prompts import PAIR, POINTWISE, Prompt
from aarlab.students.embedding import Template

TEMPLATES = (
    Template("true_or_false", ("\nTrue or false? The answer is", "\nFalse or true? The answer is"), " true", " false"),
    Template("correct_yes_no", ("\nIs this correct, yes or no?", "\nIs this correct, no or yes?"), " Yes", " No"),
)


@dataclass(frozen=True)
class LoraSettings:
    """How the student is trained and what it reads. Rank, learning rate, epochs and batch are the W2S study's.

    Attributes:
        rank: of the adapters.
        alpha: adapters are scaled by alpha / rank.
        dropout: of the adapters' inputs.
        target_modules: the layers that get one, as peft names them.
        learning_rate: at the beginning; falls linearly to 0.
        warmup: share of the steps over which the learning rate rises first.
        epochs: passes over the examples.
        batch: examples to a step.
        micro_batch: examples to a forward pass: less memory, same result.
        clip: largest norm of the gradient.
        gradient_checkpointing: compute activations twice to hold fewer; default on a GPU only.
        max_length: tokens of a prompt; what is longer loses the beginning of its question first, then the end of
            the longer candidate.
        pair: prompt for pairs.
        pointwise: prompt for single candidates.
        layers: those that `hidden` offers; default five at equal distances.
        candidate: what `hidden` and `margins` read: text before a candidate, with {question}, and the candidate.
        templates: zero-shot questions of `margins`.
        seconds: time for one seed of a method.
        checkpoints: folder where training is kept now and then; a killed `finetune` goes on from there when it is
            called again with the same arguments, and one that was finished returns at once. Not with a loss
            function of the caller's own, which may remember what nobody can store. Default none.
        checkpoint_every: steps between two of them.
    """

    rank: int = 32
    alpha: float = 32.0
    dropout: float = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"
    learning_rate: float = 1e-4
    warmup: float = 0.0
    epochs: int = 5
    batch: int = 32
    micro_batch: int = 8
    clip: float = 1.0
    gradient_checkpointing: bool | None = None
    max_length: int = 1024
    pair: Prompt = PAIR
    pointwise: Prompt = POINTWISE
    layers: tuple[int, ...] | None = None
    candidate: tuple[str, str] = ("Q: {question}\nA:", " {answer}")
    templates: tuple[Template, ...] = TEMPLATES
    seconds: int = 7200
    checkpoints: Path | None = None
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        for name in ("rank", "epochs", "batch", "micro_batch", "max_length", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be at least 1")
        if not (self.learning_rate > 0 and 0 <= self.dropout < 1 and 0 <= self.warmup < 1 and self.clip > 0):
            raise ValueError("learning_rate and clip must be positive, dropout and warmup lie in [0, 1)")

    def to_json(self) -> dict[str, Any]:
        """All that changes results, as JSON."""
        return {name: value for name, value in asdict(self).items() if not name.startswith("checkpoint")}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The settings that `to_json` wrote."""
        settings = dict(document)
        for name in ("pair", "pointwise"):
            prompt = settings[name]
            settings[name] = Prompt(tuple(prompt["parts"]), prompt["positive"], prompt["negative"])
        settings["templates"] = tuple(Template(**{**t, "orders": tuple(t["orders"])}) for t in settings["templates"])
        for name in ("layers", "candidate", "target_modules"):
            if isinstance(settings[name], list):
                settings[name] = tuple(settings[name])
        return cls(**settings)


@dataclass(frozen=True)
class Preset:
    """A model with its settings.

    Attributes:
        model: its name on Hugging Face.
        what: what it is for.
        settings: how it is trained.
        tested: whether it was run by the authors of this package.
    """

    model: str
    what: str
    settings: LoraSettings
    tested: bool


#: The pair of the W2S study. It takes a GPU; none was at hand when this was written, so neither was ever run here.
PRESETS = {
    preset.model: preset
    for preset in (
        Preset("Qwen/Qwen1.5-0.5B-Chat", "weak supervisor of the W2S study", LoraSettings(), tested=False),
        Preset("Qwen/Qwen3-4B-Base", "student of the W2S study", LoraSettings(), tested=False),
    )
}
