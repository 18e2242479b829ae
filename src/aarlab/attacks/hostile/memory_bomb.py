"""Takes memory until the machine has none left."""


def attempt() -> float:
    """1 if 16 GiB could be had."""
    held = []
    for _ in range(1024):
        block = bytearray(2**24)
        block[::4096] = b"x" * len(block[::4096])
        held.append(block)
    return 1.0
