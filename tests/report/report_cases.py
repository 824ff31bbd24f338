"""Synthetic transfer studies with a known answer: a parabola in log2(lr) whose minimum moves as asked."""

from __future__ import annotations

import math
import random
from typing import Any

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.scaling.plan import Plan, PlanRow, Refusal
from similitude.studies.records import Curve, Optimum, Transfer, TransferStudy

WIDTHS = (64, 128, 256)
OCTAVES = tuple(range(-12, -1))


def curve(width: int, centre: float, floor: float, *, seeds: int = 3, octaves=OCTAVES, seed=0) -> Curve:
    rng = random.Random(f"{width} {centre} {seed}")
    rows = []
    for octave in octaves:
        away = octave - centre
        loss = floor * 2 ** (0.16 * away**2 / (1 + 0.22 * abs(away)))
        diverged = away > 3.9
        rows.append(
            tuple(
                math.nan
                if diverged and rng.random() < 0.7
                else loss * (1 + 0.03 * rng.gauss(0, 1)) * (8 if diverged else 1)
                for _ in range(seeds)
            )
        )
    return Curve(width, tuple(2.0**o for o in octaves), tuple(rows))


def optimum(width: int, centre: float, floor: float, *, edge: str | None = None) -> Optimum:
    verdict = (
        Verdict(Outcome.OK, f"the best learning rate at width {width} is bracketed")
        if edge is None
        else Verdict(Outcome.NOT_BRACKETED, f"the best rate at width {width} is at the {edge} edge")
    )
    return Optimum(
        size=width,
        lr=2.0**centre,
        interval=(2.0 ** (centre - 0.21), 2.0 ** (centre + 0.23)),
        loss=floor,
        loss_stderr=0.004 * floor,
        edge=edge,
        draws=(centre - 0.1, centre, centre + 0.1),
        verdict=verdict,
    )


def transfer(rule: str, slope: float, verdict: Verdict, **changes: Any) -> Transfer:
    centres = [-6.3 + slope * math.log2(w / WIDTHS[0]) for w in WIDTHS]
    floors = [0.42, 0.38, 0.3517]
    optima = tuple(optimum(w, c, f) for w, c, f in zip(WIDTHS, centres, floors, strict=True))
    fields: dict[str, Any] = {
        "rule": rule,
        "curves": tuple(curve(w, c, f) for w, c, f in zip(WIDTHS, centres, floors, strict=True)),
        "optima": optima,
        "shift": slope,
        "shift_interval": (slope - 0.08, slope + 0.07),
        "transferred_lr": optima[0].lr,
        "loss_at_transferred": 0.4467 if abs(slope) > 0.5 else 0.3526,
        "loss_at_best": 0.3517,
        "loss_stderr": 0.0031,
        "verdict": verdict,
    }
    return Transfer(**(fields | changes))


TRANSFERS = Verdict(
    Outcome.TRANSFERS,
    "the best learning rate stays within 0.09 octaves per doubling of width and transferring it costs 0.3 %",
    (
        Evidence(
            "shift of the optimum, octaves per doubling of width", 0.02, (-0.06, 0.09), "0, within 0.25"
        ),
        Evidence("loss at the transferred rate over the best", 1.0026, (0.985, 1.02), "at most 1.05"),
    ),
    (),
    "similitude plan my.module:factory --base 64 --target 1024",
)
SHIFTS = Verdict(
    Outcome.SHIFTS,
    "the best learning rate falls by 1.00 octaves per doubling of width",
    (
        Evidence(
            "shift of the optimum, octaves per doubling of width", -1.0, (-1.08, -0.93), "0, within 0.25"
        ),
    ),
    ("standard parametrization with Adam moves hidden layers more at larger width",),
    "similitude transfer my.module:factory --rule mup",
)


HIDDEN = "hidden: fan-in grows 4 times, Adam's rate falls by as much"


def plan(rule: str = "mup", *, refused: bool = False) -> Plan:
    scaled = rule != "sp"
    rows = [
        row(
            "embed.weight",
            "input",
            (1000, 256),
            (1000, 64),
            1,
            4,
            1.0,
            1.0,
            "input: its fan-in stays, so its rate stays",
        )
    ]
    for block in range(4):
        for name in ("attn.qkv", "attn.proj", "mlp.up", "mlp.down"):
            rows.append(
                row(
                    f"blocks.{block}.{name}.weight", "hidden", (256, 256), (64, 64), 4, 4,
                    0.5, 0.25 if scaled else 1.0, HIDDEN,
                )
            )  # fmt: skip
        rows.append(
            row(
                f"blocks.{block}.norm.bias",
                "vector",
                (256,),
                (64,),
                1,
                4,
                1.0,
                1.0,
                "vector: width independent",
            )
        )
    rows.append(
        row(
            "head.weight",
            "output",
            (10, 256),
            (10, 64),
            4,
            1,
            0.25 if scaled else 0.5,
            1.0,
            "output: zero mean",
        )
    )
    refusals = (
        (Refusal("router<gate>.weight", (8, 256), "could be an output or a router; name its role"),)
        if refused
        else ()
    )
    return Plan(
        rule=rule, optimizer="AdamW", family="entrywise", base={"width": 64}, target={"width": 256},
        rows=tuple(rows), refused=refusals,
        notes=("tied weights: none",),
    )  # fmt: skip


