"""The phase diagram of small networks, beside formulas and the sweep that it reads."""

import functools
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

import similitude as sim
from similitude.core.errors import GridError, PlanError, SimilitudeError, StudyError
from similitude.core.verdict import Outcome
from similitude.models import GPT, MLP, ConvNet, ResNet, ViT
from similitude.studies.gamma_experiment import GammaExperiment
from similitude.studies.gamma_start import untrained_curves
from similitude.studies.gamma_sweep import gamma_sweep
from similitude.studies.richness.budgets import check_budgets
from similitude.studies.richness.phases import Phase
from similitude.training.losses import mean_squared_error

SEEDS = (0, 1)


class Fresh:
    """A linear function of Gaussian inputs that are new in every batch."""

    def batch(self, seed, step):
        x = torch.randn(32, 4, generator=torch.Generator().manual_seed(1000 * seed + step))
        return x, x.sum(1, keepdim=True) / 2

    def evaluation(self):
        return None

    def describe(self):
        return {"data": "a line"}


def two_layers(width):
    net = nn.Sequential(nn.Linear(4, width, bias=False), nn.Linear(width, 1, bias=False))
    nn.init.normal_(net[1].weight, std=1 / width)
    return net


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


def swept(storage, **changes):
    options = {
        "gammas": (1e-4, 1e-2, 1e2, 1e4),
        "lrs": None,
        "batches": Fresh(),
        "base": 16,
        "loss": mean_squared_error,
        "steps": 60,
        "seeds": SEEDS,
        "storage": storage,
    }
    return sim.richness.sweep(changes.pop("make", two_layers), **(options | changes))


@pytest.fixture(scope="module")
def diagram(folder):
    return swept(folder)


def test_the_law_of_two_layers_and_its_map(diagram):
    assert diagram.sweep.layers == 2
    assert diagram.sweep.exponent("lazy").value == pytest.approx(2, abs=0.15)
    assert diagram.sweep.exponent("rich").value == pytest.approx(1, abs=0.15)
    counts = diagram.counts()
    assert sum(counts.values()) == len(diagram.cells)
    assert counts[Phase.DIVERGED]
    assert counts[Phase.LEARNED] + counts[Phase.STAIRCASE]
    assert counts[Phase.NO_PROGRESS] + counts[Phase.PLATEAU]
    assert diagram.ends == ()


def test_cells_above_the_edge_never_made_no_progress_and_those_at_it_did_not_diverge(diagram):
    for point in diagram.sweep.points:
        for cell in (c for c in diagram.cells if c.gamma == point.gamma):
            for phase, edge in zip(cell.phases, point.stable, strict=True):
                if cell.lr > edge:
                    assert phase is not Phase.NO_PROGRESS
                if cell.lr == edge:
                    assert phase is not Phase.DIVERGED
    assert all(cell.phase is Phase.DIVERGED for cell in diagram.cells if cell.lr > 1e5)


def test_a_large_gamma_waits_on_its_first_plateau(diagram):
    """At 10^4 runs that learn begin with a plateau at the initial loss, at 10^-4 none has one well below the edge."""
    edge = {point.gamma: min(point.stable) for point in diagram.sweep.points}
    calm = {g: {c.phase for c in diagram.cells if c.gamma == g and c.lr < edge[g] / 3} for g in (1e-4, 1e4)}
    assert Phase.STAIRCASE in calm[1e4]
    assert Phase.STAIRCASE not in calm[1e-4]
    first = next(c for c in diagram.cells if c.gamma == 1e4 and c.phase is Phase.STAIRCASE)
    levels = [
        levels for levels, phase in zip(first.levels, first.phases, strict=True) if phase is Phase.STAIRCASE
    ]
    assert all(one[0] == pytest.approx(1.0, abs=0.05) for one in levels)


def test_runs_are_those_of_the_sweep_of_gamma(diagram, folder):
    again = gamma_sweep(
        two_layers,
        Fresh(),
        base=16,
        gammas=(1e-4, 1e-2, 1e2, 1e4),
        loss=mean_squared_error,
        steps=60,
        seeds=SEEDS,
        storage=folder,
    )
    assert again.cells_run == 0
    assert again.exponents == diagram.sweep.exponents
    for point in again.points:
        for lr, losses in zip(point.curve.lrs, point.curve.losses, strict=True):
            assert diagram.cell(point.gamma, lr).final == losses
    assert diagram.cell(1e2, 12345.0) is None


