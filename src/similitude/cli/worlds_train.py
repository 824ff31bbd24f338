"""`similitude worlds train`: an agent that clones oracles and goes on by PPO."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from similitude.cli.exits import GOOD, NOT_ENOUGH
from similitude.cli.options import at_least
from similitude.cli.screen import Screen
from similitude.cli.whole import Whole

if TYPE_CHECKING:
    from similitude.worlds.learning.judging import TaskTest

Switch = Annotated[bool, Parameter(negative="")]


def train(
    *,
    out: Path,
    tasks: str = "eat",
    observation: Literal["state", "flat"] = "state",
    width: Whole = 64,
    depth: Whole = 2,
    steps: Whole = 1_000_000,
    clone: Whole = 200,
    clone_steps: Whole = 3000,
    difficulty: float = 0.3,
    start: float | None = None,
    climb: float = 2e-3,
    lr: float = 3e-4,
    base: Whole = 64,
    rule: Literal["mup", "sp"] = "mup",
    resolution: Whole = 48,
    envs: Whole = 64,
    minutes: float | None = None,
    worlds: Whole = 50,
    seed: Whole = 0,
    threads: Whole = 1,
    backend: str = "numba",
    report: Path | None = None,
    json: Switch = False,
) -> int:
    """Train an agent: first it clones oracles, then it learns by PPO on a curriculum; at last it plays unseen worlds.

    The same command goes on where it was interrupted or killed. The policy is `policy.pt` in the folder, which
    `similitude suite run worlds --policy` takes. The exit code is 3 where the policy raised in a test world, else 0.

    Parameters
    ----------
    out:
        The folder for checkpoints, the policy, rows and the report.
    tasks:
        Names of tasks or groups (easy, basic, compositional, all), separated by commas.
    observation:
        state (numbers that only a simulator knows, no camera) or flat (a camera, and what the body feels).
    width:
        Width of the network.
    depth:
        Its hidden layers.
    steps:
        Frames of PPO, of all environments together; 0 for cloning alone.
    clone:
        Episodes of oracles that are cloned first; 0 for PPO alone.
    clone_steps:
        Steps of cloning.
    difficulty:
        Largest difficulty.
    start:
        Difficulty at which PPO begins; by default the largest after cloning, else 0.
    climb:
        What a success adds to the level of a task, and a failure takes from it.
    lr:
        Learning rate of PPO at the base width.
    base:
        Width at which learning rates were found.
    rule:
        How they follow the width: mup, or sp, the network as it is.
    resolution:
        Rows and columns of images, a multiple of 8.
    envs:
        Environments of PPO.
    minutes:
        Wall time after which PPO stops; no limit by default.
    worlds:
        Unseen test worlds of each task, and validation worlds.
    seed:
        Seed of everything.
    threads:
        Threads of the simulation and of torch.
    backend:
        Backend of the simulation: numba, warp or plain.
    report:
        The HTML file; report.html in the folder by default.
    json:
        Print one JSON object on standard output.
    """
    with Screen(
        as_json=json, kept=f"What was learned is in {out}, and the same command goes on from there."
    ) as screen:
        import torch

        from similitude.evaluation.rowfile import RowFile
        from similitude.report.files import check_writable
        from similitude.worlds.learning.cloning import Cloning
        from similitude.worlds.learning.judging import judge
        from similitude.worlds.learning.page import how_learned, write_training_page
        from similitude.worlds.learning.ppo import PPO
        from similitude.worlds.learning.training import POLICY, Trainer, Training
        from similitude.worlds.protocol.definition import tasks_of
        from similitude.worlds.protocol.playing import row_record

        settings = Training(
            tasks_of(tasks),
            observation=observation,
            width=width,
            depth=depth,
            base=base,
            rule=rule,
            resolution=(resolution, resolution),
            demonstrations=clone,
            difficulty=difficulty,
            start=start if start is not None else (difficulty if clone else 0.0),
            climb=climb,
            envs=envs,
            watched=at_least(worlds, 1, "--worlds"),
            seed=seed,
            cloning=Cloning(steps=at_least(clone_steps, 1, "--clone-steps")),
            ppo=PPO(learning_rate=lr, patience=5 if clone else 0),
        )
        page = out / "report.html" if report is None else report
        check_writable(page)
        torch.set_num_threads(at_least(threads, 1, "--threads"))
        with screen.notes.status("training") as status:
            trainer = Trainer(settings, out, backend=backend, threads=threads, on_progress=status.update)
            progress = trainer.run(steps, minutes=minutes)
            # Rows belong to one state of the agent: what it did before it went on learning is another subject.
            name = f"{observation}-{width}-{progress.frames}"
            tests, rows = judge(
                out / POLICY,
                settings.tasks,
                worlds,
                highest=difficulty,
                name=name,
                seed=seed,
                out=out / "rows",
                backend=backend,
                on_done=lambda row: status.update(
                    f"test: {row.subject}, {row.task}, world {row.params['world']}"
                ),
            )
        screen.say(how_learned(progress))
        screen.say(_table(tests))
        where = write_training_page(page, settings, progress, tests).resolve()
        screen.say(f"Policy: {(out / POLICY).resolve()}")
        screen.say(f"Rows: {RowFile(out / 'rows' / name).path.resolve()}")
        screen.say(f"Report: {where}")
        failed = [row for row in rows if row.failed]
        screen.result(
            {
                "settings": settings.to_dict(),
                "policy": str(out / POLICY),
                "report": str(where),
                "frames": progress.frames,
                "seconds": progress.seconds,
                "cpu_seconds": progress.cpu,
                "oracles_solved": progress.solved,
                "demonstrated_frames": progress.demonstrated,
                "cloning": progress.cloning,
                "learning": progress.learning,
                "validation": progress.watched,
                "test": [one.to_dict() for one in tests],
                "rows": [row_record(row) for row in rows],
            }
        )
    return NOT_ENOUGH if failed else GOOD


def _table(tests: tuple[TaskTest, ...]) -> Any:
    from rich.table import Table

    from similitude.worlds.learning.page import share

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("task", "test worlds", "solved", "by chance", "score above chance"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for one in tests:
        gain = "-" if one.gain is None else str(one.gain.difference)
        table.add_row(one.task, str(one.agent.count), share(one.agent), share(one.chance), gain)
    return table
