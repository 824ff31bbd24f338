"""Logistic regression: the choice of its penalty against leaving out by brute force, and odd sets of classes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from similitude.fewshot.learners.logistic import STRENGTHS, Logistic, choose_strength


@pytest.mark.parametrize("seed", [0, 1])
def test_the_penalty_is_that_of_least_loss_of_left_out_examples(seed):
    rng = np.random.default_rng(seed)
    y = np.array(["a", "b", "c"] * 4)
    x = rng.normal(size=(12, 20)) + 0.7 * (y == "a")[:, None] - 0.7 * (y == "b")[:, None]

    def loss(c: float) -> float:
        model = LogisticRegression(C=c, class_weight="balanced", max_iter=2000, tol=1e-6)
        p = cross_val_predict(model, x, y, cv=LeaveOneOut(), method="predict_proba")
        return -np.log(np.maximum(p[np.arange(12), np.searchsorted(["a", "b", "c"], y)], 1e-3)).sum()

    losses = {c: loss(c) for c in STRENGTHS}
    assert losses[choose_strength(x, list(y))] == pytest.approx(min(losses.values()), rel=1e-3)


def test_one_class_is_certain():
    model = Logistic(np.ones((3, 2)), ["a"] * 3)
    assert model.probabilities(np.zeros((2, 2))).tolist() == [[1.0], [1.0]]


def test_a_class_of_one_example_and_single_examples_can_be_left_out():
    rng = np.random.default_rng(0)
    assert choose_strength(rng.normal(size=(5, 8)), ["a", "a", "b", "b", "c"]) in STRENGTHS
    assert choose_strength(rng.normal(size=(1, 8)), ["a"]) in STRENGTHS


def test_no_rows_have_no_probabilities():
    model = Logistic(np.array([[0.0], [1.0]]), ["a", "b"])
    assert model.probabilities(np.zeros((0, 1))).shape == (0, 2)


def test_balanced_classes_weigh_the_same():
    x = np.array([[0.0]] * 9 + [[0.0]])
    y = ["a"] * 9 + ["b"]
    assert Logistic(x, y).probabilities(np.zeros((1, 1)))[0, 1] == pytest.approx(0.1, abs=0.01)
    assert Logistic(x, y, balanced=True).probabilities(np.zeros((1, 1)))[0, 1] == pytest.approx(0.5, abs=0.01)
