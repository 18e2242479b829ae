"""`aarlab serve`: the server alone, for researchers that are started elsewhere."""

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from aarlab.cli._common import InSandbox, NoSandbox, choose_sandbox, err, reporting_errors
from aarlab.errors import AarlabError
from aarlab.evaluation import default_workers
from aarlab.server import StudyEvaluators, create_app
from aarlab.server import serve as run_server
from aarlab.testbeds import pack_names

VARIABLE = "AARLAB_OPERATOR_TOKEN"
MIN_TOKEN = 16


@reporting_errors
def serve(
    database: Annotated[Path, typer.Option(help="SQLite file; made if absent. Keep it to yourself.")] = Path(
        "aarlab.db"
    ),
    host: Annotated[str, typer.Option(help="Address to listen on. Beyond loopback, put TLS in front.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8470,
    workers: Annotated[int | None, typer.Option(min=1, help="Evaluations at a time; default: one a core.")] = None,
    sandbox: InSandbox = "auto",
    unsafe_no_sandbox: NoSandbox = False,
) -> None:
    """Serve studies on all testbeds over HTTP until Ctrl-C.

    The operator's token is read from AARLAB_OPERATOR_TOKEN, or made and printed once. With it, start a study
    (POST /api/v1/studies) and admit researchers (POST /api/v1/studies/ID/researchers); each gets a token.

    Example: AARLAB_OPERATOR_TOKEN=$(openssl rand -hex 24) aarlab serve --port 8470
    """
    token = os.environ.get(VARIABLE, "")
    if not token:
        token = secrets.token_urlsafe(32)
        err.print(f"Operator's token, shown this once: [bold]{token}[/]", highlight=False)
    elif len(token) < MIN_TOKEN:
        raise AarlabError(f"{VARIABLE} has fewer than {MIN_TOKEN} characters.", "Use `openssl rand -hex 24`.")
    with StudyEvaluators(choose_sandbox(unsafe_no_sandbox, sandbox)) as evaluators:
        app = create_app(database, evaluators, token, workers or default_workers())
        err.print(f"Serving {', '.join(pack_names())} on http://{host}:{port}/api/v1; Ctrl-C ends it.", highlight=False)
        run_server(app, host, port)
