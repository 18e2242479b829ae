"""Files under the SHA-256 of their content: submitted code, arrays of scores, snapshots. Operator only.

A folder by default; any store that fsspec knows by URL, such as `s3://bucket/prefix`. A file is written before the
row that names it, so that a crash leaves at most a file that no row names, and writing it again changes nothing.
"""

import hashlib
import io
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import fsspec
import numpy as np
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray

from aarlab.errors import AarlabError

INCOMING, LEFT_SECONDS = "incoming.", 24 * 3600.0
CACHED = 512  # arrays of scores kept in memory; some 20 kB each


class ArtifactError(AarlabError):
    """An artifact is missing, or is not what was written."""


@contextmanager
def _faults_of_stores() -> Iterator[None]:
    """Tell whatever a store's own library raises as an OSError, which the server waits out."""
    try:
        yield
    except (AarlabError, OSError):
        raise
    except Exception as error:
        raise OSError(f"the artifacts' store failed: {error}") from error


def _sweep(folder: Path) -> None:
    """Remove what a killed server left of uploads; those of a day are nobody's any more."""
    for partial in folder.glob(f"{INCOMING}*"):
        with suppress(OSError):  # another server was quicker
            if time.time() - partial.stat().st_mtime > LEFT_SECONDS:
                partial.unlink()


class Incoming:
    """Content that arrives in pieces.

    Attributes:
        size: bytes so far.
    """

    def __init__(self, file: BinaryIO, keep: Callable[[str], None]) -> None:
        self._file, self._keep, self._hash = file, keep, hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Add a piece."""
        self._file.write(piece)
        self._hash.update(piece)
        self.size += len(piece)

    def keep(self) -> str:
        """Keep all that has arrived; returns its SHA-256."""
        self._file.flush()
        os.fsync(self._file.fileno())  # the row that names it may be on disk first
        sha256 = self._hash.hexdigest()
        self._keep(sha256)
        return sha256


class Artifacts:
    """A content-addressed store. Thread-safe."""

    def __init__(self, where: Path | str) -> None:
        """Open or make a store.

        Args:
            where: a folder, or a URL that fsspec knows.

        Raises:
            ArtifactError: it cannot be reached, or the package for such URLs is not installed.
        """
        try:
            self._files, root = fsspec.core.url_to_fs(str(where))
            self._root = root.rstrip("/")
            self._files.makedirs(self._root, exist_ok=True)
        except ImportError as error:
            raise ArtifactError(f"{where} cannot be used: {error}.", "Install what it names.") from None
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{where} cannot be used: {error}.", "Name a folder or a URL of fsspec.") from error
        self._local = isinstance(self._files, LocalFileSystem)
        if self._local:
            Path(self._root).chmod(0o700)  # what was right and wrong can be read off scores
            _sweep(Path(self._root))
        self.arrays = lru_cache(CACHED)(self._arrays)

    @_faults_of_stores()
    def put(self, content: bytes) -> str:
        """Keep some content; returns its SHA-256."""
        sha256 = hashlib.sha256(content).hexdigest()
        path = self._path(sha256)
        if self._files.exists(path):
            return sha256
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        if not self._local:
            self._files.pipe_file(path, content)  # one request: whole or not at all
            return sha256
        partial = Path(f"{path}.{secrets.token_hex(4)}")
        try:
            with partial.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # the row that names it may be on disk first
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return sha256

    @_faults_of_stores()
    def get(self, sha256: str) -> bytes:
        """Content by its SHA-256.

        Raises:
            ArtifactError: it is missing, or was changed.
        """
        try:
            content: bytes = self._files.cat_file(self._path(sha256))
        except FileNotFoundError:
            raise ArtifactError(f"The artifact {sha256} is missing.", "Restore the artifacts from a copy.") from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ArtifactError(f"The artifact {sha256} was changed.", "Restore the artifacts from a copy.")
        return content

    @contextmanager
    def incoming(self) -> Iterator["Incoming"]:
        """A file that arrives in pieces and is on the disk meanwhile; gone afterwards unless it is kept."""
        partial = Path(self._root if self._local else tempfile.gettempdir()) / f"{INCOMING}{secrets.token_hex(8)}"
        try:
            with partial.open("xb") as file:
                yield Incoming(file, lambda sha256: self._keep(partial, sha256))
        finally:
            partial.unlink(missing_ok=True)

    @_faults_of_stores()
    def _keep(self, partial: Path, sha256: str) -> None:
        path = self._path(sha256)
        if self._files.exists(path):
            return
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        if self._local:
            partial.replace(path)
        else:
            self._files.put_file(str(partial), path)

    def put_arrays(self, correct: NDArray[np.float32], predictions: NDArray[np.float32]) -> str:
        """Keep the arrays of a score.

        Args:
            correct: whether each test example was right, shape (seeds, n).
            predictions: P(label = 1) of each, shape (seeds, n); kept as float16.

        Returns:
            Their SHA-256.
        """
        file = io.BytesIO()
        np.save(file, np.asarray(correct, np.float32), allow_pickle=False)
        np.save(file, predictions.astype(np.float16), allow_pickle=False)
        return self.put(file.getvalue())

    def _arrays(self, sha256: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The two arrays of `put_arrays`, read-only."""
        file = io.BytesIO(self.get(sha256))
        correct: NDArray[np.float32] = np.load(file, allow_pickle=False)
        predictions: NDArray[np.float32] = np.load(file, allow_pickle=False).astype(np.float32)
        correct.flags.writeable = predictions.flags.writeable = False
        return correct, predictions

    def _path(self, sha256: str) -> str:
        return f"{self._root}/{sha256[:2]}/{sha256}"
