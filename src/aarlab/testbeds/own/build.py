"""From the YAML file to a testbed: rows, examples, activations, pack, text, floor and ceiling.

The folder of the testbed appears whole or not at all. What takes long is checkpointed in a work folder beside it, so
an interrupted build goes on where it stopped; the work folder goes when the build is done.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aarlab.students import Strings
from aarlab.testbeds.calibration import draw_splits, make_testbed, write_calibration
from aarlab.testbeds.catalog import CALIBRATION, pack_names
from aarlab.testbeds.own._activate import Activations, activate, no_activations
from aarlab.testbeds.own._examples import Example
from aarlab.testbeds.own._file import read_config
from aarlab.testbeds.own.columns import ConfigError
from aarlab.testbeds.own.config import Config, Hub, RowSource
from aarlab.testbeds.own.read import NoRow, Row, read_rows
from aarlab.testbeds.own.validate import BadRows, Checked, Rejected, check
from aarlab.testbeds.pack import FORMAT, Manifest, Pack, Part, Source, TestbedError, Weak, read_pack, write_pack
from aarlab.testbeds.testbed import SCORED, SPLITS, Anchors, Split
from aarlab.testbeds.texts import TEXTS, digests, write_texts
from aarlab.testbeds.weak import count_words

Progress = Callable[[str, int, int], None]

REJECTED = "rejected.jsonl"
WEAK_LABELS = 120
FEWEST_GROUPS, FEWEST_OOD_GROUPS = 20, 4
TOLD_EVERY = 1000  # rows
QUESTIONS = {
    True: "Which of two answers to a question is better? 1: the second.",
    False: "Is the answer right? 1: yes.",
}


@dataclass(frozen=True)
class Built:
    """A testbed that was built.

    Attributes:
        folder: where it lies.
        manifest: what it is.
        rejected: rows that were left out; `rejected.jsonl` in the folder lists them.
        notes: what is allowed but deserves a look.
        anchors: floor and ceiling by split and part; empty for a testbed that holds text only, which is
            calibrated with its student later.
    """

    folder: Path
    manifest: Manifest
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...]
    anchors: Mapping[tuple[Split, Part], Anchors]


def _no_progress(what: str, done: int, of: int) -> None:
    del what, done, of


def examine(config_path: Path, progress: Progress = _no_progress) -> tuple[Config, Checked]:
    """Read the file and all its rows, and check them; nothing is written.

    Raises:
        ConfigError: the file asks for what cannot be done.
        SourceError: a source cannot be read.
    """
    config = read_config(config_path)
    sources = config.sources(config_path.parent)
    return config, check(config, ((source, _rows(source, progress)) for source in sources))


def build(
    config_path: Path,
    to: Path,
    progress: Progress = _no_progress,
    *,
    allow_bad_rows: bool = False,
    overwrite: bool = False,
) -> Built:
    """Build a testbed of the user's own.

    Args:
        config_path: the YAML file.
        to: folder of the testbed.
        progress: told what is done, how many of it, out of how many (0: unknown).
        allow_bad_rows: build without rows that cannot be used, and list them in `rejected.jsonl`.
        overwrite: put it in the place of a testbed that lies there already.

    Raises:
        ConfigError: the file asks for what cannot be done.
        SourceError: a source cannot be read.
        BadRows: some rows cannot be used, and `allow_bad_rows` is False.
        TestbedError: the testbed cannot be made of the rows, or cannot be written.
        ModelError: the language model is missing or lacks what is asked of it.
    """
    to, config_path = to.absolute(), config_path.absolute()
    _check_target(to, overwrite)
    config, checked = examine(config_path, progress)
    if config.name in pack_names():
        raise ConfigError(f"name: a testbed {config.name!r} comes with aarlab.", "Choose another name.")
    if checked.rejected and not allow_bad_rows:
        raise BadRows(checked.rejected, checked.rows)
    base, work = config_path.parent, to.with_name(f".{to.name}.work")
    pack, texts = _planned(config, base, checked.examples)
    notes = list(checked.notes)
    try:
        if config.student.kind == "probe":
            found = activate(config, checked.examples, base, work, progress)
            pack = _with_activations(pack, found)
            notes += found.notes
        built = _write(pack, texts, checked.rejected, to, work, progress)
        shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise TestbedError(
            f"{to} cannot be written: {error.strerror or error}.", "Make room, or choose another folder; then go on."
        ) from error
    return replace(built, notes=(*notes, *built.notes))


def _check_target(to: Path, overwrite: bool) -> None:
    if not to.exists():
        return
    if not (to / "manifest.json").is_file():
        raise TestbedError(f"{to} exists and is no testbed.", "Choose another folder.")
    if not overwrite:
        raise TestbedError(f"There is a testbed in {to} already.", "Choose another folder, or --overwrite it.")


def _rows(source: RowSource, progress: Progress) -> Iterator[Row | NoRow]:
    count = 0
    for count, row in enumerate(read_rows(source.place, set(source.columns.named.values())), 1):
        if count % TOLD_EVERY == 0:
            progress(f"rows of {source.name}", count, 0)
        yield row
    progress(f"rows of {source.name}", count, count)


def _planned(config: Config, base: Path, examples: tuple[Example, ...]) -> tuple[Pack, Strings]:
    """The pack but for activations, and its text; what can go wrong in the draw is checked before the long part.

    Raises:
        ConfigError: a split would lack rows, labels or one of the two answers.
    """
    sources = config.sources(base)
    _check_parts(sources, examples)
    numbers: dict[str, int] = {}
    for example in examples:
        numbers.setdefault(example.group, len(numbers))
    writers = {name: i for i, name in enumerate(sorted({w for e in examples for w in e.writers if w}))}
    count, width = len(examples), 2 if config.pairs else 1
    texts = np.array([(e.prompt, *e.candidates) for e in examples], dtype=np.dtypes.StringDType())
    supervisor = config.weak.model
    if supervisor is not None and (base / supervisor).exists():
        supervisor = str(base / supervisor)
    manifest = Manifest(
        format=FORMAT,
        name=config.name,
        domain=config.domain,
        task="pair" if config.pairs else "pointwise",
        question=config.question or QUESTIONS[config.pairs],
        examples=count,
        groups=len(numbers),
        sources=tuple(_source(source) for source in sources),
        writers=tuple(writers),
        recipe={
            "command": "aarlab testbed build",
            "config": config.model_dump(mode="json", exclude_defaults=True),
            "student": f"{config.student.kind}:{config.student.model}",
        },
        representations=(),
        default_representations=(),
        templates=(),
        weak=Weak(kind=config.weak.kind, labels=config.weak.labels or WEAK_LABELS, model=supervisor),
        splits=config.splits.model_dump(),
        draw=config.draw,
    )
    pack = Pack(
        manifest=manifest,
        inputs=no_activations(count),
        weak_inputs=_weak_inputs(config, examples),
        labels=np.array([e.label for e in examples], dtype=np.int8),
        groups=np.array([numbers[e.group] for e in examples], dtype=np.int32),
        source=np.array([e.source for e in examples], dtype=np.int8),
        writer=np.array(
            [[writers.get(w, -1) for w in e.writers] or [-1] * width for e in examples], dtype=np.int16
        ).reshape(count, width),
        digests=digests(texts),
    )
    if config.split_column:
        pack = _as_the_source_splits(pack, examples)
    return _check_draw(pack, config), texts


def _with_activations(pack: Pack, found: Activations) -> Pack:
    about = {
        "representations": found.representations,
        "default_representations": found.representations,
        "templates": found.templates,
        "recipe": pack.manifest.recipe | found.recipe,
    }
    return replace(
        pack,
        manifest=pack.manifest.model_copy(update=about),
        inputs=found.inputs,
        weak_inputs=pack.weak_inputs if found.shallow is None else found.shallow,
    )


def _check_parts(sources: tuple[RowSource, ...], examples: tuple[Example, ...]) -> None:
    groups: dict[Part, set[str]] = {source.part: set() for source in sources}
    for example in examples:
        groups[sources[example.source].part].add(example.group)
    for part, found in groups.items():
        fewest = FEWEST_GROUPS if part == "id" else FEWEST_OOD_GROUPS
        if len(found) < fewest:
            raise ConfigError(
                f"The {part} rows that can be used belong to {len(found)} groups; {fewest} are the fewest.",
                "Give more rows, or map columns.group to what tells questions apart.",
            )


def _source(source: RowSource) -> Source:
    if isinstance(source.place, Hub):
        hub = source.place
        about = ", ".join(f"{key} {value}" for key, value in hub if value is not None and key != "path")
        local = Path(hub.path).is_dir() or hub.data_files is not None
        url = None if local else f"https://huggingface.co/datasets/{hub.path}"
        return Source(name=source.name, part=source.part, data=f"{hub.path}: {about}", licence=source.licence, url=url)
    with source.place.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    name = source.place.name
    return Source(
        name=source.name, part=source.part, data="the user's own", licence=source.licence, file=name, sha256=sha256
    )


def _weak_inputs(config: Config, examples: tuple[Example, ...]) -> sparse.csr_matrix | NDArray[np.float16]:
    if config.weak.kind != "bag_of_words":
        return np.zeros((len(examples), 0), np.float16)
    counts = count_words(answer for example in examples for answer in example.candidates)
    counts.data = np.minimum(counts.data, 255)  # stored as uint8
    return counts


def _as_the_source_splits(pack: Pack, examples: tuple[Example, ...]) -> Pack:
    """Number the groups such that the manifest's own draw puts each into the split that its source names.

    A pack stores a draw, not a split: other draws of this testbed are random like those of any other.
    """
    wanted: dict[int, Split] = {
        int(group): example.split
        for group, example in zip(pack.groups, examples, strict=True)
        if example.split is not None
    }
    groups = {split: sorted(group for group, of in wanted.items() if of == split) for split in SPLITS}
    for split, members in groups.items():
        if not members:
            raise ConfigError(f"columns.split: no row belongs to {split}.", f"It takes rows of {', '.join(SPLITS)}.")
    shares = {split: len(members) / len(wanted) for split, members in groups.items()}
    pack = replace(pack, manifest=pack.manifest.model_copy(update={"splits": shares}))
    drawn = draw_splits(pack, np.random.default_rng(pack.manifest.draw))
    renumbered = np.arange(pack.groups.max() + 1, dtype=np.int32)
    for split, members in groups.items():
        renumbered[members] = np.unique(pack.groups[drawn[split, "id"]])
    return replace(pack, groups=renumbered[pack.groups])


def _check_draw(pack: Pack, config: Config) -> Pack:
    drawn = draw_splits(pack, np.random.default_rng(pack.manifest.draw))
    has_ood = len(pack.rows_of("ood")) > 0
    for (split, part), rows in drawn.items():
        if (part == "id" or has_ood) and len(np.unique(pack.labels[rows])) < 2:
            what = f"has only label {pack.labels[rows[0]]}" if len(rows) else "has no row"
            raise ConfigError(
                f"{config.name}: the {part} part of {split} ({len(rows)} rows) {what}.",
                "Give more rows of both labels, a larger share in splits, or another draw.",
            )
    teacher = len(drawn["teacher", "id"])
    labels = config.weak.labels or (teacher if config.weak.kind == "lora" else min(WEAK_LABELS, teacher))
    if labels > teacher:
        raise ConfigError(
            f"weak.labels: {labels} are asked for, and teacher has {teacher} rows.",
            "Ask for fewer, or give splits.teacher a larger share.",
        )
    weak = pack.manifest.weak.model_copy(update={"labels": labels})
    return replace(pack, manifest=pack.manifest.model_copy(update={"weak": weak}))


def _write(
    pack: Pack, texts: Strings, rejected: tuple[Rejected, ...], to: Path, work: Path, progress: Progress
) -> Built:
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as scratch:
        made = Path(scratch) / to.name
        write_pack(pack, made)
        write_texts(texts, made / TEXTS)
        if rejected:
            lines = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rejected)
            (made / REJECTED).write_text(lines, encoding="utf-8")
        pack = read_pack(made)
        notes: list[str] = []
        anchors: dict[tuple[Split, Part], Anchors] = {}
        if pack.manifest.representations:
            # Checkpoints of the ceiling are named by seed alone: those of another pack must not be found.
            key = hashlib.sha256(json.dumps(pack.manifest.checksums, sort_keys=True).encode()).hexdigest()[:24]
            testbed = make_testbed(pack, texts=texts, work=work / f"ceiling-{key}", progress=progress)
            write_calibration(testbed, made / CALIBRATION)
            anchors = {(split, part): testbed.anchors(split, part) for split in SCORED for part in testbed.parts(split)}
            notes = [f"{part} part of {split}: {note}" for (split, part), a in anchors.items() if (note := _gap(a))]
        _move(made, to, Path(scratch) / "old")
    return Built(to, pack.manifest, rejected, tuple(notes), anchors)


def _gap(anchors: Anchors) -> str | None:
    if anchors.ceiling is None or anchors.ceiling_se is None:
        return None
    gap = anchors.ceiling - anchors.floor
    noise = float(np.hypot(anchors.floor_se, anchors.ceiling_se))
    if gap > 3 * noise:
        return None
    return (
        f"floor {anchors.floor:.3f} and ceiling {anchors.ceiling:.3f} are {gap:+.3f} apart, with a noise of "
        f"{noise:.3f}: PGR says little here; give more rows, a weaker supervisor, or other layers"
    )


def _move(made: Path, to: Path, old: Path) -> None:
    if not to.exists():
        made.replace(to)
        return
    to.replace(old)
    try:
        made.replace(to)
    except BaseException:
        old.replace(to)
        raise
