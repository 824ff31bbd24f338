"""The catalogue: every learner has a working example, and mistakes get an answer that helps."""

from __future__ import annotations

import pytest

from similitude.core.errors import EvaluationError
from similitude.fewshot.learners.catalog import LEARNERS, learner
from similitude.fewshot.learners.learner import Learner
from tests.fewshot.learners.tiny_models import tiny_encoder


@pytest.mark.parametrize("name", [name for name, entry in LEARNERS.items() if entry.anchor])
def test_anchors_need_nothing(name):
    made = learner(name)
    assert isinstance(made, Learner)
    assert made.name == name


@pytest.mark.parametrize("entry", LEARNERS.values(), ids=lambda e: e.name)
def test_examples_name_options_that_exist(entry):
    assert set(entry.example) <= set(entry.options)
    assert entry.summary


def test_an_encoder_of_ones_own_can_be_given():
    assert learner("probe", encoder=tiny_encoder()).name == "probe(bag)"


def test_mistakes_are_answered():
    with pytest.raises(EvaluationError, match="did you mean 'probe'"):
        learner("prob")
    with pytest.raises(EvaluationError, match="There are constant, frequency"):
        learner("zzz")
    with pytest.raises(EvaluationError, match=r"'constant' has no option 'encoder'\. It has none"):
        learner("constant", encoder="x")
    with pytest.raises(EvaluationError, match=r"has no option 'encodr'\. It has encoder, cache, max_length"):
        learner("probe", encodr="x")
