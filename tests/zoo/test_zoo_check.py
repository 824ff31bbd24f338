"""Unmodified models learn alike at widths 128 to 512 under their plan, and do not under standard parametrization."""

from __future__ import annotations

import pytest
from zoo_table import CASES, planned
from zoo_tasks import batches, checked, learning, loss, score

from similitude.checking.records import Check
from similitude.scaling.axes import build

TELLING = (
    "GPT-2, tied, heads grow",
    "Llama, grouped queries, key heads grow",
    "ViT",
    "ResNet",
    "Mamba, tied",
    "T5, tied",
    "Mixtral",
    "nn.TransformerEncoder, pre-norm",
    "LSTM",
    "U-Net",
)
PARTLY_FINITE = {"Mamba, tied": 0.85}
"""Share of good rows where a finite bottleneck, for which no rule is exact, makes up a part of the network."""


@pytest.mark.slow
@pytest.mark.parametrize("name", TELLING)
def test_exponents_are_those_of_the_plan(name: str):
    check: Check = checked(name, "mup")
    found = score(check)
    check.raise_if_bad()
    assert found.share >= PARTLY_FINITE.get(name, 0.9), (found.worst, found.good, found.rows)
    narrow = {row.name for row in planned(name).rows if row.role == "bottleneck"}
    beyond = [r for r in found.outside if not (narrow and "bottleneck" in r.note)]
    assert all("random part of the head" in r.note for r in beyond), beyond


@pytest.mark.slow
@pytest.mark.parametrize("name", TELLING)
def test_standard_parametrization_is_seen_to_fail(name: str):
    check = checked(name, "sp", seeds=2)
    assert not check.ok
    assert abs(learning(check).slope) >= 0.4
    assert score(check).share < 0.7


@pytest.mark.parametrize("name", CASES)
def test_every_model_of_the_zoo_has_a_task(name: str):
    case = CASES[name]
    given = batches(case)
    value = loss(build(case.make, {"width": 64}, seed=0), given(64) if callable(given) else given)
    assert value.isfinite()
    assert value.requires_grad
