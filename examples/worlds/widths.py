"""Does the learning rate transfer over the width of an agent? `python examples/worlds/widths.py clone|ppo FOLDER`."""

import sys
from pathlib import Path

import torch

from similitude.worlds.learning.demonstrations import record, training_worlds
from similitude.worlds.learning.ppo import PPO
from similitude.worlds.learning.training import Training
from similitude.worlds.learning.widths import cloning_loss, ppo_loss, width_transfer

WIDTHS = (32, 64, 128, 256)


def main(how: str, folder: Path) -> None:
    torch.set_num_threads(1)
    out = folder / f"{how}.json"
    if how == "clone":
        shown = record(training_worlds(["eat", "move"], 300, highest=0.3))
        loss = cloning_loss(shown, base=WIDTHS[0])
        found = width_transfer(
            loss, widths=WIDTHS, lrs=[2.0**e for e in range(-11, -3)], out=out, on_done=print
        )
    else:
        settings = Training(("eat",), demonstrations=0, difficulty=0.0, climb=0.0, ppo=PPO())
        loss = ppo_loss(settings, folder / "runs", base=WIDTHS[0], frames=128_000)
        found = width_transfer(
            loss,
            widths=(WIDTHS[0], WIDTHS[-1]),
            lrs=[2.0**e for e in range(-11, -5)],
            out=out,
            on_done=print,
        )
    for rule, one in found.items():
        best = ", ".join(f"{o.size}: {o.lr:.2g} (loss {o.loss:.3f})" for o in one.optima if o.lr)
        print(rule, "shift", one.shift, one.shift_interval, best, one.verdict.summary, sep=" | ")
        print(
            f"  at the widest: {one.loss_at_transferred} with the rate of the base, {one.loss_at_best} at best"
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
