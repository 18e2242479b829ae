"""Calls a process of the operator over its unix sockets: one with a path, one with an abstract name."""

import socket

SOCKETS = ["/nowhere"]  # filled in


def attempt() -> float:
    """1 if one of them answered."""
    for name in SOCKETS:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(2)
                connection.connect(name)
                return 1.0
        except OSError:
            continue
    return 0.0
