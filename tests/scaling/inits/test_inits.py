"""The user's own init, measured at small sizes and told at a target that is never built."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from similitude.core.errors import PlanError
from similitude.scaling.axes import compare
from similitude.scaling.dataflow.fans import Fan, Fans
from similitude.scaling.inits import survey as surveys
from similitude.scaling.inits.survey import OwnInit, measure, own_inits, survey

MATRIX = Fans(Fan((1,)), Fan((0,)))
TABLE = Fans(Fan(), Fan((1,)))


@dataclass(frozen=True)
class Known:
    name: str
    role: str | None
    fans: Fans | None


def own(
    make: Callable[..., nn.Module], base: int = 64, target: int = 1024, **fans: Fans | None
) -> dict[str, OwnInit]:
    """Measure a family; matrices are taken as torch stores them, unless `fans` says otherwise."""
    comparison = compare(make, base, target)
    results = [
        Known(t.name, "hidden", fans.get(t.name, MATRIX if len(t.shape) > 1 else None))
        for t in comparison.tensors
    ]
    return measure(make, comparison, results, base=base, target=target, seed=0)


def linear(fill: Callable[[torch.Tensor], object], inputs: int | None = None) -> Callable[[int], nn.Module]:
    def make(width: int) -> nn.Module:
        layer = nn.Linear(inputs or width, width, bias=False)
        fill(layer.weight)
        return layer

    return make


def vector(fill: Callable[[torch.Tensor], object]) -> Callable[[int], nn.Module]:
    def make(width: int) -> nn.Module:
        layer = nn.LayerNorm(width, bias=False)
        with torch.no_grad():
            fill(layer.weight)
        return layer

    return make


@pytest.mark.parametrize(
    ("make", "ratio", "law", "rms"),
    [
        (linear(lambda w: None), 0.25, "fan_in^-1/2", 1 / math.sqrt(3 * 1024)),
        (linear(nn.init.orthogonal_), 0.25, "fan_in^-1/2", 1 / 32),
        (linear(nn.init.eye_), 0.25, "fan_in^-1/2", 1 / 32),
        (linear(nn.init.kaiming_normal_), 0.25, "fan_in^-1/2", math.sqrt(2) / 32),
        (linear(lambda w: nn.init.normal_(w, std=0.02)), 1.0, "constant", 0.02),
        (
            linear(lambda w: nn.init.normal_(w, std=0.02 / math.sqrt(24))),
            1.0,
            "constant",
            0.02 / math.sqrt(24),
        ),
        (linear(lambda w: nn.init.normal_(w, std=1 / w.shape[1])), 1 / 16, "fan_in^-1", 1 / 1024),
        (linear(lambda w: nn.init.normal_(w, std=w.shape[0] ** -0.5), 32), 0.25, "fan_out^-1/2", 1 / 32),
        (linear(lambda w: nn.init.normal_(w, std=1 / w.shape[0]), 32), 1 / 16, "fan_out^-1", 1 / 1024),
        (linear(nn.init.xavier_normal_, 32), (96 / 1056) ** 0.5, "xavier", math.sqrt(2 / 1056)),
        (linear(nn.init.xavier_uniform_, 512), (576 / 1536) ** 0.5, "xavier", math.sqrt(2 / 1536)),
        (linear(nn.init.zeros_), 1.0, "fixed", 0.0),
        (linear(nn.init.ones_), 1.0, "fixed", 1.0),
        (vector(lambda v: v.fill_(1e-5)), 1.0, "fixed", 1e-5),
        (vector(lambda v: v.fill_(len(v) ** -0.5)), 0.25, "fixed", 1 / 32),
        (vector(lambda v: v.normal_(std=1 / len(v))), 1 / 16, "width^-1", 1 / 1024),
        (lambda w: nn.Embedding(9, w, padding_idx=0), 1.0, "constant", math.sqrt(8 / 9)),
    ],
)
def test_the_law_of_an_init_is_recognized_and_exact(make, ratio, law, rms):
    found = own(make)["weight"]
    assert (found.ratio, found.law, found.error, found.exponent, found.note) == (
        pytest.approx(ratio, rel=1e-12),
        law,
        0.0,
        None,
        "",
    )
    assert found.rms == pytest.approx(rms, rel=0.02)


def test_powers_of_two_give_exact_ratios():
    assert own(linear(lambda w: None))["weight"].ratio == 0.25
    assert own(linear(lambda w: nn.init.normal_(w, std=1 / w.shape[1])))["weight"].ratio == 0.0625


def test_small_biases_are_recognized_from_many_draws():
    """torch draws a bias from the fan-in of its weight, which its own shape does not show."""
    found = own(lambda w: nn.Sequential(nn.Linear(w, w), nn.Linear(w, 3)))
    assert (found["0.bias"].ratio, found["0.bias"].law) == (0.25, "width^-1/2")
    assert (found["1.bias"].ratio, found["1.bias"].law) == (0.25, "width^-1/2")


def test_a_bias_of_a_layer_that_grows_otherwise_is_recognized():
    def make(width: int) -> nn.Module:
        return nn.Sequential(
            nn.Linear(width, width), nn.Linear(width, 8 * (width + 96)), nn.Linear(8 * (width + 96), 40)
        )

    found = own(make)["2.bias"]
    assert found.law == "(dimension 0 of '1.weight')^-1/2"
    assert found.ratio == (8 * 1120 / (8 * 160)) ** -0.5


def test_t5_like_attention_whose_head_size_grows():
    """std (d_model d_kv)^-1/2 with the number of heads fixed."""

    def make(width: int) -> nn.Module:
        return linear(lambda w: nn.init.normal_(w, std=(w.shape[1] * (w.shape[0] // 4)) ** -0.5))(width)

    found = own(make)["weight"]
    assert (found.ratio, found.law) == (1 / 16, "fan_in^-1")


def test_sides_are_those_of_the_trace_not_of_the_layout():
    make = linear(lambda w: nn.init.normal_(w, std=w.shape[0] ** -0.5), 32)
    assert own(make, weight=Fans(Fan((0,)), Fan((1,))))["weight"].law == "fan_in^-1/2"


def test_a_stack_of_matrices_drawn_as_torch_counts_its_fan_in():
    class Experts(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.empty(4, width, 3 * width))
            nn.init.kaiming_normal_(self.weight)

    found = own(Experts, 16, 256, weight=Fans(Fan((1,)), Fan((2,))))["weight"]
    assert (found.ratio, found.law) == (1 / 16, "fan_in^-1")


@pytest.mark.parametrize("power", [-0.42, 0.3])
def test_an_odd_power_is_fitted_and_says_so(power):
    found = own(linear(lambda w: nn.init.normal_(w, std=w.shape[1] ** power)))["weight"]
    assert found.law == ""
    assert found.exponent == pytest.approx(power, abs=5 * found.error / math.log(16))
    assert 0 < found.error < 0.1
    assert abs(math.log(found.ratio) - power * math.log(16)) < 5 * found.error
    assert found.rms == pytest.approx(1024**power, rel=5 * found.error + 0.01)
    assert found.note.startswith(f"own init grows as width^{found.exponent:.3g} +- 0.0")
    assert found.note.endswith("fitted at widths 64, 128, 256")


def test_the_stated_error_of_a_fitted_power_covers_the_truth():
    """Over seeds, the deviation of the log ratio in stated errors has a standard deviation near one."""
    make = linear(lambda w: nn.init.normal_(w, std=w.shape[1] ** -0.3))
    comparison = compare(make, 16, 1024)
    deviations = []
    for seed in range(30):
        found = measure(
            make, comparison, [Known("weight", "hidden", MATRIX)], base=16, target=1024, seed=seed
        )["weight"]
        if found.law == "":
            deviations.append((math.log(found.ratio) + 0.3 * math.log(64)) / found.error)
    assert len(deviations) > 20
    assert 0.5 < float(np.sqrt(np.mean(np.square(deviations)))) < 1.6


def test_what_is_no_power_of_the_width_has_a_wider_error():
    """The misfit to a power law counts: with three sizes it can be seen."""
    make = linear(lambda w: nn.init.normal_(w, std=1 + 200 / w.shape[1]))
    lawless = own(make)["weight"]
    lawful = own(linear(lambda w: nn.init.normal_(w, std=w.shape[1] ** -0.2)))["weight"]
    assert lawless.law == ""
    assert lawless.error > 5 * lawful.error


def test_laws_that_differ_only_beyond_the_measured_sizes_are_named():
    """The rows are as many at every measured size, and twice as many at the target."""

    def make(width: int) -> nn.Module:
        layer = nn.Linear(width, 200_000 if width < 1000 else 400_000, bias=False)
        nn.init.normal_(layer.weight, std=0.02)
        return layer

    found = own(make, 16, 1024)["weight"]
    assert (found.ratio, found.law, found.rms, found.bound) == (1.0, "constant", None, None)
    assert found.note.startswith(
        "own init taken as constant (x1); fan_out^-1/2 (x0.7071) or fan_out^-1 (x0.5) fits as"
    )
    assert found.note.endswith("fits as well at widths 4, 8, 16")


def test_a_large_table_is_not_taken_for_xaviers():
    """Beside 50,000 rows the width hardly shows in Xavier's law, but its constant would."""

    def make(width: int) -> nn.Module:
        table = nn.Embedding(50_000, width)
        nn.init.normal_(table.weight, std=0.02)
        return table

    found = own(make, 16, 4096, weight=TABLE)["weight"]
    assert (found.ratio, found.law, found.note) == (1.0, "constant", "")
    assert found.rms == pytest.approx(0.02, rel=0.01)


