"""Kernel gradient descent against SGD on a linear model, whose tangent kernel is its own, and its bound on the rate."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from similitude.core.errors import KernelError
from similitude.kernels.gradient_descent import gradient_descent, largest_eigenvalue
from similitude.kernels.gradient_flow import gradient_flow
from similitude.kernels.train_test import TrainTest
from tests.kernels.gram_pairs import samples
from tests.kernels.kernel_cases import blocks, labels, targets

X, X_TEST = samples(10, 4), samples(3, 4, seed=1)
LINEAR = TrainTest(X @ X.T, X_TEST @ X.T)
BATCHES = [[0, 1, 2], [9, 3], [5], [4, 6, 7, 8], [2, 0], [1, 9, 8]]


def sgd(y, loss, *, lr, steps, outputs, batches=None, ridge=0.0, seed=0):
    """Train f(x) = W x by torch's SGD; return outputs of all steps on training and test samples, and the start."""
    weight = torch.randn(4, outputs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    first, weight = weight.clone(), weight.requires_grad_()
    optimizer = torch.optim.SGD([weight], lr=lr)
    train, test = [(X @ first)], [(X_TEST @ first)]
    for step in range(steps):
        batch = slice(None) if batches is None else batches[step]
        optimizer.zero_grad()
        pulled = ridge / 2 * (weight - first).square().sum()
        (loss(X[batch] @ weight, y[batch]) + pulled).backward()
        optimizer.step()
        train.append((X @ weight).detach())
        test.append((X_TEST @ weight).detach())
    return torch.stack(train), torch.stack(test)


def squares(f, t):
    return (f - t).square().sum() / 2


@pytest.mark.parametrize("ridge", [0.0, 0.2])
@pytest.mark.parametrize("batches", [None, BATCHES])
@pytest.mark.parametrize("name", ["mse", "cross_entropy", "own"])
def test_it_is_sgd_on_a_linear_model(name, batches, ridge):
    torch_loss = {
        "mse": squares,
        "cross_entropy": lambda f, t: cross_entropy(f, t, reduction="sum"),
        "own": lambda f, t: cross_entropy(f, t, reduction="sum", label_smoothing=0.1),
    }[name]
    y = targets(10) if name == "mse" else labels(10)
    outputs = 2 if name == "mse" else 3
    train, test = sgd(y, torch_loss, lr=0.01, steps=6, outputs=outputs, batches=batches, ridge=ridge)
    found = gradient_descent(
        LINEAR, y, lr=0.01, steps=6, loss=torch_loss if name == "own" else name, batches=batches, ridge=ridge,
        start=train[0], start_test=test[0], every=1,
    )  # fmt: skip
    assert found.steps == (0, 1, 2, 3, 4, 5, 6)
    torch.testing.assert_close((found.train, found.test), (train, test), rtol=1e-10, atol=1e-10)


def test_small_steps_follow_the_flow():
    ntk = blocks()["ntk"]
    flow = gradient_flow(ntk, targets(), times=1.0)
    steps = gradient_descent(ntk, targets(), lr=1e-4, steps=10_000)
    torch.testing.assert_close((steps.train, steps.test), (flow.train, flow.test), rtol=1e-3, atol=1e-3)


def test_outputs_are_kept_as_asked_for():
    ntk = blocks()["ntk"]
    all_ = gradient_descent(ntk, targets(), lr=0.01, steps=7, every=1)
    some = gradient_descent(ntk, targets(), lr=0.01, steps=7, every=3)
    last = gradient_descent(TrainTest(ntk.train), targets(), lr=0.01, steps=7)
    assert (some.steps, last.steps) == ((0, 3, 6, 7), (7,))
    assert torch.equal(some.train, all_.train[[0, 3, 6, 7]])
    assert torch.equal(some.test, all_.test[[0, 3, 6, 7]])
    assert torch.equal(last.train, all_.train[[7]])
    assert last.test is None


def test_the_bound_on_the_rate_is_where_steps_begin_to_grow():
    ntk = blocks()["ntk"]
    limit = 2 / float(torch.linalg.eigvalsh(ntk.train)[-1])
    below = gradient_descent(ntk, targets(), lr=0.999 * limit, steps=20_000).train
    torch.testing.assert_close(below[0], targets(), rtol=0.05, atol=0.05)
    with pytest.raises(
        KernelError, match=rf"is not below {limit:.6g} = 2 / {2 / limit:.6g}, where"
    ) as raised:
        gradient_descent(ntk, targets(), lr=1.001 * limit, steps=1)
    assert "the largest eigenvalue of the tangent kernel on 12 training samples" in str(raised.value)
    above = gradient_descent(ntk, targets(), lr=1.001 * limit, steps=3000, loss=squares)
    assert float((above.train[0] - targets()).norm()) > 3 * float(targets().norm())


def test_of_small_batches_the_worst_counts():
    ntk = blocks()["ntk"]
    batches = [[i] for i in range(12)]
    worst = int(ntk.train.diagonal().argmax())
    limit = 2 / float(ntk.train.diagonal().max())
    assert limit > 2 / float(torch.linalg.eigvalsh(ntk.train)[-1])
    gradient_descent(ntk, targets(), lr=0.99 * limit, steps=12, batches=batches)
    with pytest.raises(KernelError, match=rf"kernel on batch {worst}:"):
        gradient_descent(ntk, targets(), lr=1.01 * limit, steps=12, batches=batches)


def test_ridge_and_cross_entropy_have_bounds_of_their_own():
    ntk = blocks()["ntk"]
    top = float(torch.linalg.eigvalsh(ntk.train)[-1])
    with pytest.raises(KernelError, match=rf"not below {2 / (top + 3):.6g} = 2 / \(1 \* {top:.6g} \+ 3\)"):
        gradient_descent(ntk, targets(), lr=1.9 / top, steps=1, ridge=3.0)
    gradient_descent(ntk, labels(), lr=3.9 / top, steps=1, loss="cross_entropy")
    with pytest.raises(KernelError, match=r"= 4 / .* or pass the loss as a function"):
        gradient_descent(ntk, labels(), lr=4.1 / top, steps=1, loss="cross_entropy")


def test_a_loss_of_the_user_that_leaves_all_bounds_is_named():
    with pytest.raises(KernelError, match=r"left all bounds at step \d+ of 5000: lr=100"):
        gradient_descent(blocks()["ntk"], targets(), lr=100.0, steps=5000, loss=squares)


def test_the_largest_eigenvalue_is_found_by_products_too():
    x = samples(700, 30)
    gram = x @ x.T
    assert largest_eigenvalue(gram) == pytest.approx(float(torch.linalg.eigvalsh(gram)[-1]), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": -1}, "steps=-1"),
        ({"every": 0}, "every=0"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"lr": float("nan")}, "lr=nan"),
        ({"batches": [[0]]}, "1 batches are given for 3 steps"),
        ({"batches": [[0], [12], [1]]}, r"batches\[1\] has 1 numbers from 12 to 12"),
        ({"batches": [[0], [1, 1], [1]]}, r"batches\[1\] has 2 numbers"),
        ({"batches": [[0], [], [1]]}, r"batches\[1\] has 0 numbers"),
    ],
)
def test_wrong_use_is_named(change, said):
    with pytest.raises(KernelError, match=said):
        gradient_descent(blocks()["ntk"], targets(), **({"lr": 0.01, "steps": 3} | change))
