"""`aarlab report`: a study as one file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from aarlab.cli._common import err, out, reporting_errors
from aarlab.studies import StudyError, StudyFolder, export, read_folder, render_report


class Format(StrEnum):
    """What a report can be."""

    HTML = "html"
    MD = "md"
    JSON = "json"
    PARQUET = "parquet"


@reporting_errors
def report(
    study: Annotated[Path, typer.Argument(help="The study's folder, as `aarlab run` printed it.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to; for parquet a folder, one file a table. Default: `report` in the study's folder.",
            show_default=False,
        ),
    ] = None,
    format_: Annotated[
        Format | None, typer.Option("--format", help="Default: by the output's suffix, else html.", show_default=False)
    ] = None,
) -> None:
    """Write what is on record of a study: figures for people, or everything as data, failures included.

    The HTML is one file that fetches nothing. JSON has a documented schema. Works while the study runs, too. All forms
    hold exact figures and others' code: for the operator, not for researchers.

    Example: aarlab report studies/chat-20260101-120000 -o report.html
    """
    folder = StudyFolder.open(study)
    chosen = format_ or _by_suffix(output)
    where = output or folder.path / f"report{'' if chosen == Format.PARQUET else f'.{chosen}'}"
    with err.status("Reading; where methods were confirmed, splits are drawn again, which takes seconds."):
        record = read_folder(folder)
    if chosen == Format.PARQUET:
        export.write_parquet(record, where)
    else:
        render = {Format.HTML: render_report, Format.MD: export.to_markdown, Format.JSON: export.to_json}[chosen]
        try:
            folder.write(where, render(record))
        except OSError as error:
            raise StudyError(f"{where} cannot be written: {error.strerror}.", "Name another with -o.") from None
    out.print(f"Wrote [bold]{where}[/]", soft_wrap=True)


def _by_suffix(output: Path | None) -> Format:
    suffix = "" if output is None else output.suffix.removeprefix(".")
    if suffix in list(Format):
        return Format(suffix)
    if suffix or output is not None:
        raise StudyError(
            f"{output} does not tell its format.",
            f"End it in .{', .'.join(Format)}, or say --format {'|'.join(Format)}.",
        )
    return Format.HTML
