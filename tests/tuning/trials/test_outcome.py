"""How trials end is judged: values, failures of a configuration, and faults that say nothing about it."""

import math
import re

import numpy as np
import optuna
import pytest
import torch

from similitude.tuning.trials.failures import TrialFailure
from similitude.tuning.trials.outcome import evaluate

TRIAL = optuna.trial.FixedTrial({})


def raising(error):
    def objective(trial):
        raise error

    return objective


@pytest.mark.parametrize("returned", [1, 1.5, np.float32(2), torch.tensor(3.0), True])
def test_a_finite_number_of_any_type_is_a_value(returned):
    outcome = evaluate(lambda trial: returned, TRIAL)
    assert (outcome.state, outcome.value) == ("value", float(returned))
    assert type(outcome.value) is float


@pytest.mark.parametrize(
    ("returned", "kind"), [(math.nan, "nan"), (math.inf, "diverged"), (-math.inf, "diverged")]
)
def test_values_that_are_not_finite_are_failures(returned, kind):
    outcome = evaluate(lambda trial: returned, TRIAL)
    assert (outcome.state, outcome.kind, outcome.value) == ("failed", kind, None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "oom"),
        (OverflowError("(34, 'Numerical result out of range')"), "diverged"),
        (np.linalg.LinAlgError("Singular matrix"), "diverged"),
        (torch.linalg.LinAlgError("not positive-definite"), "diverged"),
        (TrialFailure("nan"), "nan"),
        (TrialFailure("cap"), "cap"),
    ],
)
def test_errors_that_are_the_configurations_fault(error, kind):
    outcome = evaluate(raising(error), TRIAL)
    assert (outcome.state, outcome.kind) == ("failed", kind)
    assert outcome.reason


def test_real_allocations_that_are_too_large_are_out_of_memory():
    assert evaluate(lambda trial: torch.empty(1 << 60).sum(), TRIAL).kind == "oom"
    assert evaluate(lambda trial: np.empty(1 << 59).sum(), TRIAL).kind == "oom"


def test_other_errors_are_no_verdict_on_the_configuration():
    outcome = evaluate(raising(KeyError("lr")), TRIAL)
    assert (outcome.state, outcome.kind) == ("fault", None)
    assert re.fullmatch(r"KeyError: 'lr' \(test_outcome.py, line \d+, in objective\)", outcome.reason)
    assert "raise error" in outcome.traceback
    assert evaluate(raising(TrialFailure("machine", "GPU lost")), TRIAL).state == "fault"


@pytest.mark.parametrize("returned", [None, "good", [1, 2]])
def test_what_is_no_number_is_said(returned):
    outcome = evaluate(lambda trial: returned, TRIAL)
    assert outcome.state == "fault"
    assert "return one number" in outcome.reason


def test_pruning_is_no_failure_and_ctrl_c_passes():
    assert evaluate(raising(optuna.TrialPruned()), TRIAL).state == "pruned"
    with pytest.raises(KeyboardInterrupt):
        evaluate(raising(KeyboardInterrupt()), TRIAL)
