import logging
import resource
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aarlab.testbeds import Source, TestbedError
from aarlab.testbeds.sources import read_answers
from aarlab.testbeds.texts import (
    TEXTS,
    TextMissing,
    assemble,
    digest,
    digests,
    read_texts,
    texts_file,
    texts_folder,
    texts_of,
    write_texts,
)

STRING = np.dtypes.StringDType()
PAIRS = np.array([["How many?", "Two.", "Three."], ["Où ?", "Là-bas 🙂", ""], ["How many?", "Three.", "Two."]], STRING)
SINGLE = np.array([["How many?", "Two."], ["How many?", "Three."]], STRING)
ANSWERS = [("Où ?", ""), ("no", "use"), ("How many?", "Three."), ("Où ?", "Là-bas 🙂"), ("How many?", "Two.")]
plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.fixture
def pack(small_pack):
    """A pack whose text is `PAIRS`."""
    return replace(small_pack, digests=digests(PAIRS))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("AARLAB_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "texts"


def test_a_digest_never_changes_for_packs_are_made_of_it():
    assert digest("a", "b") == int.from_bytes(bytes.fromhex("59b271ae1bbcb1d3"), "little")
    assert digest("ä", "") != digest("", "ä")
    assert 0 <= digest("", "") < 2**64


@pytest.mark.parametrize("texts", [PAIRS, SINGLE], ids=["pairs", "single"])
def test_digests_of_all_candidates(texts):
    found = digests(texts)
    assert found.dtype == np.uint64
    assert found.shape == (len(texts), texts.shape[1] - 1)
    assert found[1, 0] == digest(str(texts[1, 0]), str(texts[1, 1]))


@pytest.mark.parametrize("texts", [PAIRS, SINGLE], ids=["pairs", "single"])
def test_rows_are_found_whatever_else_there_is_and_in_whatever_order(texts):
    assembled = assemble(digests(texts), iter(ANSWERS), "x")
    assert assembled.dtype == STRING
    np.testing.assert_array_equal(assembled, texts)


def test_nothing_more_is_read_once_all_is_found():
    def answers():
        yield from ANSWERS
        raise AssertionError("read on")

    assemble(digests(PAIRS), answers(), "x")


def test_rows_without_text_are_listed():
    with pytest.raises(TextMissing, match=r"2 of 3 rows of chat have no text.*first is row 0.*--from") as caught:
        assemble(digests(PAIRS), [a for a in ANSWERS if a[1] != "Two."], "chat")
    assert caught.value.rows.tolist() == [0, 2]


def test_text_that_is_no_unicode_is_passed_over():
    assemble(digests(PAIRS), [("\ud83d", "x"), *ANSWERS], "x")


def test_candidates_of_different_prompts_make_no_row():
    wanted = np.array([[digest("one", "a"), digest("two", "b")]], np.uint64)
    with pytest.raises(TestbedError, match="different prompts"):
        assemble(wanted, [("one", "a"), ("two", "b")], "x")


@settings(deadline=None)
@given(rows=st.lists(st.tuples(plain, plain, plain), max_size=5))
def test_any_text_reads_back_as_it_was_written(rows, tmp_path_factory):
    texts = np.array(rows, STRING).reshape(len(rows), 3)
    path = tmp_path_factory.mktemp("texts") / "deeper" / "x.npz"
    write_texts(texts, path)
    again = read_texts(path, digests(texts))
    assert again.tolist() == texts.tolist()
    assert [file.name for file in path.parent.iterdir()] == ["x.npz"]


@pytest.mark.parametrize("kept", [0, 1, 40, 0.5, 0.99])
def test_text_cut_short_is_refused(tmp_path, kept):
    path = tmp_path / "x.npz"
    write_texts(PAIRS, path)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(TestbedError, match="damaged"):
        read_texts(path, digests(PAIRS))


def test_no_flipped_byte_goes_unnoticed(tmp_path):
    path = tmp_path / "x.npz"
    write_texts(PAIRS, path)
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            again = read_texts(path, digests(PAIRS))
        except TestbedError:
            continue
        assert again.tolist() == PAIRS.tolist()  # a byte that says nothing, such as a date


@pytest.mark.parametrize(
    "lengths",
    [np.array([[4, -1, 1]]), np.array([[1, 1, 1]]), np.array([[9, 0, 0]])],
    ids=["negative", "short", "long"],
)
def test_lengths_that_do_not_add_up_are_refused(tmp_path, lengths):
    np.savez(tmp_path / "x.npz", data=np.frombuffer(b"text", np.uint8), lengths=lengths)
    with pytest.raises(TestbedError, match="damaged"):
        read_texts(tmp_path / "x.npz", np.zeros((1, 2), np.uint64))


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(TestbedError, match=r"no text.*aarlab testbed fetch"):
        read_texts(tmp_path / "x.npz", digests(PAIRS))


@pytest.mark.parametrize(
    "other",
    [PAIRS[::-1], PAIRS[:2], PAIRS[:, [0, 2, 1]], PAIRS[:, :2], np.array([["How many?", "Two.", "Four."]], STRING)],
    ids=["reordered", "fewer", "swapped", "single", "other"],
)
def test_text_of_another_pack_is_refused(tmp_path, other):
    write_texts(other, tmp_path / "x.npz")
    with pytest.raises(TestbedError, match="another pack"):
        read_texts(tmp_path / "x.npz", digests(PAIRS))


def test_a_full_disk_leaves_the_old_text_and_no_litter(tmp_path):
    path = tmp_path / "x.npz"
    write_texts(PAIRS, path)
    noise = np.random.default_rng(0).bytes(200_000).hex()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(TestbedError, match=r"Cannot write to .*Make room.*AARLAB_DATA"):
            write_texts(np.array([["", noise, ""]], STRING), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read_texts(path, digests(PAIRS)).tolist() == PAIRS.tolist()
    assert [file.name for file in tmp_path.iterdir()] == ["x.npz"]


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"AARLAB_DATA": "/data", "XDG_DATA_HOME": "/xdg"}, "/data/texts"),
        ({"XDG_DATA_HOME": "/xdg"}, "/xdg/aarlab/texts"),
        ({"XDG_DATA_HOME": "relative"}, "/home/me/.local/share/aarlab/texts"),
        ({}, "/home/me/.local/share/aarlab/texts"),
        ({"AARLAB_DATA": "~/lab"}, "/home/me/lab/texts"),
    ],
)
def test_where_texts_are_kept(monkeypatch, variables, folder):
    for name in ("AARLAB_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    assert str(texts_folder()) == folder


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "a\0b"])
def test_a_name_that_is_no_file_name_is_refused(pack, name):
    with pytest.raises(TestbedError, match="cannot name a file"):
        texts_file(replace(pack, manifest=pack.manifest.model_copy(update={"name": name})))


