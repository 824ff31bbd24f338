import functools

import pytest
import torch

from similitude.claims import paper08, wide_nets
from similitude.claims.registry import select
from similitude.core.verdict import Outcome
from similitude.kernels.ensemble import ensemble


@pytest.fixture
def small(monkeypatch):
    """Few small nets in the place of many large ones; what is measured stays what it is."""
    monkeypatch.setattr(paper08, "WIDTHS", (64, 128, 256, 512))
    monkeypatch.setattr(paper08, "ENSEMBLE", 60)
    monkeypatch.setattr(paper08, "WIDTH", 96)
    monkeypatch.setattr(paper08, "STEPS", 40)
    paper08.trained.cache_clear()
    yield
    paper08.trained.cache_clear()


def converges(place, drawn):
    return paper08._converges(place, "the kernel", drawn, 12, widths=(64, 128, 256, 512))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "drawn"), [(0, paper08.drawn_covariance), (1, paper08.drawn_tangent_kernel)]
)
def test_kernels_of_random_nets_converge_and_to_nothing_else(small, monkeypatch, place, drawn):
    drawn = functools.cache(drawn)
    assert converges(place, drawn).verdict.ok
    right = paper08.limit_kernels

    def off(inputs, *, hidden=2):
        return tuple(1.15 * kernel for kernel in right(inputs, hidden=hidden))

    monkeypatch.setattr(paper08, "limit_kernels", off)
    assert converges(place, drawn).verdict.outcome is Outcome.INCONSISTENT


def test_ensembles_have_the_mean_and_covariance_of_the_kernels(small):
    assert paper08.ensemble_mean().verdict.ok
    # 60 nets know a standard deviation to 10 % alone, so the claim's own limit of 10 % is for its larger ensemble.
    got = paper08.ensemble_covariance()
    assert got.interval is not None
    assert got.interval[0] - 0.1 < 1 < got.interval[1] + 0.1


@pytest.mark.parametrize(("mean", "cov"), [(0.3, 1.0), (0.0, 1.6)])
def test_ensembles_off_the_formula_turn_a_claim_red(small, monkeypatch, mean, cov):
    def off(*blocks, time):
        found = ensemble(*blocks, time=time)
        assert found.cov is not None
        return type(found)(found.mean + mean, cov * found.cov)

    monkeypatch.setattr(paper08, "ensemble", off)
    failed = paper08.ensemble_mean() if mean else paper08.ensemble_covariance()
    assert failed.verdict.outcome is Outcome.INCONSISTENT


def test_a_batched_ensemble_is_nets_one_by_one():
    inputs, targets = wide_nets.even_or_odd()
    make = functools.partial(wide_nets.make_biased_mlp, 8)
    together = wide_nets.trained_ensemble(make, inputs, targets, nets=3, lr=0.02, steps=5)
    from similitude.core.seeding import derive, seeded

    for seed in range(3):
        with seeded(derive(seed, "ensemble")):
            net = make()
        groups = [{"params": [p], "lr": 0.02 * wide_nets.rate_of(n, p)} for n, p in net.named_parameters()]
        optimizer = torch.optim.SGD(groups, lr=0.02)
        for _ in range(5):
            optimizer.zero_grad()
            (0.5 * (net(inputs[: len(targets)]) - targets).square().sum()).backward()
            optimizer.step()
        alone = net(inputs[len(targets) :])[:, 0].detach().double()
        assert torch.allclose(together[seed], alone, atol=1e-5)


def test_the_claims_are_registered():
    names = {entry.name for entry in select(["8"])}
    assert names >= {"8.nngp", "8.ntk", "8.ensemble_mean", "8.ensemble_covariance"}
