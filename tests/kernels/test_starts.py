"""Kernels of modules whose parameters begin at one number, or are drawn off zero: constants, zeros, laws of the width."""

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import similitude as sim

X = torch.tensor([[0.3, -1.1, 0.4, 0.8], [1.2, 0.1, -0.7, 0.2], [0.5, 0.6, 0.9, -1.4]], dtype=torch.float64)


class Net(nn.Module):
    """One hidden layer whose biases are set, with a branch."""

    def __init__(self, width: int, *, bias: float = 0.0, readout: bool = True, branch: bool = False) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, width), nn.Linear(width, 16)
        nn.init.normal_(self.first.weight, std=0.5)
        nn.init.normal_(self.last.weight, std=width**-0.5)
        nn.init.constant_(self.first.bias, bias)
        nn.init.constant_(self.last.bias, bias)
        self.branch = nn.Linear(width, width) if branch else None
        if self.branch is not None:
            nn.init.zeros_(self.branch.weight)
            nn.init.zeros_(self.branch.bias)
        if not readout:
            nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        return self.last(h if self.branch is None else h + self.branch(h).tanh())


@functools.cache
def samples(number: int = 400_000) -> Tensor:
    """Draw neurons of the first layer: (number, samples)."""
    draws = torch.randn(number, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return draws @ X.T / 2


def mean_products(values: Tensor) -> Tensor:
    """Return the mean products of functions of neurons."""
    return values.T @ values / len(values)


def close(found: Tensor, wanted: Tensor) -> bool:
    """Tell whether two kernels agree within the error of the draws."""
    return float((found - wanted).abs().max()) < 0.015 * float(wanted.abs().max())


def test_a_constant_bias_shifts_what_the_layer_gives() -> None:
    kernel = sim.kernel(lambda width: Net(width, bias=0.4), sample=X, widths=(32, 48))
    features = mean_products((samples() + 0.4).relu())
    assert close(kernel.nngp(X), features + 0.16)
    gates = mean_products((samples() + 0.4 > 0).double())
    # Constants are not trained under "ntp".
    assert close(kernel.ntk(X), features + gates * (X @ X.T / 4))


def test_a_constant_bias_is_trained_by_rules_that_train_zeros() -> None:
    kernel = sim.kernel(lambda width: Net(width, bias=0.4), sample=X, widths=(32, 48), rule="mup")
    gates = mean_products((samples() + 0.4 > 0).double())
    assert close(kernel.by_layer(X)["first.bias"], gates)
    assert torch.allclose(kernel.by_layer(X)["last.bias"], torch.ones(3, 3, dtype=torch.float64))


@pytest.mark.parametrize("rule", ["ntp", "mup"])
def test_a_branch_of_zeros_adds_nothing_to_the_outputs(rule: str) -> None:
    with_branch = sim.kernel(lambda width: Net(width, branch=True), sample=X, widths=(32, 48), rule=rule)
    without = sim.kernel(Net, sample=X, widths=(32, 48), rule=rule)
    assert torch.allclose(with_branch.nngp(X), without.nngp(X))
    own = sum(part for name, part in with_branch.by_layer(X).items() if not name.startswith("branch"))
    assert torch.allclose(torch.as_tensor(own), without.ntk(X))
    trained = with_branch.by_layer(X).get("branch.weight", torch.zeros(3, 3))
    # tanh has the slope 1 at zero: the share of a linear layer of zeros, 32 entries of rate 1.
    wanted = 32 * mean_products(samples().relu()) if rule == "mup" else torch.zeros(3, 3).double()
    assert float((trained - wanted).abs().max()) <= 0.015 * float(wanted.abs().max())


@pytest.mark.parametrize("rule", ["mup", "sp"])
def test_a_readout_of_zeros_is_all_that_moves(rule: str) -> None:
    kernel = sim.kernel(lambda width: Net(width, readout=False), sample=X, widths=(32, 48), rule=rule)
    assert not kernel.nngp(X).any()
    shares = kernel.by_layer(X)
    assert close(shares["last.weight"], 32 * mean_products(samples().relu()))
    assert not shares["first.weight"].any()
    assert torch.allclose(shares["last.bias"], torch.full((3, 3), float(rule == "mup"), dtype=torch.float64))


def test_estimates_train_matrices_of_zeros() -> None:
    class Transposed(Net):
        def __init__(self, width: int) -> None:
            super().__init__(width, readout=False)
            self.middle = nn.Linear(width, width)

        def forward(self, x: Tensor) -> Tensor:
            h = self.middle(self.first(x).relu()).relu()
            return self.last((h @ self.middle.weight).relu())

    kernel = sim.kernel(
        Transposed,
        sample=X,
        widths=(16, 24),
        rule="mup",
        fallback="monte carlo",
        copies=16,
        copy_widths=(32, 128),
    )
    assert torch.linalg.eigvalsh(kernel.ntk(X)).max() > 1  # the readout's share, and 1 of its bias


def layers(width: int, mean: float, power: float) -> nn.Sequential:
    """Build an MLP whose biases have a deviation of 0.5 (width / 32)^power."""
    net = nn.Sequential(
        nn.Linear(4, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3)
    )
    nn.init.normal_(net[2].bias, mean, 0.5 * (width / 32) ** power)  # pyright: ignore[reportArgumentType]
    return net


@pytest.mark.parametrize("widths", [(32, 48), pytest.param((32, 40), marks=pytest.mark.slow)])
def test_whether_drawn_biases_stay_is_told_from_many_builds(widths: tuple[int, int]) -> None:
    for seed in range(3):
        for power, stays in ((0.0, True), (-0.5, False)):
            kernel = sim.kernel(lambda w, p=power: layers(w, 0.0, p), sample=X, widths=widths, seed=seed)
            variance = kernel.reader(X).scales.variance["2.bias", "bias"]
            assert (variance > 0.2) if stays else variance == 0


def test_a_law_off_zero_is_told_from_many_builds() -> None:
    with pytest.raises(sim.KernelError, match=r"'2.bias'.*its mean is 0\.[12]"):
        sim.kernel(lambda width: layers(width, 0.2, 0.0), sample=X, widths=(32, 48))


def test_a_gate_beside_its_own_neurons() -> None:
    class Gated(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.first, self.gate = nn.Linear(4, width, bias=False), nn.Linear(4, width, bias=False)
            self.last = nn.Linear(width, 4, bias=False)
            for layer in (self.first, self.gate):
                nn.init.normal_(layer.weight, std=0.5)
            nn.init.normal_(self.last.weight, std=width**-0.5)

        def forward(self, x: Tensor) -> Tensor:
            h = self.first(x)
            return self.last(h.relu() + h * self.gate(x).sigmoid())

    kernel = sim.kernel(Gated, sample=X, widths=(32, 48))
    one, two = samples(800_000).chunk(2)
    assert close(kernel.nngp(X), mean_products(one.relu() + one * two.sigmoid()))


@pytest.mark.parametrize(
    ("function", "plain"),
    [
        (nn.LogSigmoid(), nn.functional.logsigmoid),
        (nn.RReLU().eval(), lambda x: nn.functional.leaky_relu(x, 11 / 48)),
        (nn.RReLU(0.2, 0.4).eval(), lambda x: nn.functional.leaky_relu(x, 0.3)),
    ],
)
def test_activations_that_return_more_than_they_use(
    function: nn.Module, plain: Callable[[Tensor], Tensor]
) -> None:
    def make(width: int) -> nn.Module:
        net = nn.Sequential(nn.Linear(4, width, bias=False), function, nn.Linear(width, 4, bias=False))
        return net.eval()

    kernel = sim.kernel(make, sample=X, widths=(32, 48), weight_variance=1.0)
    assert close(kernel.nngp(X), mean_products(plain(samples())))


def test_random_slopes_are_refused_in_training() -> None:
    net = nn.Sequential(nn.Linear(4, 32), nn.RReLU(), nn.Linear(32, 1))
    with pytest.raises(sim.KernelError, match="random"):
        sim.kernel(net, sample=X)


@pytest.mark.parametrize(
    ("net", "x", "said"),
    [
        (nn.Sequential(nn.Linear(0, 8), nn.ReLU(), nn.Linear(8, 1)), torch.zeros(2, 0), r"shape \(2, 0\)"),
        (
            nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)),
            torch.zeros(2, 0, 4),
            r"shape \(2, 0, 4\)",
        ),
        (nn.Sequential(nn.Linear(4, 0), nn.ReLU(), nn.Linear(0, 1)), X, r"'0.weight' of shape \(0, 4\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_tensors_without_entries_are_refused(net: nn.Module, x: Tensor, said: str) -> None:
    with pytest.raises(sim.KernelError, match=said):
        sim.kernel(net, sample=x)
