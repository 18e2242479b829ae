"""What the API offers, as an OpenAPI document and as a page that people read.

Both are open: they are the same for every server of this version and hold nothing of this one, and a browser has no way
to send a bearer token. The page is made here, of the document; it has no script and asks no other host for anything.
"""

import base64
import hashlib
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from aarlab.api.schemas import PREFIX
from aarlab.server._problems import MEDIA_TYPE

METHODS = ("get", "post", "put", "patch", "delete")
REASONS = {
    "401": "The token is missing, unknown, expired or revoked.",
    "403": "The token is of another role.",
    "404": "There is no such thing, or it is another study's.",
    "409": "It comes at the wrong time: the study is over or paused, or the name is taken.",
    "413": "The body is too large.",
    "422": "The request is not what this endpoint takes.",
    "429": "Too many requests, or a budget is spent (`spent` and `limit` say so).",
    "503": "The database cannot be reached or is locked; nothing was kept. Send it again after `Retry-After`.",
}
#: By schema: what a request may look like.
EXAMPLES: dict[str, dict[str, Any]] = {
    "StudyCreate": {"testbed": "chat", "seeds": 3, "evaluations_per_researcher": 12},
    "ResearcherCreate": {"name": "ada", "kind": "llm", "direction": "confidence: trust the student where it is sure"},
    "SubmissionCreate": {
        "name": "vanilla",
        "code": "def fit(problem, seed):\n    return problem.student.finetune(problem.weak_labels, seed=seed)\n",
    },
    "FindingCreate": {
        "kind": "result",
        "title": "Averaging over both orders helps",
        "body": "Compare #12 with #7.",
        "submission": 12,
        "tags": ["order", "ensembling"],
    },
    "Ask": {"submissions": [12, 17]},
    "TokenCreate": {"role": "viewer", "study": "chat-1a2b3c4d", "label": "for a colleague", "hours": 72},
    "Overrule": {"verdict": "passed", "reason": "The word that it hangs on is part of the task."},
}


def install(app: FastAPI) -> None:
    """Serve the document and the page.

    Args:
        app: with all its routes.
    """

    @cache
    def document() -> dict[str, Any]:
        return _document(app)

    @cache
    def page() -> tuple[str, str]:
        return _page(document())

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to replace it

    @app.get(f"{PREFIX}/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        """The API, for people."""
        html, policy = page()
        return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with each route's own errors, as problems, and examples."""
    document = get_openapi(
        title=app.title, version=app.version, description=_description(), routes=app.routes, tags=_tags()
    )
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's; ours is `Problem`
        schemas.pop(name, None)
    for name, example in EXAMPLES.items():
        if name in schemas:
            schemas[name]["example"] = example
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"] = _successes(operation) | {
                status: {
                    "description": REASONS[status],
                    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for status in _errors(path, operation)
            }
            if operation.get("tags"):
                operation["security"] = [{"token": []}]
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return document


def _successes(operation: dict[str, Any]) -> dict[str, Any]:
    return {status: answer for status, answer in operation["responses"].items() if status.startswith(("2", "3"))}


def _errors(path: str, operation: dict[str, Any]) -> list[str]:
    """Statuses of the errors that a route may answer with."""
    guarded, body = bool(operation.get("tags")), "requestBody" in operation
    possible = {
        "401": guarded,
        "403": guarded,
        "404": "{" in path or body,
        "409": body,
        "413": body,
        "422": body or bool(operation.get("parameters")),
        "429": True,
        "503": guarded,
    }
    return [status for status, holds in possible.items() if holds]


def _tags() -> list[dict[str, str]]:
    return [
        {"name": "operator", "description": "Everything, exact figures too."},
        {"name": "researcher", "description": "What a researcher does in its study, and reads of it: guarded figures."},
        {"name": "viewer", "description": "What researchers read, without changing anything."},
    ]


def _description() -> str:
    return (
        "Send `Authorization: Bearer TOKEN`. Errors are problem details (RFC 9457) with `detail` and `advice`. "
        "Listings take `after` and `limit`; where there is more, the header `Link` names the next page. "
        "429 with the type `urn:aarlab:rate` means: wait as `Retry-After` says, then send it again."
    )


def _page(document: dict[str, Any]) -> tuple[str, str]:
    """The page, and the content security policy under which it needs nothing more."""
    environment = Environment(loader=PackageLoader("aarlab.server"), autoescape=True, trim_blocks=True)
    environment.filters["coded"] = _coded
    style = environment.get_template("docs.css").render()
    html = environment.get_template("docs.html.j2").render(
        style=Markup(style),  # noqa: S704 - a file of ours
        info=document["info"],
        tags=document["tags"],
        routes=_routes(document),
        schemas=document["components"]["schemas"],
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return html, f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'"


def _routes(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What the page shows of each route."""
    schemas = document["components"]["schemas"]
    return [
        {
            "method": method.upper(),
            "path": path,
            "operation": operation,
            "body": (body := _schema(operation.get("requestBody", {}))),
            "example": schemas.get(body, {}).get("example"),
            "answers": [(status, answer["description"], _schema(answer)) for status, answer in _answers(operation)],
        }
        for path, operations in sorted(document["paths"].items())
        for method, operation in operations.items()
        if method in METHODS
    ]


def _coded(text: str) -> Markup:
    """A text in which words between backticks are code."""
    return Markup().join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(text.split("`"))
    )


def _answers(operation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(operation["responses"].items())


def _schema(part: dict[str, Any]) -> str:
    """Name of the schema of a body, or of what a list of it holds; empty if it has none."""
    for content in part.get("content", {}).values():
        schema = content.get("schema", {})
        reference = schema.get("$ref") or schema.get("items", {}).get("$ref") or ""
        return str(reference).rpartition("/")[2]
    return ""
