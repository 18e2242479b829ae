"""The methods that the study found: each finds what was planted for it."""

import numpy as np
import pytest
from scipy.special import expit

from aarlab.methods import ccs_es, em_posterior, epiplexity, mdl_curriculum, overlap_density


class TestCcsEs:
    def test_the_probe_finds_the_planted_direction_and_its_sign(self, separated):
        p = ccs_es.probe(separated.problem, np.random.default_rng(0))
        assert ((p > 0.5) == separated.truth).mean() > 0.95
        upside_down = separated.with_weak(1 - separated.weak)
        p = ccs_es.probe(upside_down.problem, np.random.default_rng(0))
        assert ((p > 0.5) == separated.truth).mean() < 0.05

    def test_keeps_the_place_with_the_lowest_loss(self, make_world, clusters, noisy, rng):
        truth, hidden = clusters(rng, 500, places=3, apart=3.0)
        hidden[:, [0, 2]] = rng.normal(size=(500, 2, 12))
        world = make_world(hidden, truth, noisy(rng, truth, 0.35))
        p = ccs_es.probe(world.problem, np.random.default_rng(0))
        assert ((p > 0.5) == world.truth).mean() > 0.95

    def test_agreement_counts_by_the_larger_confidence(self):
        # Ranks of confidence: probe .125 .375 .625 .875, weak label .875 .625 .375 .125.
        weights = ccs_es.importance(np.array([0.6, 0.3, 0.8, 0.1]), np.array([0.9, 0.8, 0.7, 0.4]))
        np.testing.assert_allclose(weights, [0.875, 0.25 * 0.375, 0.625, 0.875])

    def test_the_trimmed_mean_leaves_out_both_ends(self):
        logits = np.array([[-1000.0, -900.0, *range(12), 900.0, 1000.0]])
        assert ccs_es.trimmed_mean(logits)[0] == pytest.approx(np.mean(range(12)))

    def test_members_learn_from_resamples_in_both_orders(self, separated):
        ccs_es.fit(separated.problem, 0)
        calls = separated.student.calls
        assert len(calls) == 16
        soft = separated.weak
        for call in calls:
            assert call.options["max_steps"] == 1
            assert 0.4 < call.swap.mean() < 0.6
            np.testing.assert_allclose(call.targets, np.where(call.swap, 1 - soft[call.rows], soft[call.rows]))
            assert separated.wrong[call.rows].mean() < separated.wrong.mean() - 0.1

    def test_beats_vanilla_where_truth_is_a_cluster(self, separated):
        assert separated.accuracy("ccs_es") > separated.accuracy("vanilla") + 0.1


class TestEmPosterior:
    @pytest.fixture
    def informed(self, make_world, clusters, rng):
        """Margins that are right on 85%, weak labels that are as good as random where they are unsure."""
        truth, hidden = clusters(rng, 1200, width=40, apart=1.0)
        side = 2 * truth - 1
        margins = (side * np.where(rng.random(1200) < 0.85, 1.5, -1.5))[:, None, None] + rng.normal(size=(1200, 2, 2))
        unsure = rng.random(1200) < 0.5
        wrong = rng.random(1200) < np.where(unsure, 0.48, 0.15)
        weak = 0.5 + np.where(unsure, 0.05, 0.3) * side * np.where(wrong, -1, 1)
        return make_world(hidden, truth, weak, margins=margins, test=600)

    def test_beats_vanilla_where_margins_are_informative(self, informed):
        assert informed.accuracy("em_posterior") > informed.accuracy("vanilla") + 0.05

    def test_posteriors_beat_weak_labels_and_margins(self, informed):
        em_posterior.fit(informed.problem, 0)
        right = ((informed.student.calls[-1].targets > 0.5) == informed.truth).mean()
        margins = (informed.problem.train.columns["margins"].mean(axis=(1, 2)) > 0) == informed.truth
        assert right > 1 - informed.wrong.mean() + 0.1
        assert right > margins.mean()

    def test_the_channel_learns_where_the_weak_label_can_be_trusted(self, rng):
        truth = rng.integers(2, size=20_000)
        trusted = rng.random(20_000) < 0.5
        weak = np.where(rng.random(20_000) < np.where(trusted, 0.1, 0.5), 1 - truth, truth).astype(float)
        features = np.column_stack([np.ones(20_000), np.where(trusted, 1.0, -1.0)])
        prior = np.where(rng.random(20_000) < 0.9, np.where(truth, 0.9, 0.1), np.where(truth, 0.1, 0.9))
        channel = em_posterior.fit_channel(weak, features, prior).reshape(2, 2)
        rates = expit(np.array([[1, 1], [1, -1]]) @ channel.T)  # rows: trusted, not; columns: if true 1, if true 0
        np.testing.assert_allclose(rates, [[0.9, 0.1], [0.5, 0.5]], atol=0.05)

    def test_without_informative_margins_the_posterior_is_the_weak_label(self, rng):
        weak = rng.integers(2, size=2000).astype(float)
        features = np.column_stack([np.ones(2000), rng.normal(size=2000)])
        p = em_posterior.posterior(weak, features, np.full(2000, 0.5))
        np.testing.assert_array_equal(p > 0.5, weak > 0.5)

    def test_is_no_worse_than_its_teacher_when_margins_are_noise(self, make_world, clusters, noisy, rng):
        truth, hidden = clusters(rng, 800, width=20, apart=1.5)
        world = make_world(hidden, truth, noisy(rng, truth, 0.3), margins=rng.normal(size=(800, 2, 2)), test=400)
        assert world.accuracy("em_posterior") > world.accuracy("vanilla") - 0.02


