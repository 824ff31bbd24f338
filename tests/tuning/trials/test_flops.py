from itertools import pairwise

import torch
from torch import nn

from similitude.tuning.trials.flops import count_flops


def test_a_training_step_of_a_perceptron_counts_its_matrix_products():
    batch, sizes = 32, (20, 64, 10)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10))
    x, y = torch.randn(batch, 20), torch.randint(10, (batch,))

    def step():
        nn.functional.cross_entropy(model(x), y).backward()

    forward = [2 * batch * n * m for n, m in pairwise(sizes)]
    # back: each weight's gradient is one more product, each layer's input but the first's another
    assert count_flops(step) == sum(2 * f for f in forward) + forward[1]


def test_six_operations_per_parameter_and_sample_where_matrices_are_all():
    width, batch, layers = 128, 64, 6
    model = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))
    x = torch.randn(batch, width, requires_grad=True)
    parameters = sum(p.numel() for p in model.parameters())
    assert count_flops(lambda: model(x).sum().backward()) == 6 * parameters * batch


def test_the_step_is_run_once():
    calls = []
    assert count_flops(lambda: calls.append(1)) == 0
    assert calls == [1]
