"""Hessian products and top eigenvalues beside PyHessian, hessian-eigenthings and curvlinops: which are right, what they
disturb, and what they cost; and what it costs to follow the sharpness along training.

All times are CPU times of this process on one thread; what is compared is run in turns. Peers that cannot be imported
are left out: `bench/requirements-landscape.txt` says how to install them.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "landscape"), str(ROOT)]

PARTS = ("correctness", "cost", "tracking")
MODELS = ("mlp", "resnet", "gpt", "gpt-fused")
RIGHT = 1e-6  # relative error of a product that counts as right
RIGHT_EIGENVALUE = 1e-4  # PyHessian's own normalization of its vectors is off by 1e-6 over their length


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--peers", help="folder with the installed peers, put on the path")
    parser.add_argument("--models", nargs="*", default=MODELS, help="for the cost; all by default")
    parser.add_argument(
        "--repeats", type=int, default=9, help="rounds of single products; medians are reported"
    )
    parser.add_argument(
        "--searches", type=int, default=3, help="rounds of searches for eigenvalues; 0 for none"
    )
    parser.add_argument("--runs", nargs="*", help=f"trainings to follow: {', '.join(RUNS)}; all by default")
    parser.add_argument("--json", type=Path, help="file to write all numbers to")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    if options.peers:
        sys.path.append(options.peers)
    warnings.simplefilter("ignore")  # peers warn of cycles by backward(create_graph=True) on every model
    torch.set_num_threads(1)
    tools = available()
    print(f"torch {torch.__version__}, one thread, CPU time; {', '.join(t.name for t in tools)}", flush=True)
    results: dict[str, Any] = {"torch": torch.__version__}
    for part in options.parts or PARTS:
        if part == "correctness":
            results[part] = correctness(tools)
        elif part == "cost":
            results[part] = {
                m: cost(m, tools, repeats=options.repeats, searches=options.searches) for m in options.models
            }
        else:
            results[part] = tracking(options.runs or list(RUNS))
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))


def available() -> list[Any]:
    """The tools that can be imported; the others are named."""
    from landscape_peers import TOOLS

    found = []
    for tool in TOOLS:
        try:
            importlib.import_module(tool.module)
        except ImportError as error:
            print(f"{tool.name} is left out ({error}); see bench/requirements-landscape.txt", flush=True)
        else:
            found.append(tool)
    return found


# ------------------------------------------------------------------ right, wrong or a crash


def correctness(tools: list[Any]) -> dict[str, dict[str, dict[str, str]]]:
    """One product and the largest eigenvalue of every small network of the tests, against its dense Hessian."""
    from landscape_models import Problem
    from landscape_nets import CASES
    from undisturbed_state import differences, state_of

    from tests.oracles.dense_hessian import hessian, hessian_by_differences

    importlib.import_module(
        "sympy"
    )  # torch's first use of it would add a filter of warnings, and look like a change
    table: dict[str, dict[str, dict[str, str]]] = {}
    for case in CASES:
        model, batch = case.build()
        H = (hessian if case.twice else hessian_by_differences)(model, case.loss, batch)
        vector = torch.randn(len(H), dtype=H.dtype, generator=torch.Generator().manual_seed(0))
        spectrum, size = torch.linalg.eigvalsh((H + H.T) / 2), float(H.norm())
        top, largest = float(spectrum[-1]), float(spectrum[spectrum.abs().argmax()])
        table[case.name] = row = {}
        for tool in tools:
            model, batch = case.build()
            if case.own_loss is None:
                problem = Problem(case.name, model, batch, case.forward, case.criterion)
            else:  # the loss is what the model returns
                problem = Problem(case.name, model, batch, case.own_loss, lambda value, batch: value)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)  # the dropout mask of the dense Hessian, for graphs that are built now
                before = state_of(model)
                error = attempt(lambda: tool.product(problem)(vector) - H @ vector)  # noqa: B023
                product = judged(error, float(H.norm() * vector.norm()), max(RIGHT, 10 * case.tolerance))
                value = attempt(lambda: torch.tensor(tool.largest(problem, 1, 1e-9).values[0]))  # noqa: B023
                eigenvalue = judged(
                    value - top if isinstance(value, Tensor) else value, size, RIGHT_EIGENVALUE
                )
                if eigenvalue.startswith("wrong") and abs(float(value) - largest) <= RIGHT_EIGENVALUE * size:
                    eigenvalue = "other: the largest in magnitude"
                disturbed = sorted({name.split()[0] for name in differences(before, state_of(model))})
            row[tool.name] = {"product": product, "eigenvalue": eigenvalue, "disturbs": " ".join(disturbed)}
        shown = "".join(f"  {name}: {r['product'][:24]} / {r['eigenvalue'][:13]}" for name, r in row.items())
        print(f"{case.name:<32}{shown}", flush=True)
    for tool in tools:
        rows = [row[tool.name] for row in table.values()]
        for what in ("product", "eigenvalue"):
            kinds = [r[what].partition(" ")[0].strip(":") for r in rows]
            counts = ", ".join(
                f"{kinds.count(k)} {k}" for k in ("right", "other", "wrong", "crash") if k in kinds
            )
            print(f"{tool.name:<22}{what:<12}{counts} of {len(rows)}")
        disturbed = sorted({word for r in rows for word in r["disturbs"].split()})
        print(f"{tool.name:<22}disturbs    {', '.join(disturbed) or 'nothing'}", flush=True)
    return table


def attempt(measure: Callable[[], Tensor]) -> Tensor | str:
    """What is measured, or the error in words."""
    try:
        return measure().detach()
    except Exception as problem:
        return f"crash {type(problem).__name__}: {str(problem).partition(chr(10))[0][:90]}"


def judged(error: Tensor | str, size: float, allowed: float) -> str:
    """ "right", "wrong <relative error>" or the crash."""
    if isinstance(error, str):
        return error
    relative = float(error.norm()) / size
    return "right" if relative <= allowed else f"wrong {relative:.0e}"


# ------------------------------------------------------------------ cost


def cost(name: str, tools: list[Any], *, repeats: int, searches: int) -> dict[str, Any]:
    """One product, the largest eigenvalue and the ten largest, in gradients of the same model."""
    from landscape_models import trained

    problem = trained(name)
    parameters = problem.parameters
    vector = torch.randn(sum(p.numel() for p in parameters), generator=torch.Generator().manual_seed(1))

    def gradient() -> Any:
        return torch.autograd.grad(problem.loss(problem.model, problem.batch), parameters)

    sides: dict[str, Callable[[], Any]] = {"gradient": gradient}
    found: dict[str, Any] = {"parameters": len(vector), "failed": {}}
    usable = []
    for tool in tools:
        own = copy.deepcopy(problem)  # peers leave gradients and modes behind
        try:
            product = tool.product(own)
            product(vector)
        except Exception as error:
            found["failed"][tool.name] = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
            continue
        sides[tool.name] = lambda product=product: product(vector)
        usable.append((tool, own))
    seconds = in_turns(sides, repeats)
    found["gradient_seconds"] = statistics.median(seconds["gradient"])
    found["product"] = {
        side: statistics.median(t / g for t, g in zip(times, seconds["gradient"], strict=True))
        for side, times in seconds.items()
    }
    print(f"\n{name}: {len(vector)} parameters, gradient {found['gradient_seconds'] * 1e3:.0f} ms")
    for side, reason in found["failed"].items():
        print(f"  {side:<22}crash: {reason}")
    print(
        "  one product, gradients: " + ", ".join(f"{s} {r:.2f}" for s, r in found["product"].items()),
        flush=True,
    )
    if not searches:
        return found
    reference = exact(problem, 10)
    found["reference"] = reference
    for k in (1, 10):
        found[f"top-{k}"] = _searched(usable, reference[:k], k, searches, found["gradient_seconds"])
    return found


def _searched(
    usable: list[Any], reference: list[float], k: int, searches: int, gradient: float
) -> dict[str, dict[str, Any]]:
    rounds: list[dict[str, Any]] = []
    for turn in range(searches):
        order = usable[turn % len(usable) :] + usable[: turn % len(usable)]
        rounds.append({tool.name: tool.largest(own, k, 1e-3) for tool, own in order})
    report = {}
    ours = statistics.median(found[usable[0][0].name].seconds for found in rounds)
    for tool, _ in usable:
        last = rounds[-1][tool.name]
        error = max(abs(a - b) / abs(b) for a, b in zip(last.values, reference, strict=True))
        took = statistics.median(found[tool.name].seconds for found in rounds)
        report[tool.name] = {
            "products": last.products,
            "seconds": took,
            "gradients": took / gradient,
            "against_ours": took / ours,
            "error": error,
            "certified": last.certified,
        }
        print(
            f"  top-{k:<3}{tool.name:<22}{last.products:>4} products {took:>7.2f} s ({took / ours:>5.2f} of ours)  "
            f"error {error:.0e}  {'certified' if last.certified else 'no bound'}",
            flush=True,
        )
    return report


def in_turns(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of every side in every round; the order turns by one each round."""
    names = list(sides)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            started = time.process_time()
            sides[name]()
            seconds[name].append(time.process_time() - started)
    return seconds


