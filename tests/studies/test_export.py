"""The other forms of a record hold all of it, and nothing in them is taken for what it is not."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from aarlab.server import Record
from aarlab.studies.export import COLUMNS, ExportError, tables, to_json, to_markdown, write_parquet

ROOT = Path(__file__).parents[2]
EVIL = "``` \n# Level 5\n</script><script>alert(1)</script>\n````\n![x](http://evil)\n`` | [link](javascript:x) "
REGENERATE = "json.dumps(Record.model_json_schema(mode='serialization'), indent=1, sort_keys=True)"


def test_json_comes_back_as_it_was(recorded: Callable[..., Record]):
    record = recorded(EVIL)
    assert Record.model_validate_json(to_json(record)) == record


def test_the_documented_schema_is_the_programs():
    documented = json.loads((ROOT / "docs" / "record.schema.json").read_bytes())
    assert documented == Record.model_json_schema(mode="serialization"), f"docs/record.schema.json is {REGENERATE}"


def test_each_field_is_documented():
    text = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    assert [name for name in Record.model_fields if f"`{name}`" not in text] == []
    assert [name for name in COLUMNS if f"`{name}`" not in text] == []


def test_markdown_tells_everything_in_order(recorded: Callable[..., Record]):
    record = recorded("a plain name")
    text = to_markdown(record)
    places = [text.index(f"### #{one.id} ") for one in record.submissions]
    assert places == sorted(places)
    assert text.count("### Finding ") == len(record.findings)
    assert "failed on public: exception" in text
    assert "failed on private: timeout" in text
    assert "audit reading: noted" in text
    assert "overruled, was flagged" in text
    assert "PGR 0.500 [-0.200, 1.400]" in text
    assert "over vanilla on private: 0.040 [0.010, 0.070] in accuracy, adjusted p 0.0001" in text


def test_nothing_in_markdown_passes_for_ours(recorded: Callable[..., Record]):
    """Headings, links, images and HTML of researchers stay text."""
    kinds = [
        (token.type, token.content)
        for block in MarkdownIt().parse(to_markdown(recorded(EVIL)))
        for token in (block, *(block.children or ()))
    ]
    plain = {kind for kind, _ in kinds} - {"inline", "text", "fence", "code_inline", "softbreak"}
    assert not [kind for kind in plain if kind.startswith(("link", "image", "html"))]
    headings = [content for kind, content in kinds if kind == "inline" and content.startswith("Level 5")]
    assert headings == []


@pytest.mark.parametrize("count", [0, 4])
@pytest.mark.parametrize("resolved", [True, False])
def test_parquet_has_one_file_a_table(recorded: Callable[..., Record], tmp_path: Path, count: int, resolved: bool):
    parquet = pytest.importorskip("pyarrow.parquet")
    record = recorded(EVIL, count=count, resolved=resolved)
    written = write_parquet(record, tmp_path / "new" / "folder")
    assert {path.stem for path in written} == set(COLUMNS)
    read = {path.stem: parquet.read_table(path) for path in written}
    for name, rows in tables(record).items():
        assert read[name].column_names == list(COLUMNS[name])
        assert read[name].to_pylist() == [{column: row[column] for column in COLUMNS[name]} for row in rows]
    assert [row["id"] for row in read["submissions"].to_pylist()] == [one.id for one in record.submissions]
    if count:
        scores = read["scores"].to_pylist()
        assert sorted({row["split"] for row in scores}) == ["private", "public"]
        assert [row["accuracy"] for row in scores[:3]] == [0.7, 0.71, 0.69]


def test_without_pyarrow_it_says_what_to_install(
    recorded: Callable[..., Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ExportError, match="needs pyarrow") as caught:
        write_parquet(recorded(), tmp_path)
    assert "aarlab[data]" in caught.value.advice


def test_a_folder_that_cannot_be_written_is_told(recorded: Callable[..., Record], tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be written"):
        write_parquet(recorded(), tmp_path / "file")
