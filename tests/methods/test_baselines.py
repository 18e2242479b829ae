"""Baselines: what they train on, and what they do not look at."""

from importlib import import_module

import numpy as np
import pytest
from scipy.special import expit

from aarlab.methods import bootstrapping, logconf, unsupervised_elicitation, zero_shot
from aarlab.students import Unsupported


def trained(name, world):
    """The calls of `finetune` that a method makes."""
    import_module(f"aarlab.methods.{name}").fit(world.problem, 0)
    return world.student.calls


@pytest.fixture
def world(make_world, clusters, rng):
    truth, hidden = clusters(rng, 200)
    weak = np.clip(0.5 + 0.1 * (2 * truth - 1) + 0.15 * rng.normal(size=200), 0.01, 0.99)
    return make_world(hidden, truth, weak, margins=rng.normal(size=(200, 2, 2)), test=80)


def test_vanilla_trains_on_hard_labels_and_vanilla_soft_on_soft_ones(world):
    (hard,) = trained("vanilla", world)
    np.testing.assert_array_equal(hard.targets, world.weak > 0.5)
    np.testing.assert_array_equal(trained("vanilla_soft", world)[1].targets, world.weak)


def test_confident_trains_on_the_surer_half(world):
    (call,) = trained("confident", world)
    distance = np.abs(world.weak - 0.5)
    assert set(call.rows) == set(np.argsort(-distance)[:60])


def test_early_stopping_takes_one_pass(world, make_world, clusters, rng, other_student):
    (call,) = trained("early_stopping", world)
    assert call.options["max_steps"] == 1
    truth, hidden = clusters(rng, 100)
    (call,) = trained("early_stopping", make_world(hidden, truth, truth, student=other_student))
    assert call.options["max_steps"] == 4


def test_early_stopping_beats_vanilla_where_errors_are_random(make_world, clusters, noisy, rng):
    truth, hidden = clusters(rng, 700, width=200, apart=2.0)
    world = make_world(hidden, truth, noisy(rng, truth, 0.35), test=400)
    assert world.accuracy("early_stopping") > world.accuracy("vanilla") + 0.03


def test_logconf_blends_its_own_verdicts_in_step_by_step(world):
    calls = trained("logconf", world)
    weak = (world.weak > 0.5).astype(float)
    assert len(calls) == logconf.PASSES
    np.testing.assert_array_equal(calls[0].targets, weak)
    for before, call, share in zip(calls, calls[1:], [0.25, 0.5, 0.5, 0.5], strict=False):
        assert call.options["start"] is before.made
        own = before.made.logits(world.problem.train) > 0
        np.testing.assert_allclose(call.targets, (1 - share) * weak + share * own)


def test_logconf_takes_single_candidates_halfway(make_world, clusters, rng):
    truth, hidden = clusters(rng, 200, pairs=False)
    world = make_world(hidden, truth, np.full(200, 0.9) - 0.3 * (truth == 0), pairs=False)  # all weak verdicts are 1
    second = trained("logconf", world)[1]
    assert (second.targets == 1).sum() == 100
    assert (second.targets == 0.75).sum() == 100


@pytest.mark.parametrize(("logit", "target", "blended"), [(2.0, 0.0, 0.2), (2.0, 1.0, 1.0), (-1.0, 1.0, 0.8)])
def test_bootstrapping_blends_target_and_present_verdict(logit, target, blended):
    losses, slopes = bootstrapping.loss(np.array([logit]), np.array([target]))
    p = expit(logit)
    assert losses[0] == pytest.approx(-(blended * np.log(p) + (1 - blended) * np.log(1 - p)))
    assert slopes[0] == pytest.approx(p - blended)


def test_zero_shot_says_the_mean_margin(world):
    predict = zero_shot.fit(world.problem, 0)
    wanted = expit(world.test.columns["margins"].mean(axis=(1, 2)))
    np.testing.assert_allclose(predict(world.test), wanted)
    assert not world.student.calls


