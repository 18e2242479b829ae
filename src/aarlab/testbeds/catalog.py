"""The testbeds there are, by name or folder, each with any student."""

from importlib import resources
from pathlib import Path

from aarlab.students import Strings
from aarlab.testbeds.calibration import read_calibration
from aarlab.testbeds.fitting import fit_student
from aarlab.testbeds.pack import Pack, TestbedError, read_pack
from aarlab.testbeds.testbed import Testbed

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
    return pack, None


def calibration_file(name: str, student: str) -> Path:
    """Where floor and ceiling of a testbed with a student are kept."""
    if student == PROBE:
        return pack_folder(name) / CALIBRATION
    raise NotImplementedError


def load_testbed(name: str, student: str = PROBE) -> Testbed:
    """A testbed with its stored floor and ceiling.

    Args:
        name: of a testbed that comes with aarlab, or the folder of one's own.
        student: "probe", "lora:MODEL" or "remote:PROVIDER/MODEL".

    Raises:
        TestbedError: there is no such testbed, its pack is damaged, or it was never calibrated with this student.
    """
    pack, texts = load_pack(name)
    fitting = fit_student(student, pack, texts)
    advice = "Restore it (git checkout)."
    if student != PROBE:
        advice = (
            f"Measure floor and ceiling with this student first: aarlab testbed calibrate {name} --student {student}"
        )
    return read_calibration(pack, calibration_file(name, student), fitting, texts, advice)
