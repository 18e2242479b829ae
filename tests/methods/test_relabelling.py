"""Methods that correct or drop weak labels: they find the planted errors."""

from importlib import import_module

import numpy as np
import pytest

from aarlab.methods import confident_learning, dawid_skene


def last_call(name, world, seed=0):
    import_module(f"aarlab.methods.{name}").fit(world.problem, seed)
    return world.student.calls[-1]


def test_self_training_gains_where_clusters_are_separated(separated):
    assert separated.accuracy("self_training") > max(0.95, separated.accuracy("vanilla") + 0.1)


def test_self_training_keeps_as_many_of_each_verdict(make_world, clusters, noisy, rng):
    truth, hidden = clusters(rng, 400, pairs=False)
    rare = np.concatenate([np.flatnonzero(truth == 0), np.flatnonzero(truth == 1)[:40]])
    world = make_world(hidden[rare], truth[rare], noisy(rng, truth[rare], 0.1), pairs=False)
    call = last_call("self_training", world)
    before = world.student.calls[-2].made.logits(world.problem.train) > 0
    assert call.targets.sum() == round(before.sum() / 2)
    assert 0 < call.targets.mean() < 0.5


def test_co_teaching_drops_the_flipped_ones(separated):
    assert 0.3 < separated.wrong.mean() < 0.4
    last_call("co_teaching", separated)
    for call in separated.student.calls[-2:]:
        assert separated.wrong[call.rows].mean() < 0.05
        expected = np.minimum(separated.weak, 1 - separated.weak).mean()
        assert len(call.rows) == round((1 - expected) * len(separated.truth))


def test_co_teaching_students_choose_for_each_other(separated):
    last_call("co_teaching", separated)
    first, second, third, fourth = separated.student.calls[:4]
    assert not set(first.rows) & set(second.rows), "they begin with different questions"
    ease = np.where(separated.weak > 0.5, 1, -1) * second.made.logits(separated.problem.train)
    assert set(third.rows) == set(np.argsort(-ease, kind="stable")[: len(third.rows)])
    assert third.options["start"] is first.made
    assert fourth.options["start"] is second.made


def test_kfold_relabelling_corrects_random_errors(separated):
    call = last_call("kfold_relabel", separated)
    assert (call.targets != separated.truth).mean() < separated.wrong.mean() - 0.1


class TestKnnRelabel:
    @pytest.mark.parametrize("pairs", [True, False])
    def test_isolated_flips_in_tight_clusters_are_voted_down(self, make_world, rng, pairs):
        centres = 5 * rng.normal(size=(5, 10))
        which = rng.integers(5, size=300)
        label = np.array([0, 1, 0, 1, 1])[which]
        hidden = centres[which] + 0.1 * rng.normal(size=(300, 10))
        if pairs:  # half of the pairs are shown the other way round
            other = rng.random(300) < 0.5
            hidden, label = np.where(other[:, None], -hidden, hidden), label ^ other
        flip = np.zeros(300, bool)
        flip[::10] = True
        world = make_world(hidden, label, np.where(label ^ flip, 0.6, 0.4), pairs=pairs)
        call = last_call("knn_relabel", world)
        np.testing.assert_array_equal(call.targets > 0.5, world.truth)

    def test_k_is_the_root_of_n_and_its_own_label_has_no_vote(self, make_world, rng):
        world = make_world(np.ones((101, 3)) + 0.01 * rng.normal(size=(101, 3)), np.ones(101), np.full(101, 0.6))
        flipped = world.with_weak(np.where(np.arange(101) == 5, 0.1, 0.6))
        call = last_call("knn_relabel", flipped)
        assert call.targets[5] == 1
        assert set(np.round(call.targets * 10, 6)) <= {9.0, 10.0}


