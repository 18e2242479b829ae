"""Full-text search over findings; see `server/_search.py`.

A later migration that makes SQLite's table `findings` anew must make these triggers anew, too.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = depends_on = None

POSTGRESQL = (
    """
    ALTER TABLE findings ADD COLUMN finding_search tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', body), 'D')
    ) STORED
    """,
    "CREATE INDEX ix_findings_finding_search ON findings USING gin (finding_search)",
)

SQLITE = (
    """
    CREATE VIRTUAL TABLE finding_search USING fts5(
        title, body, content='findings', content_rowid='id', tokenize='porter unicode61 remove_diacritics 0'
    )
    """,
    """
    CREATE TRIGGER finding_search_insert AFTER INSERT ON findings BEGIN
        INSERT INTO finding_search (rowid, title, body) VALUES (new.id, new.title, new.body);
    END
    """,
    """
    CREATE TRIGGER finding_search_delete AFTER DELETE ON findings BEGIN
        INSERT INTO finding_search (finding_search, rowid, title, body)
        VALUES ('delete', old.id, old.title, old.body);
    END
    """,
    """
    CREATE TRIGGER finding_search_update AFTER UPDATE OF title, body ON findings BEGIN
        INSERT INTO finding_search (finding_search, rowid, title, body)
        VALUES ('delete', old.id, old.title, old.body);
        INSERT INTO finding_search (rowid, title, body) VALUES (new.id, new.title, new.body);
    END
    """,
    "INSERT INTO finding_search (finding_search) VALUES ('rebuild')",
)


def upgrade() -> None:
    """Index what is there and whatever comes."""
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)
