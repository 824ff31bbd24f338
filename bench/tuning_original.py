"""The original CARBS, from a folder with its own code, as an Optuna sampler.

Nothing of it is changed but what follows. Modules that it imports for logging alone (wandb, loguru, seaborn) are stood in
for where they are missing. Its fit of 1,000 steps by pyro, 5 to 8 CPU seconds per kernel, is replaced by 40 steps of 25
times the rate on the same objective, written out: `python bench/tuning_original.py FOLDER` compares the two.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import math
import random
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from similitude.tuning.space.dimensions import Linear, Log, Logit
from similitude.tuning.space.space import Space

STEPS, RATE = 40, 2.5e-3  # the original's are 1,000 and 1e-4


def load(folder: Path, *, fast: bool = True) -> Any:
    """Import the original from the folder that holds its package `carbs`.

    Args:
        folder: What is to be put on the path.
        fast: Whether its fit is replaced.
    """
    for name, members in (
        ("wandb", ()),
        ("wandb.sdk", ()),
        ("wandb.sdk.lib", ("RunDisabled",)),
        ("wandb.sdk.wandb_run", ("Run",)),
        ("loguru", ("logger",)),
        ("seaborn", ()),
    ):
        if name.partition(".")[0] in sys.modules or importlib.util.find_spec(name.partition(".")[0]) is None:
            module = sys.modules.setdefault(name, types.ModuleType(name))
            for member in members:
                setattr(module, member, _Silent() if member == "logger" else type(member, (), {}))
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    carbs = importlib.import_module("carbs")
    gp = importlib.import_module("pyro.contrib.gp")
    if not hasattr(gp.util, "slow_train"):
        gp.util.slow_train = gp.util.train
    gp.util.train = fit if fast else gp.util.slow_train
    return carbs


class _Silent:
    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


def fit(model: Any, optimizer: torch.optim.Optimizer) -> None:
    """Ascend log marginal likelihood plus log prior of the noise, which is pyro's bound for its point guide.

    Pyro keeps parameters by name: a model whose names it knows computes with the old ones, and its optimizer moves new
    ones that nothing depends on. So only the first fit of a kernel does anything, and no other is done here.
    """
    pyro = importlib.import_module("pyro")
    known = pyro.get_param_store()
    if "kernel.kern0.variance" in known if hasattr(model.kernel, "kern0") else "kernel.variance" in known:
        model.set_mode("model")  # as its own fit leaves it
        return
    model.set_mode("guide")
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    with torch.enable_grad():
        for _ in range(STEPS):
            adam.zero_grad()
            noise = known["noise_map"].detach() if "noise_map" in known else model.noise_map
            cov = model.kernel(model.X) + (model.jitter + noise) * torch.eye(len(model.X))
            normal = torch.distributions.MultivariateNormal(
                torch.zeros(len(cov)), scale_tril=torch.linalg.cholesky(cov)
            )
            prior = torch.distributions.LogNormal(math.log(1e-2), 0.5)
            (-normal.log_prob(model.y.to(cov.dtype)) - prior.log_prob(noise)).backward()
            adam.step()
    known.setdefault("noise_map", model.noise_map.detach(), torch.distributions.constraints.positive)
    model.set_mode("model")


class OriginalSampler(BaseSampler):
    """The original's `suggest` and `observe` behind Optuna's interface, for one process and one trial at a time.

    Args:
        space: Log, logit and linear dimensions.
        seed: Its seed; it seeds torch, NumPy and `random` with it.
        cap: Its `max_suggestion_cost`.
        config: Its other settings.
    """

    def __init__(self, space: Space, *, seed: int, cap: float | None, **config: Any) -> None:
        carbs = importlib.import_module("carbs")
        importlib.import_module("pyro").clear_param_store()  # as in a process of its own
        self.space = space
        self.observation = carbs.ObservationInParam
        params = carbs.CARBSParams(
            better_direction_sign=-1,
            seed=seed,
            max_suggestion_cost=cap,
            is_wandb_logging_enabled=False,
            is_saved_on_every_observation=False,
            **config,
        )
        self.carbs = carbs.CARBS(params, [_param(carbs, name, dim) for name, dim in space.items()])
        self.asked: dict[int, dict[str, Any]] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.space.distributions()

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Any) -> dict[str, Any]:
        suggestion = self.carbs.suggest().suggestion
        self.asked[trial.number] = dict(suggestion)
        return {
            name: dim.admissible(int(suggestion[name]) if dim.integer else float(suggestion[name]))
            for name, dim in self.space.items()
            if isinstance(dim, Log | Logit | Linear)
        }

    def sample_independent(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        raise AssertionError(f"{name} is suggested with the others")

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self.carbs.observe(
            self.observation(
                input=self.asked.pop(trial.number),
                output=values[0] if values else math.nan,
                cost=trial.user_attrs["cost"],
                is_failure=state != TrialState.COMPLETE,
            )
        )


def _param(carbs: Any, name: str, dim: Any) -> Any:
    kind = {Log: carbs.LogSpace, Logit: carbs.LogitSpace, Linear: carbs.LinearSpace}[type(dim)]
    space = kind(min=dim.low, max=dim.high, is_integer=dim.integer, scale=dim.scale or 1.0)
    return carbs.Param(name, space, dim.center)


def main() -> None:
    """Compare the two fits: where hyperparameters end, and the CPU seconds of a suggestion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--observations", type=int, nargs="*", default=[10, 25, 50])
    options = parser.parse_args()
    torch.set_num_threads(1)
    gp: Any = None
    for n in options.observations:
        ends, times = {}, {}
        for fast in (False, True):
            carbs = load(options.folder, fast=fast)
            gp = importlib.import_module("pyro.contrib.gp")
            random.seed(0)
            torch.manual_seed(0)
            rng = np.random.default_rng(n)
            x = torch.tensor(rng.normal(0, 0.7, (n, 3)), dtype=torch.float32)
            y = torch.tensor(np.sin(rng.normal(0, 1, n)) + x[:, 0].numpy(), dtype=torch.float32)
            pyro = importlib.import_module("pyro")
            pyro.clear_param_store()
            kernel = gp.kernels.Sum(
                gp.kernels.Linear(3), gp.kernels.Matern32(3, lengthscale=0.3 * torch.ones(3))
            )
            model = gp.models.GPRegression(x, y, kernel=kernel, jitter=1e-4)
            model.noise = pyro.nn.PyroSample(pyro.distributions.LogNormal(math.log(1e-2), 0.5))
            started = time.process_time()
            gp.util.train(model, torch.optim.Adam(model.parameters(), lr=1e-4))
            times[fast] = time.process_time() - started
            ends[fast] = np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])
            assert carbs
        off = float(np.abs(ends[True] - ends[False]).max())
        print(
            f"{n} observations: the fast fit ends within {off:.1e} of the original's in log hyperparameters; "
            f"{times[False]:.2f} and {times[True]:.2f} CPU-s",
            flush=True,
        )


if __name__ == "__main__":
    main()
