"""Testbeds: what methods are scored on, with floor and ceiling."""

from aarlab.testbeds.pack import (
    Inputs,
    Manifest,
    Pack,
    TestbedError,
    pack_names,
    packs_folder,
    read_pack,
    write_pack,
)
from aarlab.testbeds.testbed import (
    SCORED,
    SPLITS,
    Anchors,
    Split,
    Testbed,
    correctness,
    load_testbed,
    make_testbed,
    write_calibration,
)

__all__ = [
    "SCORED",
    "SPLITS",
    "Anchors",
    "Inputs",
    "Manifest",
    "Pack",
    "Split",
    "Testbed",
    "TestbedError",
    "correctness",
    "load_testbed",
    "make_testbed",
    "pack_names",
    "packs_folder",
    "read_pack",
    "write_calibration",
    "write_pack",
]
