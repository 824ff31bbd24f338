"""Objectives at the top level of a module, as processes of their own need them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna

import similitude as sim

SPACE = sim.Space(lr=sim.Log(1e-2), width=sim.Log(16, low=4, high=256, integer=True, role="scale"))


def value_of(values):
    return (np.log10(values["lr"]) + 2) ** 2 + 10 / values["width"]


def good(trial):
    values = SPACE.suggest(trial)
    trial.set_user_attr("cost", float(values["width"]))
    return value_of(values)


def of_one_cost(trial):
    """Tells what it cost at its end only."""
    values = SPACE.suggest(trial)
    time.sleep(0.3)
    trial.set_user_attr("cost", 10.0)
    return value_of(values)


def in_numpy(trial):
    values = SPACE.suggest(trial)
    trial.set_user_attr("cost", np.float32(values["width"]))
    return np.float32(value_of(values))


def plain(trial):
    """An objective of Optuna's own kind, that asks for its values itself."""
    x = trial.suggest_float("x", -2, 2)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    n = trial.suggest_int("n", 1, 3)
    trial.set_user_attr("asked", trial.params)
    trial.set_user_attr("cost", 1.0)
    trial.report(x, 0)
    if trial.should_prune():
        raise optuna.TrialPruned
    return x**2 + n + (kind == "a")


def endless(trial):
    SPACE.suggest(trial)
    for step in range(10_000):
        trial.report(100.0 - step, step)
        time.sleep(0.02)
    return 0.0


def dear(trial):
    """Tell a cost that grows while it runs."""
    SPACE.suggest(trial)
    for step in range(10_000):
        trial.set_user_attr("cost", float(step + 1))
        time.sleep(0.01)
    return 0.0


def pruned_when_told(trial):
    SPACE.suggest(trial)
    for step in range(10_000):
        trial.report(1.0 / (step + 1), step)
        time.sleep(0.01)
        if trial.should_prune():
            raise optuna.TrialPruned
    return 0.0


def with_a_child(trial):
    """Start a process of its own, note its pid, and never end."""
    SPACE.suggest(trial)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(os.environ["TUNING_TEST_PID"]).write_text(str(child.pid))
    time.sleep(600)
    return 0.0


def killed_once(trial):
    """Die by a signal the first time that trial 2 is run."""
    values = SPACE.suggest(trial)
    trial.set_user_attr("cost", 1.0)
    note = Path(os.environ["TUNING_TEST_NOTE"])
    with note.open("a") as file:
        file.write(f"{trial.number}\n")
    if trial.number == 2 and note.read_text().split().count("2") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return value_of(values)


def killed_always(trial):
    """Die by a signal whenever trial 1 is run."""
    values = SPACE.suggest(trial)
    trial.set_user_attr("cost", 1.0)
    if trial.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return value_of(values)


def by_number(trial):
    """End in another way for each trial."""
    values = SPACE.suggest(trial)
    trial.set_user_attr("cost", 1.0)
    match trial.number:
        case 1:
            return float("nan")
        case 2:
            return float("inf")
        case 3:
            raise MemoryError("no more")
        case 4:
            SPACE.fail(trial, "diverged", "loss above 10")
        case 5:
            raise FloatingPointError("overflow")
    return value_of(values)


def broken(trial):
    SPACE.suggest(trial)
    raise ValueError("a bug of mine")
