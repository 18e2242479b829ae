"""The method library as a catalogue: what there is, told by the files themselves."""

import ast
from dataclasses import dataclass
from pathlib import Path

from aarlab.errors import AarlabError

FOLDER = Path(__file__).parent.parent / "methods"


@dataclass(frozen=True)
class LibraryMethod:
    """A published method.

    Attributes:
        name: of its file.
        summary: first line of its docstring; names its source.
        about: the whole docstring.
        path: the file.
    """

    name: str
    summary: str
    about: str
    path: Path

    @property
    def code(self) -> str:
        """The file's text."""
        return self.path.read_text(encoding="utf-8")


def library() -> dict[str, LibraryMethod]:
    """All methods of the library by name, in alphabetical order."""
    found = {}
    for path in sorted(FOLDER.glob("[a-z]*.py")):
        about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem] = LibraryMethod(path.stem, about.partition("\n")[0], about, path)
    return found


def library_method(name: str) -> LibraryMethod:
    """A method by name.

    Raises:
        AarlabError: there is none.
    """
    methods = library()
    if name not in methods:
        raise AarlabError(f"There is no method {name!r} in the library.", f"There are: {', '.join(methods)}.")
    return methods[name]
