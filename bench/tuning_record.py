"""Record what the original CARBS picks in given states with given random draws: original_states.json of its tests.

    python bench/tuning_record.py FOLDER_OF_CARBS [--fast]

The states are those of its own runs on two problems, some with trials that are being run or are made to have failed, and
the first fit of its kernels, the only one that has an effect (see `similitude.tuning.original.suggest`), takes its own
1,000 steps. Its random numbers come from NumPy's generator, in the order in which it asks for them, so that other code
can draw the same: values of running trials with their noise, origins and normal steps of candidates, and the drawn cost.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import math
import multiprocessing
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from tuning_original import OriginalSampler, load

from similitude.tuning.problems.chinchilla import ChinchillaLaw
from similitude.tuning.problems.on_policy import OnPolicyLearning
from similitude.tuning.problems.problem import Problem
from similitude.tuning.problems.runs import Record, run

FILE = Path(__file__).parents[1] / "tests" / "tuning" / "original" / "data" / "original_states.json"
LENGTHS = (2, 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 18, 22, 27)
"""Numbers of trials after which a state is taken, of every run."""
NOISE = 0.02
"""Variance of the noise that the first fit begins with."""
NOTE = (
    "What the original CARBS (github.com/imbue-ai/carbs at 8f7fee0) suggests in these states, its random numbers taken "
    "from numpy.random.default_rng(seed). Made by bench/tuning_record.py. An observation is its configuration, its value "
    "(none of a failure) and its cost."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fast", action="store_true", help="with the fast fit, and into a file under /tmp")
    parser.add_argument("--file", type=Path, default=FILE)
    options = parser.parse_args()
    states: list[dict[str, Any]] = []
    for problem, seed in ((ChinchillaLaw(), 7), (OnPolicyLearning(), 8)):
        # a process for each, since pyro keeps fitted parameters by name, as in a user's process
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            for n in LENGTHS:
                drawn = 100 + len(states)
                states.append(
                    pool.submit(_state, options.folder, options.fast, problem, seed, n, drawn).result()
                )
                lines = ",\n".join(json.dumps(state) for state in states)
                options.file.write_text(f'{{"note": {json.dumps(NOTE)}, "states": [\n{lines}\n]}}\n')
                print(len(states), states[-1]["how"], file=sys.stderr, flush=True)


def _state(folder: Path, fast: bool, problem: Problem, seed: int, n: int, drawn: int) -> dict[str, Any]:
    """What the original picks after n trials of its own run."""
    torch.set_num_threads(1)
    load(folder, fast=True)
    records = _trials(problem, seed)
    load(folder, fast=fast or _is_fitted())
    return _picked(problem, records[:n], records[n : n + (0, 3)[n % 2]], seed=drawn)


@functools.cache
def _trials(problem: Problem, seed: int) -> list[Record]:
    sampler = OriginalSampler(problem.space, seed=seed, cap=problem.cap)
    records = run(problem, sampler, seed=seed, trials=max(LENGTHS) + 3)
    importlib.import_module("pyro").clear_param_store()
    return [
        replace(r, failure="oom", value=math.nan) if problem.name == "on-policy" and r.number % 6 == 5 else r
        for r in records
    ]


def _is_fitted() -> bool:
    """Whether there was a fit before, so that no other one changes anything."""
    return "kernel.lengthscale" in importlib.import_module("pyro").get_param_store()


def _picked(problem: Problem, records: list[Record], running: list[Record], *, seed: int) -> dict[str, Any]:
    """Put the original into a state, and ask it."""
    carbs = importlib.import_module("carbs")
    sampler = OriginalSampler(problem.space, seed=0, cap=problem.cap)
    tuner = sampler.carbs
    for r in records:
        tuner.observe(
            sampler.observation(
                input=dict(r.values), output=r.value, cost=r.cost, is_failure=r.failure is not None
            )
        )
    for r in running:
        x = tuner._param_space_real_to_basic_space_real(r.values)
        tuner.outstanding_suggestions[str(r.number)] = carbs.SuggestionInBasic(real_number_input=x)
    points = [tuple(r.values.values()) for r in (*records, *running)]
    tuner.resample_count = len(points) - len(set(points))
    before = tuner.overgenerate_candidate_factor
    rng = np.random.default_rng(seed)
    resampled: list[None] = []
    gp = importlib.import_module("pyro.contrib.gp")
    constant = [True]
    with (
        mock.patch.object(torch.distributions.Normal, "rsample", _normals(rng)),
        mock.patch.object(torch.distributions.Normal, "sample", _normals(rng)),
        mock.patch.object(torch.distributions.Categorical, "sample", _indices(rng)),
        mock.patch.object(torch.distributions.LogNormal, "rsample", _noise(rng, constant)),
        mock.patch.object(gp.models.GPRegression, "iter_sample", _freely(gp, constant)),
        mock.patch.object(random, "uniform", lambda a, b: a + (b - a) * rng.random()),
        mock.patch.object(
            tuner, "_get_resample_suggestion", _noted(tuner._get_resample_suggestion, resampled)
        ),
    ):
        suggested = tuner.suggest(is_suggestion_remembered=False)
    how = "again" if resampled else "candidate" if suggested.log else "random"
    names = list(problem.space)
    return {
        "problem": problem.name,
        "seed": seed,
        "noise": NOISE,
        "how": how,
        "undergenerated": tuner.overgenerate_candidate_factor != before,
        "observed": [
            [*(r.values[name] for name in names), None if math.isnan(r.value) else r.value, r.cost]
            for r in records
        ],
        "running": [[r.values[name] for name in names] for r in running],
        "picked": {name: suggested.suggestion[name] for name in names},
        "next_draw": rng.random(),
    }


def _normals(rng: np.random.Generator) -> Any:
    def drawn(self: Any, sample_shape: Any = ()) -> torch.Tensor:
        shape = (*sample_shape, *self.loc.shape)
        return self.loc + self.scale * torch.tensor(rng.standard_normal(shape), dtype=self.loc.dtype)

    return drawn


def _noise(rng: np.random.Generator, constant: list[bool]) -> Any:
    """The draw of a kernel's noise, which is `NOISE` where a kernel starts with it."""

    def drawn(self: Any, sample_shape: Any = ()) -> torch.Tensor:
        z = math.log(NOISE / 1e-2) / 0.5 if constant[0] else rng.standard_normal()
        return torch.exp(self.base_dist.loc + self.base_dist.scale * z)

    return drawn


def _freely(gp: Any, constant: list[bool]) -> Any:
    begin = gp.models.GPRegression.iter_sample

    def iter_sample(self: Any, **settings: Any) -> Any:
        constant[0] = False
        try:
            return begin(self, **settings)
        finally:
            constant[0] = True

    return iter_sample


def _indices(rng: np.random.Generator) -> Any:
    def drawn(self: Any, sample_shape: Any = ()) -> torch.Tensor:
        return torch.tensor(rng.integers(0, self.probs.shape[-1], tuple(sample_shape)))

    return drawn


def _noted(function: Any, calls: list[None]) -> Any:
    def noted() -> Any:
        calls.append(None)
        return function()

    return noted


if __name__ == "__main__":
    main()
