"""Testbeds: what methods are scored on, with floor and ceiling."""

from aarlab.testbeds.calibration import draw_splits, make_testbed, read_calibration, write_calibration
from aarlab.testbeds.catalog import (
    CALIBRATION,
    PROBE,
    calibrate,
    load_pack,
    load_testbed,
    pack_folder,
    pack_names,
    packs_folder,
)
from aarlab.testbeds.fitting import Fitting, RemoteBudget, fit_probe
from aarlab.testbeds.pack import (
    PARTS,
    Inputs,
    Manifest,
    Pack,
    Part,
    Shortcut,
    Source,
    TestbedError,
    Weak,
    read_pack,
    write_pack,
)
from aarlab.testbeds.testbed import SCORED, SPLITS, Anchors, Split, Testbed, correctness

__all__ = [
    "CALIBRATION",
    "PARTS",
    "PROBE",
    "SCORED",
    "SPLITS",
    "Anchors",
    "Fitting",
    "Inputs",
    "Manifest",
    "Pack",
    "Part",
    "RemoteBudget",
    "Shortcut",
    "Source",
    "Split",
    "Testbed",
    "TestbedError",
    "Weak",
    "calibrate",
    "correctness",
    "draw_splits",
    "fit_probe",
    "load_pack",
    "load_testbed",
    "make_testbed",
    "pack_folder",
    "pack_names",
    "packs_folder",
    "read_calibration",
    "read_pack",
    "write_calibration",
    "write_pack",
]