def test_text_is_found_in_the_data_folder_or_beside_the_pack(pack, tmp_path, home):
    assert texts_of(pack) is None
    assert texts_of(pack, tmp_path / "pack") is None
    write_texts(PAIRS, tmp_path / "pack" / TEXTS)
    assert texts_of(pack) is None
    assert texts_of(pack, tmp_path / "pack").tolist() == PAIRS.tolist()
    write_texts(PAIRS, home / "synthetic.npz")
    assert texts_of(pack).tolist() == PAIRS.tolist()


def test_text_of_an_older_pack_is_passed_over_but_told_of(pack, home, caplog):
    write_texts(PAIRS[::-1], home / "synthetic.npz")
    with caplog.at_level(logging.WARNING):
        assert texts_of(pack) is None
    assert "another version" in caplog.text


def test_generated_text_needs_no_file(small_pack, caplog):
    story, program = (read_answers(name) for name in ("arithmetic_story", "arithmetic_program"))
    pairs = [pair for answers in (story, program) for pair in (answers[:2], answers[-2:])]
    texts = np.array([[first.question, first.text, second.text] for first, second in pairs], STRING)
    sources = tuple(Source(name=n, part="id", data="", licence="") for n in ("arithmetic_story", "arithmetic_program"))
    pack = with_sources(replace(small_pack, digests=digests(texts)), *sources)
    assert texts_of(pack).tolist() == texts.tolist()
    assert texts_of(with_sources(pack, *sources, Source(name="chat", part="ood", data="", licence=""))) is None
    assert not caplog.text
    assert texts_of(with_sources(pack, sources[0])) is None
    assert "2 of 4 rows" in caplog.text


def with_sources(pack, *sources):
    return replace(pack, manifest=pack.manifest.model_copy(update={"sources": sources}))
