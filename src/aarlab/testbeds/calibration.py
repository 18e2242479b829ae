"""From a pack to a testbed: draw the splits, train the weak supervisor, measure floor and ceiling."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aarlab.students import Strings, make_student
from aarlab.testbeds.fitting import Fitting, fit_probe
from aarlab.testbeds.pack import Pack, Part, TestbedError
from aarlab.testbeds.testbed import SCORED, SPLITS, Split, Testbed, all_examples
from aarlab.testbeds.weak import weak_supervision

log = logging.getLogger(__name__)

CEILING_SEEDS = 16

Drawn = dict[tuple[Split, Part], NDArray[np.intp]]


def draw_splits(pack: Pack, rng: np.random.Generator) -> Drawn:
    """Assign questions to splits at random, by the manifest's shares; no question crosses a split.

    In-distribution questions go to all splits, out-of-distribution ones to `public` and `private`.
    """
    drawn: Drawn = {}
    plan: tuple[tuple[Part, tuple[Split, ...], np.random.Generator], ...] = (
        ("id", SPLITS, rng),
        ("ood", SCORED, rng.spawn(1)[0]),
    )
    for part, splits, source in plan:
        rows = pack.rows_of(part)
        questions = source.permutation(np.unique(pack.groups[rows]))
        shares = np.array([pack.manifest.splits[split] for split in splits])
        ends = np.rint(np.cumsum(shares / shares.sum()) * len(questions)).astype(int)[:-1]
        for split, chosen in zip(splits, np.split(questions, ends), strict=True):
            drawn[split, part] = rows[np.isin(pack.groups[rows], chosen)]
    return drawn


def make_testbed(
    pack: Pack,
    draw: int | None = None,
    *,
    fitting: Fitting | None = None,
    texts: Strings | None = None,
    weak_labels: NDArray[np.float64] | None = None,
    ceiling_seeds: int = CEILING_SEEDS,
    work: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None,
) -> Testbed:
    """Draw splits, train the weak supervisor, and measure floor and ceiling.

    Args:
        pack: inputs and labels.
        draw: seed of the draw; default the manifest's.
        fitting: the student; default `probe`.
        texts: text of all rows, for students and supervisors that read it.
        weak_labels: of every row, where they are known already.
        ceiling_seeds: training seeds of the ceiling; a student that cannot be trained has none.
        work: folder of checkpoints: an interrupted call goes on after the last seed it finished.
        progress: told what is done, how many of it, out of how many.
    """
    chosen = pack.manifest.draw if draw is None else draw
    rng = np.random.default_rng(chosen)
    return measure(
        pack,
        draw_splits(pack, rng),
        rng,
        fitting=fitting,
        texts=texts,
        weak_labels=weak_labels,
        ceiling_seeds=ceiling_seeds,
        work=None if work is None else work / f"ceiling-{chosen}",
        progress=progress,
    )


def measure(
    pack: Pack,
    drawn: Drawn,
    rng: np.random.Generator,
    *,
    fitting: Fitting | None = None,
    texts: Strings | None = None,
    weak_labels: NDArray[np.float64] | None = None,
    ceiling_seeds: int = CEILING_SEEDS,
    work: Path | None = None,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None,
) -> Testbed:
    """Train the weak supervisor on splits drawn before, and measure floor and ceiling.

    Args:
        pack: inputs and labels.
        drawn: rows by split and part.
        rng: picks the rows of `teacher` that the weak supervisor is trained on.
        fitting: as for `make_testbed`, and so what follows.
        texts: text of all rows.
        weak_labels: of every row.
        ceiling_seeds: training seeds of the ceiling.
        work: checkpoints are files whose names begin with this path.
        progress: told what is done.

    Raises:
        TestbedError: `teacher` has fewer rows than the weak supervisor wants labels.
    """
    wanted, teacher = pack.manifest.weak.labels, drawn["teacher", "id"]
    if wanted > len(teacher):
        raise TestbedError(
            f"{pack.manifest.name} wants {wanted} labels, `teacher` has {len(teacher)} rows.",
            "Ask for fewer, or give `teacher` a larger share.",
        )
    labelled = rng.choice(teacher, wanted, replace=False)
    fitting = fitting or fit_probe(pack)
    everything = all_examples(pack, fitting, texts)
    if weak_labels is None:
        progress("weak supervisor", 0, 1)
        weak_labels = weak_supervision(pack, labelled, everything)
    testbed = Testbed(pack, fitting, texts, drawn, weak_labels, np.empty((0, len(weak_labels))))
    if "finetune" not in fitting.student.capabilities:
        return testbed
    scored = np.concatenate([rows for (split, _), rows in drawn.items() if split in SCORED])
    train, truth = testbed.examples("train"), testbed.labels("train").astype(np.float64)
    ceilings = np.full((ceiling_seeds, len(weak_labels)), np.nan)
    for seed in range(ceiling_seeds):
        progress("ceiling", seed, ceiling_seeds)
        path = None if work is None else work.with_name(f"{work.name}-{seed}.npy")
        if path is not None and path.exists():
            ceilings[seed] = np.load(path)
            continue
        log.info("ceiling of %s: seed %d of %d", pack.manifest.name, seed + 1, ceiling_seeds)
        ceilings[seed, scored] = fitting.student.finetune(train, truth, seed=seed).predict(everything.take(scored))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial.npy")
            np.save(partial, ceilings[seed])
            partial.replace(path)
    progress("ceiling", ceiling_seeds, ceiling_seeds)
    return Testbed(pack, fitting, texts, drawn, weak_labels, ceilings)


def write_calibration(testbed: Testbed, path: Path) -> None:
    """Keep weak labels and ceiling predictions of the manifest's own draw: one denominator for all methods."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    content: dict[str, NDArray[Any]] = {
        "weak_labels": testbed.weak_labels.astype(np.float32),
        "ceiling_predictions": testbed.ceiling_predictions.astype(np.float16),
        "pack": np.array(testbed.pack.manifest.checksums["operator.npz"]),
    }
    about, _ = testbed.student.to_job()
    if about["kind"] == "remote":  # its answers cannot be computed again for nothing
        content["student"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
        content |= {f"column:{name}": column for name, column in testbed.fitting.columns.items()}
    np.savez_compressed(partial, **content)  # type: ignore[arg-type]
    partial.replace(path)


def read_remote(path: Path) -> Fitting:
    """The remote student that a calibration was made with, and its answers."""
    with np.load(path) as arrays:
        columns = {name.removeprefix("column:"): arrays[name] for name in arrays.files if name.startswith("column:")}
        return Fitting(make_student(json.loads(arrays["student"].tobytes()), {}), columns)


def read_calibration(
    pack: Pack, path: Path, fitting: Fitting, texts: Strings | None = None, advice: str = "Restore it (git checkout)."
) -> Testbed:
    """The testbed whose weak labels and ceiling were kept.

    Raises:
        TestbedError: they were not, or belong to another pack.
    """
    drawn = draw_splits(pack, np.random.default_rng(pack.manifest.draw))
    try:
        with np.load(path) as arrays:
            if str(arrays["pack"]) != pack.manifest.checksums["operator.npz"]:
                raise TestbedError(f"{path} belongs to another pack.", "Run its recipe again.")
            weak, ceiling = arrays["weak_labels"], arrays["ceiling_predictions"]
    except FileNotFoundError:
        raise TestbedError(f"{path} is missing.", advice) from None
    return Testbed(pack, fitting, texts, drawn, weak.astype(np.float64), ceiling.astype(np.float64))
