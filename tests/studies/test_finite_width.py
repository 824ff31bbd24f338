"""The regime of a user's network: fluctuations against theory and simulation, and branches that are told apart."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from similitude.core.errors import BadVerdictError, CurvatureError, FactoryError, PlanError, StudyError
from similitude.core.verdict import Outcome
from similitude.models import MLP, ResMLP
from similitude.studies.finite_width import finite_width
from similitude.studies.finite_width_records import FiniteWidth
from similitude.studies.seed_spread import relative_variance
from similitude.theory.finite_width.cumulants import variance_cumulants
from similitude.theory.finite_width.ntk_fluctuation import ntk_relative_variance
from similitude.theory.finite_width.residual_flow import resnet_covariance

X = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))


class Plain(nn.Module):
    """A ReLU network in the NTK parametrization with He's variances, without biases, with one output."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        sizes = [16, *[width] * depth, 1]
        self.weights = nn.ParameterList(torch.randn(out, into) for into, out in itertools.pairwise(sizes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i, weight in enumerate(self.weights):
            x = (2 / weight.shape[1]) ** 0.5 * nn.functional.linear(x.relu() if i else x, weight)
        return x


def residual(gamma: float, **options):
    """A family of residual networks with branches of L^-gamma."""

    def make(width: int, depth: int) -> ResMLP:
        given = {"block": "act_first", "branch": depth**-gamma, **options}
        return ResMLP(16, 4, width=width, depth=depth, **given)

    return make


def test_fluctuations_of_a_plain_network_are_those_of_theory():
    found = finite_width(
        Plain, X, size={"width": 48, "depth": 5}, networks=120, examples=2, tangent=1, infinite=False
    )
    theory = variance_cumulants(torch.relu, [48] * 5, C_W=2.0)
    for layer, ratio in zip(found.layers[:-1], theory.ratio[:-1], strict=True):
        assert layer.ratio is not None
        assert layer.ratio.low - 0.02 <= ratio <= layer.ratio.high + 0.02
        assert layer.kurtosis is not None
        assert layer.kurtosis.low - 0.05 <= 3 * ratio <= layer.kurtosis.high + 0.05
    assert found.kernel is not None
    assert found.kernel.low <= found.relu_kernel <= found.kernel.high
    assert found.depth == 5
    assert found.depth_over_width == pytest.approx(5 / 48)
    assert found.profile is None
    assert found.verdict.outcome is Outcome.INCONSISTENT
    assert "5 hidden layers are too many for their widths" in found.verdict.causes[0]


def test_kernels_approach_those_of_infinite_width_as_theory_says():
    # The mean of both is exact for ReLU without biases, so that the squared deviation at one input is a variance.
    found = finite_width(Plain, X, size={"width": 96, "depth": 2}, networks=80, examples=1, tangent=1)
    nngp, ntk = found.limits
    assert (nngp.kernel, ntk.kernel) == ("nngp", "ntk")
    for row, theory in ((nngp, (1 + 5 / 96) ** 2 - 1), (ntk, ntk_relative_variance([96] * 2))):
        assert row.deviation.low <= theory <= row.deviation.high
        assert row.deviation.high - row.deviation.low < theory
        assert abs(row.bias.value) < 0.8 * (
            row.bias.high - row.bias.low
        )  # a bit more than three standard errors
        assert row.narrow == 24
        assert row.exponent is not None
        assert row.exponent.value == pytest.approx(-1, abs=0.5)
    assert not found.notes


def test_biases_of_order_one_over_width_are_a_bias_of_the_kernel():
    found = finite_width(lambda width: MLP(16, 4, width=width, depth=3), X, size=24, networks=12)
    assert found.verdict.outcome is Outcome.INCONSISTENT
    assert any("biases of variance 1/n" in cause for cause in found.verdict.causes)
    assert found.limits[1].bias.low > 0.1
    assert found.limits[1].deviation.low > found.limit


def test_what_has_no_kernel_at_infinite_width_is_noted():
    class Odd(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(16, width), nn.Linear(width, 2)

        def forward(self, x):
            return self.b(self.a(x).cumsum(-1))

    found = finite_width(Odd, X, size=32, networks=3)
    assert found.limits == ()
    assert "not compared with infinite width: operation" in found.notes[0]
    assert finite_width(Odd, X, size=32, networks=3, infinite=False).notes == ()


def test_a_wide_network_is_in_the_regime():
    found = finite_width(lambda width: MLP(16, 4, width=width, depth=1), X, size=512, networks=12)
    assert found.verdict.ok
    assert "in the regime of infinite width" in found.verdict.summary


@pytest.mark.parametrize(
    ("gamma", "options", "says"),
    [
        (0.0, {}, "gamma = "),
        (0.25, {}, "gamma = 0.2"),
        (1.0, {}, "from 3 to 12 branches, not 1/2"),
        (0.5, {"block": "act_last", "center": False}, "branches correlate with the stream"),
    ],
)
def test_branches_that_are_not_of_one_over_root_depth_are_flagged(gamma, options, says):
    found = finite_width(
        residual(gamma, **options), X, size={"width": 96, "depth": 12}, networks=8, tangent=0
    )
    assert found.verdict.outcome is Outcome.INCONSISTENT
    assert says in found.verdict.summary
    with pytest.raises(BadVerdictError, match="not those of a limit of infinite depth"):
        found.raise_if_bad()
    assert found.profile is not None
    assert found.profile.exponent == pytest.approx(gamma, abs=0.06)


@pytest.mark.parametrize(
    "options", [{}, pytest.param({"activation": "tanh"}, marks=pytest.mark.slow), {"block": "two_layers"}]
)
def test_branches_of_one_over_root_depth_follow_the_flow(options):
    found = finite_width(
        residual(0.5, **options),
        X,
        size={"width": 128, "depth": 8},
        networks=8,
        tangent=1,
        infinite=False,
        limit=0.6,
    )
    assert found.verdict.ok
    profile = found.profile
    assert profile is not None
    assert profile.compared == 2
    assert profile.exponent == pytest.approx(0.5, abs=0.05)
    assert profile.deviation <= profile.allowed


def test_the_measured_profile_is_the_flow_of_theory():
    found = finite_width(residual(0.5), X, size={"width": 160, "depth": 12}, networks=12, tangent=0)
    stem_gram = (X @ X.T / 16).numpy()
    end = np.trace(resnet_covariance(stem_gram, 12)) / np.trace(stem_gram)
    assert found.profile is not None
    assert found.profile.measured[-1] == pytest.approx(end, abs=4 * found.profile.errors[-1])


def test_one_depth_alone_tells_branches_that_are_far_too_large():
    def large() -> nn.Module:
        return ResMLP(16, 4, width=64, depth=16, block="act_first", branch=1.0)

    found = finite_width(large, X, networks=6, tangent=0)
    assert found.verdict.outcome is Outcome.INCONSISTENT
    assert "16 branches that each add 0." in found.verdict.summary

    def few() -> nn.Module:
        return ResMLP(16, 4, width=400, depth=4, block="act_first", branch=0.5)

    unsure = finite_width(few, X, networks=16, tangent=0, limit=0.5)
    assert unsure.verdict.outcome is Outcome.CANNOT_TELL
    assert unsure.verdict.exit_code == 3


def test_branches_of_zero_cannot_be_judged():
    class Zero(nn.Module):
        def __init__(self, width: int, depth: int) -> None:
            super().__init__()
            self.stem, self.head = nn.Linear(16, width), nn.Linear(width, 4)
            self.blocks = nn.ParameterList(torch.zeros(width, width) for _ in range(depth))

        def forward(self, x):
            x = self.stem(x)
            for block in self.blocks:
                x = x + x.relu() @ block
            return self.head(x)

    found = finite_width(Zero, X, size={"width": 256, "depth": 4}, networks=6, tangent=0, limit=0.5)
    assert found.verdict.outcome is Outcome.CANNOT_TELL
    assert "branches are 0 at initialization" in found.verdict.summary


def test_results_survive_json():
    found = finite_width(residual(0.5), X, size={"width": 16, "depth": 4}, networks=3, tangent=1)
    again = FiniteWidth.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert str(found).startswith(f"{found.verdict.outcome}: ")
    with pytest.raises(StudyError, match="no result of finite_width"):
        FiniteWidth.from_dict({"layers": 3})


def test_one_of_several_outputs_is_chosen():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(16, 64), nn.Linear(64, 4), nn.Linear(64, 1)

        def forward(self, x):
            h = self.a(x).relu()
            return self.b(h), self.c(h)

    with pytest.raises(CurvatureError, match=r"2 real tensors.*Pass outputs="):
        finite_width(Two, X, networks=3)
    found = finite_width(Two, X, networks=3, outputs=lambda result: result[1])
    assert found.kernel is not None
    assert "not compared with infinite width" in found.notes[0]


def test_inputs_may_be_tuples_and_mappings():
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = MLP(16, 4, width=8, depth=1)

        def forward(self, x, *, scale):
            return scale * self.layer(x)

    found = finite_width(Named, {"x": X, "scale": torch.tensor(2.0)}, networks=3, examples=3)
    assert found.examples == 3
    assert found.layers[0].width == 8


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"networks": 2}, PlanError, "networks=2: pass a whole number of at least 3"),
        ({"tangent": -1}, PlanError, "tangent=-1"),
        ({"limit": 0.0}, PlanError, "limit=0.0: pass a positive relative variance"),
        ({"size": None}, PlanError, "the function takes the width, and no size is given"),
    ],
)
def test_wrong_use_is_explained(options, error, says):
    with pytest.raises(error, match=says):
        finite_width(lambda width: MLP(16, 4, width=width), X, **{"size": 8, **options})


