"""Plans written by hand from the muP table, so that tests of a plan's use need no planner."""

from __future__ import annotations

from typing import Any

from torch import nn

from similitude.scaling.records import Plan, PlanRow

ADAMW: dict[str, Any] = {
    "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01, "amsgrad": False, "foreach": None,
    "capturable": False, "fused": None,
}  # fmt: skip
SGD: dict[str, Any] = {"momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False}


def mlp(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(6, width), nn.Tanh(), nn.Linear(width, width), nn.LayerNorm(width), nn.Linear(width, 3)
    )


def mlp_rows(base: int, target: int, family: str = "entrywise") -> tuple[PlanRow, ...]:
    """The rows of `mlp`: every factor and every moment of torch's own init in closed form."""
    r = target / base
    uniform = 1 / 3**0.5  # rms of U(-1, 1)
    # name: (role, base shape, shape, r_in, r_out, init, own init ratio, own bound), lr sgd, lr adam, eps
    table = {
        "0.weight": ("input", (base, 6), (target, 6), 1, r, 1, 1, 6**-0.5, r, 1, 1 / r),
        "0.bias": ("vector", (base,), (target,), 1, r, 1, 1, 6**-0.5, r, 1, 1 / r),
        "2.weight": (
            "hidden", (base, base), (target, target), r, r, r**-0.5, r**-0.5, target**-0.5, 1, 1 / r, 1 / r,
        ),
        "2.bias": ("vector", (base,), (target,), 1, r, 1, r**-0.5, target**-0.5, r, 1, 1 / r),
        "3.weight": ("vector", (base,), (target,), 1, r, 1, 1, None, r, 1, 1 / r),
        "3.bias": ("vector", (base,), (target,), 1, r, 1, 1, None, r, 1, 1 / r),
        "4.weight": ("output", (3, base), (3, target), r, 1, 1 / r, r**-0.5, target**-0.5, 1 / r, 1 / r, 1),
        "4.bias": ("finite", (3,), (3,), 1, 1, 1, r**-0.5, target**-0.5, 1, 1, 1),
    }  # fmt: skip
    rows = []
    for name, (role, before, after, r_in, r_out, init, own, bound, sgd, adam, eps) in table.items():
        lr = sgd if family == "sgd" else adam
        rms = {"3.weight": 1.0, "3.bias": 0.0}.get(name, None if bound is None else uniform * bound)
        matrix = len(after) == 2
        rows.append(
            PlanRow(
                name=name, role=role, shape=after, base_shape=before, fan_in_ratio=float(r_in),
                fan_out_ratio=float(r_out), init=float(init), rescale=init / own, lr=float(lr),
                eps=1.0 if family == "sgd" else float(eps), weight_decay=1 / lr,
                reason=f"mup {role}; own init x{own:.4g}", evidence=f"{role} of the hand-written net", family=family,
                fan_in=(float(before[1]), float(after[1])) if matrix else None,
                fan_out=(float(before[0]), float(after[0])) if matrix else None,
                # A draw of 3 biases says little, and constants say all.
                own_rms=None if name == "4.bias" else rms,
                own_tolerance=0.02 if bound is None else 6 * (0.8 / (after[0] * (after[1] if matrix else 1))) ** 0.5,
                own_bound=bound and bound * (1 + 1e-6),
            )
        )  # fmt: skip
    return tuple(rows)


def mlp_plan(base: int = 32, target: int = 128, **changes: Any) -> Plan:
    """The muP plan of `mlp` for AdamW, or for another optimizer by `changes`."""
    family = changes.get("family", "entrywise")
    fields: dict[str, Any] = {
        "rule": "mup", "optimizer": "SGD" if family == "sgd" else "AdamW", "family": family,
        "base": {"width": base}, "target": {"width": target}, "rows": mlp_rows(base, target, family),
        "defaults": SGD if family == "sgd" else ADAMW,
    }  # fmt: skip
    return Plan(**(fields | changes))