def exact(problem: Any, k: int) -> list[float]:
    """The k largest eigenvalues by SciPy on textbook products; residuals of 1e-4, so values to about 1e-6."""
    import numpy as np
    from scipy.sparse.linalg import LinearOperator, eigsh
    from torch.nn.attention import SDPBackend, sdpa_kernel

    parameters = problem.parameters
    sizes = [p.numel() for p in parameters]
    with sdpa_kernel(SDPBackend.MATH):
        value = problem.loss(problem.model, problem.batch)
        slopes = torch.autograd.grad(value, parameters, create_graph=True)

    def product(vector: Any) -> Any:
        parts = torch.from_numpy(np.ascontiguousarray(vector.reshape(-1), dtype=np.float32)).split(sizes)
        along = [part.view(p.shape) for part, p in zip(parts, parameters, strict=True)]
        found = torch.autograd.grad(slopes, parameters, along, retain_graph=True)
        return torch.cat([f.flatten() for f in found]).numpy()

    shape = (sum(sizes), sum(sizes))
    start = np.random.default_rng(0).standard_normal(shape[0]).astype(np.float32)
    operator = LinearOperator(shape, matvec=product, dtype=np.float32)  # type: ignore[call-arg]
    values = eigsh(operator, k, which="LA", tol=1e-4, v0=start, ncv=30, return_eigenvectors=False)
    return sorted(map(float, values), reverse=True)


