"""Does the learning rate of an agent stay when its network becomes wider? From cloning, and from PPO."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from similitude.report.files import write_atomically
from similitude.studies.records import Curve, Transfer
from similitude.studies.shift import transfer
from similitude.worlds.gym.spaces import REALS
from similitude.worlds.learning.building import Rule, build
from similitude.worlds.learning.cloning import Cloning, clone
from similitude.worlds.learning.demonstrations import Demonstrations
from similitude.worlds.learning.networks import NARROWEST
from similitude.worlds.learning.training import Trainer, Training

CERTAIN = REALS * (NARROWEST + 0.5 * math.log(2.0 * math.pi))
"""Least loss of cloning, in nats per frame: every number foretold exactly, with the smallest spread there is."""

Loss = Callable[[int, Rule, float, int], float]
"""Final loss of a run: of width, rule, learning rate and seed."""


def width_transfer(
    loss: Loss,
    *,
    widths: Sequence[int] = (32, 64, 128, 256),
    lrs: Sequence[float],
    seeds: Sequence[int] = (0, 1, 2),
    rules: Sequence[Rule] = ("mup", "sp"),
    out: str | Path | None = None,
    on_done: Callable[[str], None] = lambda text: None,
) -> dict[str, Transfer]:
    """Train at several widths and learning rates, and say by rule whether the best rate stays.

    Args:
        loss: Trains, and returns a positive loss; nan where it diverged.
        widths: Widths; the smallest is the base, at which all rules are one.
        lrs: Learning rates.
        seeds: Seeds.
        rules: "mup" and "sp".
        out: A JSON file of finished runs; those that it holds are not run again.
        on_done: Called with a line of text after every run.
    """
    path = None if out is None else Path(out)
    found: dict[str, float | None] = {} if path is None or not path.exists() else json.loads(path.read_text())
    base = min(widths)

    def losses(rule: Rule, width: int, lr: float) -> tuple[float, ...]:
        values = []
        for seed in seeds:
            name = f"{'base' if width == base else rule} {width} {lr:g} {seed}"
            if name not in found:
                value = loss(width, rule, lr, seed)
                found[name] = value if math.isfinite(value) else None
                if path is not None:
                    write_atomically(path, json.dumps(found, indent=0))
                on_done(f"{name}: {value:.4g}")
            kept = found[name]
            values.append(math.nan if kept is None else kept)
        return tuple(values)

    ordered = tuple(sorted(lrs))
    return {
        rule: transfer(
            rule,
            [Curve(width, ordered, tuple(losses(rule, width, lr) for lr in ordered)) for width in widths],
        )
        for rule in rules
    }


def cloning_loss(shown: Demonstrations, *, base: int, steps: int = 400, batch: int = 256) -> Loss:
    """Return the loss of cloning from state observations: nats per held-out frame above `CERTAIN`.

    Args:
        shown: What oracles did.
        base: Width of the base.
        steps: Steps of the optimizer.
        batch: Frames per step.
    """

    def loss(width: int, rule: Rule, lr: float, seed: int) -> float:
        network, optimizer = build("state", width=width, base=base, rule=rule, learning_rate=lr, seed=seed)
        curve = clone(network, shown, optimizer, settings=Cloning(steps=steps, batch=batch), seed=seed)
        return curve[-1][1] - CERTAIN

    return loss


def ppo_loss(settings: Training, folder: str | Path, *, base: int, frames: int) -> Loss:
    """Return the loss of PPO: 1.05 less the share of its episodes, over the second half, in which all food was eaten.

    Args:
        settings: What is trained; its width, rule, seed and learning rate are those of a run.
        folder: Where runs are kept.
        base: Width of the base.
        frames: Frames of a run.
    """
    from dataclasses import replace

    def loss(width: int, rule: Rule, lr: float, seed: int) -> float:
        own = replace(
            settings,
            width=width,
            rule=rule,
            seed=seed,
            base=base,
            ppo=replace(settings.ppo, learning_rate=lr),
            watched=1,
            every=10**6,
        )
        progress = Trainer(own, Path(folder) / f"{rule}-{width}-{lr:g}-{seed}").run(frames)
        late = [one["success"] for one in progress.learning if one["frames"] > frames / 2]
        return 1.05 - sum(late) / len(late)

    return loss
