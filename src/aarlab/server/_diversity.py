"""How varied a team's methods are: families and their entropy, likeness of code, complexity.

The W2S study (Wen et al. 2026) measured collapse as Shannon entropy over eleven families of methods; these are the
same eleven. There a model sorted the methods; here rules do, which cost nothing and say the same of the same code.
For people to look at: no level, rank or budget hangs on any of this. What it does not catch: code is read, never run,
so a misleading name moves a method into the wrong family; a method of several ideas counts for one of them; and what
none of the words below names, nor any published method resembles, is "other". Likeness is of text as a tree, so two
ways to write one idea are as unlike as two ideas.
"""

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aarlab.audits._code import Unreadable, parse
from aarlab.evaluation.library import library

Hashes = NDArray[np.uint64]
Signature = NDArray[np.uint32]

OTHER = "other"
SHINGLE = 5  # nodes in a row
HASHES = 128  # of a signature; likeness is then known to a standard error of at most .045
ALIKE = 0.5  # likeness from which on a method belongs to the family of a published one

#: Families of the published methods.
PUBLISHED = {
    "bootstrapping": "loss function",
    "ccs_es": "evolutionary",
    "co_teaching": "data filtering",
    "confident": "data filtering",
    "confident_learning": "data filtering",
    "critic": OTHER,
    "dawid_skene": "ensemble",
    "early_stopping": "curriculum",
    "em_posterior": "self-training",
    "ensemble": "ensemble",
    "epiplexity": "confidence weighting",
    "kfold_relabel": "distillation",
    "knn_relabel": "model internal",
    "logconf": "loss function",
    "mdl_curriculum": "curriculum",
    "overlap_density": "data filtering",
    "self_training": "self-training",
    "unsupervised_elicitation": "unsupervised elicitation",
    "vanilla": OTHER,
    "vanilla_soft": OTHER,
    "zero_shot": "unsupervised elicitation",
}

#: Words that name a family, as they stand in names of functions and in titles; the first that fits decides.
WORDS = {
    "evolutionary": r"evolution\w*|evolv\w+|antithetic|genetic|mutat\w+|cma",
    "curriculum": r"curricul\w+|self_paced|easy|paced|stages?|annealed",
    "self-training": r"self_train\w*|pseudo\w*|self_label\w*|em_rounds?|iterat\w+_relabel",
    "distillation": r"distil\w*|out_of_fold|cross_fit_labels|born_again|relabel_out_of_fold",
    "ensemble": r"bags?|bagg\w+|ensembl\w+|committee|vot\w+|members?|one_head_a_layer|mixture|stack\w*|trimmed_mean",
    "data filtering": r"keep|kept|drop\w*|filter\w*|select\w*|prun\w+|subset|confident_only|top_half",
    "unsupervised elicitation": r"agree\w*|consisten\w+|elicit\w*|zero_shot|ccs|contrast\w*|unsupervised",
    "confidence weighting": r"weigh\w*|reweigh\w*|sharpen|temper\w*|smooth_labels|correct_labels|noise\w*|posterior",
    "loss function": r"\w*loss|focal|cross_entropy|bootstrap\w*|margin_penalty|regulari[sz]\w+",
    "model internal": r"probe\w*|layers?|hidden|principal\w*|pca|represent\w*|neighbou?rs?|smooth_over\w*|\w*_head",
}
FAMILIES = (*WORDS, OTHER)
_FITS = {family: re.compile(rf"(?:^|_)(?:{words})(?:_|$)") for family, words in WORDS.items()}
_ODD = np.random.default_rng(0).integers(1 << 63, size=(HASHES + SHINGLE,), dtype=np.uint64) * 2 + 1


@dataclass(frozen=True)
class Reading:
    """What a method's code shows.

    Attributes:
        family: one of `FAMILIES`.
        signature: of its tree, for `likeness`, shape (HASHES,).
        lines: that hold code; neither blank, comment nor docstring.
        nodes: of its tree, docstrings aside.
        calls: different functions that it calls.
    """

    family: str
    signature: Signature
    lines: int
    nodes: int
    calls: int


def read(code: str, note: str = "", name: str = "") -> Reading | None:
    """Read a method; None if it is no Python. The code is another's: it is parsed, never run.

    Args:
        code: the method file.
        note: what its author says of it.
        name: what its author calls it.
    """
    try:
        tree = parse(code)
    except Unreadable:
        return None
    nodes = _nodes(tree)
    signature = _signature(nodes)
    return Reading(
        family=_family(tree, signature, note, name),
        signature=signature,
        lines=len({line for node in nodes if (line := getattr(node, "lineno", None))}),
        nodes=len(nodes),
        calls=len({_called(node) for node in nodes if isinstance(node, ast.Call)} - {None}),
    )


