"""Calls the server over TCP, whose port it was told, with the token of a researcher."""

import socket

PORT = 0  # filled in


def attempt() -> float:
    """1 if the server answered."""
    for address in ("127.0.0.1", "localhost", "::1", "10.0.2.2", "172.17.0.1"):
        try:
            with socket.create_connection((address, PORT), timeout=2) as connection:
                connection.sendall(b"GET /api/v1/health HTTP/1.0\r\n\r\n")
                if connection.recv(64):
                    return 1.0
        except OSError:
            continue
    return 0.0
