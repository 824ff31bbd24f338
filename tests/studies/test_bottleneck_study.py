"""Networks with bottlenecks beside function space: where they are split, and nets whose training is known."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import math

import pytest
import torch
from torch import Tensor, nn

from similitude.core.errors import BadVerdictError, GridError, PlanError, TheoryError
from similitude.core.verdict import Outcome
from similitude.kernels.entry import kernel
from similitude.runs.engine import JobsFailedError
from similitude.studies.bottleneck import bottleneck
from similitude.studies.bottleneck_limits import _redrawn, read_parts
from similitude.studies.bottleneck_records import BottleneckNet, BottleneckStudy
from similitude.studies.bottleneck_split import Neck, find_necks, split
from similitude.studies.bottleneck_verdict import judge_bottleneck
from similitude.theory.bottleneck.limit import without_bottleneck

FEATURES = 6


class Erf(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.erf(x)


def make(width: int, *, d: int = 2, outputs: int = 1) -> nn.Sequential:
    """ReLUs, a bottleneck, a head of erf, all weights Gaussian of variance 1 / fan-in."""
    net = nn.Sequential(
        nn.Linear(FEATURES, width, bias=False),
        nn.ReLU(),
        nn.Linear(width, d, bias=False),
        nn.Linear(d, width, bias=False),
        Erf(),
        nn.Linear(width, outputs, bias=False),
    )
    for p in net.parameters():
        nn.init.normal_(p, std=p.shape[1] ** -0.5)
    return net


def examples(count: int = 10, train: int = 6) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(0))
    return x, 2 * torch.sin(x[:train].sum(1))


@functools.cache
def studied() -> BottleneckStudy:
    x, y = examples()
    return bottleneck(make, x, targets=y, widths=(64, 1024), seeds=range(6), steps=40, weight_variance=1.0)


def test_wide_nets_come_near_function_space():
    study = studied()
    assert [str(neck) for neck in study.necks] == ["'2' (2 units)"]
    assert [(net.width, net.seed) for net in study.nets] == [(w, s) for w in (64, 1024) for s in range(6)]
    assert study.exponent is not None
    assert -0.9 < study.exponent.value < -0.2
    narrow, wide = study.by_width().values()
    assert sum(n.deviation for n in wide) / 6 * math.sqrt(1024) < 3
    assert sum(n.frozen for n in wide) > 3 * sum(n.deviation for n in wide)
    for net in wide:
        assert net.moved[0] > 0.1
        if math.isfinite(net.steps) and math.isfinite(net.expected_steps):
            assert net.steps == pytest.approx(net.expected_steps, rel=0.2)
    assert max(net.stability[0] for net in narrow) == pytest.approx(0.3)


def test_a_study_travels_as_plain_data():
    study = studied()
    data = json.loads(json.dumps(study.to_dict()))
    assert data["verdict"] == str(study.verdict.outcome)
    assert data["necks"] == [{"name": "2", "units": 2}]
    assert data["nets"][0]["width"] == 64
    assert data["settings"]["test examples"] == 4


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("outputs", [1, 3])
def test_linear_layers_are_exact_and_left_alone(bias, outputs):
    """A linear layer's kernel is that of any width, so that a net of them, split by name, follows without error."""
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Linear(FEATURES, 3, bias=bias), nn.Linear(3, 4, bias=bias), nn.Linear(4, outputs, bias=bias)
    )
    net = net.double()
    before = copy.deepcopy(net.state_dict())
    x, y = examples()
    y = torch.stack([y, y.cos(), -y], 1)[:, :outputs]
    seen = []
    study = bottleneck(net, x.double(), targets=y, bottlenecks=("0", "1"), steps=30, on_progress=seen.append)
    (only,) = study.nets
    assert only.width is None
    assert only.deviation < 1e-6
    assert only.frozen > 1e-3
    assert only.steps == pytest.approx(only.expected_steps)
    assert len(only.moved) == 2
    assert study.verdict.outcome is Outcome.CONSISTENT
    assert all(torch.equal(before[name], values) for name, values in net.state_dict().items())
    assert [p.cells_done for p in seen] == [1]


def test_the_net_without_a_bottleneck_is_infinitely_wide_there_too():
    x, _ = examples()
    x = x.double()
    net = make(256).double()
    parts = read_parts(net, find_necks(net, x), x, weight_variance=1.0)
    found = kernel(_redrawn(net, parts), sample=x[:2])
    below = parts.limits[0]
    expected = without_bottleneck(below.nngp(x), below.ntk(x))
    torch.testing.assert_close(found.nngp(x), torch.from_numpy(expected.nngp), rtol=0.02, atol=1e-3)
    torch.testing.assert_close(found.ntk(x), torch.from_numpy(expected.ntk), rtol=0.02, atol=1e-3)


