"""The steps that methods share, each against a case that can be worked out."""

import numpy as np
import pytest
from scipy.special import expit

from aarlab.methods import _steps as steps
from aarlab.methods._steps.evolution import fitness


def test_the_public_names_are_there():
    assert all(hasattr(steps, name) for name in steps.__all__)
    assert steps.__all__ == sorted(steps.__all__)


@pytest.mark.parametrize(
    ("values", "share", "kept"),
    [
        ([0.1, 0.9, 0.5, 0.7], 0.5, [False, True, False, True]),
        ([0.5, 0.5, 0.5, 0.5], 0.5, [True, True, False, False]),  # of equals the first
        ([0.1, 0.9, 0.5], 0.0, [False, True, False]),  # at least one
        ([0.1, 0.9], 1.0, [True, True]),
    ],
)
def test_top(values, share, kept):
    assert steps.top(np.array(values), share).tolist() == kept


def test_ranks_share_ties():
    np.testing.assert_allclose(steps.ranked(np.array([5.0, 1.0, 5.0, 9.0])), [0.5, 0.125, 0.5, 0.875])


def test_unit_of_equal_values_is_nothing():
    np.testing.assert_array_equal(steps.unit(np.full(4, 3.0)), np.zeros(4))
    assert steps.unit(np.array([1.0, 3.0])).tolist() == pytest.approx([-1, 1])


def test_scores_become_as_confident_as_targets(rng):
    scores = rng.normal(size=4_000)
    targets = (rng.random(4_000) < expit(3 * scores)).astype(float)
    np.testing.assert_allclose(steps.as_confident_as(targets, 100 * scores), expit(3 * scores), atol=0.05)
    seen = np.where(rng.random(4_000) < 0.7, targets, 1 - targets)
    np.testing.assert_allclose(steps.as_confident_as(seen, scores, right=0.7), expit(3 * scores), atol=0.12)
    nothing = steps.as_confident_as((rng.random(4_000) < 0.5).astype(float), scores)
    assert np.abs(nothing - 0.5).max() < 0.08


def test_folds_never_split_a_question(make_world, clusters, rng):
    truth, hidden = clusters(rng, 120)
    world = make_world(hidden, truth, truth, groups=np.arange(120) // 4)
    fold_of = steps.split_questions(world.problem.train, 3, rng)
    assert set(fold_of) == {0, 1, 2}
    for question in range(30):
        assert len(set(fold_of[world.problem.train.groups == question])) == 1


def test_out_of_fold_students_never_saw_the_question(make_world, clusters, rng):
    truth, hidden = clusters(rng, 120)
    groups = np.arange(120) // 4
    world = make_world(hidden, truth, truth, groups=groups)
    logits = steps.out_of_fold(world.problem, truth.astype(float), 0)
    for call in world.student.calls:
        told = sorted(set(range(120)) - set(call.rows))
        assert not set(groups[told]) & set(groups[call.rows])
        np.testing.assert_allclose(logits[told], call.made.logits(world.problem.train.take(told)), rtol=1e-4)


def test_a_probe_learns_a_direction(rng):
    features = rng.normal(size=(2000, 5)).astype(np.float32)
    found = steps.logistic(features, expit(2 * features[:, 0]), l2=1e-6)
    np.testing.assert_allclose(found, [2, 0, 0, 0, 0], atol=0.05)


def test_margins_of_exchanged_pairs_change_sign_and_those_of_single_candidates_are_centred(make_world, rng):
    margins = rng.normal(size=(50, 2, 2)) + 4
    pairs = make_world(rng.normal(size=(50, 3)), np.zeros(50), np.full(50, 0.4), margins=margins)
    train = pairs.problem.train
    np.testing.assert_allclose(steps.views(pairs.student, train.swapped()), -steps.views(pairs.student, train))
    np.testing.assert_allclose(steps.opinion(pairs.student, train), margins.mean(axis=(1, 2)))
    assert np.median(steps.centred(margins.mean(axis=(1, 2)), pairs=False)) == pytest.approx(0)
    assert np.median(steps.centred(margins.mean(axis=(1, 2)), pairs=True)) > 3


class TestNeighbours:
    points = np.array([[1.0, 0.05], [1.0, -0.05], [-1.0, 0.01], [0.0, 1.0], [0.1, 1.0]], np.float32)

    def test_a_mirrored_neighbour_counts_as_its_opposite(self):
        found = steps.nearest(self.points, 1, pairs=True)
        assert found.index[3:, 0].tolist() == [4, 3]
        assert found.index[2, 0] in (0, 1)
        assert found.sign[2, 0] == -1
        assert found.likeness.min() > 0.98
        assert found.vote(np.array([1.0, 1.0, 0.0, 1.0, 0.0])).tolist() == [1, 1, 0, 0, 1]

    def test_single_candidates_have_no_mirror(self):
        found = steps.nearest(self.points, 1, pairs=False)
        assert found.index[:2, 0].tolist() == [1, 0]
        assert set(found.sign.ravel()) == {1}


@pytest.mark.parametrize("shape", [(40, 90), (90, 40)])
def test_main_axes_are_the_same_from_either_side(rng, shape):
    points = rng.normal(size=shape).astype(np.float32) * np.geomspace(5, 0.1, shape[1], dtype=np.float32)
    found = steps.principal(points, 3)
    u, sizes, _ = np.linalg.svd(points, full_matrices=False)
    wanted = u[:, :3] * sizes[:3] / sizes[0] * np.sqrt(shape[0])
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=0.02)


