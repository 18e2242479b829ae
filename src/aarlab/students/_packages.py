"""What has to be mounted so that a distribution can be imported where nothing else is installed."""

from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import PurePosixPath


@cache  # torch alone has a list of 12,000 files to read
def with_requirements(*names: str) -> tuple[str, ...]:
    """Names in site-packages that these distributions and all they require consist of.

    Their metadata is among them, since some packages look up the versions of others. What is required but not
    installed is left out: it may be meant for another system.

    Raises:
        PackageNotFoundError: one of `names` is not installed.
    """
    found: dict[str, Distribution] = {}
    queue: list[tuple[str, tuple[str, ...]]] = [(name, ("",)) for name in names]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for name in names:
        distribution(name)
    while queue:
        entry = queue.pop()
        name, extras = entry
        if entry in seen:
            continue
        seen.add(entry)
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        queue += _required(found[name], extras)
    return tuple(sorted({top for installed in found.values() for top in _top_level(installed)}))


def _required(installed: Distribution, extras: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    from packaging.requirements import Requirement  # required by torch's and transformers' own packages

    required = []
    for text in installed.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            required.append((requirement.name, ("", *sorted(requirement.extras))))
    return required


def _top_level(installed: Distribution) -> set[str]:
    paths = [PurePosixPath(str(file)) for file in installed.files or ()]
    return {path.parts[0] for path in paths if path.parts[0] not in ("..", "__pycache__") and path.suffix != ".pth"}
