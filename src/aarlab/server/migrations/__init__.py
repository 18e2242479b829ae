"""Alembic's scripts: how the tables came to be as they are. `server/_database.py` runs them."""
