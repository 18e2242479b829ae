import builtins
import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aarlab.testbeds.own import SourceError
from aarlab.testbeds.own.config import Hub
from aarlab.testbeds.own.read import NoRow, Row, read_rows

ROWS = [{"q": "Grüße?", "a": "ja", "n": 1}, {"q": "zwei\nZeilen", "a": 'ein "Zitat", und mehr', "n": 2}]


def rows(place, columns=("q", "a", "n")):
    return list(read_rows(place, columns))


def write(path, content):
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def as_csv(delimiter=","):
    quoted = [[f'"{str(v).replace(chr(34), chr(34) * 2)}"' for v in row.values()] for row in ROWS]
    return "\n".join(delimiter.join(fields) for fields in [["q", "a", "n"], *quoted]) + "\n"


DIGITS = (
    "Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits; use "
    "sys.set_int_max_str_digits() to increase the limit"
)
AS_JSONL = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("my.jsonl", AS_JSONL, [1, 2]),
        ("my.jsonl.gz", AS_JSONL, [1, 2]),
        ("my.ndjson", "\ufeff" + AS_JSONL.replace("\n", "\n\n"), [1, 3]),
        ("my.csv", as_csv(), [2, 3]),
        ("my.csv.gz", "\ufeff" + as_csv().replace("\n", "\r\n").replace("zwei\r\n", "zwei\n"), [2, 3]),
        ("my.tsv", as_csv("\t"), [2, 3]),
    ],
)
def test_every_text_format_gives_the_same_rows(tmp_path, name, content, lines):
    found = rows(write(tmp_path / name, content))
    assert [row.line for row in found] == lines
    assert [{k: str(v) for k, v in row.values.items()} for row in found] == [
        {k: str(v) for k, v in row.items()} for row in ROWS
    ]


def test_parquet_gives_the_same_rows_and_only_the_columns_asked_for(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "my.parquet")
    assert rows(tmp_path / "my.parquet") == [Row(1, ROWS[0]), Row(2, ROWS[1])]
    assert rows(tmp_path / "my.parquet", ["a"])[0].values == {"a": "ja"}
    assert set(rows(tmp_path / "my.parquet", ["other"])[0].values) == {"q", "a", "n"}, "to tell which there are"


def test_parquet_that_holds_no_utf8_names_row_column_and_byte(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    column = pa.array([b"good", b"b\xffd"], pa.binary()).view(pa.string())
    parquet.write_table(pa.table({"q": column, "a": pa.array(["x", "y"])}), tmp_path / "my.parquet")
    good, bad = rows(tmp_path / "my.parquet")
    assert good.values["q"] == "good"
    assert bad == NoRow(2, "not UTF-8", "column 'q', byte 1 of the value is 0xff")


def test_the_datasets_library_gives_the_same_rows_from_local_files(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train.jsonl", AS_JSONL)
    for hub in (Hub(path=str(tmp_path / "data")), Hub(path="json", data_files=str(tmp_path / "data" / "train.jsonl"))):
        assert rows(hub) == [Row(1, ROWS[0]), Row(2, ROWS[1])]
        assert rows(hub, ["a"])[1].values == {"a": ROWS[1]["a"]}
    with pytest.raises(SourceError, match=r"hf: .*Unknown split .nope.*train"):
        rows(Hub(path=str(tmp_path / "data"), split="nope"))
    with pytest.raises(SourceError, match="Couldn't find any data file"):
        rows(Hub(path=str(tmp_path / "none")))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", b'{"q": 1}\n{"q": "\xff"}\n', NoRow(2, "not UTF-8", "byte 16 of the file is 0xff")),
        ("a.jsonl.gz", b'{"q": "caf\xe9"}\n', NoRow(1, "not UTF-8", "byte 10 of the file is 0xe9")),
        ("a.jsonl", b'{"q": 1\n', NoRow(1, "not JSON", "Expecting ',' delimiter at character 8")),
        ("a.jsonl", b"[1, 2]\n", NoRow(1, "not JSON", "a row is an object, this is a list")),
        ("a.jsonl", b"[" * 200_000, NoRow(1, "not JSON", "it is nested too deeply")),
        ("a.jsonl", b'{"q": ' + b"1" * 5000 + b"}", NoRow(1, "not JSON", DIGITS)),
        ("a.csv", b"q,a\n1,2\n\xfe,4\n5,6\n", NoRow(3, "not UTF-8", "line 3, byte 8 of the file is 0xfe")),
        ("a.csv", b'q,a\n1,"x\n\xfe"\n5,6\n', NoRow(2, "not UTF-8", "line 3, byte 9 of the file is 0xfe")),
        ("a.csv", b"q,a\n1,2,3\n5,6\n", NoRow(2, "wrong number of fields", "3 fields under 2 columns")),
    ],
)
def test_what_is_no_row_is_told_with_its_place_and_reading_goes_on(tmp_path, name, content, expected):
    found = rows(write(tmp_path / name, content))
    assert expected in found
    assert sum(isinstance(row, NoRow) for row in found) == 1
    if content.endswith(b"5,6\n"):
        assert found[-1].values == {"q": "5", "a": "6"}


@settings(deadline=None, max_examples=50)
@given(st.binary() | st.lists(st.sampled_from([b"{}", b"\xff", b"\n", b"[1]", b'{"a": 1}', b"\r"])).map(b"".join))
def test_whatever_the_bytes_each_line_is_told_of_once(content):
    with tempfile.TemporaryDirectory() as folder:
        found = rows(write(Path(folder) / "a.jsonl", content))
    lines = [number for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]
    told = [row.line for row in found]
    assert set(told) <= set(lines)
    assert told == sorted(set(told))
    assert {n for n in lines if b"{}" in content.split(b"\n")[n - 1]} <= set(told)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", "", r"a\.xlsx is of a format that is not read. It may be \.jsonl"),
        ("a.json", "[]", "JSON array becomes JSONL"),
        ("a", "", "format that is not read"),
        ("a.csv", "", "first line of .* is empty"),
        ("a.csv", "q,q\n1,2\n", "names a column twice"),
        ("a.csv", 'q,a\n1,"2\n', "line 2: unexpected end of data"),
        ("a.csv", "q,a\n1," + "x" * 200_000, "field larger than field limit.*JSONL"),
    ],
)
def test_a_source_that_cannot_be_read_says_why(tmp_path, name, content, message):
    with pytest.raises(SourceError, match=message):
        rows(write(tmp_path / name, content))


def test_missing_and_damaged_files_say_so(tmp_path):
    with pytest.raises(SourceError, match=r"there is no file .*relative to the YAML file"):
        rows(tmp_path / "none.jsonl")
    packed = gzip.compress(AS_JSONL.encode())
    for damaged in (packed[:-9], b"plain text", packed[:30] + b"\0\0\0\0" + packed[34:]):
        (tmp_path / "a.jsonl.gz").write_bytes(damaged)
        with pytest.raises(SourceError, match="is damaged"):
            rows(tmp_path / "a.jsonl.gz")


def test_a_damaged_parquet_file_says_so(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(SourceError, match="is damaged"):
        rows(write(tmp_path / "a.parquet", "PAR1 no more"))


@pytest.mark.parametrize(("package", "place"), [("pyarrow", "a.parquet"), ("datasets", Hub(path="a/b"))])
def test_a_missing_package_says_what_to_install(tmp_path, monkeypatch, package, place):
    def without(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    place = write(tmp_path / place, "") if isinstance(place, str) else place
    with pytest.raises(SourceError, match=rf'needs the package {package}.*pip install "aarlab\[data\]"'):
        rows(place)
