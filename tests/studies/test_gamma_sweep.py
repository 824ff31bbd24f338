"""A small sweep, held against loops by hand, against the law, and against itself after an interruption."""

import functools

import pytest
import torch
from torch import nn

from similitude.claims import gamma_nets
from similitude.core.errors import GridError, PlanError, StudyError
from similitude.models import MLP
from similitude.scaling.centred import Centred
from similitude.studies import gamma_sweep as module
from similitude.studies.gamma_experiment import DOUBLE_BELOW, GammaExperiment
from similitude.studies.gamma_sweep import gamma_sweep
from similitude.training.losses import mean_squared_error

INPUTS, WIDTH = 6, 16


class Linear:
    """A linear function of Gaussian inputs: the same batch at every step."""

    def batch(self, seed, step):
        generator = torch.Generator().manual_seed(11)
        x = torch.randn(64, INPUTS, generator=generator)
        return x, x @ torch.randn(INPUTS, 1, generator=generator) / INPUTS**0.5

    def evaluation(self):
        return None

    def describe(self):
        return {"data": "linear"}


def make(width, *, layers=2, zero=False):
    """Build a deep linear network whose output is of order width^-1/2, as at the base of muP."""
    model = MLP(INPUTS, 1, width=width, depth=layers - 1, activation="linear", bias=False)
    for weight in model.parameters():
        nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
    with torch.no_grad():
        model.head.weight.mul_(0 if zero else width**-0.5)
    return model


def sweep(folder, **changes):
    options = {
        "base": WIDTH,
        "gammas": (0.1, 10.0),
        "lrs": (0.01, 0.1, 1.0),
        "loss": mean_squared_error,
        "steps": 12,
        "seeds": (0, 1),
        "layers": 2,
        "storage": folder,
    }
    return gamma_sweep(changes.pop("make", make), changes.pop("batches", Linear()), **(options | changes))


def by_hand(gamma, lr, model, steps=12, *, kind="sgd"):
    """Train the two matrices of a linear network with formulas alone."""
    u, v = (p.detach().clone().double() for p in model.parameters())
    u0, v0 = u.clone(), v.clone()
    x, y = (t.double() for t in Linear().batch(0, 0))
    losses = []
    for _ in range(steps):
        error = ((x @ u.T @ v.T) - (x @ u0.T @ v0.T)) / gamma - y
        losses.append(float((error**2).mean()))
        slope = 2 * error / len(x) / gamma
        u, v = u - lr * v.T @ slope.T @ x, v - lr * slope.T @ (x @ u.T)
    return losses


def test_runs_are_gradient_descent_on_the_centred_output_over_gamma(tmp_path):
    found = sweep(tmp_path)
    experiment = GammaExperiment("x", make, Linear(), {"width": WIDTH}, (0.1, 10.0))
    assert experiment.gammas == (0.1, 10.0)
    from similitude.training.build import build_model

    for point in found.points:
        for i, lr in enumerate(point.curve.lrs):
            for j, seed in enumerate((0, 1)):
                hand = by_hand(point.gamma, lr, build_model(functools.partial(make, WIDTH), seed))
                if hand[-1] < 1e3:
                    assert point.curve.losses[i][j] == pytest.approx(hand[-1], rel=1e-4)
                else:
                    assert not point.curve.losses[i][j] < 1e3
                assert point.initial[j] == pytest.approx(hand[0], rel=1e-6)


def test_a_second_run_finds_everything(tmp_path):
    first, second = sweep(tmp_path), sweep(tmp_path)
    assert (first.cells_found, first.cells_run) == (0, 12)
    assert (second.cells_found, second.cells_run) == (12, 0)
    assert [p.curve for p in first.points] == [p.curve for p in second.points]
    assert sweep(tmp_path, gammas=(0.1, 1.0, 10.0)).cells_run == 6
    with pytest.raises(StudyError, match="steps"):
        sweep(tmp_path, steps=13)


def test_what_an_interruption_left_is_not_run_again(tmp_path, monkeypatch):
    calls = []
    train = module.train_job

    def stops(experiment, job):
        calls.append(job)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(experiment, job)

    monkeypatch.setattr(module, "train_job", stops)
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path)
    monkeypatch.undo()
    again = sweep(tmp_path)
    assert again.cells_found == len(calls[0].cells)
    assert again.cells_found + again.cells_run == 12


def test_a_head_at_zero_needs_no_centring(tmp_path):
    zero = functools.partial(make, zero=True)
    centred, plain = (sweep(tmp_path / str(c), make=zero, centre=c) for c in (True, False))
    assert [p.curve.losses for p in centred.points] == [p.curve.losses for p in plain.points]
    assert plain.settings["centred"] is False