def family_of(code: str, note: str = "", name: str = "") -> str:
    """The family that a method belongs to; "other" if nothing tells.

    In this order: a file that is much like a published method's is of its family; else the last function that `fit`
    calls by a telling name decides, since what goes around the rest comes last; else what the author calls it.

    Args:
        code: the method file.
        note: what its author says of it.
        name: what its author calls it.
    """
    found = read(code, note, name)
    return OTHER if found is None else found.family


def likeness(one: Signature, others: Signature) -> NDArray[np.float64]:
    """Jaccard index of the shingles of one method with those of others, estimated (Broder 1997), in [0, 1].

    Args:
        one: signature, shape (HASHES,).
        others: signatures, shape (n, HASHES).

    Returns:
        Shape (n,).
    """
    return np.asarray((others == one).mean(axis=1))


def entropies(families: Sequence[str | None]) -> list[float]:
    """Shannon entropy in bits over the families so far, after each method.

    Args:
        families: of the methods, in order; None does not count.
    """
    counts: Counter[str] = Counter()
    found = []
    for family in families:
        if family is not None:
            counts[family] += 1
        shares = np.array(list(counts.values())) / max(1, counts.total())
        found.append(float(abs(shares @ np.log2(shares))))
    return found


def _family(tree: ast.Module, signature: Signature, note: str, name: str) -> str:
    names, published = _published()
    alike = likeness(signature, published)
    nearest = int(alike.argmax())
    if alike[nearest] >= ALIKE:
        return PUBLISHED.get(names[nearest], OTHER)
    fit = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "fit"), None)
    if fit is not None:
        calls = sorted((n for n in ast.walk(fit) if isinstance(n, ast.Call)), key=lambda n: (n.lineno, n.col_offset))
        for called in reversed([_called(call) for call in calls]):
            if called and (family := _named(called)):
                return family
    claimed = [word for text in (name, note) for word in re.findall(r"\w+", text.replace("-", "_"))]
    return next((family for word in reversed(claimed) if (family := _named(word))), OTHER)


def _named(word: str) -> str | None:
    lower = word.lower()
    return next((family for family, fits in _FITS.items() if fits.search(lower)), None)


def _called(node: ast.AST) -> str | None:
    """Name of the function that a node calls; None if it calls none."""
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Name):
        return node.func.id
    return node.func.attr if isinstance(node.func, ast.Attribute) else None


@lru_cache(1)
def _published() -> tuple[tuple[str, ...], Signature]:
    methods = library()
    return tuple(methods), np.stack([_signature(_nodes(parse(method.code))) for method in methods.values()])


def _nodes(tree: ast.Module) -> list[ast.AST]:
    """All nodes in the order in which they are written; contexts, imports and docstrings aside."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        found.append(node)
        inside: list[ast.AST] = []
        for name in node._fields:
            value = getattr(node, name)
            if isinstance(value, list):
                inside += [one for one in value if isinstance(one, ast.AST) and not _left_out(one)]
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                inside.append(value)
        inside.reverse()
        waiting += inside
    return found


def _left_out(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _signature(nodes: Sequence[ast.AST]) -> Signature:
    """MinHash of all runs of `SHINGLE` nodes: what each is, and what of others it reaches; no variable, no constant."""
    tokens = np.array([_hashed(type(node).__name__, _detail(node)) for node in nodes], dtype=np.uint64)
    tokens = np.pad(tokens, (0, max(0, SHINGLE - len(tokens))))
    windows = np.lib.stride_tricks.sliding_window_view(tokens, SHINGLE)
    shingles = np.unique((windows * _ODD[:SHINGLE]).sum(axis=1, dtype=np.uint64))
    shingles ^= shingles >> np.uint64(29)
    return np.asarray((shingles[:, None] * _ODD[SHINGLE:] >> np.uint64(32)).min(axis=0), np.uint32)


def _detail(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.arg if isinstance(node, ast.keyword) else _called(node)


@lru_cache(4096)
def _hashed(kind: str, detail: str | None) -> int:
    token = f"{kind} {detail or ''}".encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(token, digest_size=8).digest())