def test_the_target_is_never_built_with_values():
    def make(width: int) -> nn.Module:
        layer = nn.Linear(width, width)
        if width >= 1024 and not layer.weight.is_meta:
            raise AssertionError("the target was built")
        return layer

    assert own(make, 64, 1024)["weight"].ratio == 0.25
    assert own(make, 64, 2**20)["weight"].ratio == 2**-7


def test_a_base_too_large_to_be_built_is_told_from_smaller_sizes(monkeypatch):
    def make(width: int) -> nn.Module:
        net = nn.Sequential(
            nn.Linear(5, width), nn.Linear(width, width), nn.LayerNorm(width), nn.Linear(width, 3)
        )
        assert width < 8192 or net[0].weight.is_meta
        return net

    found = own(make, 2**15, 2**17)
    assert {n: (o.ratio, o.law) for n, o in found.items()} == {
        "0.weight": (1.0, "constant"),
        "0.bias": (1.0, "constant"),
        "1.weight": (0.5, "fan_in^-1/2"),
        "1.bias": (0.5, "width^-1/2"),
        "2.weight": (1.0, "fixed"),
        "2.bias": (1.0, "fixed"),
        "3.weight": (0.5, "fan_in^-1/2"),
        "3.bias": (0.5, "width^-1/2"),
    }
    assert found["1.weight"].rms == pytest.approx((3 * 2**17) ** -0.5, rel=0.01)


