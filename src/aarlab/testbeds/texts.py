"""The text of a testbed. Packs hold none: it lies in a file of its own, and a pack knows it by digests.

`aarlab testbed fetch NAME` brings the text (`fetch.py`) and writes it here; `texts_of` finds it again. Every prompt and
candidate is checked against the pack's digests when it is assembled and whenever it is read, so text of another pack,
or of another version of this one, is never taken for this one's.
"""

import hashlib
import logging
import os
import re
import uuid
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aarlab.students import Strings
from aarlab.testbeds.pack import Pack, TestbedError
from aarlab.testbeds.sources import SEEDED, read_answers
from aarlab.testbeds.storage import data_folder

log = logging.getLogger(__name__)

#: Name of the file in the folder of a pack that brings its text along.
TEXTS = "texts.npz"


class TextMissing(TestbedError):
    """Some of a testbed's text was not in what was read.

    Attributes:
        rows: those without text, ascending, shape (missing,).
    """

    def __init__(self, message: str, advice: str, rows: NDArray[np.intp]) -> None:
        super().__init__(message, advice)
        self.rows = rows


def digest(prompt: str, candidate: str) -> int:
    """What a pack knows a candidate by: the first 8 bytes of SHA-256 over prompt, a zero byte and candidate.

    Args:
        prompt: plain text of the question, as in its source: no template around it.
        candidate: plain text of the answer, likewise.

    Returns:
        Little endian, in [0, 2**64).
    """
    hashed = hashlib.sha256(prompt.encode() + b"\0" + candidate.encode())
    return int.from_bytes(hashed.digest()[:8], "little")


def digests(texts: Strings) -> NDArray[np.uint64]:
    """Digests of all candidates.

    Args:
        texts: prompt and candidates, shape (n, 1 + candidates).

    Returns:
        Shape (n, candidates).
    """
    found = [[digest(row[0], candidate) for candidate in row[1:]] for row in texts.tolist()]
    return np.array(found, dtype=np.uint64).reshape(len(texts), texts.shape[1] - 1)


def assemble(wanted: NDArray[np.uint64], answers: Iterable[tuple[str, str]], name: str) -> Strings:
    """Pick the text of a testbed out of everything its sources hold.

    Args:
        wanted: the pack's digests, shape (n, candidates).
        answers: prompt and candidate, in any order, most of which may be of no use; read until all is found.
        name: of the testbed, for errors.

    Returns:
        Prompt and candidates, shape (n, 1 + candidates).

    Raises:
        TextMissing: some rows were not found.
        TestbedError: the candidates of one row have different prompts, so the digests are not those of a testbed.
    """
    places: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for (row, column), value in np.ndenumerate(wanted):
        places[int(value)].append((row, column))
    texts = np.empty((wanted.shape[0], 1 + wanted.shape[1]), dtype=object)
    for prompt, candidate in answers:
        try:
            found = places.pop(digest(prompt, candidate), ())
        except UnicodeEncodeError:  # half a surrogate pair: no text, so in no pack
            continue
        for row, column in found:
            if texts[row, 0] not in (None, prompt):
                raise TestbedError(f"Row {row} of {name} has candidates of different prompts.", "Make the pack again.")
            texts[row, 0], texts[row, 1 + column] = prompt, candidate
        if not places:
            break
    if places:
        rows = np.unique([row for found in places.values() for row, _ in found])
        raise TextMissing(
            f"{len(rows)} of {len(wanted)} rows of {name} have no text in what was read; the first is row {rows[0]}.",
            "The data are another version than the pack was made from, or not whole. "
            "Name a folder with the very files: --from FOLDER.",
            rows,
        )
    return texts.astype(np.dtypes.StringDType())


