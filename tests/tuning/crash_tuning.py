"""A tuning study of quick trials as a program of its own, for tests that kill it.

    crash_tuning.py SAMPLER STORAGE LOG TRIALS              work through the study
    crash_tuning.py SAMPLER STORAGE LOG TRIALS within N     do so N times, each killed at a random moment
    crash_tuning.py SAMPLER STORAGE LOG TRIALS side-by-side N     do so in N processes at once, TRIALS each

SAMPLER is `carbs` or `light`. LOG, which is only ever appended to, has the trials that each process found finished,
with their values, and those that it started.
"""

import os
import random
import signal
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import optuna
import optuna.storages._rdb.models  # here and not in each of the many children
from optuna.samplers import BaseSampler

import similitude as sim
import similitude.tuning.carbs  # likewise
from similitude.runs.storage import open_store
from similitude.tuning.tune import tune

SPACE = sim.Space(lr=sim.Log(1e-2), width=sim.Log(16, low=4, high=256, integer=True, role="scale"))
PAUSE_SECONDS = 0.03  # so that no process gets far


class Light(BaseSampler):
    """Draws that depend on the trial's number alone."""

    def infer_relative_search_space(self, study, trial):
        return SPACE.distributions()

    def sample_relative(self, study, trial, search_space):
        point = np.random.default_rng([7, trial.number]).normal(0, 0.5, len(SPACE))
        return SPACE.values_at(point)

    def sample_independent(self, study, trial, param_name, param_distribution):
        raise AssertionError("all parameters are in the space")


def value_of(values):
    noise = zlib.crc32(repr(sorted(values.items())).encode()) / 2**32
    return (np.log10(values["lr"]) + 2) ** 2 + 10 / values["width"] + 0.1 * noise


def study_of(sampler, storage):
    if sampler == "carbs":
        return SPACE
    store = open_store(storage)
    with store.exclusive():
        store.create_study("crash")
    return optuna.load_study(study_name="crash", storage=store.storage, sampler=Light())


def work(sampler, storage, log, trials, *, here=None):
    note = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def objective(trial):
        os.write(note, f"started {trial.number}\n".encode())
        values = SPACE.suggest(trial)
        time.sleep(PAUSE_SECONDS)
        trial.set_user_attr("cost", float(values["width"]))
        trial.report(value_of(values) + 1, 0)
        if trial.number % 7 == 3:
            SPACE.fail(trial, "diverged")
        return value_of(values)

    where = study_of(sampler, storage)
    if isinstance(where, optuna.Study):
        done = [t for t in where.get_trials(deepcopy=False) if t.state.is_finished()]
        os.write(note, "".join(f"finished {t.number}\n" for t in done).encode())
    tune(objective, where, trials=trials, here=here, engine="inline", storage=storage, name="crash")


def within(arguments, kills):
    rng = random.Random(0)
    log = arguments[2]
    for _ in range(kills):
        wanted = starts(log) + rng.randint(1, 4)
        child = os.fork()
        if not child:
            work(*arguments)
            os._exit(0)
        until = time.monotonic() + 60
        while starts(log) < wanted and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 3 * PAUSE_SECONDS))
        os.kill(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def starts(log):
    return Path(log).read_text().count("started") if os.path.exists(log) else 0


def side_by_side(arguments, processes):
    sampler, storage, log, trials = arguments
    study_of(sampler, storage)
    children = []
    for _ in range(processes):
        child = os.fork()
        if not child:
            work(sampler, storage, log, None, here=trials)
            os._exit(0)
        children.append(child)
    for child in children:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    given = (*sys.argv[1:4], int(sys.argv[4]))
    if len(sys.argv) == 5:
        work(*given)
    else:
        {"within": within, "side-by-side": side_by_side}[sys.argv[5]](given, int(sys.argv[6]))
