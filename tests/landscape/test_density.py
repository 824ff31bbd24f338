"""The density of eigenvalues against dense matrices: moments, masses, outliers, and the picture itself."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from similitude.core.errors import CurvatureError
from similitude.landscape.curvature import Curvature
from similitude.landscape.density import Density, spectral_density
from similitude.landscape.operators import Operator
from similitude.landscape.trace import trace

DIM = 700


def gaussian(dim: int = DIM, seed: int = 0) -> Tensor:
    """Return a symmetric random matrix: its eigenvalues fill a half circle from -2 to 2."""
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(dim, dim, generator=g, dtype=torch.float64)
    return (a + a.T) / (2 * dim) ** 0.5


def operator(dense: Tensor, calls: list[int] | None = None) -> Operator:
    def product(v: Tensor) -> Tensor:
        if calls is not None:
            calls.append(1)
        return dense @ v

    return Operator(product, len(dense), dense.dtype)


def diagonal(spectrum: Tensor) -> Operator:
    return Operator(lambda v: spectrum * v, len(spectrum), spectrum.dtype)


def integral(density: Density, above: float = -math.inf) -> float:
    inside = density.grid > above
    return float(torch.trapezoid(density.values[inside], density.grid[inside]))


@pytest.mark.parametrize("seed", range(3))
def test_means_over_the_spectrum(seed):
    dense = gaussian()
    truth = torch.linalg.eigvalsh(dense)
    density = spectral_density(operator(dense), probes=8, seed=seed)
    for function in (lambda x: x, lambda x: x**2, lambda x: x**4, torch.exp, lambda x: 1 / (x + 3)):
        value, error = density.mean(function)
        assert abs(value - float(function(truth).mean())) < 5 * error  # 7 degrees of freedom
        assert error < 0.1 * float(function(truth).abs().mean())
    assert density.moment(2) == pytest.approx(1, rel=0.1)
    assert density.products == 8 * 60


def test_masses():
    dense = gaussian()
    truth = torch.linalg.eigvalsh(dense)
    density = spectral_density(operator(dense), probes=8)
    for edge in (-1.5, -0.5, 0.0, 1.0, 1.8):
        assert density.mass(below=edge) == pytest.approx(float((truth < edge).double().mean()), abs=0.03)
    both = density.mass(above=-0.5, below=1.0)
    assert both == pytest.approx(density.mass(below=1.0) - density.mass(below=-0.5), abs=1e-12)
    assert density.mass() == pytest.approx(1, abs=1e-12)


def test_the_picture_is_the_smeared_spectrum():
    dense = gaussian()
    truth = torch.linalg.eigvalsh(dense)
    density = spectral_density(operator(dense))
    linear = 20 * density.width
    axis, places = torch.asinh(density.grid / linear), torch.asinh(truth / linear)
    bells = torch.exp(-(((axis[:, None] - places) / 0.05) ** 2) / 2) / (0.05 * (2 * math.pi) ** 0.5)
    wanted = bells.mean(1) / (density.grid**2 + linear**2).sqrt()
    assert integral(density) == pytest.approx(1, abs=1e-3)
    assert float(torch.trapezoid((density.values - wanted).abs(), density.grid)) < 0.1
    inside = (wanted >= density.lower - 1e-9) & (wanted <= density.upper + 1e-9)
    assert float(inside.double().mean()) > 0.8
    half_circle = (4 - density.grid.clamp(-2, 2) ** 2).sqrt() / (2 * math.pi)
    assert float(torch.trapezoid((density.values - half_circle).abs(), density.grid)) < 0.15


def test_outliers_of_one_in_many_are_found():
    g = torch.Generator().manual_seed(0)
    bulk = 0.01 * torch.randn(50_000, generator=g, dtype=torch.float64)
    outliers = torch.tensor([-20.0, 30.0, 50.0], dtype=torch.float64)
    density = spectral_density(diagonal(torch.cat([bulk, outliers])), steps=30, probes=6)
    for value in outliers:
        nearest = (density.nodes - value).abs()
        assert bool((nearest.min(1).values < 1e-8).all())  # in every probe
        assert float(density.values[(density.grid - value).abs().argmin()]) > 0
    count, error = density.mean(lambda nodes: (nodes > 1).double() * density.dim)
    assert abs(count - 2) < 4 * error
    assert error < 2
    assert count == pytest.approx(density.dim * density.mass(above=1))
    assert integral(density, above=1) == pytest.approx(density.mass(above=1), rel=0.02)
    assert integral(density) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("dim", [1, 2, 7, 59, 240])
def test_small_operators_are_exact(dim):
    dense, calls = gaussian(dim), []
    density = spectral_density(operator(dense, calls))
    torch.testing.assert_close(density.nodes[0], torch.linalg.eigvalsh(dense))
    assert (density.exact, density.products, len(calls)) == (True, dim, dim)
    assert density.moment(1) == pytest.approx(float(torch.trace(dense)) / dim, abs=1e-12)
    assert density.mean(torch.abs)[1] == 0
    assert integral(density) == pytest.approx(1, abs=1e-3)


def test_the_hessian_of_a_network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3)
        ).double()
        x, y = torch.randn(64, 8).double(), torch.randn(64, 3).double()
    shapes = {name: p.shape for name, p in model.named_parameters()}

    def flat_loss(flat: Tensor) -> Tensor:
        parts = flat.split([shape.numel() for shape in shapes.values()])
        named = {n: part.view(s) for (n, s), part in zip(shapes.items(), parts, strict=True)}
        return (torch.func.functional_call(model, named, (x,)) - y).square().mean()

    flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    truth = torch.linalg.eigvalsh(torch.autograd.functional.hessian(flat_loss, flat))
    with Curvature(model, lambda m, batch: (m(batch[0]) - batch[1]).square().mean(), (x, y)) as curvature:
        hessian = curvature.operator("hessian")
        density, total = spectral_density(hessian), trace(hessian)
    assert not density.exact
    assert float(density.nodes[:, -1].min()) == pytest.approx(float(truth[-1]), rel=1e-8)
    assert float(density.nodes[:, 0].max()) == pytest.approx(float(truth[0]), rel=1e-4)
    large = 0.1 * float(truth[-1])
    count, error = density.mean(lambda nodes: (nodes > large) * float(density.dim))
    assert abs(count - float((truth > large).sum())) < 5 * error
    assert abs(total.value - float(truth.sum())) < 4 * total.standard_error
    assert total.frobenius_squared == pytest.approx(float((truth**2).sum()), rel=0.1)


def test_probes_of_another_length_are_padded():
    """Rank two in 1000 dimensions: a probe is through with the three different eigenvalues after three steps."""
    spectrum = torch.cat([torch.tensor([3.0, -1.0]), torch.zeros(998)]).double()
    density = spectral_density(diagonal(spectrum), steps=20)
    assert density.nodes.shape[1] <= 4
    assert density.products < 20
    assert float(density.nodes.max()) == pytest.approx(3)
    assert float(density.nodes.min()) == pytest.approx(-1)
    assert density.mass(above=-0.5, below=0.5) == pytest.approx(0.998, abs=0.004)
    assert integral(density) == pytest.approx(1, abs=1e-3)
    assert density.width <= 4.001 / 50  # the gaps are not what is resolved here


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-20])
def test_one_eigenvalue_repeated(value):
    density = spectral_density(diagonal(torch.full((1000,), value, dtype=torch.float64)))
    assert density.products == 4
    assert density.mass(above=value - 1e-25 - 1e-9 * abs(value), below=value + 1e-25 + 1e-9 * abs(value)) == 1
    assert bool(torch.isfinite(density.values).all())
    assert integral(density) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_the_picture_scales_with_the_operator(factor):
    dense = gaussian()
    one, other = (spectral_density(operator(c * dense), steps=20) for c in (1.0, factor))
    torch.testing.assert_close(other.grid, one.grid * factor)
    torch.testing.assert_close(other.values, one.values / factor)
    assert other.width == pytest.approx(one.width * factor)


def test_widths_smear():
    dense = gaussian()
    fine, coarse = (spectral_density(operator(dense), steps=20, width=w) for w in (0.005, 0.5))
    torch.testing.assert_close(fine.nodes, coarse.nodes)
    rough = lambda d: float(d.values.diff().abs().sum())  # noqa: E731
    assert rough(fine) > 5 * rough(coarse)


def test_single_precision_finds_what_double_does():
    dense = gaussian()
    double, single = spectral_density(operator(dense)), spectral_density(operator(dense.float()))
    assert single.moment(2) == pytest.approx(double.moment(2), rel=1e-4)
    assert single.mass(below=0.3) == pytest.approx(double.mass(below=0.3), abs=0.01)


def test_a_single_probe_has_no_interval():
    density = spectral_density(operator(gaussian()), steps=10, probes=1)
    assert density.lower is density.upper is None
    assert math.isnan(density.mean(torch.abs)[1])


def test_seeds_decide_and_the_global_generator_is_left_alone():
    dense, before = gaussian(300), torch.get_rng_state()
    first, again, other = (spectral_density(operator(dense), steps=10, seed=s).moment(2) for s in (1, 1, 2))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "text"),
    [({"steps": 0}, "steps=0"), ({"probes": 0}, "probes=0"), ({"width": 0.0}, "width=0.0")],
)
def test_refusals(options, text):
    with pytest.raises(CurvatureError, match=text):
        spectral_density(operator(gaussian(20)), **options)


@pytest.mark.parametrize("dim", [10, 1000])
def test_products_that_are_not_finite(dim):
    with pytest.raises(CurvatureError, match="not finite"):
        spectral_density(Operator(lambda v: v * math.nan, dim))
