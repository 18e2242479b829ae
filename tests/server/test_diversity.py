"""Published methods and what scripted researchers compose land in the families that they belong to."""

import numpy as np
import pytest

from aarlab.evaluation.library import library
from aarlab.researchers.scripted._compose import compose
from aarlab.researchers.scripted._genome import Genome, draw_gene
from aarlab.researchers.scripted._space import IDEAS, Idea
from aarlab.server._diversity import FAMILIES, OTHER, PUBLISHED, entropies, family_of, likeness, read

#: Modules of ideas whose functions are not all of the family that their name suggests.
SAME = {"selection": "data filtering", "self_training": "self-training", "representation": "model internal"}
EXPECTED = {
    **{family: family for family in ("curriculum", "distillation")},
    **SAME,
    "confidence": "confidence weighting",
    "ensembling": "ensemble",
}


def genome(idea: Idea, rng: np.random.Generator) -> Genome:
    head = draw_gene(IDEAS["linear_head"], rng)
    one = draw_gene(idea, rng)
    return {
        "head": lambda: Genome(one),
        "labels": lambda: Genome(head, (one,)),
        "training": lambda: Genome(head, (), (one,)),
    }[idea.slot]()


@pytest.mark.parametrize("name", sorted(library()))
def test_every_published_method_has_its_family(name: str):
    assert family_of(library()[name].code) == PUBLISHED[name]
    assert PUBLISHED[name] in FAMILIES


def test_a_variant_of_a_published_method_stays_in_its_family():
    code = library()["overlap_density"].code
    renamed = code.replace("density", "crowding").replace("0.5", "0.4").replace('"""', '"""Mine. ', 1)
    assert renamed != code
    assert family_of(renamed, note="my bagging", name="bagging") == "data filtering"


@pytest.mark.parametrize("idea", IDEAS.values(), ids=lambda idea: idea.name)
def test_composed_methods_follow_their_idea(idea: Idea):
    family = family_of(compose(genome(idea, np.random.default_rng(0)), "A title", "A story."))
    assert family != OTHER
    assert family == EXPECTED.get(idea.family, family)


def test_of_several_ideas_the_outermost_counts():
    rng = np.random.default_rng(0)
    several = Genome(
        draw_gene(IDEAS["principal_head"], rng),
        (draw_gene(IDEAS["keep_confident"], rng), draw_gene(IDEAS["sharpen"], rng)),
        (draw_gene(IDEAS["bagging"], rng),),
    )
    assert family_of(compose(several, "t", "s")) == "ensemble"


@pytest.mark.parametrize(
    ("code", "note", "name", "family"),
    [
        ("def fit(problem, seed):\n    return problem.x\n", "", "", OTHER),
        ("def fit(problem, seed):\n    return problem.x\n", "a curriculum", "", "curriculum"),
        ("def fit(problem, seed):\n    return problem.x\n", "", "antithetic-evolution", "evolutionary"),
        ("def fit(problem, seed):\n    return vote_of_many(problem)\n", "a curriculum", "", "ensemble"),
        ("def fit(problem, seed):\n    return bagpipes(problem)\n", "", "", OTHER),
        ("def fit(", "a curriculum", "", OTHER),
        ("", "", "", OTHER),
    ],
)
def test_names_decide_before_claims(code: str, note: str, name: str, family: str):
    assert family_of(code, note, name) == family


def test_likeness_is_about_the_share_of_shingles_in_common():
    methods = library()
    one, other = read(methods["ccs_es"].code), read(methods["vanilla"].code)
    doubled = read(methods["ccs_es"].code.replace("def fit(", "def again(") + methods["ccs_es"].code)
    assert likeness(one.signature, np.stack([one.signature]))[0] == 1.0
    assert likeness(one.signature, np.stack([other.signature]))[0] < 0.15
    assert likeness(one.signature, np.stack([doubled.signature]))[0] > 0.85


def test_renaming_variables_and_reformatting_changes_nothing():
    code = "def fit(problem, seed):\n    kept = problem.student.hidden(problem.train)\n    return kept.mean(axis=0)\n"
    other = code.replace("kept", "x").replace("    ", "\t") + "\n\n# a comment\n"
    assert likeness(read(code).signature, np.stack([read(other).signature]))[0] == 1.0


def test_complexity_leaves_words_aside():
    code = '"""Docs.\n\nMore.\n"""\nimport numpy\n\n\ndef fit(problem, seed):\n    # why\n    return f(g(g(problem)))\n'
    found = read(code)
    assert (found.lines, found.calls) == (2, 2)
    assert found.nodes == read(code.replace("Docs.", "Longer docs. " * 50)).nodes


def test_entropy_in_bits():
    assert entropies([]) == []
    assert entropies([None, "a", "a", "b", "b"]) == pytest.approx([0, 0, 0, 0.9183, 1.0], abs=1e-4)
    assert entropies(list(FAMILIES))[-1] == pytest.approx(np.log2(11))
