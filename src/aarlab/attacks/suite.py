"""All attacks, and running them: each against the server's defaults, and against the guard `exact` for contrast."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from aarlab.attacks._api import api_attacks
from aarlab.attacks._asking import query_attacks
from aarlab.attacks._gaming import gaming_attacks, honest_methods_as_attacks
from aarlab.attacks._hostile import hostile_attacks
from aarlab.attacks._training import training_attacks
from aarlab.attacks._types import Attack, Family, Outcome
from aarlab.attacks.live import Arena
from aarlab.errors import AarlabError

log = logging.getLogger(__name__)

EXACT = "exact"
FALSE_ALARMS = 0.05  # share of honest methods that may be flagged
LOOK_SECONDS = 0.5


class Result(BaseModel):
    """What came of one attack.

    Attributes:
        attack: its name.
        family: see `Family`.
        what: what it does, in one line.
        default: against the server's defaults; None if it could not be run.
        exact: against the guard `exact`; None where the guard does not matter, or if it could not be run.
        trouble: why it could not be run; empty if it could.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attack: str
    family: Family
    what: str
    default: Outcome | None
    exact: Outcome | None = None
    trouble: str = ""

    @property
    def held(self) -> bool:
        """Whether the server did what it should: withstood the attack, or let the honest method pass.

        What could not be run shows nothing, so it counts as not held.
        """
        return self.default is not None and self.default.through == (self.family == "honest")


@dataclass(frozen=True)
class Progress:
    """How far the suite is.

    Attributes:
        done: attacks that have ended.
        of: attacks in all.
        result: the one that ended last; None if none did yet.
    """

    done: int
    of: int
    result: Result | None


def attacks(*, honest: bool = False) -> dict[str, Attack]:
    """All attacks by name: by questions, by methods that game, on the sandbox, on the API.

    Args:
        honest: whether honest methods are put through the same audits as well.
    """
    every = (*query_attacks(), *training_attacks(), *gaming_attacks(), *hostile_attacks(), *api_attacks())
    return {attack.name: attack for attack in (*every, *(honest_methods_as_attacks() if honest else ()))}


def all_well(results: Sequence[Result]) -> bool:
    """Whether every attack was withstood, and false alarms on honest methods are few enough."""
    honest = [result.held for result in results if result.family == "honest"]
    return all(result.held for result in results if result.family != "honest") and (
        honest.count(False) <= FALSE_ALARMS * len(honest)
    )


def chosen(names: Sequence[str], *, honest: bool = False) -> tuple[Attack, ...]:
    """Attacks by name or family; all without any.

    Args:
        names: of attacks or families.
        honest: whether honest methods are among them.

    Raises:
        AarlabError: there is none of that name.
    """
    known = attacks(honest=honest)
    families = {attack.family for attack in known.values()}
    for name in names:
        if name not in known and name not in families:
            raise AarlabError(f"There is no attack {name!r}.", "`aarlab attack --list` lists them.")
    wanted = [a for a in known.values() if not names or a.name in names or a.family in names]
    return tuple(wanted)


def run_suite(
    arena: Arena,
    wanted: Sequence[Attack],
    *,
    workers: int = 1,
    contrast: bool = True,
    show: Callable[[Progress], None] = lambda _: None,
) -> tuple[Result, ...]:
    """Run attacks, several at a time; results in the order of `wanted`.

    Args:
        arena: where.
        wanted: what to run.
        workers: attacks at a time.
        contrast: whether to run those for which the guard matters against `exact` as well.
        show: told about each that has ended.

    Raises:
        KeyboardInterrupt: passed on after what runs was ended.
    """
    found: dict[str, Result] = {}
    show(Progress(0, len(wanted), None))
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(_run, arena, attack, contrast) for attack in wanted}
        try:
            for result in _ended(running):
                found[result.attack] = result
                show(Progress(len(found), len(wanted), result))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            arena.close()  # what runs in the sandbox ends, so that its attack fails and its thread with it
            raise
    return tuple(found[attack.name] for attack in wanted)


def _ended(running: set[Future[Result]]) -> Iterator[Result]:
    """Results as they come in; wakes often enough for Ctrl-C."""
    while running:
        done, running = wait(running, LOOK_SECONDS, FIRST_COMPLETED)
        for future in done:
            yield future.result()


def _run(arena: Arena, attack: Attack, contrast: bool) -> Result:
    outcomes: list[Outcome | None] = []
    trouble = ""
    for guard in (None, EXACT) if attack.contrast and contrast else (None,):
        try:
            outcomes.append(attack.run(arena, guard))
        except (AarlabError, ValueError, LookupError, AssertionError, OSError) as error:
            if not arena.closed:
                log.exception("the attack %s could not be run", attack.name)
            outcomes.append(None)
            trouble = f"{type(error).__name__}: {error}"[:300]
    return Result(
        attack=attack.name,
        family=attack.family,
        what=attack.what,
        default=outcomes[0],
        exact=outcomes[1] if len(outcomes) > 1 else None,
        trouble=trouble,
    )
