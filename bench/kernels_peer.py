"""Measure neural-tangents on one case of `scripts/bench kernels`, which runs this file in the peer's own interpreter."""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import Any

import numpy as np


def network(stax: Any, name: str) -> Any:
    """Return the kernel function of one of the nets of bench/kernels.py."""
    std = {"W_std": 2.0**0.5, "b_std": 0.1**0.5}
    if name == "mlp":
        hidden = [stax.Dense(1, **std), stax.Relu()] * 3
        return stax.serial(*hidden, stax.Dense(1, **std))[2]

    def conv() -> Any:
        return stax.Conv(1, (3, 3), padding="SAME", **std)

    def added(*branch: Any) -> Any:
        both = stax.parallel(stax.Identity(), stax.serial(*branch))
        return stax.serial(stax.FanOut(2), both, stax.FanInSum())

    blocks = [added(stax.Relu(), conv()) for _ in range(2)]
    end = (stax.Relu(), stax.GlobalAvgPool(), stax.Flatten(), stax.Dense(1, **std))
    return stax.serial(conv(), *blocks, *end)[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net")
    parser.add_argument("inputs")
    parser.add_argument("--repeat", type=int, default=1, help="further calls, of which the fastest counts")
    parser.add_argument("--double", action="store_true")
    parser.add_argument(
        "--plain", action="store_true", help="call the kernel function as it is, without jax.jit"
    )
    parser.add_argument("--results", help="where kernels are written")
    options = parser.parse_args()
    import jax

    jax.config.update("jax_enable_x64", options.double)
    import neural_tangents

    x = np.load(options.inputs).astype(np.float64 if options.double else np.float32)
    x = x.reshape(len(x), -1) if options.net == "mlp" else x[..., None]
    times = []
    imports = time.process_time()
    started, wall = imports, time.perf_counter()

    def kernels(x: np.ndarray) -> Any:
        return network(neural_tangents.stax, options.net)(x, None, ("nngp", "ntk"))

    called = kernels if options.plain else jax.jit(kernels)
    for _ in range(1 + options.repeat):
        found = called(x)
        nngp, ntk = found.nngp.block_until_ready(), found.ntk.block_until_ready()
        times.append((time.process_time() - started, time.perf_counter() - wall))
        started, wall = time.process_time(), time.perf_counter()
    if options.results:
        np.savez(options.results, nngp=np.asarray(nngp), ntk=np.asarray(ntk))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    cpu, wall = min(times[1:], default=times[0])
    print(json.dumps({"imports": imports, "first": times[0], "steady": (cpu, wall), "peak": peak}))


if __name__ == "__main__":
    main()