# ------------------------------------------------------------------ along training


RUNS: dict[str, tuple[str, Callable[..., torch.optim.Optimizer], int]] = {
    "mlp-sgd": ("mlp", lambda p: torch.optim.SGD(p, lr=0.05), 10),
    "mlp-momentum": ("mlp", lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9), 10),
    "mlp-adam": ("mlp", lambda p: torch.optim.Adam(p, lr=2e-4), 10),
    "gpt-adamw": ("gpt", lambda p: torch.optim.AdamW(p, lr=5e-4), 5),
}
"""Name -> (model, its optimizer, steps between measurements)."""


def tracking(names: list[str], measurements: int = 30) -> dict[str, Any]:
    """Products per measurement of the tracker along full-batch training, beside a cold search at the same steps."""
    from landscape_models import trained

    from similitude import SharpnessTracker
    from similitude.landscape.curvature import Curvature

    found = {}
    for name in names:
        model, make, every = RUNS[name]
        problem = trained(model, steps=3)
        optimizer = make(problem.model.parameters())
        tracker = SharpnessTracker(problem.loss, every=every, probe=problem.batch)
        cold, away = [], []
        for step in range(1, every * measurements + 1):
            optimizer.zero_grad()
            problem.loss(problem.model, problem.batch).backward()
            optimizer.step()
            record = tracker.update(problem.model, optimizer, step)
            if record is not None:
                with Curvature(problem.model, problem.loss, problem.batch) as curv:
                    alone = curv.sharpness(precondition=optimizer)
                cold.append(alone.products)
                away.append(abs(record.value - alone.value) / abs(alone.value))
        used = [record.products for record in tracker.records]
        found[name] = {
            "products": used,
            "mean": statistics.mean(used),
            "cold_mean": statistics.mean(cold),
            "farthest_from_cold": max(away),
            "eta_lambda": [record.eta_lambda for record in tracker.records],
        }
        print(
            f"{name:<14}{len(used)} measurements: {statistics.mean(used):.1f} products each (most {max(used)}), cold "
            f"{statistics.mean(cold):.1f}; farthest from a cold search {max(away):.0e}; eta*lambda "
            f"{tracker.records[0].eta_lambda:.3g} to {tracker.records[-1].eta_lambda:.3g}",
            flush=True,
        )
    return found


if __name__ == "__main__":
    main()
