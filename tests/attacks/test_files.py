"""The attackers' files: read as text, filled in, and never imported by the package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import aarlab
from aarlab.attacks._files import ENDING, FOLDER, about, attack_files, filled

PACKAGE = Path(aarlab.__file__).parent
FILES = {(family, name): code for family in ("gaming", "hostile") for name, code in attack_files(family).items()}


def test_there_are_enough():
    assert sum(family == "gaming" for family, _ in FILES) >= 10
    assert sum(family == "hostile" for family, _ in FILES) >= 30


@pytest.mark.parametrize("which", FILES, ids="/".join)
def test_each_is_a_submission_that_says_what_it_does(which: tuple[str, str]):
    tree = ast.parse(FILES[which])
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert len(functions & {"fit", "attempt"}) == 1
    assert about(FILES[which]).endswith((".", ":", "?"))


def test_an_attempt_gets_an_ending_and_constants_are_filled_in():
    code = (
        """'''Try.'''\n\nSECRET = ("", "")  # filled in\n\n\ndef attempt():\n    return float(SECRET[0] == "a\\n")\n"""
    )
    whole = filled(code, {"SECRET": ("a\\n", "b")})
    assert whole.endswith(ENDING)
    names: dict[str, object] = {}
    exec(compile(whole, "method.py", "exec"), names)
    assert names["SECRET"] == ("a\\n", "b")
    assert callable(names["fit"])
    with pytest.raises(ValueError, match="NOWHERE"):
        filled(code, {"NOWHERE": 1})


def test_the_folders_are_no_packages():
    assert not list(FOLDER.glob("*/__init__.py"))


def test_nothing_imports_them():
    """Neither by name, nor when the whole package and the suite are loaded."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith(("aarlab.attacks.gaming", "aarlab.attacks.hostile")) for name in names), path
    load = (
        "import sys, aarlab.cli, aarlab.attacks.live, aarlab.attacks.suite as suite\n"
        "suite.attacks()\n"
        "files = [getattr(module, '__file__', None) or '' for module in sys.modules.values()]\n"
        f"bad = [f for f in files if f.startswith(({str(FOLDER / 'gaming')!r}, {str(FOLDER / 'hostile')!r}))]\n"
        "sys.exit(len(bad))"
    )
    assert subprocess.run([sys.executable, "-c", load], check=False).returncode == 0
