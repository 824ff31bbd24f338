"""Grids that cannot answer the question are refused with what to do."""

from __future__ import annotations

import math

import pytest
import torch

from similitude.core.errors import GridError, PlanError
from similitude.studies.grid_checks import check_optimizer, check_rates, check_sizes


def test_good_grids_come_back_in_order() -> None:
    assert check_rates([0.4, 0.1, 0.2]) == (0.1, 0.2, 0.4)
    assert check_sizes([256, 64, 128]) == (64, 128, 256)


@pytest.mark.parametrize(
    ("rates", "text"),
    [
        (
            [0.01],
            r"the grid has 1 learning rate \(0.01\), an optimum needs at least 3.*Next: --lr-min 2\^-11 ",
        ),
        ([0.01, 0.1], r"the grid has 2 learning rates \(0.01, 0.1\)"),
        ([], "the grid has 0 learning rates"),
        ([0.1, 0.0, 0.2], "the learning rate 0 is not positive and finite"),
        ([0.1, -0.1, -0.2], r"the learning rate -0.1 is not positive and finite \(2 of 3 such\)"),
        ([0.1, math.nan, 0.2], "the learning rate nan is not"),
        ([0.1, math.inf, 0.2], "the learning rate inf is not"),
        ([0.1, 0.2, 0.1], "the learning rate 0.1 is in the grid more than once"),
    ],
)
def test_rates_that_are_no_grid(rates: list[float], text: str) -> None:
    with pytest.raises(GridError, match=text):
        check_rates(rates)


@pytest.mark.parametrize(
    ("widths", "text"),
    [
        ([64], r"there is 1 width \(64\), a comparison needs at least 2. Next: --widths 64,128,256"),
        ([], "there are 0 widths"),
        ([64, 64], "the width 64 is there more than once"),
        ([0, 64], "the width 0 is not a positive whole number"),
        ([64.5, 128], "the width 64.5 is not"),
        ([math.nan, 128], "the width nan is not"),
        ([True, 128], "the width True is not"),
    ],
)
def test_widths_over_which_no_shift_can_be_measured(widths: list, text: str) -> None:
    with pytest.raises(GridError, match=text):
        check_sizes(widths)


class OwnMuon(torch.optim.Muon):
    """Takes vectors when it is made, and fails when it steps."""

    def __init__(self, params, lr=0.02):
        torch.optim.Optimizer.__init__(self, params, {"lr": lr})

    def step(self, closure=None):  # pyright: ignore[reportIncompatibleMethodOverride]
        for p in self.param_groups[0]["params"]:
            u, _, v = torch.linalg.svd(p.grad, full_matrices=False)
            p.data -= self.param_groups[0]["lr"] * u @ v


@pytest.mark.parametrize("optimizer", [torch.optim.Muon, OwnMuon])
def test_optimizers_of_matrices_alone_are_refused(optimizer) -> None:
    with pytest.raises(PlanError, match=r"takes matrices alone.*Sweep with one that takes all tensors"):
        check_optimizer(optimizer)


def test_other_optimizers_may_sweep() -> None:
    for optimizer in (torch.optim.SGD, torch.optim.AdamW):
        check_optimizer(optimizer)
