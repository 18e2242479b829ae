"""Every route of the server."""

from pathlib import Path

from aarlab.server import create_app
from double import TOKEN, Double, only


def operations() -> list[tuple[str, str, frozenset[str]]]:
    """Method, path and roles of every route."""
    app = create_app(Path("never-opened.db"), only(Double()), TOKEN)
    names = {"study": "nowhere", "submission": 1, "name": "reading"}
    return [
        (method.upper(), path.format(**names), frozenset(operation.get("tags", ())))
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


OPERATIONS = operations()
