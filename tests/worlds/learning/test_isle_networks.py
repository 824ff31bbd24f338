"""Networks of agents: shapes, roles under a plan, densities against torch's, and policies as files."""

from functools import partial

import pytest
import torch
from torch.distributions import Bernoulli, Independent, Normal

from similitude.core.errors import WorldError
from similitude.scaling.plan import plan
from similitude.worlds.learning.building import build, network_of
from similitude.worlds.learning.networks import Outputs, PolicyNetwork
from similitude.worlds.learning.policies import (
    PortablePolicy,
    entropy,
    log_probability,
    sample,
    save_policy,
)
from similitude.worlds.protocol.saved_policies import ScriptedPolicy


def outputs(batch: int = 4, *, seed: int = 0) -> Outputs:
    draws = torch.Generator().manual_seed(seed)
    shapes = ((batch, 18), (batch, 18), (batch, 3), (batch,))
    return Outputs(*(torch.randn(shape, generator=draws) for shape in shapes))


def images(batch: int) -> torch.Tensor:
    return torch.randint(
        0, 256, (batch, 16, 24, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
    )


def test_densities_and_entropies_are_those_of_torch() -> None:
    found = outputs()
    reals = Independent(Normal(found.means, found.spreads.exp()), 1)
    coins = Independent(Bernoulli(logits=found.logits), 1)
    actions = sample(found, torch.Generator().manual_seed(3))
    want = reals.log_prob(actions[:, :18]) + coins.log_prob(actions[:, 18:])
    torch.testing.assert_close(log_probability(found, actions), want)
    torch.testing.assert_close(entropy(found), reals.entropy() + coins.entropy())


def test_samples_have_the_moments_of_the_distribution() -> None:
    one = outputs(1)
    many = Outputs(*(part.expand(20_000, *part.shape[1:]) for part in one))
    actions = sample(many, torch.Generator().manual_seed(3))
    error = one.spreads[0].exp() / 20_000**0.5
    assert ((actions[:, :18].mean(0) - one.means[0]).abs() < 5 * error).all()
    assert ((actions[:, 18:].mean(0) - one.logits[0].sigmoid()).abs() < 5 * 0.5 / 20_000**0.5).all()


@pytest.mark.parametrize("camera", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_plan_tells_every_role(camera: bool) -> None:
    kind = "flat" if camera else "state"
    make = partial(network_of, observation=kind, resolution=(16, 24), depth=2)
    numbers = torch.zeros(2, make(8).numbers)
    found = plan(
        make,
        base=16,
        target=64,
        sample=(numbers, images(2)) if camera else numbers,
        optimizer=torch.optim.Adam,
    )
    assert not found.refused
    roles = {row.name: row.role for row in found.rows}
    assert roles["actor.first.weight"] == roles["critic.first.weight"] == "input"
    assert roles["actor.layers.0.weight"] == "hidden"
    assert roles["act.weight"] == roles["value.weight"] == "output"
    if camera:
        assert roles["camera.layers.0.weight"] == "input"
        assert roles["camera.code.weight"] == roles["actor.eyes.weight"] == "hidden"


def test_a_plan_scales_rates_and_initial_values_and_keeps_the_base() -> None:
    alone, optimizer = build("state", width=64, base=64, learning_rate=1e-3, seed=5)
    assert [group["lr"] for group in optimizer.param_groups] == [1e-3]
    wide, optimizer = build("state", width=256, base=64, learning_rate=1e-3, seed=5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(wide.actor.layers[0].weight)] == pytest.approx(1e-3 / 4)
    assert rates[id(wide.actor.first.weight)] == pytest.approx(1e-3)
    # muP: the standard deviation of the output matrix falls as 1/width, that of torch's own as its root.
    assert wide.act.weight.std().item() == pytest.approx(alone.act.weight.std().item() / 4, rel=0.1)
    again, _ = build("state", width=256, base=64, learning_rate=1e-3, network=wide)
    assert again is wide


def test_the_critic_does_not_teach_the_eye() -> None:
    network = PolicyNetwork(3, width=8, resolution=(16, 24))
    network(torch.randn(4, 3), images(4)).values.sum().backward()
    assert all(p.grad is None for p in network.camera.parameters())
    network(torch.randn(4, 3), images(4)).means.sum().backward()
    assert all(p.grad is not None for p in network.camera.parameters())


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(WorldError, match="multiple of 4"):
        PolicyNetwork(3, width=10)
    with pytest.raises(WorldError, match="multiples of 8"):
        PolicyNetwork(3, width=8, resolution=(16, 20))


@pytest.mark.parametrize("kind", ["state", "flat"])
def test_a_saved_policy_acts_as_its_network(kind, tmp_path) -> None:
    network, _ = build(kind, width=8, base=8, resolution=(16, 24), seed=2)
    path = save_policy(PortablePolicy(network, kind, noise=0.0), tmp_path / "deep" / "policy.pt")
    policy = ScriptedPolicy(path)
    assert policy.observation == kind
    assert policy.resolution == ((16, 24) if kind == "flat" else (8, 8))
    felt = torch.randn(51, generator=torch.Generator().manual_seed(0)).numpy()
    seen = {"proprioception": felt}
    if kind == "flat":
        seen["rgbd"] = images(1)[0].numpy()
        found = network(torch.from_numpy(felt)[None], images(1))
    else:
        seen["state"] = felt[:1].repeat(178)
        found = network(torch.cat([torch.from_numpy(felt), torch.from_numpy(seen["state"])])[None])
    want = torch.cat([found.means, (found.logits > 0).float()], 1).clamp(-1, 1)
    torch.testing.assert_close(torch.from_numpy(policy(seen)).float()[None], want)


def test_the_noise_of_a_saved_policy_begins_anew_with_every_episode(tmp_path) -> None:
    network, _ = build("state", width=8, base=8, seed=2)
    policy = ScriptedPolicy(save_policy(PortablePolicy(network, "state"), tmp_path / "policy.pt"))
    seen = {"proprioception": torch.zeros(51).numpy(), "state": torch.zeros(178).numpy()}
    first, second = policy(seen), policy(seen)
    assert (first[:18] != second[:18]).any()
    policy.reset()
    assert (policy(seen) == first).all()
