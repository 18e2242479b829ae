import json

import numpy as np
import pytest

from aarlab.testbeds import TestbedError, packs_folder, read_pack, write_pack
from aarlab.testbeds.pack import FILES, quantise


def test_a_pack_reads_back_as_it_was_written(small_pack, tmp_path):
    write_pack(small_pack, tmp_path / "pack")
    again = read_pack(tmp_path / "pack")
    np.testing.assert_array_equal(again.inputs.hidden, small_pack.inputs.hidden)
    np.testing.assert_array_equal(again.weak_inputs.toarray(), small_pack.weak_inputs.toarray())
    np.testing.assert_array_equal(again.labels, small_pack.labels)
    assert again.manifest.checksums.keys() == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_noticed(small_pack, tmp_path, name):
    folder = tmp_path / "pack"
    write_pack(small_pack, folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(TestbedError, match="checksum"):
        read_pack(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no pack"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": 2}', "damaged"),
        ('{"format": 1}', "format 1"),
    ],
)
def test_a_bad_manifest_says_so(tmp_path, content, message):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(TestbedError, match=message):
        read_pack(tmp_path)


def test_int8_steps_keep_small_dimensions_beside_huge_ones():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(500, 1, 8)) * np.array([1, 1, 1, 1, 1, 1, 1, 1000.0])
    steps, scale = quantise(hidden)
    restored = steps * scale
    for dimension in range(8):
        assert np.corrcoef(restored[:, 0, dimension], hidden[:, 0, dimension])[0, 1] > 0.999


def test_shipped_packs_hold_numbers_only_and_stay_small():
    total = 0
    for folder in packs_folder().iterdir():
        manifest = json.loads((folder / "manifest.json").read_text())
        assert all(source["licence"] for source in manifest["sources"])
        assert manifest["recipe"]["weights"]["sha256"]
        for path in folder.glob("*.npz"):
            with np.load(path, allow_pickle=False) as arrays:
                kinds = {name: arrays[name].dtype.kind for name in arrays.files if name != "pack"}
            assert set(kinds.values()) <= set("iuf"), f"{path} holds text or objects"
            total += path.stat().st_size
    assert total < 60e6
