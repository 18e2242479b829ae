"""Answers of remote models on disk, so that what was paid for once is never asked again."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aarlab.students._remote_http import RemoteError
from aarlab.students._remote_wire import Said

FILE = "answers.sqlite3"


class Cache:
    """Answers on disk: one SQLite file, one transaction an answer; safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Open the file in a folder, or make both.

        Raises:
            RemoteError: what is there is no such file.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / FILE
        self._lock = threading.Lock()
        self._database = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            self._run("PRAGMA journal_mode=WAL")
            self._run("PRAGMA synchronous=NORMAL")
            self._run("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, said TEXT NOT NULL)")
        except RemoteError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def get(self, key: str) -> Said | None:
        """The answer of that name, if there is one that can be read."""
        rows = self._run("SELECT said FROM answers WHERE key = ?", key)
        try:
            return Said.model_validate_json(rows[0][0]) if rows else None
        except ValidationError:
            return None  # ask again

    def put(self, key: str, said: Said) -> None:
        """Keep an answer."""
        self._run("INSERT OR REPLACE INTO answers VALUES (?, ?)", key, said.model_dump_json())

    def _run(self, statement: str, *values: str) -> list[Any]:
        with self._lock:
            try:
                return self._database.execute(statement, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise RemoteError(
                    f"The answers in {self._path} cannot be used: {error}.",
                    "Move the file away; its answers have to be paid for again.",
                ) from error
