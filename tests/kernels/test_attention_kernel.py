"""Attention's covariance and tangent kernel against plain draws, dense sums, and wide networks under autograd."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.attention import (
    PairCovariance,
    fixed_attention,
    fixed_weights,
    softmax_attention,
)

D = torch.float64


def sequences(samples: int, length: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, length, 12, dtype=D, generator=generator) / math.sqrt(12)


def like(x: Tensor, seed: int = 1) -> Tensor:
    """Sequences that resemble those of x, so that their kernel is not almost nothing."""
    return (x + 0.5 * sequences(*x.shape[:2], seed=seed)) / math.sqrt(1.25)


def covariances(x: Tensor, y: Tensor, factor: float = 1.0, tangent: float | None = None) -> PairCovariance:
    """All pairs of the sequences x and y, with inner products for covariances."""
    cross = factor * torch.einsum("aid,bjd->abij", x, y)
    left, right = (factor * torch.einsum("aid,ajd->aij", z, z) for z in (x, y))
    return PairCovariance(left[:, None], right[None], cross, None if tangent is None else tangent * cross)


def causal(length: int) -> Tensor:
    return torch.full((length, length), -torch.inf, dtype=D).triu(1)


def test_against_plain_draws_and_the_dense_sum():
    """One pair: joint logits by Cholesky, Jacobians of the softmax in full."""
    x = sequences(1, 4)
    y = like(x)[:, :3]
    queries, keys, values = (covariances(x, y, factor, 1.5) for factor in (2.0, 3.0, 1.0))
    masks = (causal(4), causal(3))
    ours = softmax_attention(queries, keys, values, scale=0.8, masks=masks, tolerance=0.002)
    joint = torch.cat([x[0], y[0]])
    root = torch.linalg.cholesky(joint @ joint.T + 1e-10 * torch.eye(7, dtype=D))
    z = torch.randn(40000, 7, 7, dtype=D, generator=torch.Generator().manual_seed(3))
    logits = 0.8 * math.sqrt(6.0) * root @ z @ root.T
    left, right = (logits[:, :4, :4] + masks[0]).softmax(-1), (logits[:, 4:, 4:] + masks[1]).softmax(-1)
    V, Q, K = (part.cross[0, 0] for part in (values, queries, keys))
    covariance = left @ V @ right.mT
    J, J2 = (torch.diag_embed(p) - p[..., :, None] * p[..., None, :] for p in (left, right))
    through = torch.einsum("nacd,de,nbfe,cf->nab", J, V, J2, K)
    tangent = 1.5 * covariance + 0.8**2 * 2 * 1.5 * Q * through
    for value, error, drawn in (
        (ours.covariance, ours.covariance_error, covariance),
        (ours.tangent, ours.tangent_error, tangent),
    ):
        assert value is not None
        assert error is not None
        spread = (drawn.std(0).square() / len(drawn) + error[0, 0].square()).sqrt() + 1e-12
        assert float(((value[0, 0] - drawn.mean(0)).abs() / spread).max()) < 4


@pytest.mark.parametrize("masked", [False, True])
def test_against_wide_networks(masked):
    """Embedding, queries, keys, values and projection trained: mean NNGP and NTK of networks with 32 narrow heads."""
    length, width, heads, size, nets = 3, 512, 32, 4, 100
    x = sequences(1, length)
    y = like(x)
    generator = torch.Generator().manual_seed(0)
    mask = causal(length) if masked else torch.zeros(length, length, dtype=D)
    grams, tangents = [], []
    for _ in range(nets):

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, dtype=torch.float32, generator=generator).requires_grad_()

        embed, wq, wk, wv, wo = (
            draw(12, width),
            draw(width, heads, size),
            draw(width, heads, size),
            draw(width, heads, size),
            draw(heads, size),
        )
        inputs = torch.cat([x, y]).float()
        h = inputs @ embed
        q, k, v = (
            torch.einsum("blw,whs->bhls", h, w * s / math.sqrt(width))
            for w, s in ((wq, 1.5), (wk, 1.5), (wv, 1.0))
        )
        p = (q @ k.mT / math.sqrt(size) + mask.float()).softmax(-1)
        heads_out = p @ v
        out = torch.einsum("bhls,hs->bl", heads_out, wo) / math.sqrt(heads * size)
        flat = heads_out.movedim(1, 2).reshape(2, length, -1)
        grams.append((flat[0] @ flat[1].T / (heads * size)).detach().double())
        rows = [
            torch.cat(
                [g.flatten() for g in torch.autograd.grad(o, (embed, wq, wk, wv, wo), retain_graph=True)]
            )
            for o in out.flatten()
        ]
        J = torch.stack(rows).double()
        tangents.append(J[:length] @ J[length:].T)
    # NTK of h: its covariance (the embedding); of W h: that of W and of h.
    queries, keys, values = (covariances(x, y, factor, 2.0) for factor in (2.25, 2.25, 1.0))
    masks = (mask, mask) if masked else None
    ours = softmax_attention(queries, keys, values, size=size, masks=masks, tolerance=0.003)
    assert ours.tangent_error is not None
    assert ours.tangent is not None
    for wanted, own, drawn in (
        (ours.covariance[0, 0], ours.covariance_error[0, 0], torch.stack(grams)),
        ((ours.tangent + ours.covariance)[0, 0], ours.tangent_error[0, 0], torch.stack(tangents)),
    ):
        error = torch.hypot(drawn.std(0) / math.sqrt(nets), own)
        assert float(error.max()) < 0.03 * float(wanted.abs().max())
        assert float(((drawn.mean(0) - wanted).abs() / error).max()) <= 3


def test_large_heads_have_gaussian_logits():
    """Heads of d neurons differ from infinitely wide ones as 1/d."""
    x = sequences(1, 3)
    parts = [covariances(x, x, factor, 1.5) for factor in (2.0, 3.0, 1.0)]
    wide, *sizes = (softmax_attention(*parts, size=size, tolerance=1e-3) for size in (None, 4, 16, 64))
    assert wide.tangent is not None
    scale = float(wide.tangent.abs().max())
    gaps = [
        float((found.tangent - wide.tangent).abs().max()) / scale
        for found in sizes
        if found.tangent is not None
    ]
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2]
    assert gaps[2] < 0.02


def test_cross_attention_has_lengths_of_its_own():
    x, y = sequences(2, 3), sequences(3, 3, seed=1)  # queries
    s, t = sequences(2, 5, seed=2), sequences(3, 4, seed=3)  # what is attended to
    attended = softmax_attention(covariances(x, y), covariances(s, t), covariances(s, t, tangent=1.0))
    assert attended.covariance.shape == attended.covariance_error.shape == (2, 3, 3, 3)
    alone = softmax_attention(
        covariances(x[1:], y[2:]), covariances(s[1:], t[2:]), covariances(s[1:], t[2:], tangent=1.0), seed=5
    )
    apart = (attended.covariance[1, 2] - alone.covariance[0, 0]).abs()
    error = (attended.covariance_error[1, 2].square() + alone.covariance_error[0, 0].square()).sqrt()
    assert float((apart / error).max()) < 4.5


def test_a_sample_with_itself_is_one_draw_and_the_result_a_covariance():
    x = sequences(3, 4)
    own = torch.einsum("aid,ajd->aij", x, x)
    zipped = PairCovariance(own, own, own)
    attended = softmax_attention(zipped, zipped, zipped)
    assert float(torch.linalg.eigvalsh(attended.covariance).min()) > 0
    pairs = softmax_attention(covariances(x, x), covariances(x, x), covariances(x, x))
    diagonal = pairs.covariance.diagonal(dim1=0, dim2=1).movedim(-1, 0)
    error = pairs.covariance_error.diagonal(dim1=0, dim2=1).movedim(-1, 0) + attended.covariance_error
    assert float(((diagonal - attended.covariance).abs() / error).max()) < 4.5


def test_seeds_repeat_and_the_global_generator_is_left_alone():
    x = sequences(2, 3)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, again, other = (
        softmax_attention(covariances(x, x), covariances(x, x), covariances(x, x), seed=seed).covariance
        for seed in (0, 0, 1)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_no_logits_are_uniform_attention():
    x = sequences(2, 4)
    none = covariances(0 * x, 0 * x)
    masks = (causal(4), causal(4))
    attended = softmax_attention(none, none, covariances(x, x, tangent=2.0), masks=masks)
    weights = fixed_weights(torch.zeros(4, 4, dtype=D), masks[0])
    wanted = fixed_attention((weights, weights), covariances(x, x).cross)
    assert attended.tangent is not None
    assert float((attended.covariance - wanted).abs().max()) < 1e-14
    assert float((attended.tangent - 2 * wanted).abs().max()) < 1e-14


def test_wide_heads_with_logits_over_d_have_fixed_weights():
    """Shared queries and keys: softmax of the covariance; own ones: uniform. Heads of size 20,000, one draw."""
    x = sequences(1, 4)[0]
    K = x @ x.T
    generator = torch.Generator().manual_seed(0)
    wq, wk = (torch.randn(12, 20000, dtype=D, generator=generator) for _ in range(2))
    tied = (4 * (x @ wq) @ (x @ wq).T / 20000).softmax(-1)
    own = (4 * (x @ wq) @ (x @ wk).T / 20000).softmax(-1)
    assert float((tied - fixed_weights(4 * K)).abs().max()) < 0.02
    assert float((own - fixed_weights(torch.zeros(4, 4))).abs().max()) < 0.02


def test_a_query_without_keys_is_refused():
    x = sequences(1, 2)
    mask = torch.tensor([[0.0, 0.0], [-torch.inf, -torch.inf]], dtype=D)
    with pytest.raises(KernelError, match="attends to no key"):
        softmax_attention(covariances(x, x), covariances(x, x), covariances(x, x), masks=(mask, mask))
    with pytest.raises(KernelError, match="attends to no key"):
        fixed_weights(torch.zeros(2, 2), mask)


def test_no_positions_are_refused():
    x = sequences(1, 0)
    with pytest.raises(KernelError, match="no positions"):
        softmax_attention(covariances(x, x), covariances(x, x), covariances(x, x))