def test_a_factory_that_knows_two_sizes_is_measured_at_both():
    sizes = {"small": 64, "large": 256}

    def make(width: int) -> nn.Module:
        return nn.Linear(width, width) if width in sizes.values() else nn.Linear(sizes["no such size"], 1)

    found = survey(make, 64, 256, seed=0)
    assert found.target_built
    assert [s["width"] for s in found.sizes] == [64, 256]
    assert own(make, 64, 256)["weight"].law == "fan_in^-1/2"
    assert own(make, 64, 256)["bias"].law == "width^-1/2"


def test_a_factory_that_knows_two_sizes_with_an_odd_law():
    def make(width: int) -> nn.Module:
        assert width in (64, 256)
        return linear(lambda w: nn.init.normal_(w, std=w.shape[1] ** -0.3))(width)

    found = own(make, 64, 256)["weight"]
    assert found.exponent == pytest.approx(-0.3, abs=5 * found.error / math.log(4))
    assert found.note.endswith("fitted at widths 64, 256")


def test_a_factory_that_refuses_odd_widths():
    def make(width: int) -> nn.Module:
        if width % 64:
            raise ValueError("heads of 64")
        return nn.Linear(width, width)

    found = survey(make, 64, 512, seed=0)
    assert [s["width"] for s in found.sizes] == [64, 128, 256]
    assert not found.target_built


def test_a_factory_that_seeds_itself():
    def make(width: int) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(width, width), nn.Linear(width, 1))

    found = own(make)
    assert (found["0.weight"].law, found["1.weight"].law) == ("fan_in^-1/2", "fan_in^-1/2")
    # One number, always the same at each width: whether it is a choice or a draw cannot be told, so it stays.
    assert (found["1.bias"].law, found["1.bias"].rms) == ("fixed", None)


