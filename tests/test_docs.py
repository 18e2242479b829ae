"""Documents name commands, files and figures that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest
import typer

from aarlab.cli import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TEXTS = {document.name: document.read_text(encoding="utf-8") for document in DOCUMENTS}
COMMANDS = sorted(
    {line for text in TEXTS.values() for line in re.findall(r"^(?:    )?(aarlab [a-z].*)$", text, re.MULTILINE)}
)


def test_there_are_commands():
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_exist_with_their_options(command: str):
    words = shlex.split(command, comments=True)[1:]
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    one = group.commands[words[0]]  # type: ignore[union-attr]
    one.make_context(words[0], words[1:])


@pytest.mark.parametrize("name", TEXTS)
def test_links_and_paths_exist(name: str):
    text = TEXTS[name]
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    named = re.findall(r"`((?:src|docs|recipes|benchmarks|tests|scripts)/[\w./]+)`", text)
    inside = re.findall(
        r"`((?:server|evaluation|sandbox|harness|studies|researchers|stats|testbeds|students|api|methods)/[a-z0-9_./]*)`",
        text,
    )
    folder = next(document.parent for document in DOCUMENTS if document.name == name)
    missing = [path for path in links if not (folder / path).exists()]
    missing += [path for path in named if not (ROOT / path).exists()]
    missing += [path for path in inside if not (ROOT / "src" / "aarlab" / path).exists()]
    assert not missing


def test_every_package_is_in_the_architecture():
    packages = {path.parent.name for path in (ROOT / "src" / "aarlab").glob("*/__init__.py")}
    assert all(f"`{package}`" in TEXTS["ARCHITECTURE.md"] for package in packages)


def test_the_method_in_the_readme_is_vanilla():
    code = re.search(r"```python\n(.*?)```", TEXTS["README.md"], re.DOTALL)
    assert code is not None
    vanilla = (ROOT / "src" / "aarlab" / "methods" / "vanilla.py").read_text(encoding="utf-8")
    assert code[1].strip() in vanilla
