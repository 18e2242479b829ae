"""Make a virtual environment with everything in requirements.lock, and aarlab itself.

    python3 scripts/setup.py .venv

Runs on a bare Python 3.11+. Debian's python3 comes without ensurepip, so where that is missing pip
is fetched from PyPI, its checksum compared with the one PyPI states.
"""

import hashlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def say(text: str) -> None:
    sys.stderr.write(f"set-up: {text}\n")


def fetch_pip(folder: Path) -> Path:
    """Download the newest pip wheel."""
    with urllib.request.urlopen("https://pypi.org/pypi/pip/json", timeout=60) as answer:
        files = json.load(answer)["urls"]
    wheel = next(f for f in files if f["packagetype"] == "bdist_wheel")
    with urllib.request.urlopen(wheel["url"], timeout=60) as answer:  # noqa: S310 - https, from PyPI's own index
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != wheel["digests"]["sha256"]:
        raise SystemExit("set-up: the pip wheel from PyPI does not match its checksum; try again")
    path = folder / str(wheel["filename"])
    path.write_bytes(content)
    return path


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - this very check is for older ones
        raise SystemExit(
            f"set-up: aarlab needs Python 3.11 or newer, this is {sys.version.split()[0]}.\n"
            "        Name another one: make PYTHON=/usr/bin/python3.12"
        )
    target = Path(sys.argv[1]).absolute()
    has_pip = importlib.util.find_spec("ensurepip") is not None
    say(f"making {target} (about a minute, once)")
    venv.create(target, with_pip=has_pip, clear=True, symlinks=True)
    python = str(target / "bin" / "python")
    if not has_pip:
        with tempfile.TemporaryDirectory() as folder:
            wheel = fetch_pip(Path(folder))
            subprocess.run([python, f"{wheel}/pip", "install", "--quiet", "pip"], check=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "--requirement", str(ROOT / "requirements.lock")], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", str(ROOT)], check=True)
    (target / ".ready").touch()
    say("done")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"set-up: {' '.join(error.cmd)} failed (exit {error.returncode}); its message stands above.\n"
            "        Set-up needs PyPI: check the network, then run make again."
        ) from None
