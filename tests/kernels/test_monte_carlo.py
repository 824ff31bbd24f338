"""Estimated kernels against exact ones and a GRU in NumPy; one positive Gram in all tiles; refusal where no limit is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import similitude as sim
from similitude.kernels.monte_carlo import EstimatedKernel, estimated_kernel, extrapolated
from similitude.kernels.monte_carlo_copies import wide_copies
from similitude.kernels.monte_carlo_law import width_law
from tests.kernels.gru_nets import wide_kernels
from tests.kernels.modules import CASES, STEPS, VECTORS, WORDS, Net, Tokens, mlp
from tests.kernels.test_limits import Noisy, X, net

NARROW, WIDE = 24, 96


def estimated(make: Callable[[int], nn.Module], x: Any, **more: Any) -> EstimatedKernel:
    """Return the estimate also where there is an exact kernel."""
    options: dict[str, Any] = {
        "reason": sim.KernelError("asked for"), "copies": 32, "copy_widths": (NARROW, WIDE), "rule": "ntp",
        "dtype": torch.float64, "weight_variance": None, "bias_variance": None, "seed": 0,
    }  # fmt: skip
    return estimated_kernel(make, x, (16, 24), **(options | more))


def fallback(make: Callable[[int], nn.Module], x: Any, **more: Any) -> sim.Kernel | EstimatedKernel:
    options: dict[str, Any] = {"copies": 32, "copy_widths": (NARROW, WIDE)}
    return sim.kernel(make, sample=x, widths=(16, 24), fallback="monte carlo", **(options | more))


@pytest.fixture(scope="module")
def gru() -> EstimatedKernel:
    found = fallback(CASES["gated recurrent unit"].make, STEPS)
    assert isinstance(found, EstimatedKernel)
    return found


def distances(estimate: EstimatedKernel, exact: sim.Kernel, x: Any) -> Tensor:
    """Return the distances of the limits of both kernels from the exact ones, in standard errors."""
    found, true = estimate.estimate(x), exact.pair(x)
    return torch.cat([((found[n].limit - true[n]) / found[n].limit_error).flatten() for n in ("nngp", "ntk")])


@pytest.mark.parametrize(
    "name",
    [
        "mlp, Tanh",
        "recurrent",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("SwiGLU", "embeddings with positions")),
    ],
)
def test_estimates_are_the_exact_kernels_within_their_errors(name):
    case = CASES[name]
    far = distances(
        estimated(case.make, case.x), sim.kernel(case.make, sample=case.x, widths=(16, 24)), case.x
    )
    assert far.abs().max() < 4
    assert far.abs().max() > 0.01  # errors are no larger than they are


@pytest.mark.slow
def test_nineteen_of_twenty_intervals_hold_the_exact_kernel():
    names = [
        "mlp, ReLU",
        "residual, LayerNorm",
        "gated linear unit",
        "recurrent",
        "embeddings with positions",
    ]
    held = []
    for name in names:
        case = CASES[name]
        exact = sim.kernel(case.make, sample=case.x, widths=(16, 24))
        for seed in range(4):
            held.append(
                (distances(estimated(case.make, case.x, seed=seed), exact, case.x).abs() < 1.96)
                .double()
                .mean()
            )
    share, error = float(torch.stack(held).mean()), float(torch.stack(held).std()) / len(held) ** 0.5
    assert abs(share - 0.95) < 0.02 + 3 * error, (share, error)


@pytest.mark.parametrize("rule", ["mup", pytest.param("sp", marks=pytest.mark.slow)])
def test_learning_rates_are_those_of_the_exact_kernel(rule):
    case = CASES["residual"]
    exact = sim.kernel(case.make, sample=case.x, widths=(16, 24), rule=rule)
    assert distances(estimated(case.make, case.x, rule=rule), exact, case.x).abs().max() < 4


def test_a_gradient_that_is_cut_off_is_that_of_frozen_layers():
    def frozen(width: int) -> nn.Module:
        made = net(lambda own, h: own.hidden(h))(width)
        made.get_submodule("stem").requires_grad_(False)
        return made

    found = fallback(net(lambda own, h: own.hidden(h.detach())), X)
    assert isinstance(found, EstimatedKernel)
    assert "cuts the gradient" in str(found.explain())
    assert distances(found, sim.kernel(frozen, sample=X, widths=(16, 24)), X).abs().max() < 4


def test_a_gated_recurrent_unit_is_that_of_numpy(gru):
    width, outputs = 384, 32
    variance = {"hidden": 1 / 3, "head": 1 / 3, "hidden_bias": 0.0, "input_bias": 0.0, "input": 0.0}
    for part in ("weight_ih", "bias_ih", "bias_hh"):
        name = {"weight_ih": "input", "bias_ih": "input_bias", "bias_hh": "hidden_bias"}[part]
        variance[name] = gru.law.tensors[f"cells.{part}_l0"].variance
    assert variance["input"] == pytest.approx(1 / (3 * 16), rel=0.1)  # U(-1, 1) / sqrt(16)
    own = wide_kernels(STEPS.numpy(), width=width, outputs=outputs, variance=variance, copies=60, seed=1)
    for name, found in gru.estimate(STEPS).items():
        mean, error = own[name]
        there = found.limit + found.bias * WIDE / width
        off = (there - torch.as_tensor(mean)).abs() / torch.hypot(found.limit_error, torch.as_tensor(error))
        assert off.max() < 4
        assert found.error.max() < 0.05 * found.value.max()


def test_tiles_are_parts_of_one_positive_matrix(gru, tmp_path):
    gru = replace(gru, copies=8)
    x = torch.randn(5, 3, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    whole = gru.grams(x)
    for name, tiled in gru.grams(x, side=2, folder=tmp_path / "grams").items():
        torch.testing.assert_close(tiled, whole[name], rtol=1e-10, atol=1e-14)
        values = torch.linalg.eigvalsh(tiled)
        assert values[0] > -1e-12 * values[-1]
    torch.testing.assert_close(gru.ntk(x[:3], x[3:]), whole["ntk"][:3, 3:], rtol=1e-10, atol=1e-14)
    with pytest.raises(sim.KernelError, match="something else"):
        replace(gru, copies=10).grams(x, side=2, folder=tmp_path / "grams")


def test_gradients_in_small_blocks_are_the_same(gru, monkeypatch):
    gru = replace(gru, copies=8)
    whole = gru.ntk(STEPS)
    monkeypatch.setattr("similitude.kernels.monte_carlo_copies._BYTES", 1)
    assert gru.wide.block == 1
    torch.testing.assert_close(gru.ntk(STEPS), whole, rtol=1e-10, atol=1e-14)


def test_equal_seeds_give_equal_kernels():
    make = CASES["matrix and its transpose"].make
    one, again, other = (fallback(make, VECTORS, copies=8, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.ntk(VECTORS), again.ntk(VECTORS))
    assert not torch.equal(one.ntk(VECTORS), other.ntk(VECTORS))


def test_shares_of_parameters_add_up(gru):
    gru = replace(gru, copies=8)
    shares = gru.by_layer(STEPS)
    torch.testing.assert_close(sum(shares.values()), gru.ntk(STEPS), rtol=1e-9, atol=1e-14)
    assert set(shares) == {
        "cells.weight_ih_l0",
        "cells.weight_hh_l0",
        "cells.bias_ih_l0",
        "cells.bias_hh_l0",
        "head.weight",
    }


def test_explanations_name_the_operation_and_the_errors(gru):
    said = gru.explain()
    (row,) = said.rows
    assert (row.op, row.module, row.exactness) == ("tanh_", "cells", "estimated")
    assert "not Gaussian" in row.rule
    assert not said.exact
    assert f"mean over 32 copies of width {WIDE}" in str(said)
    assert "NTK: standard error" in str(said)
    assert "variance of cells.weight_hh_l0: uniform, PyTorch's default" in str(said)


def test_predictions_say_that_kernels_are_estimates(gru):
    y = torch.tensor([[1.0], [0.0], [-1.0]], dtype=torch.float64)
    made = gru.predict(STEPS, y, STEPS, ridge=1e-6)
    assert (made.mean - y).abs().max() < 0.1
    assert any("32 wide copies" in note for note in made.notes)


def test_copies_of_a_third_width_agree_or_do_not(gru):
    assert gru.verify(width=48, seconds=0.6).outcome in ("ok", "too_noisy")
    wrong = replace(gru, law=replace(gru.law, tensors={
        name: replace(law, variance=3 * law.variance) for name, law in gru.law.tensors.items()
    }))  # fmt: skip
    assert wrong.verify(width=48, seconds=0.6).outcome == "inconsistent"
    with pytest.raises(sim.KernelError, match="another width"):
        gru.verify(width=WIDE)


def test_an_exact_kernel_needs_no_copies():
    assert isinstance(fallback(mlp(nn.ReLU), VECTORS), sim.Kernel)


class Scaled(Tokens):
    """Tied to the embedding on a residual stream, and divided by the width."""

    def __init__(self, width: int) -> None:
        super().__init__(width, tied=True)
        self.width = width

    def forward(self, t: Tensor) -> Tensor:
        x = self.tokens(t) + self.places
        return self.head((x + torch.relu(self.layer(x))).mean(1)) / self.width


def test_tied_embeddings_grow_unless_they_are_divided_by_the_width():
    with pytest.raises(
        sim.KernelError, match=r"NNGP of copies of widths 24 and 96 differs by 7\d%.*width\^(0\.9|1\.0)"
    ):
        fallback(lambda width: Tokens(width, tied=True), WORDS)
    with pytest.raises(sim.KernelError, match=r"tangent kernel of copies .* width\^-1\.0"):
        fallback(
            Scaled, WORDS, copy_widths=(128, 512)
        )  # the outputs have a limit, but training moves it ever less
    law = width_law(
        Scaled, WORDS, (16, 24), rule="ntp", weight_variance=None, bias_variance=None, seed=0
    )  # fmt: skip
    copies = wide_copies(Scaled, 2048, law, WORDS, dtype=torch.float64, seed=0)
    # Rows of different tokens are orthogonal: outputs are how often each token is there.
    counts = nn.functional.one_hot(WORDS, 11).double().mean(1)
    torch.testing.assert_close(copies.nngp(WORDS, None, 2).mean, counts @ counts.T / 11, rtol=0.1, atol=1e-3)


@pytest.mark.parametrize(
    ("make", "x", "message"),
    [
        (
            CASES["bottleneck"].make,
            VECTORS,
            r"tangent kernels of single copies spread by \d+\.\d% .* stays at infinite",
        ),
        (CASES["softmax over the hidden axis"].make, VECTORS, r"differs by 9\d%.*width\^-2\.0"),
        (lambda width: Noisy(torch.randn_like, width), X, "random numbers in the forward pass"),
        (
            lambda width: nn.Sequential(CASES["matrix and its transpose"].make(width), nn.Dropout(0.5)),
            VECTORS,
            r"draws random numbers .* call \.eval\(\)",
        ),
    ],
)
def test_what_has_no_limit_is_refused_with_the_numbers(make, x, message):
    with pytest.raises(sim.KernelError, match=message):
        fallback(make, x)


@pytest.mark.slow
def test_attention_of_few_heads_stays_random():
    make = CASES["two heads at every width, 1/sqrt(d)"].make
    with pytest.raises(sim.KernelError, match=r"stays at infinite width.*fixed number of heads"):
        fallback(make, 3 * CASES["two heads at every width, 1/sqrt(d)"].x, weight_variance=2.0)


def test_refusals_name_the_way_out_where_there_is_one():
    case = CASES["matrix and its transpose"]
    with pytest.raises(sim.KernelError, match=r"fallback='monte carlo' with sample= estimates"):
        sim.kernel(case.make, sample=case.x, widths=(16, 24))
    with pytest.raises(sim.KernelError, match="of a function of the width that builds the module"):
        sim.kernel(case.make(32), sample=case.x)
    with pytest.raises(sim.KernelError) as caught:
        sim.kernel(lambda width: Noisy(torch.randn_like, width), sample=X, widths=(16, 24))
    assert "fallback" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fallback": "exact"}, "is not known"),
        ({"copies": 10}, "no effect without"),
        ({"fallback": "monte carlo", "sample": None}, "looks at copies on a few inputs"),
        ({"fallback": "monte carlo", "copies": 7}, "pairs of copies"),
        ({"fallback": "monte carlo", "copy_widths": (32,)}, "two different widths"),
        ({"fallback": "monte carlo", "sample": torch.full((2, 5), float("nan"))}, "not finite"),
    ],
)
def test_wrong_use(options, message):
    case = CASES["matrix and its transpose"]
    with pytest.raises(sim.KernelError, match=re.escape(message)):
        sim.kernel(case.make, **({"sample": case.x, "widths": (16, 24)} | options))


def test_a_single_module_has_no_wider_copies():
    with pytest.raises(sim.KernelError, match="needs a family"):
        sim.kernel(mlp(nn.ReLU)(16), sample=VECTORS, fallback="monte carlo")


def test_the_bias_of_a_known_law_is_found():
    true = torch.tensor([[2.0]])
    found = extrapolated(true + 3 / 96, 0 * true, true + 3 / 24, 0 * true, ratio=4.0)
    assert float(found.limit) == pytest.approx(2.0)
    assert float(found.bias) == pytest.approx(3 / 96)


def test_a_covariance_without_a_rule_names_its_operation():
    def body(own: Any, h: Tensor) -> Tensor:
        a, b = own.first(h), own.second(h)
        return own.last(torch.relu(a) * torch.relu(b) + torch.relu(b) * torch.tanh(a) + torch.sigmoid(a) * a)

    def make(width: int) -> nn.Module:
        first, second, last = (nn.Linear(width, width) for _ in range(3))
        return Net(body, stem=width, first=first, second=second, last=last)

    kernel = sim.kernel(make, sample=VECTORS, widths=(16, 24))
    with pytest.raises(sim.KernelError, match=r"^operation \d+ \(\w+\) in .*crosswise"):
        kernel.nngp(VECTORS)


def test_errors_of_numpy_are_not_zero():
    own = wide_kernels(
        np.ones((2, 2, 3)), width=8, outputs=2, copies=4, seed=0,
        variance={"input": 1.0, "hidden": 1.0, "head": 1.0, "input_bias": 0.0, "hidden_bias": 0.0},
    )  # fmt: skip
    assert all(error.min() > 0 for _, error in own.values())


class Counted(nn.Module):
    """Adds up samples, so that what it returns has no axis of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(5, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x[0])