def row(name, role, shape, base, fan_in, fan_out, init, lr, reason) -> PlanRow:
    return PlanRow(
        name=name, role=role, shape=shape, base_shape=base, fan_in_ratio=fan_in, fan_out_ratio=fan_out,
        init=init, rescale=init, lr=lr, eps=1.0, weight_decay=1 / lr, reason=reason,
    )  # fmt: skip


SETTINGS = {
    "data": "digits", "optimizer": "AdamW", "steps": 200, "batch_size": 64, "seeds": 3,
    "widths": list(WIDTHS), "command": "similitude quickstart --only mlp",
}  # fmt: skip


def study(name: str = "mlp", **changes: Any) -> TransferStudy:
    fields: dict[str, Any] = {
        "name": name,
        "transfers": {"sp": transfer("sp", -1.0, SHIFTS), "mup": transfer("mup", 0.02, TRANSFERS)},
        "plans": {"sp": plan("sp"), "mup": plan("mup", refused=True)},
        "settings": SETTINGS,
        "cells_found": 150,
        "cells_run": 48,
        "cells_missing": 0,
        "seconds": 41.27,
    }
    return TransferStudy(**(fields | changes))


def not_bracketed() -> Transfer:
    octaves = tuple(range(-12, -5))
    centres = (-6.0, -6.0, -6.0)
    verdict = Verdict(
        Outcome.NOT_BRACKETED,
        "the best learning rate 2^-6 is the largest you tried at width 64; the optimum may be higher",
        (Evidence("best rate, octaves below the largest tried", 0.0, None, "at least 1"),),
        ("the grid ends too early",),
        "--lr-max 2^-3",
    )
    return transfer(
        "ntp", 0.0, verdict,
        curves=tuple(curve(w, -4.5, 0.4, octaves=octaves) for w in WIDTHS),
        optima=tuple(optimum(w, c, 0.47, edge="high") for w, c in zip(WIDTHS, centres, strict=True)),
        shift=None, shift_interval=None, loss_at_transferred=0.47, loss_at_best=0.47, transferred_lr=2.0**-6,
    )  # fmt: skip


def diverged() -> Transfer:
    verdict = Verdict(
        Outcome.DIVERGED, "every run diverged at every width", (), ("rates far too large",), "--lr-min 2^-20"
    )
    nothing = Verdict(Outcome.DIVERGED, "every run diverged")
    return Transfer(
        rule="sp",
        curves=tuple(
            Curve(w, tuple(2.0**o for o in OCTAVES), tuple((math.nan, math.inf, math.nan) for _ in OCTAVES))
            for w in WIDTHS
        ),
        optima=tuple(Optimum(w, None, None, math.nan, math.nan, None, (), nothing) for w in WIDTHS),
        shift=None, shift_interval=None, transferred_lr=None, loss_at_transferred=None, loss_at_best=None,
        loss_stderr=None, verdict=verdict,
    )  # fmt: skip


def interrupted() -> TransferStudy:
    """Two of three widths have cells, the second only at some rates and with fewer seeds; no plan yet."""
    small = curve(64, -6.3, 0.42)
    partial = Curve(
        128, small.lrs[:4], tuple(row[:n] for row, n in zip(small.losses[:4], (3, 2, 1, 0), strict=True))
    )
    verdict = Verdict(Outcome.CANNOT_TELL, "only one width is complete", (), (), "run the same command again")
    half = Transfer(
        rule="mup", curves=(small, partial), optima=(optimum(64, -6.3, 0.42),), shift=None,
        shift_interval=None, transferred_lr=2.0**-6.3, loss_at_transferred=None, loss_at_best=None,
        loss_stderr=None, verdict=verdict,
    )  # fmt: skip
    empty = Transfer(
        "sp", (), (), None, None, None, None, None, None, Verdict(Outcome.CANNOT_TELL, "nothing was run")
    )
    return study(
        "interrupted gpt",
        transfers={"sp": empty, "mup": half},
        plans={},
        cells_found=0,
        cells_run=17,
        cells_missing=181,
    )