def test_budgets_are_runs_of_fewer_steps(diagram, tmp_path):
    short = swept(tmp_path, gammas=(1e-2, 1e2), lrs=(2.0**-14, 2.0**-12, 1.0, 4.0, 16.0), steps=15)
    long = swept(
        tmp_path / "long", gammas=(1e-2, 1e2), lrs=(2.0**-14, 2.0**-12, 1.0, 4.0, 16.0), budgets=(15, 60)
    )
    cut, whole = long.budgets
    assert cut.steps == 15
    for point in short.sweep.points:
        assert cut.losses[point.gamma] == pytest.approx(
            min(np.mean(row) for row in point.curve.losses), rel=1e-5
        )
    for point in long.sweep.points:
        assert whole.losses[point.gamma] == pytest.approx(
            min(np.mean(row) for row in point.curve.losses), rel=1e-9
        )
    assert [budget.steps for budget in diagram.budgets] == [15, 30, 60]


def test_under_a_schedule_there_are_no_budgets(tmp_path):
    from similitude.training.schedule import WarmupLinear

    found = swept(tmp_path, gammas=(1e-2, 1e2), lrs=(0.1, 0.2, 0.4), schedule=WarmupLinear(60, 0))
    assert found.budgets == ()
    assert "schedule" in found.notes[0]


def test_a_grid_that_is_too_short_says_which_way(tmp_path):
    found = swept(tmp_path, gammas=(1e-2, 1e2), lrs=(2.0**-20, 2.0**-19, 2.0**-18))
    assert {(end.gamma, end.way) for end in found.ends} == {(1e-2, "larger"), (1e2, "larger")}
    assert found.verdict.outcome is Outcome.NOT_BRACKETED
    assert "--lr-max" in found.verdict.next
    assert "--lr-min" not in found.verdict.next
    above = swept(tmp_path / "above", gammas=(1e-2, 1e2), lrs=(2.0**14, 2.0**16, 2.0**18))
    assert {end.way for end in above.ends} == {"smaller"}
    assert "--lr-min" in above.verdict.next
    with pytest.raises(SimilitudeError, match="larger than"):
        found.raise_if_bad()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"gammas": (0.0, 1.0)}, PlanError, "gamma=0.0"),
        ({"gammas": (-1.0, 1.0)}, PlanError, "gamma=-1.0"),
        ({"gammas": (math.nan, 1.0)}, PlanError, "gamma=nan"),
        ({"gammas": ()}, GridError, "at least two"),
        ({"gammas": (1.0, 1.0)}, GridError, "each once"),
        ({"lrs": ()}, GridError, "0 learning rates"),
        ({"lrs": (0.1, -0.1, 0.2)}, GridError, "-0.1 is not positive"),
        ({"budgets": (61,)}, GridError, "of the 60 steps"),
        ({"budgets": ()}, GridError, "of the 60 steps"),
        ({"steps": 0}, GridError, "steps=0"),
        ({"seeds": ()}, GridError, "seeds"),
        ({"layers": 0}, PlanError, "layers=0"),
    ],
)
def test_what_is_no_diagram_is_refused(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        swept(tmp_path, **changes)


def test_the_order_of_a_grid_does_not_matter(tmp_path):
    grid = {"gammas": (1e-2, 1e2), "lrs": (0.1, 0.2, 0.4), "steps": 20}
    first = swept(tmp_path / "a", **grid)
    other = swept(tmp_path / "b", **{**grid, "gammas": (1e2, 1e-2), "lrs": (0.4, 0.1, 0.2)})
    assert first.cells == other.cells


def test_budgets_are_sorted_and_each_once():
    assert check_budgets((40, 10, 40), 60) == (10, 40)


class Counting(nn.Module):
    """Adds how often it was called: two passes differ."""

    def __init__(self, width):
        super().__init__()
        self.net, self.calls = two_layers(width), 0

    def forward(self, x):
        self.calls += 1
        return self.net(x) + self.calls


def test_an_output_that_does_not_start_at_zero_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"'.*Counting' less its initial output is 1 before training"):
        swept(tmp_path, make=Counting, layers=2)


class Normed(nn.Module):
    """Batch norm and dropout, whose passes depend on the batch and on what is drawn."""

    def __init__(self, width):
        super().__init__()
        self.first, self.norm = nn.Linear(4, width), nn.BatchNorm1d(width)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(width, 1)

    def forward(self, x):
        return self.head(self.drop(self.norm(self.first(x)).relu()))


