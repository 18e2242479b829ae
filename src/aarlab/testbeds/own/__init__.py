"""A testbed of the user's own: `aarlab testbed build my.yaml`.

`config` says what the YAML file may hold, `read` brings rows from files, `validate` makes examples of them and lists
what cannot be used, `build` makes the pack.
"""

from importlib import resources
from pathlib import Path

from aarlab.testbeds.own._examples import Example
from aarlab.testbeds.own._file import read_config
from aarlab.testbeds.own.build import REJECTED, Built, build, examine
from aarlab.testbeds.own.columns import ConfigError
from aarlab.testbeds.own.config import Config
from aarlab.testbeds.own.read import SourceError
from aarlab.testbeds.own.validate import BadRows, Checked, Rejected

__all__ = [
    "REJECTED",
    "BadRows",
    "Built",
    "Checked",
    "Config",
    "ConfigError",
    "Example",
    "Rejected",
    "SourceError",
    "build",
    "examine",
    "presets",
    "read_config",
]


def presets() -> dict[str, Path]:
    """YAML files that come with aarlab, by name: the sources of published studies, to copy and change."""
    folder = Path(str(resources.files("aarlab.testbeds"))) / "presets"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
