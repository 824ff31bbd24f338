"""Theorem 5.1 against networks that autograd trains, and their spectra against dense Hessians."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from similitude.core.citation import cite
from similitude.core.errors import PlanError
from similitude.data import load
from similitude.theory.two_layer_linear import TwoLayerLinear

GAMMAS = {"ntp": lambda n: 1.0, "between": lambda n: n**0.25, "mup": lambda n: n**0.5}


class Network:
    """The network itself, in float64 and by autograd."""

    def __init__(self, features: int, width: int, gamma: float, *, examples: int = 9, seed: int = 0) -> None:
        g = torch.Generator().manual_seed(seed)
        draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
        self.X, self.y, self.gamma = draw(examples, features), draw(examples), gamma
        self.E, self.V = draw(features, width), draw(width)

    def loss(self, E: Tensor, V: Tensor) -> Tensor:
        f = self.X @ E @ V / (self.gamma * math.sqrt(E.numel()))
        return ((f - self.y) ** 2).sum() / (2 * len(self.y))

    def step(self, eta: float) -> None:
        at = (self.E.clone().requires_grad_(), self.V.clone().requires_grad_())
        gradients = torch.autograd.grad(self.loss(*at), at)
        self.E, self.V = ((p - eta * self.gamma**2 * g).detach() for p, g in zip(at, gradients, strict=True))

    def invariants(self) -> TwoLayerLinear:
        return TwoLayerLinear.of(self.X, self.y, E=self.E, V=self.V, gamma=self.gamma)

    def hessian(self) -> np.ndarray:
        """gamma^2 times the Hessian, by differentiating twice."""
        flat = torch.cat([self.E.reshape(-1), self.V])
        n = self.E.numel()
        dense = torch.autograd.functional.hessian(lambda p: self.loss(p[:n].view_as(self.E), p[n:]), flat)
        assert isinstance(dense, Tensor)
        return dense.numpy() * self.gamma**2

    def gauss_newton(self) -> np.ndarray:
        jacobians = torch.autograd.functional.jacobian(
            lambda E, V: self.X @ E @ V / (self.gamma * math.sqrt(E.numel())), (self.E, self.V)
        )
        J = torch.cat([j.reshape(len(self.y), -1) for j in jacobians], 1).numpy()
        return self.gamma**2 * J.T @ J / len(self.y)


def difference(a: TwoLayerLinear, b: TwoLayerLinear) -> float:
    return max(np.abs(a.w - b.w).max(), np.abs(a.e - b.e).max(), abs(a.v - b.v))


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("width", [1, 4, 16, 256])
def test_the_recursion_is_the_network(width, gamma):
    net = Network(4, width, GAMMAS[gamma](width), seed=width)
    state = net.invariants()
    eta = 0.8 / state.sharpness()
    for _ in range(200):
        net.step(eta)
        state = state.step(eta)
        assert difference(state, net.invariants()) < 1e-12
    assert state.excess_loss < 0.5 * Network(4, width, net.gamma, seed=width).invariants().excess_loss


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize(("features", "examples"), [(5, 9), (4, 2)])
@pytest.mark.parametrize("width", [1, 2, 5, 24])
def test_the_spectrum_is_that_of_the_dense_hessian(width, features, examples, gamma):
    """With fewer examples than features S is singular; with few units the reduced space is smaller."""
    net = Network(features, width, GAMMAS[gamma](width), examples=examples, seed=3)
    eta = 0.5 / net.invariants().sharpness()
    for steps in (0, 3, 20):
        for _ in range(steps):
            net.step(eta)
        state, dense = net.invariants(), list(np.linalg.eigvalsh(net.hessian()))
        assert state.sharpness() == pytest.approx(dense[-1], abs=1e-10)
        for value in state.spectrum():  # each is one of the dense ones, which is then used up
            nearest = int(np.argmin(np.abs(np.array(dense) - value)))
            assert dense.pop(nearest) == pytest.approx(value, abs=1e-10)
        bulk = state.residual_sharpness
        assert all(min(abs(x), abs(x - bulk), abs(x + bulk)) < 1e-10 for x in dense)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_hessian_is_gauss_newton_plus_residual(gamma):
    net = Network(5, 12, GAMMAS[gamma](12), seed=1)
    H, G = net.hessian(), net.gauss_newton()
    state = net.invariants()
    assert state.gauss_newton_sharpness() == pytest.approx(np.linalg.eigvalsh(G)[-1], abs=1e-12)
    residual = np.linalg.eigvalsh(H - G)
    assert residual[:12] == pytest.approx(-state.residual_sharpness, abs=1e-12)
    assert residual[-12:] == pytest.approx(state.residual_sharpness, abs=1e-12)
    assert residual[12:-12] == pytest.approx(0, abs=1e-12)
    assert abs(state.sharpness() - state.gauss_newton_sharpness()) <= state.residual_sharpness
    # Lemma 5.2
    S, e = np.linalg.eigvalsh(state.S)[-1], np.linalg.eigvalsh(state.e)[-1]
    assert state.gauss_newton_sharpness() <= S * (e + state.v)


def digits() -> tuple[np.ndarray, np.ndarray]:
    data = load("digits")
    x = data.train_images[:300].reshape(300, -1) / 255.0
    return x - x.mean(0), data.train_labels[:300] % 2 - 0.5


def test_digits():
    """64 features, some always black: S is singular."""
    x, y = digits()
    net = Network(64, 32, 32**0.5)
    net.X, net.y = torch.from_numpy(x), torch.from_numpy(y).double()
    state = net.invariants()
    eta = 1.0 / state.sharpness()
    for _ in range(100):
        net.step(eta)
        state = state.step(eta)
    assert difference(state, net.invariants()) < 1e-12
    assert np.linalg.eigvalsh(state.S)[0] < 1e-12


def test_wide_networks_of_mup_come_to_the_limit_and_those_of_ntp_to_kernel_regression():
    reference = Network(6, 1, 1.0, examples=30)
    for name in ("mup", "ntp"):
        limit = TwoLayerLinear.limit(name, reference.X, reference.y)
        ends = limit.run(0.5, 80).sharpness
        off = []
        for width in (64, 1024):
            runs = []
            for seed in range(8):
                net = Network(6, width, GAMMAS[name](width), seed=seed)
                start = TwoLayerLinear.of(reference.X, reference.y, E=net.E, V=net.V, gamma=net.gamma)
                runs.append(np.abs(start.run(0.5, 80).sharpness / ends - 1).max())
            off.append(np.mean(runs))
        assert 2 < off[0] / off[1] < 8  # as 1 / sqrt(width): 4
    kernel = TwoLayerLinear.limit("ntp", reference.X, reference.y)
    D, w = 6, np.zeros(6)
    for state in kernel.run(0.5, 20):
        assert state.w == pytest.approx(w, abs=1e-14)
        assert np.array_equal(state.e, np.eye(D) / D)
        w = w - 0.5 * (2 / D) * (kernel.S @ w - kernel.b)


def test_sharpness_rises_under_mup_alone():
    net = Network(4, 1, 1.0, examples=40)
    sharp = {name: TwoLayerLinear.limit(name, net.X, 3 * net.y).run(0.1, 400) for name in ("mup", "ntp")}
    assert sharp["mup"].sharpness[-1] > 1.3 * sharp["mup"].states[0].gauss_newton_sharpness()
    assert sharp["ntp"].sharpness == pytest.approx(sharp["ntp"].sharpness[0])


def test_a_run_that_overflows_stops_and_says_so():
    net = Network(3, 8, 8**0.5).invariants()
    run = net.run(30 / net.sharpness(), 500)
    assert run.diverged
    assert 1 < len(run.states) < 100
    last = len(run.states)
    assert run.sharpness.shape == run.excess_loss.shape == run.residual.shape == (501,)
    assert np.isfinite(run.sharpness[:last]).all()
    assert np.isnan(run.sharpness[last:]).all()
    assert run.final.finite
    calm = net.run(0.5 / net.sharpness(), 20)
    assert not calm.diverged
    assert len(list(calm)) == 21
    assert (np.diff(calm.excess_loss) < 0).all()


def test_the_excess_loss_is_the_loss_above_least_squares():
    net = Network(4, 7, 2.0)
    best = np.linalg.lstsq(net.X.numpy(), net.y.numpy())[0]
    floor = float(((net.X.numpy() @ best - net.y.numpy()) ** 2).sum() / (2 * len(net.y)))
    assert net.invariants().excess_loss == pytest.approx(float(net.loss(net.E, net.V)) - floor, rel=1e-10)


def test_a_network_of_zeros_and_one_without_a_second_layer_have_spectra():
    net = Network(3, 5, 2.0)
    net.V = torch.zeros(5, dtype=torch.float64)
    assert net.invariants().sharpness() == pytest.approx(np.linalg.eigvalsh(net.hessian())[-1], abs=1e-12)
    net.E = torch.zeros(3, 5, dtype=torch.float64)
    state = net.invariants()
    assert state.spectrum()[[0, -1]] == pytest.approx([state.residual_sharpness, -state.residual_sharpness])


def test_it_cites_its_paper():
    assert [citation.paper.number for citation in cite(TwoLayerLinear)] == [2]


def given(**change):
    return TwoLayerLinear(
        **{"S": np.eye(2), "b": [1, 1], "w": [0, 0], "e": np.eye(2), "v": 1.0, "kappa": 0.5, **change}
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": [0, 0, 0]}, r"w has shape \(3,\), b has \(2,\)"),
        ({"b": [[1]]}, "shape"),
        ({"e": [[1, 0], [0, math.nan]]}, "not finite"),
        ({"kappa": -1}, "kappa=-1.0"),
        ({"S": [[1, 1], [0, 1]]}, "S is not symmetric"),
        ({"e": [[1, 0], [0, -1]]}, "e has the eigenvalue -1"),
        ({"w": [2, 0]}, "no network has these w, e and v: e - kappa w w' / v has the eigenvalue -1"),
        ({"v": -0.1}, "no network"),
        ({"v": 0, "w": [1, 0]}, "no network"),
        ({"S": "x"}, "str is no array of numbers"),
    ],
)
def test_impossible_states_are_refused(change, message):
    with pytest.raises(PlanError, match=message):
        given(**change)


def test_wrong_arguments_are_named():
    X, y = np.ones((3, 2)), np.ones(3)
    with pytest.raises(PlanError, match=r"X has shape \(3, 2\) and y \(2,\)"):
        TwoLayerLinear.limit("mup", X, y[:2])
    with pytest.raises(PlanError, match="parametrization 'sp'"):
        TwoLayerLinear.limit("sp", X, y)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match=r"E has shape \(3, 4\) and V \(4,\), the inputs have 2 features"):
        TwoLayerLinear.of(X, y, E=np.ones((3, 4)), V=np.ones(4), gamma=1.0)
    with pytest.raises(PlanError, match="gamma=0"):
        TwoLayerLinear.of(X, y, E=np.ones((2, 4)), V=np.ones(4), gamma=0)
    with pytest.raises(PlanError, match=r"eta=0 is no learning rate. Pass a positive number below 0.828"):
        given().run(0, 3)
    with pytest.raises(PlanError, match="steps=0"):
        given().run(0.1, 0)
