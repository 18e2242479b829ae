"""Attacks on the sandbox: method files that try to break out, to cheat the harness, or to use up the machine."""

import secrets
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from aarlab.api.schemas import Status, Submission, SubmissionCreate
from aarlab.attacks._files import about, attack_files, filled
from aarlab.attacks._types import Attack, Outcome
from aarlab.attacks.live import Arena, signal_of
from aarlab.errors import AarlabError
from aarlab.evaluation import Evaluation
from aarlab.testbeds import Testbed

TESTBED = "chat"
KNOWN_ROWS = 200  # labels that are looked for in a row; fewer might lie in a file by chance
DISK_MIB = 1024  # of which `disk_bomb` tells its share
PROCESSES = 1024  # of which `fork_bomb` tells its share
OVERHEAD = 2  # processes of the sandbox itself
BOMBS = ("disk-bomb", "fork-bomb")
ITS_OWN_FAULT = ("exception", "syntax-error", "no-fit", "unsupported", "server-fault", "unforeseen")
SAME = 1e-3  # how far figures of the same method may differ between batches
COMPANION = """
import time

NAME = {secret!r}


def fit(problem, seed):
    time.sleep(4)
    return lambda examples: [0.5] * len(examples)
"""

#: What an attack is told, by the name of its constant.
Values = Mapping[str, object]

#: After these, vanilla is scored once more: its figures must not have changed.
TAMPERING = frozenset(
    (
        *("harness-frames", "harness-pipe", "harness-modules", "output-files", "symlinks", "signals", "pickles"),
        *("pickled-frames", "state-in-files", "state-in-shared-memory", "state-in-keyring", "survivor"),
    )
)


def hostile_attacks() -> tuple[Attack, ...]:
    """All attacks on the sandbox."""
    return tuple(
        Attack(name, "hostile", about(code), partial(_break_in, name, code))
        for name, code in attack_files("hostile").items()
    )


def label_needles(testbed: Testbed) -> list[str]:
    """Labels in the forms in which a file might hold them, hexadecimal."""
    found = []
    for labels in (testbed.pack.labels, testbed.labels("public")):
        some = labels[:KNOWN_ROWS]
        found += [some.astype(kind).tobytes() for kind in (np.int8, np.int64, np.float32, np.float64)]
        found += [np.packbits(some).tobytes(), "".join(map(str, some)).encode()]
    return [needle.hex() for needle in found]


def _values(name: str, arena: Arena, testbed: Testbed, mark: Path) -> Values:
    """What the attack is told."""
    half = len(arena.canary) // 2
    secret = (arena.canary[:half], arena.canary[half:])
    files = [str(arena.database), str(arena.folder), str(arena.folder / "operator.txt")]
    told: dict[str, Callable[[], Values]] = {
        "labels-on-disk": lambda: {"NEEDLES": label_needles(testbed)},
        "parent-memory": lambda: {"SECRET": secret},
        "proc-secrets": lambda: {"SECRET": secret, "PATHS": files},
        "environment": lambda: {"SECRET": secret},
        "database-file": lambda: {"PATHS": files},
        "server-port": lambda: {"PORT": urlsplit(arena.url).port},
        "server-socket": lambda: {"SOCKETS": arena.sockets},
        "symlinks": lambda: {"PATHS": files},
        "pickles": lambda: {"MARK": str(mark)},
        "pickled-frames": lambda: {"MARK": str(mark)},
        "neighbours": lambda: {"SECRET": secret},
        "survivor": lambda: {"NAME": mark.name[:15]},
    }
    return told[name]() if name in told else {}


def _break_in(name: str, code: str, arena: Arena, guard: str | None) -> Outcome:
    study = arena.study(TESTBED, guard)
    mark = arena.folder / f"mark-{secrets.token_hex(4)}"
    attack = filled(code, _values(name, arena, arena.evaluator(study).testbed, mark))
    researcher = arena.admit(study, name)
    if name == "neighbours":
        companion = COMPANION.format(secret=arena.canary)
        arena.admit(study, "companion").submit(SubmissionCreate(name="companion", code=companion))
    submission = arena.submit(researcher, name, attack)
    if submission.failure is not None and submission.failure.kind in ITS_OWN_FAULT:
        raise AarlabError(f"The attack itself is broken, so it shows nothing: {submission.failure.message}")
    result = arena.given(study, attack, "public")
    seen = _got_through(name, attack, arena, result, mark)
    if not seen and name in TAMPERING:
        seen = _changed_figures(name, arena, study)
    evidence = {} if submission.failure is None else {"message": submission.failure.message[:300]}
    return Outcome(
        through=bool(seen),
        gained=seen or _within_limits(name, arena, result) or "nothing",
        blocked_by="" if seen else _blocked_by(submission),
        evidence={"status": submission.status.value, **evidence},
    )


def _got_through(name: str, code: str, arena: Arena, result: Evaluation | None, mark: Path) -> str:
    """What the attack got, in words; empty if nothing."""
    if mark.exists():
        return "its pickle was loaded by the server"
    if name == "survivor" and (alive := _alive(mark.name[:15])):
        return f"{alive} processes outlived it"
    if result is None:
        return ""
    if "\ndef attempt(" not in code:
        return "it was scored although it answered what no method may"
    if name in BOMBS:
        got, allowed, unit = _used(name, arena, result)
        return f"{got} {unit}, {allowed} allowed" if got > allowed else ""
    share = signal_of(result)
    return f"it got what it wanted (signal {share:g})" if share > 0 else ""


def _used(name: str, arena: Arena, result: Evaluation) -> tuple[int, int, str]:
    """How much a bomb got, how much is allowed, and of what."""
    share = signal_of(result)
    if name == "disk-bomb":
        return round(share * DISK_MIB), arena.limits.tmp_bytes >> 20, "MiB of /tmp"
    return round(share * PROCESSES), arena.limits.processes + OVERHEAD, "processes"


def _within_limits(name: str, arena: Arena, result: Evaluation | None) -> str:
    """What a bomb got of what it may have; empty for all else."""
    if name not in BOMBS or result is None:
        return ""
    got, allowed, unit = _used(name, arena, result)
    return f"{got} {unit}, {allowed} allowed"


def _alive(name: str) -> int:
    """Processes of this machine with that name."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            count += path.read_text(encoding="utf-8").strip() == name
        except OSError:  # it ended meanwhile
            continue
    return count


def _changed_figures(name: str, arena: Arena, study: str) -> str:
    """Whether vanilla, scored once more, answers otherwise than the baseline did."""
    code = arena.vanilla_code(study)
    again = f"{code}# after {name}\n"
    arena.submit(arena.admit(study, f"after {name}"), "vanilla", again)
    before, after = arena.given(study, code, "public"), arena.given(study, again, "public")
    if before is None or after is None:
        return "vanilla could not be scored any more"
    largest = float(np.abs(before.predictions - after.predictions).max())
    return f"vanilla's predictions changed by up to {largest:.2g}" if largest > SAME else ""


def _blocked_by(submission: Submission) -> str:
    if submission.status == Status.SCORED:
        return "sandbox: nothing reached"
    kind = "unknown" if submission.failure is None else submission.failure.kind
    return f"evaluation: {kind}"