class Longer(nn.Module):
    """Does one operation more for every sample above two."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(5, width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x)
        for _ in range(len(x) - 2):
            h = torch.relu(h)
        return h


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Counted, r"operation \d+ \(\w+\) in module 'layer': the module's output has no axis of samples"),
        (Longer, r"the first that is more: operation \d+, relu, of module ''"),
        (lambda width: nn.Softmax(-1), r"operation \d+ \(_softmax\) in .*none of which is a random function"),
    ],
)
def test_refusals_of_paths_and_outputs_name_their_operation(make, message):
    with pytest.raises(sim.KernelError, match=message):
        sim.kernel(make, sample=VECTORS, widths=(16, 24))


def test_an_overflow_names_its_operation():
    kernel = sim.kernel(mlp(nn.ReLU)(16), sample=VECTORS)
    with pytest.raises(
        sim.KernelError, match=r"^operation \d+ \(addmm\) in module '0': its covariance .* not finite"
    ):
        kernel.nngp(1e200 * VECTORS)


def test_copies_of_which_a_few_outweigh_all_others_are_no_estimate() -> None:
    def make(width: int) -> nn.Module:
        middle = nn.utils.parametrizations.spectral_norm(nn.Linear(width, width))
        return nn.Sequential(nn.Linear(6, width), nn.ReLU(), middle, nn.ReLU(), nn.Linear(width, 8)).eval()

    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(5))
    with pytest.raises(sim.KernelError, match="a few copies outweigh all others"):
        sim.kernel(make, sample=x, widths=(32, 48), fallback="monte carlo", copies=32, copy_widths=(32, 128))
