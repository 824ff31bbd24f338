"""What a plan costs: `sim.plan` on GPT-2, and a training step with its groups against the same with one plain group.

The sides of a pair are timed back to back, the order alternating, and the median of their ratios is reported with
its quartiles. PyPI's `mup` has no counterpart to time: its shapes are read off models that its user has already built and
edited.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel

import similitude as sim

PLANS = ((12, 256, 2048), (12, 768, 8192), (1, 256, 2048))
"""Layers, base width and target width of the plans that are timed."""

BARS = {"optimizer step": 1.15, "training step": 1.05, "plan": 30.0}
"""Largest ratios, and the longest time of a plan in seconds."""


def gpt2(width: int, *, layers: int = 12) -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(n_embd=width, n_head=width // 64, n_layer=layers))


def tokens(batch: int, length: int) -> dict[str, torch.Tensor]:
    ids = torch.randint(0, 50257, (batch, length), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "labels": ids}


def time_plans() -> dict[str, dict[str, float]]:
    found = {}
    for layers, base, target in PLANS:
        started, worked = time.perf_counter(), time.process_time()
        plan = sim.plan(
            lambda width, layers=layers: gpt2(width, layers=layers),
            base=base,
            target=target,
            sample=tokens(2, 16),
            optimizer=torch.optim.AdamW,
        )
        seconds, cpu = time.perf_counter() - started, time.process_time() - worked
        name = f"{layers} layers, {base} to {target}"
        found[name] = {
            "seconds": seconds,
            "cpu_seconds": cpu,
            "rows": len(plan.rows),
            "refused": len(plan.refused),
        }
        print(
            f"{name:<28}{seconds:>8.1f} s   {cpu:.1f} s of CPU time, {len(plan.rows)} rows, {len(plan.refused)} refused",
            flush=True,
        )
    return found


def paired(plain: Callable[[], object], planned: Callable[[], object], pairs: int) -> dict[str, list[float]]:
    """Ratios of planned to plain, each of two calls made back to back, in wall-clock and in CPU time.

    On a shared machine the CPU time, which other work does not enter, is the one to read.
    """
    ratios: dict[str, list[float]] = {"wall": [], "cpu": []}
    for i in range(pairs + 2):
        sides = (plain, planned) if i % 2 else (planned, plain)
        spent = {side: timed(side) for side in sides}
        if i >= 2:  # the first ones allocate
            for clock, values in ratios.items():
                values.append(spent[planned][clock] / spent[plain][clock])
    return ratios


def timed(function: Callable[[], object]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def time_steps(pairs: int) -> dict[str, dict[str, Any]]:
    """One model under two optimizers over the same tensors, so that memory and caches are alike."""
    plan = sim.plan(gpt2, base=128, target=256, sample=tokens(2, 16), optimizer=torch.optim.AdamW)
    model = gpt2(256)
    plan.apply_(model)
    groups = plan.groups(model, lr=1e-6)
    batch = tokens(4, 64)
    model(**batch).loss.backward()
    print(
        f"GPT-2, 12 layers, width 256: {sum(len(g['params']) for g in groups)} tensors, {len(groups)} groups"
    )
    found = {}
    options: dict[str, Any]
    for name, options in (
        ("for loop", {"foreach": False}),
        ("foreach", {"foreach": True}),
        ("fused", {"fused": True}),
    ):
        plain = torch.optim.AdamW(model.parameters(), lr=1e-6, **options)
        planned = torch.optim.AdamW(plan.groups(model, lr=1e-6), **options)
        found[f"optimizer step, {name}"] = paired(plain.step, planned.step, pairs)

    def whole(optimizer: torch.optim.Optimizer) -> Callable[[], None]:
        def step() -> None:
            optimizer.zero_grad()
            model(**batch).loss.backward()
            optimizer.step()

        return step

    plain, planned = (
        torch.optim.AdamW(model.parameters(), lr=1e-6),
        torch.optim.AdamW(plan.groups(model, lr=1e-6)),
    )
    found["training step, default"] = paired(whole(plain), whole(planned), pairs)
    summary: dict[str, dict[str, Any]] = {}
    for name, clocks in found.items():
        bar = BARS[name.partition(",")[0]]
        summary[name] = {}
        for clock, ratios in clocks.items():
            low, median, high = statistics.quantiles(ratios, n=4)
            summary[name][clock] = {"ratio": median, "quartiles": [low, high], "pairs": len(ratios)}
            print(f"{name:<28}{clock:<6}{median:>8.3f}   {low:.3f} to {high:.3f}   bar {bar:g}", flush=True)
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=31, help="timed pairs; the median ratio is reported")
    parser.add_argument("--only", choices=("plans", "steps"), help="one half of it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}", flush=True)
    results = {}
    if options.only != "plans":
        results["steps"] = time_steps(options.pairs)
    if options.only != "steps":
        results["plans"] = time_plans()
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