def layers(*widths: int) -> list[nn.Module]:
    made: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        made += [nn.Linear(a, b), nn.ReLU()]
    return made[:-1]


@pytest.mark.parametrize(
    ("net", "necks"),
    [
        (nn.Sequential(*layers(6, 64, 2, 64, 1)), [("2", 2)]),
        (nn.Sequential(*layers(6, 64, 2, 64, 4, 64, 1)), [("2", 2), ("6", 4)]),
        (nn.Sequential(*layers(6, 64, 2, 3, 64, 1)), [("2", 2)]),
        (nn.Sequential(nn.Sequential(*layers(6, 64, 2)), nn.Sequential(*layers(2, 64, 1))), [("0.2", 2)]),
        (
            nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 32, 3), nn.Flatten(), *layers(128, 4, 64, 1)),
            [("3", 4)],
        ),
    ],
)
def test_bottlenecks_are_found_by_width(net, necks):
    x, _ = examples()
    found = find_necks(net, x)
    assert [(neck.name, neck.units) for neck in found] == necks
    parts = split(net, found)
    assert len(parts) == len(necks) + 1
    h = x
    for part, neck in zip(parts, found, strict=False):
        h = part(h)
        assert h.shape == (len(x), neck.units)
    assert torch.equal(parts[-1](h), net(x))
    assert {id(p) for part in parts for p in part.parameters()} == {id(p) for p in net.parameters()}


def test_in_a_family_a_bottleneck_is_what_does_not_grow():
    x, _ = examples()
    small, wide = (nn.Sequential(*layers(6, n, 20, n, 1)) for n in (32, 48))
    assert find_necks(small, x, wider=wide) == (Neck("2", 20),)
    with pytest.raises(PlanError, match="no bottleneck was found among the widths '0' 32, '1' 32, '2' 20"):
        find_necks(small, x)
    assert find_necks(small, x, named=["2"]) == (Neck("2", 20),)
    with pytest.raises(PlanError, match="have different children"):
        find_necks(small, x, wider=nn.Sequential(*layers(6, 48, 1)))


def test_what_cannot_be_split_is_refused():
    x, y = examples()
    with pytest.raises(PlanError, match=r"the network is a Linear\. Pass an nn.Sequential"):
        bottleneck(nn.Linear(6, 1), x, targets=y)  # type: ignore[arg-type]
    net = nn.Sequential(*layers(6, 64, 2, 64, 1))
    with pytest.raises(
        PlanError, match=r"bottlenecks names 'neck', which is no child.* There are '0', '1', '2'"
    ):
        bottleneck(net, x, targets=y, bottlenecks=("neck",))
    with pytest.raises(PlanError, match="bottlenecks names '6'"):
        bottleneck(net, x, targets=y, bottlenecks=("6",))
    tied = nn.Sequential(*layers(6, 2, 6, 2, 6, 1))
    tied[4].weight = tied[0].weight
    with pytest.raises(PlanError, match=r"parts 0 and 1 of the network share the parameter '4\.weight'"):
        bottleneck(tied, x, targets=y, bottlenecks=("0",))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"targets": torch.zeros(4)}, PlanError, "not all 0"),
        ({"targets": torch.ones(11)}, PlanError, r"targets has shape \(11, 1\) for 10 examples"),
        ({"step_size": 2.0}, GridError, "step_size=2: pass a number between 0 and 2"),
        ({"widths": (64,)}, GridError, "takes two different ones"),
        ({"widths": (64, 64)}, GridError, "each once"),
        ({"steps": 0}, GridError, "steps"),
        ({"goal": 1.0}, GridError, "goal=1: pass a share"),
        ({"goal": math.nan}, GridError, "goal=nan"),
        ({"limit": 0.0}, GridError, "limit=0"),
        ({"bottlenecks": ()}, PlanError, "bottlenecks is empty"),
        ({"targets": torch.tensor([1.0, math.nan])}, TheoryError, r"targets\[1\] is nan"),
        ({"targets": ["a"]}, TheoryError, "targets is no array of numbers"),
        ({"seeds": ()}, GridError, "seed"),
        ({"targets": torch.ones(4, 2)}, TheoryError, "the net has 1 outputs and targets has 2"),
    ],
)
def test_errors(change, error, words):
    x, y = examples()
    with pytest.raises(error, match=words):
        bottleneck(make, x, **{"targets": y, "widths": (32, 64), "seeds": (0,), "steps": 2} | change)


