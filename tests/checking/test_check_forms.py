"""The forms of batches and losses that a check takes, and the errors where there are none."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from similitude.checking.batches import Supply
from similitude.checking.losses import own_loss, random_targets
from similitude.core.errors import DataError, PlanError

A, B = torch.zeros(2), torch.ones(2)


class Stored:
    def batch(self, seed: int, step: int) -> torch.Tensor:
        return torch.tensor([float(seed), float(step)])


def test_one_batch_is_the_same_at_every_step():
    for one in (A, (A, B), {"x": A}):
        assert Supply(one).batch(64, 0, 0) is Supply(one).batch(64, 3, 5)


def test_a_list_and_any_iterable_go_round():
    assert [Supply([A, B]).batch(64, 0, step) is B for step in range(4)] == [False, True, False, True]
    supply = Supply(iter([A, B]))
    assert [supply.batch(64, 0, step) is B for step in range(4)] == [False, True, False, True]
    assert Supply(itertools.repeat(A)).batch(64, 0, 999) is A  # an endless one is not read to its end


def test_stored_batches_know_seed_and_step():
    assert Supply(Stored()).batch(64, 2, 3).tolist() == [2.0, 3.0]


def test_a_function_of_the_width_gives_any_of_these():
    supply = Supply(lambda width: [torch.zeros(width), torch.ones(width)])
    assert supply.batch(8, 0, 1).tolist() == [1.0] * 8
    assert supply.first(4).shape == (4,)


def test_a_function_of_nothing_gives_any_of_these_too():
    assert Supply(lambda: A).batch(64, 0, 0) is A
    assert Supply(lambda kept=A: kept).batch(64, 0, 0) is A
    assert Supply(lambda width=8: torch.zeros(width)).batch(16, 0, 0).shape == (16,)


def test_a_list_is_named_as_several_batches_only_where_it_holds_bare_tensors():
    for sample, explained in (([A, B], True), ([(A, B), (B, A)], False), ([A], False), ((A, B), False)):
        supply = Supply(sample)
        supply.first(64)
        with pytest.raises(PlanError if explained else IndexError), supply.explained():
            raise IndexError("too few")
    supply = Supply([A, B])
    supply.first(64)
    with pytest.raises(PlanError, match=r"^ours$"), supply.explained():  # no failure of the model's
        raise PlanError("ours")


@pytest.mark.parametrize("wrong", [7, "batches", None])
def test_other_things_are_no_batches(wrong):
    with pytest.raises(DataError, match="Pass one batch"):
        Supply(wrong).batch(64, 0, 0)


def test_an_empty_list_is_no_batches():
    with pytest.raises(DataError, match="without batches"):
        Supply([]).batch(64, 0, 0)


def test_a_models_own_loss_is_found_in_every_usual_form():
    one = torch.tensor(1.0)
    outputs = (SimpleNamespace(loss=one), {"loss": one, "logits": A}, (A, one), one)
    assert all(own_loss(output) is one for output in outputs)
    others = (A, (A, B), {"logits": one}, {"loss": None}, SimpleNamespace(loss=None), (one, one), None)
    assert all(own_loss(output) is None for output in others)


def test_random_targets_stand_still_and_need_an_output():
    model = nn.Linear(3, 2)
    x = torch.ones(4, 3)
    assert random_targets(model, x).item() == random_targets(model, x).item() > 0
    with pytest.raises(PlanError, match="nothing to train it on"):
        random_targets(_Silent(), x)


class _Silent(nn.Module):
    def forward(self, x: torch.Tensor) -> str:
        return "nothing"
