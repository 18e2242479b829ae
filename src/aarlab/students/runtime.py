"""What a student needs around the process that trains it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Runtime:
    """What the sandbox of one seed has to offer, besides numpy, scipy and scikit-learn.

    Attributes:
        packages: names in site-packages to make importable.
        mounts: host file or folder by its path inside; read-only.
        devices: device files to pass in, such as those of a GPU.
        seconds: wall and CPU time of one seed.
        memory_bytes: memory of one seed.
        processes: processes and threads of one seed.
        threads: threads of linear algebra.
    """

    packages: tuple[str, ...] = ()
    mounts: Mapping[str, Path] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    seconds: int = 60
    memory_bytes: int = 2 * 2**30
    processes: int = 32
    threads: int = 1
