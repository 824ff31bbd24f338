"""Every row of the page of modules says what wide copies make of a module, and what models of a library have."""

from __future__ import annotations

import re

import pytest

import similitude as sim
from similitude.kernels.monte_carlo import EstimatedKernel
from tests.kernels.estimates import COPY_WIDTHS, ESTIMATES, LIBRARY, WORKS
from tests.kernels.modules import CASES

WIDTHS = (16, 24)
ALL = CASES | LIBRARY
REFUSED = [name for name, case in ALL.items() if case.becomes not in WORKS]
FAST = ("maximum pooling",)


def estimate(name: str) -> sim.Kernel | EstimatedKernel:
    case, widths = ALL[name], COPY_WIDTHS.get(name, (24, 96))
    return sim.kernel(
        case.make, sample=case.x, widths=WIDTHS, fallback="monte carlo", copies=32, copy_widths=widths
    )


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in REFUSED]
)
def test_wide_copies_say_what_is_published(name):
    case, expected = ALL[name], ESTIMATES[name]
    if expected not in WORKS:
        with pytest.raises(sim.KernelError, match=f"no limit: .*{expected}"):
            estimate(name)
        return
    found = estimate(name)
    assert isinstance(found, EstimatedKernel)
    assert case.becomes in str(found.reason)
    for limit in found.limits.values():
        assert limit.error < 0.25
        assert abs(limit.bias) < 0.1 + 4 * limit.bias_error


@pytest.mark.slow
@pytest.mark.parametrize("name", LIBRARY)
def test_models_of_a_library_have_the_kernels_that_are_published(name):
    case = LIBRARY[name]
    if case.becomes not in WORKS:
        with pytest.raises(sim.KernelError, match=rf"^operation \d+ .*{re.escape(case.becomes)}"):
            sim.kernel(case.make, sample=case.x, widths=WIDTHS)
        return
    kinds = {row.exactness for row in sim.kernel(case.make, sample=case.x, widths=WIDTHS).explain()}
    assert next(word for word in ("estimated", "bounded", "exact") if word in kinds) == case.becomes


def test_every_refused_module_has_an_estimate_or_a_second_reason():
    assert set(REFUSED) <= set(ESTIMATES)
