"""A real PostgreSQL for tests: a cluster in a temporary folder, reached through a unix socket only."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

DEBIAN = Path("/usr/lib/postgresql")
TEMPLATE = "aarlab_template"
START_SECONDS = 60.0
# What is lost when the machine loses power does not matter here.
SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=200", "listen_addresses=", "shared_buffers=32MB")


class Cluster:
    """A running cluster; each test takes a database of its own."""

    def __init__(self, socket: Path, user: str) -> None:
        self.socket, self.user = socket, user
        self._numbers = itertools.count(1)
        self._template = False

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{self.user}@/{database}?host={self.socket}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(host=str(self.socket), user=self.user, dbname="postgres", autocommit=True) as connection:
            connection.execute(statement)

    def fresh(self) -> str:
        """URL of a new database with the tables in it."""
        if not self._template:
            from aarlab.server._database import Database

            self.execute(f"CREATE DATABASE {TEMPLATE}")
            Database(self.url(TEMPLATE)).close()
            self._template = True
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return self.url(name)

    def empty(self) -> str:
        """URL of a new database with nothing in it."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def programs() -> Path | None:
    """The folder of PostgreSQL's programs; None where it is not installed."""
    if found := shutil.which("postgres"):
        return Path(found).parent
    folders = sorted(DEBIAN.glob("*/bin/postgres"), key=lambda path: float(path.parent.parent.name))
    return folders[-1].parent if folders else None


@contextmanager
def cluster(bin_folder: Path) -> Iterator[Cluster]:
    """Start a cluster, as an unprivileged user if we are root: PostgreSQL refuses root."""
    user = _owner()
    folder = Path(tempfile.mkdtemp(prefix="aarlab-pg-"))  # a short path: a socket's has at most 107 characters
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    settings = [part for setting in SETTINGS for part in ("-c", setting)]
    try:
        initialise = [bin_folder / "initdb", "-D", data, "-U", "aarlab", "-A", "trust", "-E", "UTF8", "-N"]
        subprocess.run(initialise, user=user, cwd=folder, check=True, capture_output=True)
        with (folder / "log").open("wb") as log:
            command = [bin_folder / "postgres", "-D", data, "-k", folder, *settings]
            server = subprocess.Popen(command, user=user, cwd=folder, stdout=log, stderr=log)
        try:
            started = Cluster(folder, "aarlab")
            _await(started, server, folder / "log")
            yield started
        finally:
            server.send_signal(signal.SIGINT)  # fast: it does not wait for its clients
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await(started: Cluster, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            started.execute("SELECT 1")
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return


def _owner() -> str | None:
    """Who shall run it: `postgres` or `nobody` if we are root, else we."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
