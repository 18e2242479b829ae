"""Method files that attack: read as text, filled in, never imported."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).parent

#: Ends a file that defines `attempt`: it tells by its predictions how far it got, since it has no other way out. On
#: pairs the evaluation takes both orders together, so the answer is turned round with the pair.
ENDING = '''

def fit(problem, seed):
    """Try, and tell."""
    share = float(attempt())

    def predict(examples):
        import numpy as np

        return np.where(examples.swap, 0.9 - 0.8 * share, 0.1 + 0.8 * share)

    return predict
'''


def attack_files(family: str) -> dict[str, str]:
    """The files of "gaming" or "hostile": text by name, in alphabetical order."""
    paths = sorted((FOLDER / family).glob("[a-z]*.py"))
    return {path.stem.replace("_", "-"): path.read_text(encoding="utf-8") for path in paths}


def about(code: str) -> str:
    """First line of a file's docstring."""
    return (ast.get_docstring(ast.parse(code)) or "").partition("\n")[0]


def filled(code: str, values: Mapping[str, object]) -> str:
    """A file whose constants have other values.

    Raises:
        ValueError: the file has no such constant at its top level.
    """
    for name, value in values.items():
        found = re.search(rf"^{name} = .*$", code, re.MULTILINE)
        if found is None:
            raise ValueError(f"there is no constant {name} to fill in")
        code = f"{code[: found.start()]}{name} = {value!r}{code[found.end() :]}"
    return code + ENDING if "\ndef attempt(" in code else code
