"""`aarlab token`: give out, list and end the tokens of a running server."""

import os
import sys
from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from aarlab.api import NotFound, OperatorClient
from aarlab.api.access import Role, Token, TokenCreate
from aarlab.cli._common import Json, err, out, reporting_errors
from aarlab.errors import AarlabError

app = typer.Typer(no_args_is_help=True, help="Give out, list and end the tokens of a running server.")

VARIABLE = "AARLAB_TOKEN"

Url = Annotated[str, typer.Option(help="The server: http://HOST:PORT, or unix:///PATH of its socket file.")]
DEFAULT_URL = "http://127.0.0.1:8470"


@app.command("issue")
@reporting_errors
def issue(
    role: Annotated[Role, typer.Argument(help="What the token may do.", show_default=False)],
    study: Annotated[
        str | None, typer.Option(help="The study that it opens; default: all, for operators and viewers.")
    ] = None,
    researcher: Annotated[
        str | None, typer.Option(help="Name of the researcher whose it is; a researcher's token needs it, and --study.")
    ] = None,
    label: Annotated[str, typer.Option(help="What it is for, in your words.")] = "",
    hours: Annotated[float | None, typer.Option(help="After how many it expires; default: never.")] = None,
    url: Url = DEFAULT_URL,
    json_: Json = False,
) -> None:
    """Give out a token. It is printed this once; the server keeps its hash only.

    An operator's token is read from AARLAB_TOKEN, or asked for.

    Example: aarlab token issue viewer --label "for a colleague" --hours 72
    """
    with _operator(url) as operator:
        whose = None if researcher is None else _researcher(operator, study, researcher)
        wanted = _wanted(role=role, study=study, researcher=whose, label=label, hours=hours)
        issued = operator.issue(wanted)
    if json_:
        typer.echo(issued.model_dump_json(indent=1))
        return
    err.print(f"Token {issued.about.id}, shown this once:", highlight=False)
    typer.echo(issued.token)


@app.command("list")
@reporting_errors
def list_(url: Url = DEFAULT_URL, json_: Json = False) -> None:
    """List the tokens that were given out, over or not: never the tokens themselves.

    Example: aarlab token list
    """
    with _operator(url) as operator:
        tokens = operator.tokens()
    if json_:
        typer.echo("[" + ",\n".join(token.model_dump_json() for token in tokens) + "]")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("id", "role", "study", "researcher", "label", "issued (UTC)", "until"):
        table.add_column(name, justify="right" if name == "id" else "left", overflow="fold")
    for token in tokens:
        table.add_row(
            str(token.id),
            token.role.value,
            escape(token.study or "all"),
            escape(token.researcher or ""),
            escape(token.label),
            _moment(token.created_at),
            _until(token),
        )
    out.print(table)


@app.command("revoke")
@reporting_errors
def revoke(
    token: Annotated[int, typer.Argument(help="The token's number, as `aarlab token list` prints it.", min=1)],
    url: Url = DEFAULT_URL,
    json_: Json = False,
) -> None:
    """End a token, for good: from now on the server refuses it.

    Example: aarlab token revoke 3
    """
    with _operator(url) as operator:
        ended = operator.revoke(token)
    if json_:
        typer.echo(ended.model_dump_json(indent=1))
    else:
        out.print(f"Token {ended.id} is {_until(ended)}.", highlight=False)


def _operator(url: str) -> OperatorClient:
    token = os.environ.get(VARIABLE, "")
    if not token:
        if not sys.stdin.isatty():
            raise AarlabError(
                f"{VARIABLE} is not set.", "Set it to an operator's token; options can be seen by others."
            )
        token = typer.prompt("An operator's token", hide_input=True, err=True)
    return OperatorClient(url, token)


def _researcher(operator: OperatorClient, study: str | None, name: str) -> int:
    if study is None:
        raise AarlabError("A researcher's token needs --study.", "Names are those of a study.")
    for one in operator.researchers(study):
        if one.name == name:
            return one.id
    raise NotFound(f"There is no researcher {name!r} in {study}.", "Admit it first.", status=404)


def _wanted(**fields: object) -> TokenCreate:
    try:
        return TokenCreate.model_validate(fields)
    except ValueError as error:
        raise AarlabError(f"There is no such token: {error}", "See `aarlab token issue --help`.") from None


def _until(token: Token) -> str:
    if token.revoked_at is not None:
        return f"revoked {_moment(token.revoked_at)}"
    return "never ends" if token.expires_at is None else _moment(token.expires_at)


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")
