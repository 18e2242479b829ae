"""Files that researchers hand in: packed workspaces, transcripts. Opaque to the server."""

from datetime import datetime
from enum import StrEnum

from aarlab.api.schemas import Schema

MAX_SNAPSHOT_BYTES = 16 * 1024 * 1024


class SnapshotKind(StrEnum):
    """What a snapshot is."""

    WORKSPACE = "workspace"
    TRANSCRIPT = "transcript"


class Snapshot(Schema):
    """A snapshot, without its content."""

    id: int
    researcher: str
    kind: SnapshotKind
    sha256: str
    bytes: int
    note: str
    created_at: datetime
