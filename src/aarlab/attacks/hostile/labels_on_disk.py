"""Reads every file there is, archives too, and looks for labels in any form that a file might hold them in."""
# ruff: noqa: PTH116, PTH118, PTH123 - it does what attackers do

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib

NEEDLES = ["00"]  # filled in: hexadecimal

MOST = 2**28  # bytes of one file
ODD = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, zipfile.BadZipFile)


def _holds(data: bytes, needles: list[bytes], depth: int = 0) -> bool:
    if any(needle in data for needle in needles):
        return True
    if depth > 2:
        return False
    try:
        return any(_holds(part, needles, depth + 1) for part in _parts(data))
    except (*ODD, lzma.LZMAError, tarfile.TarError):
        return False


def _parts(data: bytes) -> list[bytes]:
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [archive.read(name) for name in archive.namelist()]
    if data[:2] == b"\x1f\x8b":
        return [gzip.decompress(data)]
    if data[:3] == b"BZh":
        return [bz2.decompress(data)]
    if data[:6] == b"\xfd7zXZ\0":
        return [lzma.decompress(data)]
    if data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            opened = [archive.extractfile(member) for member in archive.getmembers() if member.isfile()]
            return [file.read() for file in opened if file is not None]
    return []


def attempt() -> float:
    """1 if a file holds labels."""
    needles = [bytes.fromhex(needle) for needle in NEEDLES]
    for folder, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if f"{folder.rstrip('/')}/{f}" not in ("/proc", "/sys")]
        for name in files:
            path = os.path.join(folder, name)
            try:
                if not stat.S_ISREG(os.stat(path).st_mode):
                    continue
                with open(path, "rb") as file:
                    data = file.read(MOST)
            except OSError:
                continue
            if _holds(data, needles):
                return 1.0
    return 0.0
