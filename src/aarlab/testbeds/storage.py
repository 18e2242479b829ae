"""Where aarlab keeps what it fetched or measured, outside any one study."""

import os
from pathlib import Path


def data_folder() -> Path:
    """$AARLAB_DATA, or `aarlab` in the user's data folder (XDG base directories)."""
    if own := os.environ.get("AARLAB_DATA"):
        return Path(own).expanduser()
    shared = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not shared.is_absolute():  # as the standard wants it
        shared = Path.home() / ".local" / "share"
    return shared / "aarlab"
