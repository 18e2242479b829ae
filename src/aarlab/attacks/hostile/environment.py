"""Looks for tokens and keys in its own environment, and in the one the kernel started it with."""
# ruff: noqa: PTH123 - it does what attackers do

import os
import re

SECRET = ("", "")  # filled in: two halves, so that this file does not hold it


def attempt() -> float:
    """1 if a variable holds the secret, or is named like one."""
    with open("/proc/self/environ", "rb") as file:
        started = file.read().decode(errors="replace").split("\0")
    variables = [f"{name}={value}" for name, value in os.environ.items()] + started
    suspect = re.compile(r"(?i)^[a-z_]*(token|secret|password|api_?key)[a-z_]*=")
    return float(any("".join(SECRET) in line or suspect.match(line) for line in variables))
