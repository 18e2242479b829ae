"""A program's files as links in a folder, where nothing can be mounted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from aarlab.sandbox._types import Program

TMP = "/tmp"  # noqa: S108 - as programs name it


def visible(program: Program) -> Iterator[tuple[str, Path]]:
    """Host file or folder by its path inside: the mounts, those with masks below them piece by piece."""
    for inside, host in program.mounts.items():
        yield from _pieces(inside, host, program.masks)


def link_tree(program: Program, root: Path, copies: frozenset[Path] = frozenset()) -> Program:
    """The program with links below `root` in place of its mounts, and a folder there in place of /tmp.

    Words of its command and of its environment that begin with the path of a mount are changed to match; paths
    that its code spells out are not.

    Args:
        program: what to run.
        root: an empty folder.
        copies: host files to copy, since whoever runs it cannot follow a link to them.
    """
    for folder in (TMP, *program.masks):
        (root / folder.lstrip("/")).mkdir(parents=True)
    ours = {inside: host for inside, host in visible(program) if Path(inside) != host}
    for inside, host in ours.items():
        link = root / inside.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        if host in copies:
            link.write_bytes(host.read_bytes())
        else:
            link.symlink_to(host)
    tops = {"/" + inside.split("/")[1] for inside in (*ours, TMP)}

    def outside(text: str) -> str:
        parts = text.split(":")
        return ":".join(str(root) + p if p.startswith("/") and "/" + p.split("/")[1] in tops else p for p in parts)

    return replace(
        program,
        argv=tuple(outside(word) if word.startswith("/") else word for word in program.argv),
        environment={name: outside(value) for name, value in program.environment.items()},
    )


def _pieces(inside: str, host: Path, masks: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    if inside in masks:
        return
    if not any(mask.startswith(f"{inside}/") for mask in masks):
        yield inside, host
        return
    for child in host.iterdir():
        yield from _pieces(f"{inside}/{child.name}", child, masks)