SGD = torch.optim.SGD
ADAM = functools.partial(torch.optim.Adam, betas=(0.9, 0.95), eps=1e-20)


@pytest.mark.parametrize(
    ("optimizer", "lazy", "rich", "tolerance"),
    [(SGD, 2.0, 1.0, 0.15), pytest.param(ADAM, 1.0, 0.5, 0.2, marks=pytest.mark.slow)],
    ids=["sgd", "adam"],
)
def test_the_largest_stable_rate_follows_the_law(tmp_path, optimizer, lazy, rich, tolerance):
    """Bar 3 on its cheapest case; `similitude claims run 1` has three numbers of layers and more gammas."""
    found = gamma_sweep(
        functools.partial(gamma_nets.make, layers=2),
        gamma_nets.FreshInputs(),
        base=WIDTH,
        gammas=(1e-4, 1e-2, 1e2, 1e4),
        loss=mean_squared_error,
        optimizer=optimizer,
        steps=100,
        seeds=(0, 1),
        storage=tmp_path,
    )
    assert found.layers == 2
    for side, expected in (("lazy", lazy), ("rich", rich)):
        exponent, best = found.exponent(side), found.exponent(side, "best rate")
        assert exponent is not None
        assert best is not None
        assert abs(exponent.value - expected) <= tolerance
        assert exponent.expected == expected
        assert best.value == pytest.approx(expected, abs=0.3)


def test_small_gammas_are_trained_in_double_precision():
    experiment = GammaExperiment("x", make, Linear(), {"width": 8}, (DOUBLE_BELOW / 2, 1.0))
    small, one = experiment.gammas
    assert next(experiment.model(small).parameters()).dtype == torch.float64
    assert experiment.batches_at(small).batch(0, 0)[0].dtype == torch.float64
    assert next(experiment.model(one).parameters()).dtype == torch.float32
    assert experiment.batches_at(small).describe() == Linear().describe()


class Dropped(nn.Module):
    """A model whose layers draw, as an ensemble stacks it."""

    def __init__(self, width):
        super().__init__()
        self.first, self.drop, self.head = nn.Linear(INPUTS, width), nn.Dropout(0.5), nn.Linear(width, 1)

    def forward(self, x):
        return self.head(self.drop(self.first(x).relu()))


def test_dropout_starts_at_zero_in_an_ensemble(tmp_path):
    found = sweep(tmp_path, make=Dropped)
    _, y = Linear().batch(0, 0)
    for point in found.points:
        assert point.initial == pytest.approx([float((y**2).mean())] * 2)


class Uneven(Linear):
    """Batches whose first is much harder than the others."""

    def batch(self, seed, step):
        x, y = super().batch(seed, step)
        return x, 10 * y if step == 0 else y


def test_runs_are_held_against_the_untrained_model_on_the_batches_of_the_end(tmp_path):
    found = sweep(tmp_path, batches=Uneven(), lrs=(1e-12, 1e-11, 1e-10))
    _, y = Linear().batch(0, 0)
    for point in found.points:
        assert point.initial == pytest.approx([float((y**2).mean())] * 2)
        assert point.stable == (None, None)  # at these rates nothing is learned


def test_layers_are_counted_by_the_trace(tmp_path):
    found = sweep(tmp_path, make=functools.partial(make, layers=3), layers=None)
    assert found.layers == 3


def test_what_is_no_sweep_is_refused(tmp_path):
    with pytest.raises(GridError, match="at least two"):
        sweep(tmp_path, gammas=(1.0,))
    with pytest.raises(PlanError, match="gamma=-1"):
        sweep(tmp_path, gammas=(-1.0, 1.0))
    with pytest.raises(GridError, match="seeds"):
        sweep(tmp_path, seeds=())
    with pytest.raises(GridError, match="steps"):
        sweep(tmp_path, steps=0)


def test_a_failing_loss_names_what_was_trained(tmp_path):
    def broken(model, batch):
        raise ValueError("labels are missing")

    with pytest.raises(StudyError, match=r"at gamma 0\.1 on Linear with the loss .*labels are missing"):
        sweep(tmp_path, loss=broken)


def test_results_are_plain_data(tmp_path):
    import json

    found = sweep(tmp_path)
    data = json.loads(json.dumps(found.to_dict()))
    assert [p["gamma"] for p in data["points"]] == [0.1, 10.0]
    assert data["verdict"] == str(found.verdict.outcome) == "cannot_tell"
    assert found.verdict.undecided


def test_the_model_that_is_trained_is_centred():
    experiment = GammaExperiment("x", make, Linear(), {"width": 8}, (0.5, 2.0))
    built = experiment.model(2.0)
    assert isinstance(built.model, Centred)
    assert not built(Linear().batch(0, 0)[0]).any()
