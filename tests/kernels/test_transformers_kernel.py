"""Kernels of unmodified small transformers against copies of two widths, extrapolated to infinite width."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

import similitude as sim
from similitude.core.seeding import seeded
from tests.kernels.transformer_nets import CASES, HEAD, REFUSED, VARIANCE, Case, redrawn, variances
from tests.kernels.wide_nets import Estimate, wide_kernels

WIDTHS = (4 * HEAD, 6 * HEAD)
COPIES = {64: 160, 192: 160}
COMPARED = ("BERT, padded", "GPT-2, untied", "ViT", "ConvNeXt")
"""For all of them see experiments/LOG.md."""

MOST = 0.03
"""Standard error, relative to the diagonal, above which a comparison would say little."""


def extrapolated(narrow: Estimate, wide: Estimate, ratio: float) -> Estimate:
    """Return the mean at infinite width of what falls as 1/width."""
    share = ratio / (ratio - 1)
    error = torch.hypot(share * wide.error, (share - 1) * narrow.error)
    return Estimate(share * wide.mean - (share - 1) * narrow.mean, error)


def kernel_of(case: Case) -> sim.Kernel:
    return sim.kernel(case.make, sample=case.x, widths=WIDTHS, weight_variance=VARIANCE)


def copies_of(case: Case, rows: dict[str, float]) -> tuple[Estimate, Estimate]:
    found = []
    for width, copies in COPIES.items():
        with seeded(width):
            module = case.make(width).requires_grad_(True)
        found.append(
            wide_kernels(
                lambda m=module: redrawn(m, rows), case.x, copies=copies, rates=lambda m: variances(m, rows)
            )
        )
    (narrow, wide), ratio = found, max(COPIES) / min(COPIES)
    return extrapolated(narrow[0], wide[0], ratio), extrapolated(narrow[1], wide[1], ratio)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPARED)
def test_kernels_are_those_of_wide_copies(name):
    case = CASES[name]
    kernel = kernel_of(case)
    rows = {n: v for (n, role), v in kernel.reader(case.x).scales.variance.items() if role == "rows"}
    for limit, estimate in zip(kernel.pair(case.x).values(), copies_of(case, rows), strict=True):
        assert estimate.relative_error < MOST
        assert estimate.off(limit) <= 3


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_module_and_the_reason(name):
    case, reason = REFUSED[name]
    with pytest.raises(sim.KernelError, match=reason) as caught:
        kernel_of(case)
    assert re.match(r"operation \d+ \(\w+\) in module 'model\.", str(caught.value))


def test_a_position_of_every_sample_is_read_as_the_module_reads_it():
    """The end of a sequence, wherever it is: the same kernel as of sequences that end there."""

    class Ended(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.words, self.head = nn.Embedding(9, width), nn.Linear(width, 2)

        def forward(self, t: Tensor) -> Tensor:
            h = torch.relu(self.words(t))
            return self.head(h[torch.arange(len(t)), t.argmax(-1)])

    t = torch.tensor([[1, 2, 8, 3], [8, 0, 1, 2], [4, 5, 6, 8]])
    whole = sim.kernel(Ended, sample=t, widths=(16, 24)).ntk(t)
    assert torch.allclose(whole, whole[0, 0].expand(3, 3))  # all of them read the same word
    t[1] = torch.tensor([7, 0, 1, 2])
    apart = sim.kernel(Ended, sample=t, widths=(16, 24)).ntk(t)
    assert float(apart[0, 1]) < float(apart[0, 0])
    assert torch.allclose(apart[0, 2], apart[0, 0])
