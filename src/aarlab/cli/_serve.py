"""`aarlab serve`: the server alone, for researchers that are started elsewhere."""

import ipaddress
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
from aarlab.studies.conductor import Conductor
from aarlab.testbeds import pack_names

VARIABLE = "AARLAB_OPERATOR_TOKEN"
MIN_TOKEN = 16
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - how this machine reaches itself


@reporting_errors
def serve(
    database: Annotated[
        str, typer.Option(help="SQLite file, made if absent, or a PostgreSQL URL. Keep it to yourself.")
    ] = "aarlab.db",
    artifacts: Annotated[
        str | None,
        typer.Option(help="Folder or fsspec URL for code, scores and snapshots; default: artifacts, beside the file."),
    ] = None,
    workspaces: Annotated[Path, typer.Option(help="Folder for the researchers that this server itself starts.")] = Path(
        "workspaces"
    ),
    host: Annotated[str, typer.Option(help="Address to listen on. Beyond loopback, put TLS in front.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8470,
    unix_socket: Annotated[
        Path | None, typer.Option(help="Listen on this socket file instead; only you can connect to it.")
    ] = None,
    proxy: Annotated[
        str | None, typer.Option(help="Address of a reverse proxy whose X-Forwarded-* headers are believed.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Evaluations at a time; default: one a core, but for one that serves.")
    ] = None,
    sandbox: InSandbox = "auto",
    unsafe_no_sandbox: NoSandbox = False,
) -> None:
    """Serve studies on all testbeds over HTTP until Ctrl-C, with the dashboard.

    The operator's token is read from AARLAB_OPERATOR_TOKEN, or made and printed once. With it, log in to the dashboard,
    or start a study (POST /api/v1/studies) and admit researchers (POST /api/v1/studies/ID/researchers); each gets a
    token. `aarlab token` gives out further ones.

    Example: AARLAB_OPERATOR_TOKEN=$(openssl rand -hex 24) aarlab serve --port 8470
    """
    token = os.environ.get(VARIABLE, "")
    if not token:
        token = secrets.token_urlsafe(32)
        err.print(f"Operator's token, shown this once: [bold]{token}[/]", highlight=False, soft_wrap=True)
    elif len(token) < MIN_TOKEN:
        raise AarlabError(f"{VARIABLE} has fewer than {MIN_TOKEN} characters.", "Use `openssl rand -hex 24`.")
    by_url = "://" in database
    if by_url and artifacts is None:
        raise AarlabError("A database by URL needs --artifacts.", "Name a folder, or a URL such as s3://BUCKET/PREFIX.")
    if unix_socket is None and not _is_loopback(host):
        err.print(
            f"[bold yellow]{host} can be reached from other machines:[/] tokens travel unencrypted. Put TLS in front.",
            highlight=False,
            soft_wrap=True,
        )
    url = _url(host, port, unix_socket)
    with (
        StudyEvaluators(choose_sandbox(unsafe_no_sandbox, sandbox)) as evaluators,
        Conductor(url, token, workspaces) as conductor,
    ):
        app = create_app(
            database if by_url else Path(database),
            evaluators,
            token,
            workers or max(1, default_workers() - 1),
            artifacts=artifacts,
            launch=conductor.launch,
        )
        err.print(f"Serving {', '.join(pack_names())} on {url}; Ctrl-C ends it.", highlight=False, soft_wrap=True)
        run_server(app, host, port, unix_socket=unix_socket, proxy=proxy, listening=conductor.go_on)


def _is_loopback(host: str) -> bool:
    """Whether nobody on another machine can connect to an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url(host: str, port: int, unix_socket: Path | None) -> str:
    """How clients on this machine reach the server."""
    if unix_socket is not None:
        return f"unix://{unix_socket.absolute()}"
    near = ANYWHERE.get(host, host)
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"
