"""The ready networks: what they take and give, and that µP can plan those whose width changes."""

import pytest
import torch

import similitude as sim
from similitude.studies import consistency_nets as nets
from similitude.training.losses import cross_entropy, squared_error_of_classes

IMAGES = (torch.zeros(3, 1, 8, 8), torch.tensor([0, 4, 9]))
TEXT = (torch.zeros(2, 32, dtype=torch.long), torch.zeros(2, 32, dtype=torch.long))


@pytest.mark.parametrize("make", [nets.make_mlp, nets.make_convnet, nets.make_resnet, nets.make_vit])
def test_networks_of_images_grow_in_width(make):
    plan = sim.plan(
        make, base=16, target=32, sample=IMAGES, loss=squared_error_of_classes, optimizer=torch.optim.SGD
    )
    plan.raise_if_bad()
    model = plan.apply_(make(32))
    assert model(IMAGES[0]).shape == (3, 10)


def test_the_gpt_reads_text():
    plan = sim.plan(nets.make_gpt, base=16, target=32, sample=TEXT, loss=cross_entropy)
    plan.raise_if_bad()
    assert nets.make_gpt(16)(TEXT[0]).shape == (2, 32, 64)


@pytest.mark.parametrize(("make", "matrices"), [(nets.make_resmlp, 4), (nets.make_resmlp_two_layers, 8)])
def test_residual_networks_have_one_layer_per_block_or_two(make, matrices):
    model = make(16, 4)
    assert sum(p.shape == (16, 16) for p in model.parameters()) == matrices
    assert model(IMAGES[0]).shape == (3, 10)


def test_the_mlp_is_the_one_of_the_protocol_at_width_64():
    """f = W3 tanh(1.5 / 8 W2 tanh(W1 x / 8)) / 64 with standard normal weights."""
    torch.manual_seed(0)
    model, x = nets.make_mlp(64), torch.randn(5, 1, 8, 8)
    w1, w2, w3 = (p.detach() for p in model.parameters())
    hand = torch.tanh(1.5 / 8 * torch.tanh(x.flatten(1) @ w1.T / 8) @ w2.T) @ w3.T / 64
    assert torch.allclose(model(x), hand, atol=1e-6)
    assert abs(float(w2.std()) - 1) < 0.05