def test_batch_norm_and_dropout_start_at_zero_and_no_law_is_claimed(tmp_path):
    found = swept(tmp_path, make=Normed, gammas=(1e-2, 1.0), lrs=(1e-9, 1e-8, 1e-7), steps=20)
    assert found.sweep.layers is None
    assert "not tested" in found.sweep.law.summary
    last = range(18, 20)
    for point in found.sweep.points:
        for seed, start in zip(SEEDS, point.initial, strict=True):
            squares = [float((Fresh().batch(seed, step)[1] ** 2).mean()) for step in last]
            assert start == pytest.approx(np.mean(squares), rel=1e-5)


def test_the_untrained_model_is_the_same_at_every_gamma_where_it_is_centred():
    experiment = GammaExperiment(
        "x", two_layers, Fresh(), {"width": 8}, (0.1, 10.0), loss=mean_squared_error, steps=5
    )
    curves = untrained_curves(experiment)
    expected = [float((Fresh().batch(1, step)[1] ** 2).mean()) for step in range(5)]
    assert curves[0.1, 1] == pytest.approx(expected)
    assert curves[10.0, 1] == pytest.approx(expected)
    plain = GammaExperiment(
        "x", two_layers, Fresh(), {"width": 8}, (0.1, 10.0), loss=mean_squared_error, steps=5, centre=False
    )
    assert untrained_curves(plain)[0.1, 0][0] > untrained_curves(plain)[10.0, 0][0]


def test_a_factory_of_nothing_is_a_model_of_one_size(tmp_path):
    found = swept(
        tmp_path, make=functools.partial(two_layers, 8), gammas=(1e-2, 1e2), lrs=(0.1, 0.2, 0.4), steps=10
    )
    assert found.sweep.layers == 2
    assert found.sweep.settings["size"] == {"width": 1}


def test_digits_are_what_is_learned_by_default(tmp_path):
    found = sim.richness.sweep(
        lambda width: MLP(64, 10, width=width, depth=1),
        (0.1, 10.0),
        (0.01, 0.1, 1.0),
        base=8,
        steps=5,
        seeds=(0,),
        storage=tmp_path,
    )
    assert found.sweep.settings["data"] == "digits"


IMAGES = {
    "convnet": (lambda width: ConvNet(1, 10, width=width, depth=2, norm=None), 3),
    "resnet": (lambda width: ResNet(1, 10, width=width, depth=1, norm="batch"), None),
    "vit": (lambda width: ViT(8, 1, 10, patch=4, width=width, head_dim=8, depth=1), None),
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_networks_of_images_train_as_one_program_and_only_stacks_have_layers(
    tmp_path, monkeypatch, name, optimizer
):
    from similitude.training import ensemble

    monkeypatch.setattr(ensemble, "_alone", None)  # a fall back to the plain loop would call it
    make, layers = IMAGES[name]
    found = sim.richness.sweep(
        make,
        (0.1, 10.0),
        (1e-4, 1e-3, 1e-2),
        base=8,
        optimizer=optimizer,
        steps=3,
        seeds=(0,),
        storage=tmp_path,
    )
    assert found.sweep.layers == layers
    assert len(found.cells) == 6
    assert all(point.initial == pytest.approx([math.log(10)], rel=1e-4) for point in found.sweep.points)


def test_a_language_model_trains_as_one_program(tmp_path, monkeypatch):
    from similitude.data import load
    from similitude.data.batches import TextBatches
    from similitude.training import ensemble

    monkeypatch.setattr(ensemble, "_alone", None)
    text = TextBatches(load("text"), batch_size=2, context=8, vocabulary=16, evaluate=4)
    found = sim.richness.sweep(
        lambda width: GPT(16, 8, width=width, depth=1, head_dim=8),
        (0.1, 10.0),
        (1e-4, 1e-3, 1e-2),
        batches=text,
        base=8,
        optimizer=torch.optim.Adam,
        steps=3,
        seeds=(0,),
        storage=tmp_path,
    )
    assert found.sweep.layers is None
    assert all(point.initial == pytest.approx([math.log(16)]) for point in found.sweep.points)


def test_a_diagram_is_plain_data(diagram):
    data = json.loads(json.dumps(diagram.to_dict()))
    assert data["verdict"] == str(diagram.verdict.outcome)
    assert sum(data["phases"].values()) == len(data["cells"])
    assert {cell["phase"] for cell in data["cells"]} <= {str(phase) for phase in Phase}
    assert [budget["steps"] for budget in data["budgets"]] == [15, 30, 60]
    assert data["open_ends"] == []