def test_one_survey_serves_many_targets():
    make = linear(lambda w: None)
    surveyed = survey(make, 64, 1024, seed=0)
    for target in (128, 256, 512, 1024, 4096):
        found = own_inits(surveyed, compare(make, 64, target), [Known("weight", "hidden", MATRIX)])["weight"]
        assert found.ratio == (target / 64) ** -0.5
        assert found.rms == pytest.approx((3 * target) ** -0.5, rel=0.01)


def test_tensors_without_a_role_are_left_out():
    make = linear(lambda w: None)
    assert own_inits(survey(make, 8, 32, seed=0), compare(make, 8, 32), [Known("weight", None, MATRIX)]) == {}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_laws_are_recognized_in_every_precision(dtype):
    def make(width: int) -> nn.Module:
        net = nn.Sequential(nn.Linear(width, width, dtype=dtype), nn.LayerNorm(width, dtype=dtype))
        with torch.no_grad():
            net.get_parameter("1.weight").fill_(width**-0.5)
        return net

    found = own(make, 96, 1536)
    assert [(o.ratio, o.law) for o in found.values()] == [
        (0.25, "fan_in^-1/2"),
        (0.25, "width^-1/2"),
        (0.25, "fixed"),
        (1.0, "fixed"),
    ]


def test_a_fresh_target_lies_within_the_tolerance_and_a_trained_one_does_not():
    make = linear(lambda w: None)
    found = own(make, 32, 256)["weight"]
    assert found.rms is not None
    assert found.bound is not None
    for seed in range(20):
        torch.manual_seed(seed)
        weight = make(256).get_parameter("weight").detach().double()
        assert abs(weight.square().mean().item() - found.rms**2) < found.tolerance * found.rms**2
        assert weight.abs().max().item() < found.bound
    assert found.tolerance < 0.06
    assert found.bound == pytest.approx(1 / 16, rel=0.01)


def test_few_entries_are_not_recognized():
    found = own(lambda w: nn.Linear(w, 3))
    assert (found["bias"].rms, found["bias"].tolerance) == (None, 0.0)


def test_values_that_are_not_finite_are_passed_on():
    assert math.isnan(own(linear(lambda w: nn.init.constant_(w, math.nan)))["weight"].ratio)


def test_an_init_that_vanishes_at_some_widths_is_kept():
    found = own(linear(lambda w: nn.init.constant_(w, float(w.shape[0] > 64))))["weight"]
    assert (found.ratio, found.law, found.rms) == (1.0, "fixed", None)
    assert found.note == "own init is zero at width 64 and not at the others: kept"


def test_constants_without_a_law_are_kept():
    choices = {64: 1.0, 128: 0.3, 256: 0.9}
    found = own(vector(lambda v: v.fill_(choices.get(len(v), 0.5))))["weight"]
    assert (found.ratio, found.law, found.rms) == (1.0, "fixed", None)
    assert "own constant follows no law" in found.note


def test_constants_on_a_power_of_the_width_are_carried_on():
    found = own(vector(lambda v: v.fill_(len(v) ** 0.25)))["weight"]
    assert (found.law, found.ratio, found.rms) == ("fixed", pytest.approx(2.0), pytest.approx(1024**0.25))


def test_depth_stays_as_given():
    def make(width: int, depth: int) -> nn.Module:
        return nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))

    size = {"width": 32, "depth": 3}
    found = survey(make, size, {**size, "width": 512}, seed=0)
    assert found.sizes == tuple({"width": w, "depth": 3} for w in (32, 64, 128))
    assert len(found.moments[0]) == 6


def test_fewer_than_two_sizes_are_an_error(monkeypatch):
    def make(width: int) -> nn.Module:
        if width not in (64, 2**16):
            raise ValueError(width)
        return nn.Linear(width, width)

    with pytest.raises(
        PlanError, match=r"the factory gives no other size.*width 64.*make\(width=65536\) is too large"
    ):
        survey(make, 64, 2**16, seed=0)
    monkeypatch.setattr(surveys, "_LAST_RESORT", 10)
    with pytest.raises(
        PlanError, match=r"make\(width=65536\) has 4,295,032,832 parameters, more than 10, and no smaller"
    ):
        survey(make, 2**16, 64, seed=0)