class TestOverlapDensity:
    def test_keeps_the_planted_clean_half(self, make_world, clusters, noisy, rng):
        truth, hidden = clusters(rng, 600, width=20, apart=2.0)
        clean = rng.random(600) < 0.5
        hidden[~clean] = 3 * rng.normal(size=(int((~clean).sum()), 1, 20))  # strewn around, labels at random
        weak = noisy(rng, truth, np.where(clean, 0.05, 0.5), np.where(clean, 0.35, 0.05))
        world = make_world(hidden, truth, weak)
        overlap_density.fit(world.problem, 0)
        (call,) = world.student.calls
        assert clean[call.rows].mean() > 0.85
        assert abs(call.targets.sum() - (weak > 0.5).sum() / 2) <= 1, "half of each label"
        assert len(call.rows) == pytest.approx(300, abs=1)

    def test_an_error_amid_right_neighbours_is_not_kept(self, separated):
        overlap_density.fit(separated.problem, 0)
        (call,) = separated.student.calls
        assert separated.wrong[call.rows].mean() < 0.1


class TestMdlCurriculum:
    def test_begins_with_the_sure_half_and_goes_on_with_all(self, separated):
        weak = np.where(np.arange(500) < 250, 0.5 + (separated.weak - 0.5) / 2, separated.weak)
        world = separated.with_weak(weak)
        mdl_curriculum.fit(world.problem, 0)
        first, second = world.student.calls
        assert set(first.rows) == set(range(250, 500))
        assert set(second.rows) == set(range(500))
        assert second.options["start"] is first.made
        np.testing.assert_array_equal(first.targets, weak[250:])
        np.testing.assert_array_equal(second.targets, weak)
        assert (first.options["max_steps"], second.options["max_steps"]) == (2, 2)

    def test_three_passes_at_half_the_rate_are_half_the_steps(self, make_world, clusters, rng, other_student):
        truth, hidden = clusters(rng, 320)
        world = make_world(hidden, truth, 0.3 + 0.4 * truth, student=other_student)
        mdl_curriculum.fit(world.problem, 0)
        assert [call.options["max_steps"] for call in world.student.calls] == [2 * 5, 3 * 10 / 2]


class TestEpiplexity:
    def test_smoothing_is_convex_in_how_bad_it_is(self):
        drop = np.arange(10, dtype=float)  # ranks .05, .15, ..., .95; the worst four are .4
        after = epiplexity.smoothed(np.full(10, 1.0), drop)
        depth = np.array([1 - 0.05 / 0.4, 1 - 0.15 / 0.4, 1 - 0.25 / 0.4, 1 - 0.35 / 0.4])
        np.testing.assert_allclose(after[:4], 0.5 + 0.5 * (1 - depth**2))
        np.testing.assert_array_equal(after[4:], 1)
        steps = np.diff(after[:5])
        assert (np.diff(steps) < 0).all(), "each further step towards the worst costs more"

    def test_smooths_the_planted_hard_ones(self, make_world, clusters, noisy, rng):
        truth, hidden = clusters(rng, 500, width=20, apart=2.0)
        hard = rng.random(500) < 0.3
        hidden[hard] = rng.normal(size=(int(hard.sum()), 1, 20))  # nothing to learn there
        world = make_world(hidden, truth, noisy(rng, truth, 0.1, 0.4))
        epiplexity.fit(world.problem, 0)
        before, after = world.student.calls[-2].targets, world.student.calls[-1].targets[:500]
        kept = np.abs(after - 0.5) / np.abs(before - 0.5)
        assert kept[hard].mean() < kept[~hard].mean() - 0.05

    def test_trains_on_out_of_fold_labels_and_in_both_orders(self, separated):
        epiplexity.fit(separated.problem, 0)
        one, two, run, rest, last = separated.student.calls
        assert not set(one.rows) & set(two.rows)
        for fold, other in ((one, two), (two, one)):
            told = fold.made.predict(separated.problem.train.take(np.isin(np.arange(500), other.rows)))
            np.testing.assert_allclose(run.targets[np.isin(np.arange(500), other.rows)], told, atol=1e-5)
        assert rest.options["start"] is run.made
        assert last.swap.tolist() == [False] * 500 + [True] * 500
        np.testing.assert_allclose(last.targets[500:], 1 - last.targets[:500])
