"""Rows from files, one after the other, each with the number of its line.

What is no row is told as such, with its reason, and reading goes on: whether one bad row stops a build is not
decided here. Only what makes the whole source unreadable is an error.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from aarlab.testbeds.own.config import Hub
from aarlab.testbeds.pack import TestbedError

FORMATS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
EXTRA = 'pip install "aarlab[data]"'
PARQUET_BATCH = 1024


class SourceError(TestbedError):
    """A source of rows cannot be read at all."""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        line: number of its first line in the file, from 1; of the row, where a format has no lines.
        values: value by column.
    """

    line: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class NoRow:
    """What stands where a row should be.

    Attributes:
        line: as of `Row`.
        reason: why it is none, in a few words that are the same for all such lines.
        detail: what exactly, for people.
    """

    line: int
    reason: str
    detail: str


def read_rows(place: Path | Hub, columns: Collection[str]) -> Iterator[Row | NoRow]:
    """Read a source row by row.

    Args:
        place: file or data set.
        columns: the columns wanted; formats that can will read no others.

    Raises:
        SourceError: it is missing, damaged, of an unknown format, or needs a package that is missing.
    """
    if isinstance(place, Hub):
        yield from _from_hub(place, columns)
        return
    suffixes = [suffix.lower() for suffix in place.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = next(iter(suffixes[-2:-1] if packed else suffixes[-1:]), "")
    if kind not in FORMATS or (packed and kind == ".parquet"):
        raise SourceError(
            f"data: {place.name} is of a format that is not read.",
            f"It may be {', '.join(FORMATS)}; text formats also with .gz."
            + (" A JSON array becomes JSONL with `jq -c '.[]'`." if kind == ".json" else ""),
        )
    if not place.is_file():
        raise SourceError(f"data: there is no file {place}.", "Paths are relative to the YAML file.")
    if kind == ".parquet":
        yield from _from_parquet(place, columns)
        return
    with _opened(place, packed) as file:
        if kind in (".csv", ".tsv"):
            yield from _from_csv(file, place, "\t" if kind == ".tsv" else ",")
        else:
            yield from _from_jsonl(file)


@contextmanager
def _opened(path: Path, packed: bool) -> Iterator[IO[bytes]]:
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            yield file  # type: ignore[misc]  # gzip's own type is as good as IO[bytes]
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"data: {path} is damaged: {error}.", "Pack or copy it again.") from None
    except OSError as error:
        raise SourceError(f"data: {path} cannot be read: {error.strerror or error}.") from None


def _not_utf8(line: int, before: int, error: UnicodeDecodeError) -> NoRow:
    byte = error.object[error.start]
    return NoRow(line, "not UTF-8", f"byte {before + error.start} of the file is 0x{byte:02x}")


def _from_jsonl(file: IO[bytes]) -> Iterator[Row | NoRow]:
    """Byte offsets count from 0, in the unpacked file."""
    offset = 0
    for number, raw in enumerate(file, 1):
        before, offset = offset, offset + len(raw)
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if not line:
                continue
            values = json.loads(line)
        except UnicodeDecodeError as error:
            yield _not_utf8(number, before, error)
        except json.JSONDecodeError as error:
            yield NoRow(number, "not JSON", f"{error.msg} at character {error.colno}")
        except RecursionError:
            yield NoRow(number, "not JSON", "it is nested too deeply")
        except ValueError as error:  # a number of more digits than Python converts
            yield NoRow(number, "not JSON", str(error))
        else:
            if isinstance(values, dict):
                yield Row(number, values)
            else:
                yield NoRow(number, "not JSON", f"a row is an object, this is a {type(values).__name__}")


class _Lines:
    """Lines of text for the csv module, which remembers where bytes were no UTF-8."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._offset = 0
        self.broken: list[NoRow] = []

    def __iter__(self) -> Iterator[str]:
        for number, raw in enumerate(self._file, 1):
            try:
                yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                self.broken.append(_not_utf8(number, self._offset, error))
                yield raw.decode(errors="replace")
            self._offset += len(raw)


def _from_csv(file: IO[bytes], path: Path, delimiter: str) -> Iterator[Row | NoRow]:
    lines = _Lines(file)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        if not header or len(set(header)) < len(header) or lines.broken:
            what = "is empty" if not header else "names a column twice, or is not UTF-8"
            raise SourceError(f"data: the first line of {path} {what}.", "It has to name the columns.")
        last = reader.line_num
        for fields in reader:
            line, last = last + 1, reader.line_num
            if lines.broken:
                yield NoRow(line, lines.broken[0].reason, f"line {lines.broken[0].line}, {lines.broken[0].detail}")
                lines.broken.clear()
            elif len(fields) == len(header):
                yield Row(line, dict(zip(header, fields, strict=True)))
            elif fields:
                yield NoRow(line, "wrong number of fields", f"{len(fields)} fields under {len(header)} columns")
    except csv.Error as error:
        raise SourceError(
            f"data: {path}, line {reader.line_num}: {error}.",
            "Mend the quotes, or write the data as JSONL, which has no such limits.",
        ) from None


def _from_parquet(path: Path, columns: Collection[str]) -> Iterator[Row | NoRow]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise SourceError(f"data: {path.name} needs the package pyarrow.", f"Run: {EXTRA}") from None
    try:
        with parquet.ParquetFile(path) as file:
            wanted = [name for name in file.schema_arrow.names if name in columns]
            # Without a column left nothing would tell how many rows there are: read what is there instead.
            number = 0
            for batch in file.iter_batches(PARQUET_BATCH, columns=wanted or None):
                for index in range(batch.num_rows):
                    number += 1
                    yield _parquet_row(batch, index, number)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"data: {path} is damaged: {error}.", "Write or copy it again.") from None


def _parquet_row(batch: Any, index: int, number: int) -> Row | NoRow:
    values = {}
    for name in batch.schema.names:
        try:
            values[name] = batch.column(name)[index].as_py()
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            return NoRow(number, "not UTF-8", f"column {name!r}, byte {error.start} of the value is 0x{byte:02x}")
    return Row(number, values)


def _from_hub(hub: Hub, columns: Collection[str]) -> Iterator[Row | NoRow]:
    """Rows of a data set, by the `datasets` library: downloaded once to its cache, or read from local files."""
    try:
        import datasets
    except ImportError:
        raise SourceError("hf: needs the package datasets.", f"Run: {EXTRA}") from None
    try:
        data = datasets.load_dataset(
            hub.path,
            hub.name,
            data_dir=hub.data_dir,
            data_files=list(hub.data_files) if hub.data_files else None,
            split=hub.split,
            revision=hub.revision,
        )
        wanted = [name for name in data.column_names if name in columns]
        data = data.select_columns(wanted) if wanted else data
        for number, values in enumerate(data, 1):
            yield Row(number, values)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise SourceError(
            f"hf: {hub.path} cannot be loaded: {error}",
            "Check hf.path, hf.name, hf.split and the network; a gated data set needs `hf auth login`.",
        ) from None