def test_what_is_no_model_or_no_input_is_refused():
    with pytest.raises(PlanError, match="returned a int, not an nn"):
        finite_width(lambda: 3, X)
    with pytest.raises(FactoryError):
        finite_width(lambda width: 3, X, size=3)
    with pytest.raises(PlanError, match="inputs has no examples"):
        finite_width(lambda: MLP(16, 4, width=3), ())
    with pytest.raises(PlanError, match=r"MLP cannot be called with inputs of shape \(8, 16\): RuntimeError"):
        finite_width(lambda: MLP(7, 4, width=3), X)
    with pytest.raises(CurvatureError, match="inputs is a list"):
        finite_width(lambda: MLP(16, 4, width=3), [X])


def test_relative_variance_is_unbiased_and_its_interval_covers():
    rng = np.random.default_rng(3)
    values, covered = [], 0
    for _ in range(400):
        x = np.exp(0.3 * rng.standard_normal((16, 1)))
        found = relative_variance(x**2, x)
        assert found is not None
        values.append(found.value)
        covered += found.low <= math.expm1(0.09) <= found.high
    assert np.mean(values) == pytest.approx(math.expm1(0.09), abs=3 * float(np.std(values)) / 20)
    assert covered > 0.8 * 400
    assert relative_variance(np.ones((2, 1)), np.ones((2, 1))) is None
    assert relative_variance(np.zeros((5, 1)), np.zeros((5, 1))) is None
