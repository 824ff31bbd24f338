"""CPU time and memory of a suggestion: ours, and BoTorch with GPyTorch by the same kernel and priors, on the same points.

Every cell is a process of its own. BoTorch is given the least that a suggestion needs: fits of value and cost by its MAP
routine, and their posteriors at as many candidates as we score. `fit_gpytorch_mll` is as it comes.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SIZES, DIMENSIONS = (10, 50, 200, 2000), (4, 10)
TOOLS = ("ours", "BoTorch")
LIMIT_SECONDS = 900
CANDIDATES_PER_DIMENSION = 100


def measure() -> list[dict[str, Any]]:
    """Measure every cell in a process, print the table, and return its rows."""
    rows = []
    print("| tool | d | n | CPU-s | fit of it | peak MB |\n|---|---|---|---|---|---|")
    for tool in TOOLS:
        for d in DIMENSIONS:
            for n in SIZES:
                command = [sys.executable, str(Path(__file__)), tool, str(d), str(n)]
                try:
                    done = subprocess.run(
                        command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True
                    )
                    row = json.loads(done.stdout.splitlines()[-1])
                except subprocess.TimeoutExpired:
                    row = {"seconds": math.nan, "fit": math.nan, "megabytes": math.nan}
                rows.append({"tool": tool, "d": d, "n": n, **row})
                cells = f"{row['seconds']:.3f} | {row['fit']:.3f} | {row['megabytes']:.0f}"
                print(f"| {tool} | {d} | {n} | {cells} |", flush=True)
    return rows


def data(d: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points around a path from cheap to dear, with noisy values and costs."""
    rng = np.random.default_rng([d, n])
    along = rng.uniform(0, 3, n)
    points = rng.normal(0, 0.5, (n, d)) + along[:, None] * np.linspace(1, -0.5, d)
    values = np.exp(-along / 2) + 0.05 * (points[:, -1] + 0.5 * along) ** 2 + 0.01 * rng.standard_normal(n)
    return points, values, 10 ** (along + 0.05 * rng.standard_normal(n))


def ours(d: int, n: int) -> tuple[float, float]:
    """CPU seconds of one suggestion, and of the fit of values in it."""
    from similitude.tuning.search.gaussian_process import GaussianProcess
    from similitude.tuning.search.suggest import suggest
    from similitude.tuning.space.dimensions import Log
    from similitude.tuning.space.space import Space
    from similitude.tuning.trials.history import History

    points, values, costs = data(d, n)
    space = Space({f"x{j}": Log(1.0) for j in range(d)})
    seen = History(space, points, values, costs, np.arange(n))
    suggest(
        History(space, points[:8], values[:8], costs[:8], np.arange(8)), seed=0, number=8
    )  # imports, caches
    started = time.process_time()
    suggest(seen, seed=0, number=n + n % 2, cap=1e4)
    whole = time.process_time() - started
    started = time.process_time()
    GaussianProcess.fit(points, (values - values.mean()) / values.std(), categorical=np.zeros(d, bool))
    return whole, time.process_time() - started


def botorch(d: int, n: int) -> tuple[float, float]:
    """CPU seconds of two fits by BoTorch with their posteriors at the candidates, and of the first fit."""
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.kernels import LinearKernel, MaternKernel, ScaleKernel
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from gpytorch.priors import LogNormalPrior

    torch.set_num_threads(1)
    points, values, costs = data(d, n)
    fits = []

    def fitted(rows: int, targets: np.ndarray) -> Any:
        started = time.process_time()
        x = torch.tensor(points[:rows])
        y = torch.tensor((targets - targets.mean()) / targets.std())[:, None]
        stationary = ScaleKernel(
            MaternKernel(nu=1.5, ard_num_dims=d, lengthscale_prior=LogNormalPrior(0.0, 0.7)),
            outputscale_prior=LogNormalPrior(0.0, 1.0),
        )
        model = SingleTaskGP(
            x, y, covar_module=stationary + ScaleKernel(LinearKernel()), outcome_transform=None
        )
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        fits.append(time.process_time() - started)
        return model

    def suggestion(rows: int) -> None:
        z = torch.tensor(np.random.default_rng(0).normal(0, 0.5, (CANDIDATES_PER_DIMENSION * d, d)))
        for targets in (values[:rows], np.log(costs[:rows])):
            model = fitted(rows, targets)
            with torch.no_grad():
                model.posterior(z).variance  # noqa: B018 (it is computed when asked for)

    suggestion(8)
    fits.clear()
    started = time.process_time()
    suggestion(n)
    return time.process_time() - started, fits[0]


if __name__ == "__main__":
    seconds, fit = (ours if sys.argv[1] == "ours" else botorch)(int(sys.argv[2]), int(sys.argv[3]))
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "fit": fit, "megabytes": megabytes}))