class TestConfidentLearning:
    def test_recovers_the_noise_matrix(self, rng):
        truth = np.repeat([0, 1], 50_000)
        given = np.where(rng.random(100_000) < np.where(truth == 1, 0.3, 0.1), 1 - truth, truth)
        joint = confident_learning.confident_joint(given, np.where(truth == 1, 0.7, 0.1))
        np.testing.assert_allclose(joint, [[0.45, 0.15], [0.05, 0.35]], atol=0.005)  # rows: given, columns: true

    def test_is_not_thrown_by_a_class_without_labels(self):
        joint = confident_learning.confident_joint(np.ones(4, int), np.array([0.9, 0.8, 0.9, 0.8]))
        np.testing.assert_allclose(joint, [[0, 0], [0, 1]])

    def test_drops_errors_and_reweighs_by_class(self, make_world, clusters, noisy, rng):
        truth, hidden = clusters(rng, 800, width=10, apart=2.5)
        world = make_world(hidden, truth, noisy(rng, truth, np.where(truth == 1, 0.4, 0.1)))
        call = last_call("confident_learning", world)
        assert world.wrong.mean() > 0.2
        assert world.wrong[call.rows].mean() < 0.07
        weight = {label: set(np.round(call.weights[call.targets == label], 6)) for label in (0, 1)}
        assert len(weight[0]) == len(weight[1]) == 1
        assert weight[1].pop() > weight[0].pop(), "more of the true 1s were lost"


class TestDawidSkene:
    def test_finds_the_accurate_witness(self, rng):
        truth = rng.integers(2, size=4000)
        accuracies = np.array([0.9, 0.7, 0.65, 0.6, 0.55])
        votes = np.where(rng.random((4000, 5)) < accuracies, truth[:, None], 1 - truth[:, None]).astype(float)
        p = dawid_skene.posterior(votes, votes.mean(axis=1))
        majority = ((votes.mean(axis=1) > 0.5) == truth).mean()
        assert ((p > 0.5) == truth).mean() > max(0.88, majority + 0.05)

    def test_no_witness_is_taken_to_be_right_always(self):
        votes = np.tile([[1.0], [0.0]], (2, 3))
        p = dawid_skene.posterior(votes, votes.mean(axis=1) * 0.8 + 0.1)
        np.testing.assert_allclose(p, np.tile([0.95**3 / (0.95**3 + 0.05**3), 0.05**3 / (0.95**3 + 0.05**3)], 2))

    def test_a_good_zero_shot_verdict_corrects_a_poor_teacher(self, make_world, clusters, noisy, rng):
        truth, hidden = clusters(rng, 700, width=30, apart=1.5)
        margins = np.where(rng.random((700, 2)) < 0.85, 1, -1) * (2 * truth - 1)[:, None] * 1.0
        world = make_world(hidden, truth, noisy(rng, truth, 0.35), margins=np.tile(margins[:, :, None], 2), test=300)
        assert world.accuracy("dawid_skene") > world.accuracy("vanilla") + 0.05


class TestEnsemble:
    def test_members_learn_from_other_questions_and_read_other_layers(self, make_world, clusters, noisy, rng):
        truth, hidden = clusters(rng, 200, places=4)
        world = make_world(hidden, truth, noisy(rng, truth, 0.3), groups=np.arange(200) // 2)
        last_call("ensemble", world)
        calls = world.student.calls
        assert len(calls) == 10
        assert len({tuple(call.options["representations"]) for call in calls}) > 3
        assert all(len(call.options["representations"]) == 2 for call in calls)
        for call in calls:
            assert 0.4 < len(set(call.rows)) / 200 < 0.85, "about 63% of the questions are drawn"
            assert call.weights.sum() == pytest.approx(200), "as often as there are examples"
            pairs = call.rows.reshape(-1, 2)
            np.testing.assert_array_equal(pairs[:, 0] + 1, pairs[:, 1])

    def test_averages_noise_away(self, make_world, clusters, noisy, rng):
        truth, hidden = clusters(rng, 800, width=60, places=4, apart=0.8)
        world = make_world(hidden, truth, noisy(rng, truth, 0.3), test=500)
        single = world.problem.student.finetune(
            world.problem.train, world.weak > 0.5, representations=world.student.representations[:2]
        )
        alone = ((single.predict(world.test) > 0.5) == world.test_truth).mean()
        assert world.accuracy("ensemble") > alone + 0.02
