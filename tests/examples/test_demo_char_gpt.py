"""The character GPT of the demos: its size and operations against counts, its grid, and the fit of the split."""

from __future__ import annotations

import sys

import char_gpt
import numpy as np
import optuna
import pytest
import torch
from char_gpt import objective
from char_gpt_grid import read, remake, runs
from char_gpt_training import (
    BATCH,
    CONTEXT,
    Trained,
    batches,
    flop_per_token,
    loss_of,
    make,
    parameters_of,
    train,
    width_of,
)
from isoflop import Cell, optimum, split
from torch.utils.flop_counter import FlopCounterMode


@pytest.mark.parametrize("width", [3, 8, 17])
def test_parameters_are_the_weights_that_multiply(width):
    counted = sum(
        module.weight.numel() for module in make(width).modules() if isinstance(module, torch.nn.Linear)
    )
    assert parameters_of(width) == counted


@pytest.mark.parametrize("width", [3, 8, 17])
def test_operations_are_those_that_torch_counts(width):
    model, batch = make(width), batches().batch(0, 0)
    counter = FlopCounterMode(display=False)
    with counter:
        loss_of(model, batch).backward()
    assert flop_per_token(width) * BATCH * CONTEXT == counter.get_total_flops()


def test_the_nearest_width_is_built():
    for parameters in (500, 1234, 7168, 50_000):
        widths = np.arange(2, 100)
        sizes = np.array([parameters_of(int(w)) for w in widths])
        assert width_of(parameters) == widths[np.abs(sizes - parameters).argmin()]


def test_a_run_is_the_same_twice_costs_what_it_says_and_learns():
    runs = [train(batches(), parameters=900, tokens=5000, learning_rate=0.03, seed=1) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0].tokens == round(5000 / 512) * 512
    assert runs[0].flop == flop_per_token(5) * runs[0].tokens
    with torch.no_grad():
        untrained = loss_of(make(5), batches().evaluation()).item()
    assert runs[0].loss < untrained - 0.5


def test_the_objective_tells_its_cost_and_a_run_above_the_cap_fails_without_training():
    study = optuna.create_study()
    study.enqueue_trial({"parameters": 900.0, "tokens": 1e4, "learning_rate": 0.03})
    study.enqueue_trial({"parameters": 5e4, "tokens": 4e6, "learning_rate": 0.03})
    study.optimize(objective, n_trials=2)
    first, second = study.trials
    assert first.user_attrs["cost"] == pytest.approx(flop_per_token(5) * 20 * 512 / 1e9)
    assert second.state == optuna.trial.TrialState.PRUNED
    assert second.user_attrs["similitude:failure"] == "cap"


def law(budget: float, parameters: float) -> float:
    """A loss whose best size at a budget is known: parameters = 0.1 budget^0.45."""
    return 2 + 0.2 * (np.log10(parameters / (0.1 * budget**0.45))) ** 2


def made_up(noise: float, seed: int) -> list[Cell]:
    rng = np.random.default_rng(seed)
    cells = []
    for budget in np.geomspace(1e9, 1e11, 5):
        for part in (0.3, 0.6, 1.0, 1.8, 3.2):
            size = part * 0.15 * budget**0.45
            for rate in (0.01, 0.02, 0.04):
                base = law(budget, size) + 0.05 * np.log2(rate / 0.02) ** 2
                losses = tuple(base + noise * rng.standard_normal(2))
                cells.append(Cell(float(budget), float(size), budget / 6 / size, rate, losses))
    return cells


def test_the_split_of_a_known_law_is_found():
    found = split(made_up(1e-6, 0))
    assert found.exponent == pytest.approx(0.45, abs=1e-4)
    np.testing.assert_allclose(found.best, 0.1 * found.budgets**0.45, rtol=1e-3)
    assert found.bracketed.all()


@pytest.mark.slow
def test_the_interval_of_the_split_covers_the_truth_about_as_often_as_it_says():
    covered = [s.low <= 0.45 <= s.high for s in (split(made_up(0.01, seed), seed=seed) for seed in range(20))]
    assert sum(covered) >= 14  # 90 % of 20 is 18, sd 1.3


def test_an_optimum_at_the_edge_of_the_sizes_is_not_one():
    sizes = np.array([1e3, 2e3, 4e3])
    assert optimum(sizes, np.array([3.0, 2.0, 1.5])) == (4e3, False)
    size, inside = optimum(sizes, np.array([2.0, 1.0, 2.0]))
    assert inside
    assert size == pytest.approx(2e3)


def test_the_grid_is_whole_and_a_run_of_it_comes_out_again(tmp_path, monkeypatch):
    cells = read()
    assert sum(len(cell.losses) for cell in cells) == len(runs())
    assert all(len(cell.losses) == 2 for cell in cells)
    assert {cell.budget for cell in cells} == {budget for budget, *_ in runs()}
    for cell in cells:
        flop = flop_per_token(width_of(cell.parameters)) * cell.tokens
        assert flop == pytest.approx(cell.budget, rel=0.02)
    cheapest = [run for run in runs() if run[0] == min(cell.budget for cell in cells)][-2:]
    monkeypatch.setattr("char_gpt_grid.runs", lambda: cheapest)
    file = tmp_path / "grid.csv"
    remake(file)
    before = file.read_bytes()
    remake(file)  # nothing is missing
    assert file.read_bytes() == before
    (again,) = read(file)
    (same,) = (
        cell
        for cell in cells
        if (cell.budget, cell.parameters, cell.rate) == (again.budget, again.parameters, again.rate)
    )
    np.testing.assert_allclose(again.losses, same.losses, atol=0.02)  # sums differ between machines


@pytest.mark.slow
def test_the_script_finds_the_split_of_a_known_law(tmp_path, monkeypatch, capsys):
    """Loss = 1 + 30 N^-0.4 + 300 D^-0.5 and a well in log rate: with C ~ N D the best N goes as C^(0.5 / 0.9)."""

    def known(text, *, parameters, tokens, learning_rate, seed):
        rng = np.random.default_rng(seed)
        loss = 1 + 30 * parameters**-0.4 + 300 * tokens**-0.5 + 0.1 * np.log10(learning_rate / 0.04) ** 2
        return Trained(
            int(parameters), int(tokens), 6 * parameters * tokens, loss + 0.002 * rng.standard_normal()
        )

    monkeypatch.setattr(char_gpt, "train", known)
    monkeypatch.setattr(
        sys, "argv", ["char_gpt.py", "--trials", "40", "--folder", str(tmp_path), "--figures", str(tmp_path)]
    )
    char_gpt.main()
    printed = capsys.readouterr().out
    found = float(printed.split("best number of parameters ~ cost^")[1].split()[0])
    assert found == pytest.approx(0.5 / 0.9, abs=0.1)
    assert {path.name for path in tmp_path.glob("*.svg")} == {"tuning-char-gpt.svg", "tuning-isoflop.svg"}
