"""Kernels at infinite width by similitude and by neural-tangents, on one core: seconds, memory and differences.

Every measurement is a process of its own that is bound to one core, and does nothing but one case:

- "imports": CPU seconds of the interpreter's start and of imports,
- "process": these and "first" together, what a user waits for in a fresh process,
- "first": CPU seconds from the network's definition to its kernels, tracing or compilation included,
- "steady": CPU seconds of the fastest of further calls,
- "peak": the process's largest resident memory, imports included.

neural-tangents is called both ways that its documentation shows: under jax.jit, and as it is ("plain"), which compiles
every operation by itself. It needs an old jax, so it is run by an interpreter of its own (--peer-python; how to make one
is said in tests/oracles/neural_tangents_fixtures.py). Without it, ours alone is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

WEIGHT_VARIANCE, BIAS_VARIANCE = 2.0, 0.1
CASES = {
    # name: (net, examples, further calls, in double precision)
    "cnn-100": ("cnn", 100, 0, False),
    "mlp-500": ("mlp", 500, 0, False),
    "mlp-2000": ("mlp", 2000, 3, False),
    "mlp-2000-double": ("mlp", 2000, 3, True),
    "mlp-5000": ("mlp", 5000, 0, False),
    "mlp-5000-double": ("mlp", 5000, 0, True),
}


class Residual(nn.Module):
    """x + conv(relu(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(torch.relu(x))


def make_mlp(width: int) -> nn.Module:
    hidden = [
        nn.Linear(64, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
    ]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, 1))


def make_cnn(width: int) -> nn.Module:
    """Three convolutions, of which two are residual, the mean over the image of 8 x 8 pixels, and a head."""
    end = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1))
    return nn.Sequential(nn.Conv2d(1, width, 3, padding=1), Residual(width), Residual(width), *end)


NETS: dict[str, Callable[[int], nn.Module]] = {"mlp": make_mlp, "cnn": make_cnn}


def inputs(n: int) -> np.ndarray:
    """Return n digits of 8 x 8 pixels from 0 to 1; beyond 1,797 they are repeated with noise."""
    from sklearn.datasets import load_digits

    images = load_digits().images / 16.0
    noise = np.random.default_rng(0).normal(size=(n, 8, 8), scale=0.05)
    return images[np.arange(n) % len(images)] + noise * (np.arange(n) >= len(images))[:, None, None]


def measure(case: str, data: str, results: str) -> dict[str, Any]:
    """Run one case with similitude in this process."""
    from similitude import kernel

    net, _, repeat, double = CASES[case]
    dtype = torch.float64 if double else torch.float32
    x = torch.tensor(np.load(data), dtype=dtype)[:, None]
    torch.set_num_threads(1)
    times = []
    imports = time.process_time()
    started, wall = imports, time.perf_counter()
    made = kernel(
        NETS[net],
        sample=x[:2].float(),
        widths=(8, 12),
        weight_variance=WEIGHT_VARIANCE,
        bias_variance=BIAS_VARIANCE,
        dtype=dtype,
    )
    for _ in range(1 + repeat):
        both = made.grams(x)
        times.append((time.process_time() - started, time.perf_counter() - wall))
        started, wall = time.process_time(), time.perf_counter()
    np.savez(results, **{name: gram.numpy() for name, gram in both.items()})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"imports": imports, "first": times[0], "steady": min(times[1:], default=times[0]), "peak": peak}


def run(command: list[str], core: int, timeout: float) -> dict[str, Any] | str:
    """Run a measurement on one core; its JSON, or why there is none."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            ["taskset", "-c", str(core), *command],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return f"not finished in {timeout:.0f} s"
    if done.returncode:
        return f"exit {done.returncode}: {(done.stderr.strip().splitlines() or ['killed'])[-1][:120]}"
    return json.loads(done.stdout.strip().splitlines()[-1])


def difference(ours: Path, theirs: Path) -> str:
    """Return the largest relative difference of both kernels."""
    if not (ours.exists() and theirs.exists()):
        return ""
    a, b = np.load(ours), np.load(theirs)
    off = ~np.eye(len(a["ntk"]), dtype=bool)
    nngp = np.abs(a["nngp"] - b["nngp"]).max() / np.abs(b["nngp"]).max()
    ntk = np.abs(a["ntk"] - b["ntk"])[off].max() / np.abs(b["ntk"]).max()
    return f"nngp {nngp:.0e}, ntk off the diagonal {ntk:.0e}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--peer-python", help="interpreter of an environment with neural-tangents 0.6.5")
    parser.add_argument("--core", type=int, default=0, help="the core that everything is bound to")
    parser.add_argument("--timeout", type=float, default=550, help="seconds for one measurement")
    parser.add_argument("--one", nargs=3, metavar=("CASE", "DATA", "RESULTS"), help="one of ours, as JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one)))
        return
    print(f"torch {torch.__version__}, one core; CPU seconds (wall)", flush=True)
    print(
        f"{'case':<17}{'':<17}{'imports':>9}{'process':>9}{'first':>18}{'steady':>18}{'peak GB':>9}",
        flush=True,
    )
    peer = Path(__file__).with_name("kernels_peer.py")
    for case in options.cases:
        net, n, repeat, double = CASES[case]
        with tempfile.TemporaryDirectory() as folder:
            files = {who: Path(folder) / f"{who}.npz" for who in ("similitude", "neural-tangents")}
            data = str(Path(folder) / "inputs.npy")
            np.save(data, inputs(n))
            commands = {
                "similitude": [sys.executable, __file__, "--one", case, data, str(files["similitude"])]
            }
            if options.peer_python:
                settings = ["--repeat", str(repeat), *(["--double"] if double else [])]
                settings += ["--results", str(files["neural-tangents"])]
                commands["neural-tangents"] = [options.peer_python, str(peer), net, data, *settings]
                if repeat == 0:
                    commands["the same, plain"] = [*commands["neural-tangents"], "--plain"]
            found = {who: run(command, options.core, options.timeout) for who, command in commands.items()}
            for who, row in found.items():
                print(f"{case:<17}{who:<17}{row if isinstance(row, str) else shown(row)}", flush=True)
            ours = found["similitude"]
            for who, row in found.items():
                if row is not ours and not isinstance(row, str) and not isinstance(ours, str):
                    process = (row["imports"] + row["first"][0]) / (ours["imports"] + ours["first"][0])
                    ratios = [row[key][0] / ours[key][0] for key in ("first", "steady")]
                    times = f"{process:.1f} x".rjust(9) + "".join(f"{r:.1f} x".rjust(18) for r in ratios)
                    print(
                        f"{case:<17}{'ratio, ' + who:<26}{times}  {difference(*files.values())}", flush=True
                    )


def shown(row: dict[str, Any]) -> str:
    """Return a measurement as text."""
    times = "".join(f"{row[key][0]:.3f} ({row[key][1]:.2f})".rjust(18) for key in ("first", "steady"))
    process = row["imports"] + row["first"][0]
    return f"{row['imports']:>9.2f}{process:>9.2f}{times}{row['peak']:>9.2f}"


if __name__ == "__main__":
    main()
