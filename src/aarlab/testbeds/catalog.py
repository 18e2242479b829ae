"""The testbeds there are, by name or folder, each with any student."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from aarlab.students import Strings
from aarlab.testbeds.calibration import (
    CEILING_SEEDS,
    draw_splits,
    make_testbed,
    read_calibration,
    read_remote,
    write_calibration,
)
from aarlab.testbeds.fitting import RemoteBudget, ask_remote, fit_lora, fit_probe
from aarlab.testbeds.pack import Pack, TestbedError, read_pack
from aarlab.testbeds.storage import data_folder
from aarlab.testbeds.testbed import Testbed
from aarlab.testbeds.texts import texts_of

CALIBRATION = "calibration.npz"
PROBE = "probe"


def packs_folder() -> Path:
    """Where the packs that come with aarlab lie."""
    return Path(str(resources.files("aarlab.testbeds"))) / "packs"


def pack_names() -> list[str]:
    """Names of the packs that come with aarlab."""
    return sorted(path.parent.name for path in packs_folder().glob("*/manifest.json"))


def pack_folder(name: str) -> Path:
    """Folder of a testbed that comes with aarlab, or of the user's own, named by its path.

    Raises:
        TestbedError: there is no such testbed.
    """
    if name in pack_names():
        return packs_folder() / name
    own = Path(name)
    if (own / "manifest.json").is_file():
        return own
    raise TestbedError(
        f"There is no testbed {name!r}.",
        f"There are: {', '.join(pack_names()) or 'none'}; your own is named by its folder.",
    )


def load_pack(name: str) -> tuple[Pack, Strings | None]:
    """A pack, and its text where that is on this machine."""
    folder = pack_folder(name)
    pack = read_pack(folder)
    return pack, texts_of(pack, folder)


def load_testbed(name: str, student: str = PROBE) -> Testbed:
    """A testbed with its stored floor and ceiling.

    Args:
        name: of a testbed that comes with aarlab, or the folder of one's own.
        student: "probe", "lora:MODEL" or "remote:PROVIDER/MODEL"; see `fit_student`.

    Raises:
        TestbedError: there is no such testbed, its pack is damaged, or it was never calibrated with this student.
    """
    folder = pack_folder(name)
    pack, texts = load_pack(name)
    if student == PROBE:
        return read_calibration(pack, folder / CALIBRATION, fit_probe(pack), texts)
    path = _kept(pack, student)
    if not path.is_file():
        raise TestbedError(
            f"Floor and ceiling of {name} with {student} were never measured here.",
            f"Run: aarlab testbed calibrate {name} --student {student}",
        )
    if student.startswith("remote:"):
        return read_calibration(pack, path, read_remote(path), texts)
    return read_calibration(pack, path, fit_lora(student, pack, texts), texts)


def calibrate(
    name: str,
    student: str,
    seeds: int = CEILING_SEEDS,
    *,
    readouts: Sequence[str] = ("forced_choice",),
    budget: RemoteBudget | None = None,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None,
) -> Testbed:
    """Measure floor and ceiling of a testbed with a student, and keep them for `load_testbed`.

    A trainable student is trained on ground truth, once a seed; an interrupted call goes on after the last seed it
    finished. A `remote` one is asked about every row that methods will see, once and for all.

    Args:
        name: of a testbed that comes with aarlab, or the folder of one's own.
        student: as for `load_testbed`.
        seeds: training seeds of the ceiling.
        readouts: how a remote student's opinion is read, of `aarlab.students.remote.READOUTS`.
        budget: most that asking a remote student may cost; going on later costs only what is missing.
        progress: told what is done, how many of it, out of how many.

    Raises:
        TestbedError: there is no such testbed or student, or its text is not on this machine.
        AarlabError: a remote model could not be asked, or the budget is spent.
    """
    folder = pack_folder(name)
    pack, texts = load_pack(name)
    path = folder / CALIBRATION if student == PROBE else _kept(pack, student)
    if student == PROBE:
        fitting = fit_probe(pack)
    elif student.startswith("remote:"):
        drawn = draw_splits(pack, np.random.default_rng(pack.manifest.draw))
        rows = np.concatenate([rows for (split, _), rows in drawn.items() if split != "teacher"])
        fitting = ask_remote(
            student, pack, texts, rows, readouts, budget, lambda done, of: progress("answers", done, of)
        )
    else:
        fitting = fit_lora(student, pack, texts)
    known = None
    if student != PROBE and (folder / CALIBRATION).is_file() and pack.manifest.representations:
        known = read_calibration(pack, folder / CALIBRATION, fit_probe(pack)).weak_labels  # one floor for all students
    work = path.with_suffix("")
    testbed = make_testbed(
        pack, fitting=fitting, texts=texts, weak_labels=known, ceiling_seeds=seeds, work=work, progress=progress
    )
    write_calibration(testbed, path)
    shutil.rmtree(work, ignore_errors=True)
    return testbed


def _kept(pack: Pack, student: str) -> Path:
    """File of a calibration with another student than `probe`; one a pack, draw and student."""
    slug = re.sub(r"[^A-Za-z0-9.-]+", "_", student)[-80:]
    about = [pack.manifest.checksums["operator.npz"], pack.manifest.draw, student]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]
    return data_folder() / "calibrations" / f"{pack.manifest.name}-{slug}-{key}.npz"
