"""Write a genome as a method file: real code, complete and readable, as any researcher would submit."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from aarlab.researchers.scripted._genome import Gene, Genome
from aarlab.researchers.scripted.ideas import _parts, representation

HELPERS: tuple[Callable[..., Any], ...] = (
    _parts.cross_fit,
    _parts.ranked,
    _parts.top,
    _parts.confidence,
    _parts.calibrated,
    representation.chosen,
    representation.linear_head,
)

HEADER = '''"""{title}

{story}
"""

{mark}

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

from aarlab.students import Examples, Floats, Predictor, Problem, Representation
'''


def compose(genome: Genome, title: str, story: str) -> str:
    """The method file of a genome.

    Args:
        genome: its ideas.
        title: one line.
        story: where it comes from; one paragraph.
    """
    functions = _with_helpers([one.idea.function for one in genome.genes])
    sections = [
        HEADER.format(title=_plain(title), story=_plain(story), mark=genome.line()).rstrip(),
        _types(_parts),
        *(inspect.getsource(function).rstrip() for function in functions),
        _fit(genome),
    ]
    return "\n\n\n".join(sections) + "\n"


def _plain(text: str) -> str:
    """Text that cannot end the docstring it stands in."""
    return " ".join(text.replace("\\", " ").replace('"', "'").split())


def _types(module: ModuleType) -> str:
    """The part of the module between its imports and its first function."""
    source = inspect.getsource(module)
    return source[source.index("class Labels") : source.index("def ")].rstrip()


def _with_helpers(functions: list[Callable[..., Any]]) -> list[Callable[..., Any]]:
    """The functions and all that they call of ours, called before caller."""
    wanted = list(functions)
    for function in wanted:  # grows while it is walked
        source = inspect.getsource(function)
        wanted += [h for h in HELPERS if h not in wanted and f"{h.__name__}(" in source]
    order = {h: place for place, h in enumerate(HELPERS)}
    return sorted(wanted, key=lambda function: order.get(function, len(order)))


def _call(one: Gene, *first: str) -> str:
    arguments = [*first, *(f"{name}={value!r}" for name, value in one.values)]
    return f"{one.name}({', '.join(arguments)})"


def _fit(genome: Genome) -> str:
    lines = [
        "def fit(problem: Problem, seed: int) -> Predictor:",
        f"    train = {_call(genome.head, 'problem')}",
        "    labels = Labels(problem.weak_labels, np.ones(len(problem.weak_labels)))",
        *(f"    labels = {_call(one, 'problem', 'train', 'labels', 'seed')}" for one in genome.labels),
        *(f"    train = {_call(one, 'problem', 'train')}" for one in genome.training),
        "    score = train(problem.train, labels, seed)",
        "    return lambda examples: expit(score(examples))",
    ]
    return "\n".join(lines)
