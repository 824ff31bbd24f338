"""Optuna's own tests for samplers, on ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.space.dimensions import Log
from similitude.tuning.space.space import Space

pytestmark = pytest.mark.filterwarnings("ignore:The objective asks for", "ignore:.* finished trials have no")


class TestConformance(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: CarbsSampler(Space(lr=Log(1e-3), width=Log(64, integer=True)))
