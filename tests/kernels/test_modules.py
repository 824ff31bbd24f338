"""Every module of the table has the kernel that wide copies have, or is refused with the operation and the reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import similitude as sim
from similitude.core.seeding import seeded
from tests.kernels.modules import CASES, Case
from tests.kernels.modules_table import table

WORKING = {name: case for name, case in CASES.items() if case.becomes in ("exact", "bounded", "estimated")}
REFUSED = {name: case for name, case in CASES.items() if name not in WORKING}
FAST = ("two branches through one layer", "gated linear unit")


def kernel_of(case: Case) -> sim.Kernel:
    if case.family:
        return sim.kernel(case.make, sample=case.x, widths=(16, 24))
    with seeded(0):
        return sim.kernel(case.make(64), sample=case.x)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (i % 3 > 0)) for i, n in enumerate(WORKING)]
)
def test_exactness_is_as_published(name):
    case = WORKING[name]
    rows = kernel_of(case).explain().rows
    found = {row.exactness for row in rows}
    order = ["estimated", "bounded", "exact"]
    assert next(word for word in order if word in found) == case.becomes
    assert all(row.bound is None or row.bound < 1e-8 for row in rows)


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_operation_and_the_reason(name):
    with pytest.raises(sim.KernelError, match=re.escape(REFUSED[name].becomes)) as caught:
        kernel_of(REFUSED[name])
    assert re.match(r"operation \d+ \(\w+\) in (module '|the module's own forward)", str(caught.value))


@pytest.mark.parametrize("name", FAST)
def test_kernels_are_those_of_wide_copies(name):
    verdict = kernel_of(CASES[name]).verify(seconds=1.5)
    assert verdict.outcome in ("ok", "too_noisy"), verdict


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKING)
def test_all_kernels_are_those_of_wide_copies(name):
    verdict = kernel_of(CASES[name]).verify(seconds=60, copies=2000)
    assert verdict.ok, verdict


def test_the_published_table_is_this_one():
    page = Path(__file__).parents[2] / "docs" / "kernels_modules.md"
    assert page.read_text() == table(), "run: python -m tests.kernels.modules_table"