def test_ccs_finds_the_direction_of_two_opposite_clusters(rng):
    truth = rng.integers(2, size=500)
    points = rng.normal(size=(500, 8))
    points[:, 3] = 2 * truth - 1 + 0.2 * rng.normal(size=500)
    loss, logits = steps.ccs(points / np.sqrt(np.square(points).mean(axis=0)), rng)
    assert abs(((logits > 0) == truth).mean() - 0.5) > 0.47
    shapeless, _ = steps.ccs(rng.normal(size=(500, 8)), rng)
    assert loss < shapeless


class TestEvolution:
    def test_of_members_the_consistent_one_is_fittest(self, rng):
        verdict = rng.choice([-1.0, 1.0], size=300)
        shown = np.stack([verdict, verdict, rng.normal(size=300)], axis=1)
        exchanged = np.stack([-verdict, verdict, -shown[:, 2]], axis=1)  # the second ignores the order
        steady, stubborn, unsure = fitness(np.eye(3), shown, exchanged)
        assert steady > unsure > stubborn
        assert stubborn == pytest.approx(0)

    def test_moves_a_little_uphill(self, rng):
        verdict = rng.choice([-1.0, 1.0], size=300)
        shown = np.stack([verdict + rng.normal(size=300) * noise for noise in (1, 1, 1, 0.1)], axis=1)
        start = np.eye(4)[:, :2]
        after = steps.evolve(start, shown, -shown, rng)
        assert (fitness(after, shown, -shown) > fitness(start, shown, -shown)).all()
        turned = after / np.linalg.norm(after, axis=0)
        assert (np.sum(turned * start, axis=0) > 0.9).all()
        np.testing.assert_allclose(np.abs(shown @ after).mean(axis=0), 1)


def test_passes_are_steps_of_the_students_own_kind(make_world, clusters, rng, other_student):
    truth, hidden = clusters(rng, 100)
    probe = make_world(hidden, truth, truth).problem
    other = make_world(hidden, truth, truth, student=other_student).problem
    assert steps.passes(probe.student, probe.train, 3) == 3
    assert steps.passes(other.student, other.train, 3) == 3 * 4  # batches of 32


def test_shuffled_orders_keep_examples_and_targets_together(make_world, clusters, rng):
    truth, hidden = clusters(rng, 100)
    train = make_world(hidden, truth, truth).problem.train
    shown, targets = steps.shuffled_orders(train, truth.astype(float), rng)
    assert 20 < shown.swap.sum() < 80
    np.testing.assert_array_equal(
        targets, np.where(shown.swap, 1 - truth[shown.columns["row"]], truth[shown.columns["row"]])
    )
