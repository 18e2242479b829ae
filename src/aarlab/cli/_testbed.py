"""`aarlab testbed`: what there is to do research on, whether it is fit for it, and how to add to it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from aarlab.cli._common import Json, Student, err, out, reporting_errors
from aarlab.cli._progress import downloads, steps
from aarlab.cli._testbed_tables import (
    bad_rows_table,
    markdown,
    parts_table,
    print_examples,
    print_manifest,
    print_report,
)
from aarlab.errors import AarlabError
from aarlab.students.remote import READOUTS
from aarlab.testbeds import (
    PROBE,
    RemoteBudget,
    Split,
    TestbedError,
    calibrate,
    draw_splits,
    load_pack,
    load_testbed,
    pack_names,
)

if TYPE_CHECKING:
    from aarlab.testbeds.own import BadRows, Built
    from aarlab.testbeds.pack import Pack
    from aarlab.testbeds.summary import Summary

app = typer.Typer(no_args_is_help=True, help="Testbeds: list, look at, check, fetch their text, build your own.")

Name = Annotated[
    str, typer.Argument(help="A testbed that comes with aarlab, or the folder of your own.", show_default=False)
]


@app.command("list")
@reporting_errors
def list_(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which; default all that come with aarlab.", show_default=False)
    ] = None,
    student: Student = PROBE,
    md: Annotated[bool, typer.Option("--md", help="Print a Markdown table.")] = False,
    json_: Json = False,
) -> None:
    """List testbeds with floor, ceiling and what they can show.

    A gap is resolved, so that PGR is reported, from .10 and 6 standard errors on. MDE is the least difference in PGR
    between two methods that the part shows with 80% power.

    Example: aarlab testbed list
    """
    from aarlab.testbeds.summary import Summary, summarise

    found: dict[str, Summary | AarlabError] = {}
    for name in names or pack_names():
        try:
            found[name] = summarise(load_testbed(name, student))
        except TestbedError as error:
            if names:
                raise
            found[name] = error
    summaries = [summary for summary in found.values() if isinstance(summary, Summary)]
    if json_:
        typer.echo(json.dumps([_document(name, one) for name, one in found.items()], indent=1))
    elif md:
        typer.echo(markdown(summaries))
    else:
        out.print(parts_table(summaries))
    for name, lacking in found.items():
        if isinstance(lacking, AarlabError):
            err.print(f"[yellow]{escape(name)}[/]: {escape(str(lacking))}", soft_wrap=True)


def _document(name: str, found: "Summary | AarlabError") -> dict[str, Any]:
    if isinstance(found, AarlabError):
        return {"testbed": name, "error": found.message, "advice": found.advice}
    return asdict(found)


@app.command()
@reporting_errors
def show(
    name: Name,
    examples: Annotated[int, typer.Option(min=0, max=1000, help="How many examples to print.")] = 5,
    split: Annotated[
        Split, typer.Option(help="Of which split. What you have read of public or private, you cannot unread.")
    ] = "train",
    json_: Json = False,
) -> None:
    """Tell what a testbed is: question, sources and licences, recipe, shortcuts; and print examples.

    Example: aarlab testbed show chat --examples 3
    """
    import numpy as np

    pack, texts = load_pack(name)
    drawn = draw_splits(pack, np.random.default_rng(pack.manifest.draw))
    rows = np.concatenate([rows for (of, _), rows in drawn.items() if of == split])
    firsts = np.sort(rows[np.unique(pack.groups[rows], return_index=True)[1]])  # one a question, spread evenly
    chosen = firsts[np.linspace(0, len(firsts) - 1, min(examples, len(firsts))).round().astype(int)]
    if json_:
        shown = [] if texts is None else [_example(pack, texts[row].tolist(), int(row)) for row in chosen]
        document = {
            "manifest": pack.manifest.model_dump(mode="json"),
            "splits": {f"{of} {part}": len(rows) for (of, part), rows in drawn.items()},
            "has_text": texts is not None,
            "examples": shown,
        }
        typer.echo(json.dumps(document, indent=1, ensure_ascii=False))
        return
    print_manifest(pack, drawn)
    if not examples:
        return
    if texts is None:
        out.print(
            f"\nIts text is not on this machine. To read examples: [bold]aarlab testbed fetch {escape(name)}[/]",
            soft_wrap=True,
        )
        return
    print_examples(split, [_example(pack, texts[row].tolist(), int(row)) for row in chosen])


def _example(pack: "Pack", text: list[str], row: int) -> dict[str, Any]:
    label = int(pack.labels[row])
    source = pack.manifest.sources[int(pack.source[row])]
    return {"row": row, "source": source.name, "prompt": text[0], "candidates": text[1:], "label": label}


@app.command()
@reporting_errors
def check(name: Name, student: Student = PROBE, json_: Json = False) -> None:
    """Check whether a testbed is fit for research; exit code 1 if it is not.

    Is the gap between floor and ceiling resolved, can a label leak, is the pack whole: these fail it. Which trivial
    rules and shortcuts score what, are texts repeated across splits: these warn. More is checked once its text is here.

    Example: aarlab testbed check chat
    """
    from aarlab.testbeds.check import check_by_name

    with err.status(f"checking {escape(name)}"):
        report = check_by_name(name, student)
    if json_:
        typer.echo(json.dumps(report.document(), indent=1))
    else:
        print_report(report)
    if report.verdict == "fail":
        raise typer.Exit(1)


@app.command()
@reporting_errors
def fetch(
    name: Annotated[str, typer.Argument(help="A testbed, or `all` that come with aarlab.", show_default=False)],
    from_: Annotated[
        Path | None, typer.Option("--from", help="Folder that holds the data; default: download it.")
    ] = None,
    json_: Json = False,
) -> None:
    """Bring the text of a testbed from where its publishers keep it; packs hold numbers only.

    Text is needed by the students lora and remote, by `show` and for a full `check`. Each text is compared with a
    digest in the pack. An interrupted download goes on where it stopped.

    Example: aarlab testbed fetch chat
    """
    from aarlab.testbeds.fetch import fetch_texts

    brought: list[dict[str, Any]] = []
    for one in pack_names() if name == "all" else [name]:
        pack, texts = load_pack(one)
        if texts is not None:
            brought.append({"testbed": one, "path": None, "already_here": True})
            continue
        try:
            with downloads() as progress:
                path = fetch_texts(pack, from_, progress)
        except TestbedError as error:
            if name != "all":
                raise
            brought.append({"testbed": one, "error": error.message, "advice": error.advice})
        else:
            brought.append({"testbed": one, "path": str(path), "already_here": False})
    if json_:
        typer.echo(json.dumps(brought, indent=1))
    for one_of in [] if json_ else brought:
        testbed = escape(one_of["testbed"])
        if "error" in one_of:
            err.print(f"[bold red]{testbed}:[/] {escape(one_of['error'])}", soft_wrap=True)
            err.print(f"[dim]→[/] {escape(one_of['advice'])}", soft_wrap=True)
        elif one_of["already_here"]:
            out.print(f"{testbed}: its text is here already")
        else:
            out.print(f"{testbed}: {escape(one_of['path'])}", highlight=False, soft_wrap=True)
    if any("error" in one_of for one_of in brought):
        raise typer.Exit(1)


@app.command()
@reporting_errors
def build(
    config: Annotated[
        Path, typer.Argument(help="A YAML file (docs/testbeds.md says what it holds), or a preset.", show_default=False)
    ],
    to: Annotated[
        Path | None, typer.Option(help="Folder of the testbed; default: named after it, here.", show_default=False)
    ] = None,
    allow_bad_rows: Annotated[
        bool, typer.Option("--allow-bad-rows", help="Build without rows that cannot be used, and list them.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Put it in the place of a testbed that is there already.")
    ] = False,
    json_: Json = False,
) -> None:
    """Build a testbed of your own from a file or a Hugging Face data set, and check it.

    Rows that cannot be used stop the build, with a table of why, unless you allow it to leave them out. An
    interrupted build goes on where it stopped. Exit code 1 if it cannot be built, or fails its check.

    Example: aarlab testbed build my.yaml --to testbeds/mine
    """
    from aarlab.testbeds.check import check_by_name
    from aarlab.testbeds.own import BadRows, read_config
    from aarlab.testbeds.own import build as build_testbed

    file = _config_file(config)
    folder = Path(read_config(file).name) if to is None else to
    try:
        with steps() as progress:
            built = build_testbed(file, folder, progress, allow_bad_rows=allow_bad_rows, overwrite=overwrite)
    except BadRows as error:
        _refuse(error, json_)
        raise typer.Exit(1) from None
    report = None
    if built.manifest.representations:  # else there is nothing to check before it is calibrated with a student
        with err.status("checking it"):
            report = check_by_name(str(built.folder))
    if json_:
        document = {
            "folder": str(built.folder),
            "manifest": built.manifest.model_dump(mode="json"),
            "rejected": [asdict(row) for row in built.rejected],
            "notes": list(built.notes),
            "check": None if report is None else report.document(),
        }
        typer.echo(json.dumps(document, indent=1, ensure_ascii=False))
    else:
        _tell(built)
        if report is not None:
            print_report(report)
        else:
            student = built.manifest.recipe["student"]
            out.print(
                f"It holds text only. Next: [bold]aarlab testbed calibrate {escape(str(built.folder))} "
                f"--student {escape(student)}[/]",
                soft_wrap=True,
            )
    if report is not None and report.verdict == "fail":
        raise typer.Exit(1)


def _config_file(config: Path) -> Path:
    from aarlab.testbeds.own import presets

    if config.is_file() or config.suffix:
        return config
    known = presets()
    if config.name not in known:
        raise AarlabError(
            f"There is no file {config}, and no preset of this name.", f"The presets are: {', '.join(known)}."
        )
    return known[config.name]


def _refuse(error: "BadRows", json_: bool) -> None:
    if json_:
        rejected = [asdict(row) for row in error.rejected]
        failure = {"kind": "bad_rows", "counts": error.counts, "rejected": rejected, "advice": error.advice}
        typer.echo(json.dumps({"failure": failure}, indent=1, ensure_ascii=False))
        return
    err.print(f"[bold red]BadRows:[/] {escape(error.message.partition(chr(10))[0])}", soft_wrap=True)
    err.print(bad_rows_table(error.rejected))
    err.print(f"[dim]→[/] {escape(error.advice)}", soft_wrap=True)


def _tell(built: "Built") -> None:
    manifest = built.manifest
    out.print(
        f"Built [bold]{escape(manifest.name)}[/] in {escape(str(built.folder))}: {manifest.examples} "
        f"{'pairs' if manifest.task == 'pair' else 'examples'}, {manifest.groups} questions.",
        highlight=False,
        soft_wrap=True,
    )
    if built.rejected:
        out.print(bad_rows_table(built.rejected))
    for note in built.notes:
        out.print(f"[yellow]note[/]  {escape(note)}", highlight=False, soft_wrap=True)


@app.command("calibrate")
@reporting_errors
def calibrate_(
    name: Name,
    student: Annotated[
        str,
        typer.Option(help="lora:MODEL, remote:openai/MODEL or remote:anthropic/MODEL; or probe.", show_default=False),
    ],
    seeds: Annotated[int, typer.Option(min=1, max=64, help="Training seeds of the ceiling.")] = 16,
    readout: Annotated[
        list[str] | None,
        typer.Option(help=f"How a remote student is asked, again for more: {', '.join(READOUTS)}. Default: the first."),
    ] = None,
    calls: Annotated[
        int | None, typer.Option(min=1, help="Most requests to a remote student; default: no limit.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(min=1, help="Most tokens to and from a remote student; default: no limit.")
    ] = None,
    json_: Json = False,
) -> None:
    """Measure floor and ceiling of a testbed with another student, and keep them.

    A lora student is trained on ground truth, once a seed: minutes to hours. A remote one is asked about each row, once
    and for all; it has no ceiling. An interrupted calibration goes on where it stopped.

    Example: aarlab testbed calibrate chat --student lora:Qwen/Qwen3-4B-Base
    """
    from aarlab.testbeds.summary import summarise

    for one in readout or []:
        if one not in READOUTS:
            raise AarlabError(f"There is no readout {one!r}.", f"There are: {', '.join(READOUTS)}.")
    budget = None if calls is None and tokens is None else RemoteBudget(calls, tokens)
    with steps() as progress:
        testbed = calibrate(
            name, student, seeds, readouts=tuple(readout or READOUTS[:1]), budget=budget, progress=progress
        )
    summary = summarise(testbed)
    if json_:
        typer.echo(json.dumps(asdict(summary), indent=1))
        return
    out.print(parts_table([summary]))
    out.print(f"Next: aarlab evaluate METHOD --testbed {name} --student {student}", markup=False, soft_wrap=True)
