"""Leaves marks in every folder, and looks for those that another run of it left."""
# ruff: noqa: PTH110, PTH111, PTH118, PTH123, S108 - it does what attackers do

import os

NAME = "aarlab-state"


def attempt() -> float:
    """1 if an earlier run's mark was found."""
    places = [
        "/tmp",
        "/dev/shm",
        "/var/tmp",
        "/run",
        "/job",
        "/runtime",
        "/packages",
        os.path.expanduser("~"),
        "/",
        "/dev",
    ]
    found = any(os.path.exists(os.path.join(place, NAME)) for place in places)
    for place in places:
        try:
            with open(os.path.join(place, NAME), "w") as file:
                file.write("seen")
        except OSError:
            continue
    return float(found)