def test_inputs_are_a_tensor():
    x, y = examples()
    with pytest.raises(PlanError, match="inputs is a list"):
        bottleneck(make(64), x.tolist(), targets=y)  # type: ignore[arg-type]


def test_networks_that_draw_at_random_are_refused():
    x, y = examples()
    net, before = make(64).insert(2, nn.Dropout(0.5)), torch.get_rng_state()
    with pytest.raises(PlanError, match="draws at random"):
        bottleneck(net, x, targets=y, steps=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert bottleneck(net.eval(), x, targets=y, steps=2).nets


def test_a_step_that_function_space_does_not_bear_is_told():
    x, y = examples()
    with pytest.raises(JobsFailedError, match=r"outputs left all bounds .* to step_size: pass a smaller one"):
        bottleneck(make(64), x, targets=1e4 * y, steps=60, step_size=1.9)


def test_parts_keep_the_names_of_the_network():
    net = nn.Sequential(nn.Sequential(*layers(6, 64, 2)), nn.Sequential(*layers(2, 64, 1)))
    below, above = split(net, find_necks(net, examples()[0]))
    assert [name for part in (below, above) for name, _ in part.named_parameters()] == [
        name for name, _ in net.named_parameters()
    ]
    x, _ = examples()
    torch.testing.assert_close(above(below(x)), net(x))


def test_whole_numbers_are_targets():
    (x, _), net = examples(), make(64)
    found = bottleneck(net, x, targets=[1, 2, 0, -1], steps=3)
    same = bottleneck(net, x, targets=torch.tensor([1.0, 2.0, 0.0, -1.0]), steps=3)
    assert found.nets == same.nets


def test_a_single_net_has_no_widths():
    x, y = examples()
    with pytest.raises(PlanError, match="widths= needs a function of the width"):
        bottleneck(make(64), x, targets=y, widths=(64, 128))


def net(width: int | None, deviation: float, steps: float = 10.0) -> BottleneckNet:
    return BottleneckNet(width, 0, deviation, 0.5, (0.4,), (0.2, 0.4), 2.0, steps, steps, (0.3, 0.5))


@pytest.mark.parametrize(
    ("nets", "outcome", "words"),
    [
        ([net(None, 0.05)], Outcome.CONSISTENT, "0.05 of the targets away"),
        ([net(None, 0.3)], Outcome.INCONSISTENT, "0.3 of the targets away"),
        ([net(None, math.nan)], Outcome.DIVERGED, "1 of 1 nets diverged"),
        ([net(None, 4e22)], Outcome.DIVERGED, "1 of 1 nets diverged"),
    ],
)
def test_verdicts_on_one_net(nets, outcome, words):
    verdict = judge_bottleneck(nets, None, limit=0.1)
    assert verdict.outcome is outcome
    assert words in verdict.summary
    if outcome is Outcome.INCONSISTENT:
        assert "about 9 times as wide" in verdict.next


@pytest.mark.parametrize(
    ("power", "noise", "outcome"),
    [
        (-0.5, 0.02, Outcome.CONSISTENT),
        (-0.1, 0.02, Outcome.INCONSISTENT),
        (-0.2, 0.5, Outcome.TOO_NOISY),
    ],
)
def test_verdicts_on_families(power, noise, outcome):
    from similitude.checking.slopes import fit

    widths = (64, 256, 1024)
    table = [[w**power * math.exp(noise * (-1) ** (s + i)) for s in range(4)] for i, w in enumerate(widths)]
    nets = [net(w, value) for w, row in zip(widths, table, strict=True) for value in row]
    verdict = judge_bottleneck(nets, fit(widths, table), limit=0.1)
    assert verdict.outcome is outcome
    assert judge_bottleneck(nets, None, limit=0.1).outcome is Outcome.CANNOT_TELL


@pytest.mark.parametrize(
    ("steps", "without", "factor"),
    [
        (10.0, 20.0, 2.0),
        (math.inf, 20.0, 0.0),
        (10.0, math.inf, math.inf),
        (math.inf, math.inf, None),
        (0.0, 3.0, math.inf),
    ],
)
def test_the_speed_up_is_of_the_widest_nets(steps, without, factor):
    nets = (net(64, 0.2, 1.0), net(128, 0.1, steps))
    verdict = judge_bottleneck([net(None, 0.3)], None, limit=0.1)
    study = BottleneckStudy((Neck("2", 2),), nets, None, without, 0.1, 0.1, verdict, {}, 1.0)
    assert (math.isnan(study.speed_up) and factor is None) or study.speed_up == factor
    with pytest.raises(BadVerdictError):
        study.raise_if_bad()