def write_texts(texts: Strings, path: Path) -> None:
    """Write the text of a testbed to one file; it appears whole or not at all.

    Args:
        texts: prompt and candidates, shape (n, 1 + candidates).
        path: the file; its folder is made if need be.

    Raises:
        TestbedError: it cannot be written: the disk is full, say.
    """
    encoded = [text.encode() for text in texts.ravel().tolist()]
    lengths = np.array([len(part) for part in encoded], dtype=np.int64).reshape(texts.shape)
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("xb") as file:
            np.savez_compressed(file, data=np.frombuffer(b"".join(encoded), dtype=np.uint8), lengths=lengths)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    finally:
        scratch.unlink(missing_ok=True)


def unwritable(folder: Path, error: OSError) -> TestbedError:
    """What to say when a folder for text cannot be written to."""
    return TestbedError(
        f"Cannot write to {folder}: {error.strerror or error}.",
        "Make room there, or set AARLAB_DATA to another folder.",
    )


def read_texts(path: Path, wanted: NDArray[np.uint64]) -> Strings:
    """Read the text of a testbed and check every candidate.

    Args:
        path: what `write_texts` wrote.
        wanted: the pack's digests, shape (n, candidates).

    Returns:
        Prompt and candidates, shape (n, 1 + candidates).

    Raises:
        TestbedError: there is no such file, it is damaged, or it is the text of another pack.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            data, lengths = arrays["data"].tobytes(), arrays["lengths"]
        ends = np.cumsum(lengths.ravel()).tolist()
        if lengths.min(initial=0) < 0 or (ends[-1] if ends else 0) != len(data):
            raise ValueError("its lengths do not add up")
        parts = [data[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)]
    except FileNotFoundError:
        raise TestbedError(f"There is no text in {path}.", "Fetch it: aarlab testbed fetch NAME") from None
    except (OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise TestbedError(f"{path} is damaged: {error}.", "Remove it and fetch the text again.") from error
    texts = np.array(parts, dtype=np.dtypes.StringDType()).reshape(lengths.shape)
    if texts.ndim != 2 or texts.shape != (wanted.shape[0], 1 + wanted.shape[1]) or np.any(digests(texts) != wanted):
        raise TestbedError(
            f"{path} is the text of another pack, or of another version of this one.", "Fetch the text again."
        )
    return texts


def texts_folder() -> Path:
    """Where texts are kept."""
    return data_folder() / "texts"


def texts_file(pack: Pack, folder: Path | None = None) -> Path:
    """Where the text of a testbed is kept.

    Args:
        pack: the testbed's.
        folder: of texts; default `texts_folder()`.

    Raises:
        TestbedError: the testbed's name is no file name.
    """
    name = pack.manifest.name
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise TestbedError(f"{name!r} cannot name a file.", "Name the testbed with letters, digits and - _ . only.")
    return (folder or texts_folder()) / f"{name}.npz"


def generated(name: str) -> Iterator[tuple[str, str]]:
    """Prompt and candidate of every answer of a source that aarlab makes itself, from its seed."""
    return ((answer.question, answer.text) for answer in read_answers(name))


def texts_of(pack: Pack, folder: Path | None = None) -> Strings | None:
    """The text of a testbed, where it is on this machine.

    Text that is damaged or belongs to another version of the pack is told of in the log and passed over: students
    that read none can still be used.

    Args:
        pack: the testbed's.
        folder: the pack's own, which may bring its text along as `texts.npz`.

    Returns:
        Prompt and candidates, shape (n, 1 + candidates); None if it has to be fetched first.
    """
    name = pack.manifest.name
    sources = [source.name for source in pack.manifest.sources]
    files = [texts_file(pack)] if folder is None else [folder / TEXTS, texts_file(pack)]
    ways: list[Callable[[], Strings]] = [partial(read_texts, path, pack.digests) for path in files if path.is_file()]
    if sources and all(source in SEEDED for source in sources):
        ways.append(lambda: assemble(pack.digests, chain.from_iterable(map(generated, sources)), name))
    for way in ways:
        try:
            return way()
        except TestbedError as error:
            log.warning("%s", error)
    return None
