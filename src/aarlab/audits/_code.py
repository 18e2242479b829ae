"""A method file as a tree: which names it reaches, and how much its constants could hold. Never executed."""

import ast
import builtins
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Modules that others import too, so that `numpy.f2py.os` is `os` by a detour.
REACHED = frozenset(
    {
        "builtins",
        "ctypes",
        "gc",
        "importlib",
        "inspect",
        "io",
        "os",
        "posix",
        "socket",
        "subprocess",
        "sys",
        "threading",
    }
)
MAX_PASSES = 10  # through the assignments, for names given to names
WORD = re.compile(r"[A-Za-z]{1,16}")
PIECE = re.compile(r"[^\s_\W]+")


class Unreadable(Exception):
    """A file that Python's own parser does not take; its text says why."""


def parse(code: str) -> ast.Module:
    """The tree of a method file.

    Raises:
        Unreadable: there is none.
    """
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(type(error).__name__) from None


class Names:
    """What the names of a file stand for, whichever scope they are in: rather too much than too little."""

    def __init__(self, tree: ast.Module) -> None:
        self._known: dict[str, str] = {}
        assigned: list[tuple[str, ast.expr]] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._known[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module:
                self._known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            elif isinstance(node, ast.Assign):
                assigned += [(t.id, node.value) for t in node.targets if isinstance(t, ast.Name)]
            elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and isinstance(node.target, ast.Name) and node.value:
                assigned.append((node.target.id, node.value))
        for _ in range(MAX_PASSES):
            found = {name: of for name, value in assigned if name not in self._known and (of := self.of(value))}
            if not found:
                break
            self._known |= found

    def of(self, node: ast.AST) -> str | None:
        """The dotted name of what an expression reaches, from its module on; None if it is nothing imported."""
        if isinstance(node, ast.Name):
            return self._known.get(node.id) or (node.id if hasattr(builtins, node.id) else None)
        if isinstance(node, ast.Attribute):
            root, last = self.of(node.value), node.attr
        elif isinstance(node, ast.Call) and self.of(node.func) in ("getattr", "builtins.getattr"):
            root = self.of(node.args[0]) if node.args else None
            last = str(node.args[1].value) if len(node.args) > 1 and isinstance(node.args[1], ast.Constant) else ""
        else:
            return None
        if root is None or not last:
            return None
        bare = last.lstrip("_")
        if bare in REACHED:
            return bare
        return last if root == "builtins" else f"{root}.{last}"


def documentation(tree: ast.Module) -> set[ast.AST]:
    """The strings that stand alone: docstrings, and comments written as strings."""
    return {n.value for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}


@dataclass(frozen=True)
class Literal:
    """A constant, or a collection of constants.

    Attributes:
        line: where it begins.
        bits: how much it could hold at most.
        words: whether it is text in words, which holds little for its length.
    """

    line: int
    bits: float
    words: bool


def literals(tree: ast.Module, *, documented: bool) -> Iterator[Literal]:
    """All constants; a list, tuple, set or dict of them, or a sum or product of strings, is one.

    Args:
        tree: the file.
        documented: whether docstrings count; they do where the code can read them.
    """
    left_out = set() if documented else documentation(tree)
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if node in left_out:
            continue
        if isinstance(node, (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.BinOp, ast.Constant)):
            inside = [n for n in ast.walk(node) if isinstance(n, ast.Constant) and n not in left_out]
            if inside:
                yield Literal(inside[0].lineno, math.fsum(map(_bits, inside)), all(map(_worded, inside)))
            waiting += [n for n in ast.walk(node) if isinstance(n, ast.Lambda)]
        else:
            waiting += ast.iter_child_nodes(node)


def _pieces(text: str) -> list[str]:
    return PIECE.findall(text)


def _worded(constant: ast.Constant) -> bool:
    """Whether it is words, at most one in ten of them something else."""
    if not isinstance(constant.value, str):
        return False
    pieces = _pieces(constant.value)
    odd = sum(1 for piece in pieces if not WORD.fullmatch(piece))
    return len(constant.value) < 8 or (bool(pieces) and 10 * odd <= len(pieces))


def _bits(constant: ast.Constant) -> float:
    """What a constant could hold: of words which of those there are, else each character, byte or digit."""
    value = constant.value
    if isinstance(value, bool) or value is None or value is Ellipsis:
        return 1.0
    if isinstance(value, int):
        return float(max(1, value.bit_length()))
    if isinstance(value, (float, complex)):
        return len(re.sub(r"\D", "", repr(value)).strip("0")) * math.log2(10)
    if isinstance(value, str) and _worded(constant):
        pieces = _pieces(value)
        return len(pieces) * math.log2(len(set(pieces)) + 1)
    return len(value) * math.log2(max(2, len(set(value))))
