"""The module that is fine-tuned and its recipe: groups of a plan, order of batches, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from similitude.core.errors import EvaluationError, LearnerError, PlanError
from similitude.fewshot.learners.tuned import Recipe, Tuned
from similitude.scaling.plan import plan
from tests.fewshot.learners.tiny_models import Bag


class Deep(nn.Module):
    """An encoder of one hidden matrix."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(20, width)
        self.hidden = nn.Linear(width, width)

    def forward(self, ids, mask):
        return torch.relu(self.hidden(self.table(ids)))


INPUTS = (torch.arange(12).reshape(2, 6), torch.ones(2, 6, dtype=torch.int64))


def make(width: int) -> Tuned:
    return Tuned(Deep(width), width, 2)


def loss(model: nn.Module, rows: list[int]) -> torch.Tensor:
    return (model(*INPUTS) - torch.tensor([float(row) for row in rows]).mean()).square().mean()


def test_the_readout_starts_at_zero_and_reads_every_token():
    model = Tuned(Bag(), 16, 3)
    assert model(*INPUTS).shape == (2, 6, 3)
    assert not model(*INPUTS).any()


def test_a_plan_gives_its_rates_to_the_groups():
    made = plan(make, base=8, target=32, sample=INPUTS)
    factors = {row.name: row.lr for row in made.rows}
    assert factors["encode.hidden.weight"] == pytest.approx(1 / 4)
    seen = {}

    class Watched(torch.optim.AdamW):
        def __init__(self, groups):
            super().__init__(groups)
            seen.update({id(p): group["lr"] for group in self.param_groups for p in group["params"]})

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make(32)
    Recipe(lr=0.1, epochs=1, optimizer=Watched, plan=made).run(model, range(4), loss, seed=0)
    for name, parameter in model.named_parameters():
        assert seen[id(parameter)] == pytest.approx(0.1 * factors[name]), name


def test_a_plan_of_another_module_is_refused():
    made = plan(make, base=8, target=32, sample=INPUTS)
    with pytest.raises(PlanError):
        Recipe(plan=made).run(make(16), range(4), loss, seed=0)


def test_each_row_comes_once_per_epoch_in_an_order_of_the_seed():
    seen: list[list[int]] = []

    def watch(model, rows):
        seen.append(rows)
        return loss(model, rows)

    recipe = Recipe(epochs=3, batch_size=4)
    recipe.run(make(8), range(10), watch, seed=0)
    assert [len(rows) for rows in seen] == [4, 4, 2] * 3
    epochs = [[row for rows in seen[k : k + 3] for row in rows] for k in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    first = seen.copy()
    seen.clear()
    recipe.run(make(8), range(10), watch, seed=0)
    assert seen == first


def test_the_same_seed_gives_the_same_losses():
    def losses(seed):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = make(8)
        return Recipe(epochs=3, batch_size=3, lr=0.01).run(model, range(4), loss, seed=seed).losses

    assert np.array_equal(losses(0), losses(0))
    assert not np.array_equal(losses(0), losses(1))


def test_a_rate_that_diverges_is_named():
    with pytest.raises(LearnerError, match=r"not finite at step \d+ of 30 with lr=1e\+30"):
        Recipe(lr=1e30, epochs=30, optimizer=torch.optim.SGD).run(make(8), range(4), loss, seed=0)


@pytest.mark.parametrize("wrong", [{"lr": 0.0}, {"epochs": 0}, {"batch_size": 0}, {"warmup": 1.5}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(EvaluationError, match="needs lr > 0"):
        Recipe(**wrong)


def test_recipes_that_train_differently_have_different_names():
    made = plan(make, base=8, target=32, sample=INPUTS, gamma=2.0)
    recipes = [
        Recipe(),
        Recipe(lr=1e-3),
        Recipe(epochs=3),
        Recipe(batch_size=4),
        Recipe(warmup=0.5),
        Recipe(weight_decay=0.1),
        Recipe(optimizer=torch.optim.SGD),
        Recipe(plan=made),
    ]
    assert len({recipe.label for recipe in recipes}) == len(recipes)
    assert recipes[-1].label.endswith("plan=mup width 8->32, gamma=2")
