"""Our tuner beside the original CARBS and Optuna's samplers, on problems whose cost frontier is known.

Every run of a method on a problem with a seed is a job of a process and a file in `--results`: what is
there is not run again. Tables are over all runs of the folder. All methods of a seed meet the same noise. The original is
imported from its own repository, which `--carbs` names; without it, it is left out.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from similitude.tuning.problems.quality import affordable, quality
from similitude.tuning.problems.runs import Record

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(Path(__file__).parent))

from tuning_peers import METHODS, PROBLEMS, run  # noqa: E402

TRIALS, CUTS, CAPS = 60, (20, 40, 60), (1, 3)
OURS, ORIGINAL = "ours", "original CARBS"
COLUMNS = {
    "hv20": "HV 20",
    "hv40": "HV 40",
    "hv60": "HV 60",
    "hv_1cap": "HV 1 cap",
    "hv_3caps": "HV 3 caps",
    "gap": "mean gap",
    "gap_at_cap": "gap at cap",
    "spent": "caps spent",
    "failures": "failed",
    "seconds": "CPU-s",
}
Runs = dict[str, dict[int, dict[str, float]]]
"""Figures by method and seed."""
PAGE = ROOT / "docs" / "tuning_comparison.md"
BEGIN, END = "<!-- tables of bench/tuning.py -->", "<!-- end of tables -->"
COMPARED = ("hv40", "hv60", "hv_1cap", "gap", "gap_at_cap")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS)[:4], choices=list(PROBLEMS))
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--carbs", type=Path, help="folder with the original's package `carbs`")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "similitude-runs" / "bench-tuning", help="a file per run"
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file to write all numbers to")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    parser.add_argument(
        "--suggest-cost", action="store_true", help="measure CPU time and memory of suggestions instead"
    )
    parser.add_argument(
        "--remake-front", action="store_true", help="make the frontier of the digits anew instead"
    )
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before the first process of ours that computes
    if options.remake_front:
        from tuning_front import remake_front

        remake_front(options.workers)
        return
    if options.suggest_cost:
        from tuning_latency import measure

        numbers = measure()
    else:
        numbers = compare(options)
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1))


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Run what is missing, and print the tables."""
    options.results.mkdir(parents=True, exist_ok=True)
    jobs = [
        (problem, method, seed, options.trials, options.carbs, options.results)
        for seed in options.seeds
        for problem in options.problems
        for method in options.methods
        if problem in (METHODS[method].problems or options.problems)
        and (options.carbs is not None or method != ORIGINAL)
    ]
    missing = [job for job in jobs if not _file(*job[:4], options.results).exists()]
    print(f"{len(jobs)} runs, {len(missing)} of them to do", file=sys.stderr, flush=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=context) as pool:
        for done in as_completed([pool.submit(job_of, *job) for job in missing]):
            print(done.result(), file=sys.stderr, flush=True)
    found: dict[str, Runs] = {}
    for problem, method, seed, *_ in jobs:
        rows = json.loads(_file(problem, method, seed, options.trials, options.results).read_text())[
            "records"
        ]
        records = [Record(**row) for row in rows]
        found.setdefault(problem, {}).setdefault(method, {})[seed] = figures(problem, records)
    tables = "\n\n".join(show(problem, methods) for problem, methods in found.items())
    print(tables)
    if options.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{tables}\n{END}{rest.partition(END)[2]}")
    return {
        "runs": found,
        "differences": {problem: differences(methods) for problem, methods in found.items()},
    }


def job_of(problem: str, method: str, seed: int, trials: int, carbs: Path | None, results: Path) -> str:
    """Do one run, write its file, and return a line about it."""
    import torch

    torch.set_num_threads(1)
    if method == ORIGINAL:
        from tuning_original import load

        load(carbs)  # type: ignore[arg-type]
    started = time.process_time()
    records = [record.to_dict() for record in run(PROBLEMS[problem], METHODS[method], seed, trials)]
    file = _file(problem, method, seed, trials, results)
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps({"records": records}))
    partial.rename(file)
    return f"{problem}, {method}, seed {seed}: {time.process_time() - started:.1f} CPU-s"


def figures(name: str, records: list[Record]) -> dict[str, float]:
    """What one run is worth, by column."""
    problem = PROBLEMS[name]
    whole = quality(problem, records)
    cuts = {f"hv{n}": quality(problem, records[:n]).hypervolume for n in CUTS if n <= len(records)}
    budgets = {
        f"hv_{caps}cap{'s'[: caps > 1]}": quality(
            problem, affordable(problem, records, caps=caps)
        ).hypervolume
        for caps in CAPS
    }
    rest = {key: value for key, value in asdict(whole).items() if key != "hypervolume"}
    seconds = float(np.mean([record.seconds for record in records[-10:]]))
    return {**cuts, **budgets, **rest, "seconds": seconds}


def show(problem: str, methods: Runs) -> str:
    """The table of a problem, and that of the paired differences from ours."""
    lines = [
        f"### {problem}",
        "",
        f"| method | seeds | {' | '.join(COLUMNS.values())} |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for method, runs in methods.items():
        cells = [_spread([run.get(key, math.nan) for run in runs.values()]) for key in COLUMNS]
        lines.append(f"| {method} | {len(runs)} | {' | '.join(cells)} |")
    found = differences(methods)
    if found:
        names = " | ".join(COLUMNS[key] for key in COMPARED)
        lines += ["", f"| ours less | {names} |", "|---" * (len(COMPARED) + 1) + "|"]
    for method, row in found.items():
        cells = [f"{d['mean']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]" for d in row.values()]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(methods: Runs) -> dict[str, dict[str, dict[str, float]]]:
    """Ours less each other method, over the seeds that both have."""
    if OURS not in methods:
        return {}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for method, runs in methods.items():
        seeds = sorted(set(runs) & set(methods[OURS]))
        if method != OURS and seeds:
            found[method] = {
                key: paired(
                    methods[OURS][seed].get(key, math.nan) - runs[seed].get(key, math.nan) for seed in seeds
                )
                for key in COMPARED
            }
    return found


def paired(differences: Iterable[float]) -> dict[str, float]:
    """The mean of differences over seeds with its 95 % t-interval."""
    values = np.array(list(differences))
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) if len(values) > 1 else math.nan
    mean = float(values.mean())
    return {"mean": mean, "low": mean - float(half), "high": mean + float(half)}


def _spread(values: list[float]) -> str:
    deviation = f" ({np.std(values, ddof=1):.3f})" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{deviation}"


def _file(problem: str, method: str, seed: int, trials: int, results: Path) -> Path:
    words = "".join(c if c.isalnum() else "-" for c in f"{problem} {method}")
    return results / f"{words}-{trials}-{seed}.json"


if __name__ == "__main__":
    main()
