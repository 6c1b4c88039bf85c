import math

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from medcls.evaluation.choice import judge_choice
from medcls.evaluation.constant import beats, constant_loss, says_nothing
from medcls.evaluation.metrics import METRICS
from medcls.runs.predictions import Predictions

AUROC = METRICS["auroc"]


def net(rng, skill, labels, groups=()):
    score = skill * (labels - 0.5) + rng.normal(size=len(labels))
    p = 1 / (1 + np.exp(-score))
    return Predictions(
        "bone", tuple(f"{i}.png" for i in range(len(labels))), labels, np.stack([1 - p, p], 1), 1, groups
    )


def test_the_winner_of_many_equal_variants_is_told_to_look_too_good():
    labels = np.arange(100) % 2
    truth = 0.714  # of a normal difference of 0.8 standard deviations: Phi(0.8 / sqrt(2))
    shown, honest = [], []
    for study in range(40):
        rng = np.random.default_rng(study)
        variants = {f"v{i}": [[net(rng, 0.8, labels)]] for i in range(12)}
        choice = judge_choice(variants, AUROC, n_resamples=100)
        shown.append(max(roc_auc_score(labels, of[0][0].probabilities[:, 1]) for of in variants.values()))
        honest.append(choice.honest.value)
        assert choice.optimism == pytest.approx(shown[-1] - honest[-1])
    assert np.mean(shown) - truth > 0.05
    assert np.mean(honest) == pytest.approx(truth, abs=0.02)


@pytest.mark.slow
def test_the_choice_is_judged_on_images_that_it_was_not_made_on():
    labels, rng = np.arange(120) % 2, np.random.default_rng(3)
    variants = {f"v{i}": [[net(rng, 0.8, labels)]] for i in range(3)}
    scores = np.stack([of[0][0].probabilities[:, 1] for of in variants.values()])
    judged, winners = [], []
    while len(judged) < 500:
        drawn = np.concatenate([rng.choice(np.flatnonzero(labels == k), 60) for k in (0, 1)])
        left = np.setdiff1d(np.arange(120), drawn)
        winners.append(np.argmax([roc_auc_score(labels[drawn], score[drawn]) for score in scores]))
        judged.append(roc_auc_score(labels[left], scores[winners[-1]][left]))
    choice = judge_choice(variants, AUROC)
    assert choice.honest.value == pytest.approx(np.mean(judged), abs=0.01)
    assert (choice.honest.low, choice.honest.high) == pytest.approx(np.quantile(judged, [0.025, 0.975]), abs=0.03)
    assert list(choice.won.values()) == pytest.approx(np.bincount(winners, minlength=3) / 500, abs=0.1)


def test_a_variant_that_always_wins_owes_nothing_to_the_choice():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    groups = tuple(f"P{i // 4}" for i in range(200))
    seeds = {name: [[net(rng, skill, labels, groups)] for _ in range(2)] for name, skill in (("a", 0.3), ("b", 3.0))}
    choice = judge_choice(seeds, AUROC)
    assert choice.won == {"a": 0, "b": 1}
    assert abs(choice.optimism) < 0.01


def test_nothing_is_said_of_a_choice_among_variants_measured_on_different_images():
    rng = np.random.default_rng(0)
    a, b = net(rng, 1, np.arange(40) % 2), net(rng, 1, np.arange(60) % 2)
    assert judge_choice({"a": [[a]], "b": [[b]]}, AUROC) is None
    assert judge_choice({"a": [[a]]}, AUROC) is None


@pytest.mark.parametrize("weights", [None, [1.0, 3.0, 0.5]])
def test_the_loss_of_a_constant_is_the_lowest_that_one_answer_reaches(weights):
    labels = np.repeat([0, 1, 2], [50, 20, 10])
    each = None if weights is None else np.array(weights)[labels]
    share = np.bincount(labels, weights=each) / (len(labels) if each is None else each.sum())
    found = constant_loss(labels, "cross_entropy", weights, 3)
    assert found == pytest.approx(log_loss(labels, np.tile(share, (80, 1)), sample_weight=each))
    other = np.tile(share * [0.9, 1.1, 1.0] / (share @ [0.9, 1.1, 1.0]), (80, 1))
    assert found < log_loss(labels, other, sample_weight=each)
    one_vs_rest = [log_loss(labels == k, np.full(80, share[k]), sample_weight=each) for k in range(3)]
    assert constant_loss(labels, "one_vs_rest", weights, 3) == pytest.approx(np.mean(one_vs_rest))


def test_a_loss_beats_a_constant_only_by_more_than_rounding():
    assert not beats(math.log(2) - 1e-6, math.log(2))
    assert beats(0.69, math.log(2))


def test_nets_that_tell_nothing_apart_are_named_and_others_not():
    labels = np.arange(20) % 2
    names = tuple(map(str, range(20)))

    def says(positive):
        found = Predictions("bone", names, labels, np.stack([1 - positive, positive], 1), 1)
        return says_nothing(found, ["intact", "broken"])

    assert says(0.7 + 1e-6 * np.arange(20)) == "answers the same for every image"
    assert says(np.linspace(0.6, 0.9, 20)) == "calls every image broken"
    assert says(np.linspace(0.1, 0.9, 20)) == ""
