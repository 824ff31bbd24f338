"""Real optimizers: what is measured agrees with what is derived, and a plan trains alike at every width or refuses."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from similitude.core.errors import PlanError
from similitude.scaling.geometry import measure_optimizer
from similitude.scaling.measured import MeasuredOptimizer
from similitude.scaling.optimizers import resolve

pytest.importorskip("pytorch_optimizer")
pytest.importorskip("schedulefree")

from optimizer_zoo import HEADER, TORCH, ZOO, checked, line

PAGE = Path(__file__).parents[2] / "docs" / "optimizers.md"
# One of each kind; the others are checked by the slow tests and by the page.
QUICK = (
    "Adafactor",
    "Muon, match_rms_adamw",
    "pytorch_optimizer LARS",
    "schedulefree AdamWScheduleFree",
    "RAdam",
)


@cache
def measured(name: str) -> MeasuredOptimizer:
    return measure_optimizer(ZOO[name].make, sizes=(32, 96))  # the page has all three sides


def test_there_are_enough_of_them():
    assert len(ZOO) >= 20
    assert sum(entry.family != "refused" for entry in ZOO.values()) >= 20


@pytest.mark.parametrize("name", ZOO)
def test_geometry_is_as_expected(name):
    entry, found = ZOO[name], measured(name)
    assert found.family == entry.family, found.reason
    if found.refused:
        assert entry.law in found.reason
        with pytest.raises(PlanError, match="has no rule yet"):
            resolve(entry.make)
        return
    assert (found.law, found.relative) == (entry.law, entry.relative)
    assert found.residual is not None
    assert found.residual < 0.06


@pytest.mark.parametrize("name", [name for name, entry in TORCH.items() if entry.family != "refused"])
def test_what_is_measured_agrees_with_what_is_derived(name):
    derived, found = resolve(TORCH[name].make), measured(name)
    assert not any("was measured" in text for text in derived.warnings)
    assert (derived.family, derived.relative, derived.settling) == (
        found.family,
        found.relative,
        found.settling,
    )
    assert derived.decay == found.decay
    if found.exponents["eps"] is not None:
        assert derived.eps_power == pytest.approx(found.exponents["eps"], abs=0.02)
    if derived.family == "orthogonalized":
        assert derived.law.name == found.law
    else:
        assert found.vectors == derived.family


@pytest.mark.parametrize("name", QUICK)
def test_a_plan_trains_alike_at_every_width(name):
    check = checked(ZOO[name], (48, 96, 192), seeds=2, steps=4)
    assert str(check.verdict.outcome) == "ok", check.verdict.summary


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, entry in ZOO.items() if entry.family != "refused"])
def test_the_check_passes_from_64_to_512(name):
    check = checked(ZOO[name])
    assert str(check.verdict.outcome) == "ok", check.verdict.summary


def test_the_page_has_every_optimizer_with_its_family():
    rows = [
        [cell.strip() for cell in text.split("|")[1:-1]]
        for text in PAGE.read_text().splitlines()
        if text[:2] == "| "
    ]
    table = {row[0]: row for row in rows if row[0] in ZOO}
    assert HEADER in PAGE.read_text()
    assert list(table) == list(ZOO)
    for name, row in table.items():
        assert row[-2].partition(",")[0] == ZOO[name].family, name
        assert row[-1].startswith("ok; farthest") or row[-2] == "refused", name


def test_a_line_of_the_page_is_what_is_measured():
    name = "pytorch_optimizer PAdam"
    assert line(name, measured(name)) in PAGE.read_text()