def test_zero_shot_has_no_favourite_on_single_candidates(make_world, rng):
    margins = rng.normal(size=100) + 5
    world = make_world(rng.normal(size=(100, 3)), margins > 5, np.full(100, 0.6), margins=margins, pairs=False)
    said = zero_shot.fit(world.problem, 0)(world.problem.train) > 0.5
    assert said.sum() == 50
    np.testing.assert_array_equal(said, margins > np.median(margins))


@pytest.mark.parametrize("name", ["zero_shot", "unsupervised_elicitation"])
def test_the_teacher_is_not_looked_at(world, name):
    method = import_module(f"aarlab.methods.{name}")
    first, other = (method.fit(w.problem, 0)(w.test) for w in (world, world.with_weak(1 - world.weak)))
    np.testing.assert_array_equal(first, other)


class TestUnsupervisedElicitation:
    def test_trains_on_the_students_own_verdicts(self, world):
        (call,) = trained("unsupervised_elicitation", world)
        np.testing.assert_array_equal(call.targets, world.problem.train.columns["margins"].mean(axis=(1, 2)) > 0)

    def test_asks_a_student_that_cannot_be_trained_as_it_is(self, world):
        world.student.capabilities = ("margins",)
        predict = unsupervised_elicitation.fit(world.problem, 0)
        np.testing.assert_array_equal(predict(world.test), zero_shot.fit(world.problem, 0)(world.test))

    def test_equal_final_answers_are_right_or_wrong_together(self, make_world, rng):
        answers = ["3 + 4 = 7", "so it is 7", "it is 1,000.", "1000", "nothing", "none", "7", "12"]
        texts = np.array([["q", answer] for answer in answers], dtype=np.dtypes.StringDType())
        margins = np.array([3.0, -1.0, -3.0, 2.0, 4.0, -4.0, -2.0, -1.0])
        states, nothing = rng.normal(size=(8, 3)), np.full(8, 0.4)
        world = make_world(
            states,
            np.zeros(8),
            nothing,
            margins=margins,
            pairs=False,
            domain="math",
            texts=texts,
            groups=[0] * 6 + [1, 1],
        )
        cluster = unsupervised_elicitation.same_answer(world.problem)
        assert cluster.tolist() == [0, 0, 1, 1, 2, 3, 4, 5]  # 7 in another question is another answer
        (call,) = trained("unsupervised_elicitation", world)
        # Margins less their median, -1, and then the mean of each cluster: 2, 2, .5, .5, 5, -3, -1, 0.
        assert call.targets.tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


class TestCritic:
    def test_says_what_it_lacks(self, world):
        with pytest.raises(Unsupported, match=r"cannot generate; it can: finetune, hidden, margins"):
            trained("critic", world)

    @pytest.mark.parametrize("pairs", [True, False])
    def test_critiques_help_to_label(self, make_world, clusters, noisy, rng, pairs):
        truth, hidden = clusters(rng, 600, apart=1.0, width=30, pairs=pairs)
        world = make_world(hidden, truth, noisy(rng, truth, 0.35, 0.05), pairs=pairs, test=300)
        vanilla = world.accuracy("vanilla")
        writes(world.student, truth)
        assert world.accuracy("critic") > vanilla + 0.02
        helped = world.student.calls[-1].targets > 0.5
        assert (helped == world.truth).mean() > 0.9


def writes(student, truth):
    """Give a student the gift of naming flaws, with a little noise; the words mean nothing to it."""
    student.capabilities = (*student.capabilities, "generate")

    def generate(examples, instruction):
        assert "error" in instruction
        said = truth[examples.columns["row"]] ^ examples.swap
        noise = np.random.default_rng(0).integers(5, size=len(said))
        return [f"the {'proof' if s else 'excuse'} is number {n} of them" for s, n in zip(said, noise, strict=True)]

    student.generate = generate
