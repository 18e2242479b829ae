"""Guards by name."""

from collections.abc import Callable

from aarlab.evaluation.guards._types import Guard
from aarlab.evaluation.guards.exact import ExactGuard
from aarlab.evaluation.guards.ladder import LadderGuard
from aarlab.evaluation.guards.rounded import RoundedGuard
from aarlab.evaluation.guards.tapered import TaperedGuard
from aarlab.evaluation.guards.thresholdout import ThresholdoutGuard

_MAKERS: dict[str, Callable[[bytes, float, int], Guard]] = {
    "tapered": lambda secret, step, _examples: TaperedGuard(secret, step),
    "rounded": lambda secret, step, _examples: RoundedGuard(secret, step),
    "ladder": lambda _secret, step, _examples: LadderGuard(step),
    "thresholdout": lambda secret, step, _examples: ThresholdoutGuard(secret, step),
    "exact": lambda _secret, _step, examples: ExactGuard(examples),
}

#: Names of all guards.
GUARDS: tuple[str, ...] = tuple(_MAKERS)
#: Chosen by measurement: `docs/guards.md`.
DEFAULT = "tapered"


def make_guard(name: str, secret: bytes, *, step: float, examples: int) -> Guard:
    """A study's guard.

    Args:
        name: one of `GUARDS`.
        secret: the study's; known to the server only.
        step: two standard errors of the difference between methods, in accuracy, in (0, 1]: `step_for`.
        examples: how many the public split has.

    Raises:
        ValueError: there is no such guard, or the step makes no sense.
    """
    if name not in _MAKERS:
        raise ValueError(f"there is no guard {name!r}; there are {', '.join(GUARDS)}")
    if not 0 < step <= 1:
        raise ValueError(f"the step must be in (0, 1], not {step}")
    return _MAKERS[name](secret, step, examples)
