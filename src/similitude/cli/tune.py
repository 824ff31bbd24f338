"""`similitude tune`: search the front of cost and quality of the user's own objective or program."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from similitude.cli.exits import GOOD
from similitude.cli.screen import Screen
from similitude.core.errors import TuningError

KEPT = "Finished trials are kept, and the same command continues from them."

tune = App(name="tune", help_format="plaintext")
for _name, _help in {
    "status": "Show where a stored study stands: trials, failures, what is spent.",
    "front": "Show which configuration to use at which cost, with its uncertainty.",
    "laws": "Show how every hyperparameter goes with the cost; predict beyond the study.",
    "export": "Write the trials of a study as CSV or JSON, or its report as HTML.",
}.items():
    tune.command(f"similitude.cli.tune_study:{_name}", name=_name, help=_help)
tune.command(
    "similitude.cli.tune_resume:resume",
    name="resume",
    help="Go on with a study, perhaps with a larger budget.",
)


tune.command(
    "similitude.cli.tune_family:tune_family",
    name="family",
    help="Tune a model family at its smallest size, verify it at larger ones, plan the target.",
)


@tune.default
def run(
    target: str,
    /,
    *,
    space: str,
    budget: float | None = None,
    per_trial: float | None = None,
    unit: str | None = None,
    trials: int | None = None,
    cost: str | None = None,
    direction: Literal["minimize", "maximize"] = "minimize",
    workers: int = 1,
    engine: str = "process",
    seed: int = 0,
    name: str | None = None,
    storage: str = "similitude-runs",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Search the front of cost and quality of an objective, from a cheap start outwards.

    Finished trials are kept, and the same command continues after an interruption. The exit code is 0 once there is a
    value, 3 where no trial has given one.

    Parameters
    ----------
    target:
        A program (train.py) that is called with the values as options, --lr 0.003 --width 256, and prints JSON:
        {"value": 0.12, "cost": 3.5} as its last line. Or a function of an Optuna trial, as module:objective or
        file.py:objective.
    space:
        What is tuned: a TOML file with a table per dimension, or module:name of a sim.Space.
    budget:
        What all trials together may cost.
    per_trial:
        What one trial may cost; it is killed beyond.
    unit:
        In what costs are told; seconds, minutes and hours are measured.
    trials:
        How many trials the study is to have.
    cost:
        Where costs come from: the name of a user attribute, seconds, or module:function of the configuration. Measured
        where the unit is a time, else the attribute "cost".
    direction:
        Whether small or large values are good.
    workers:
        Trials at once, each in a process of its own. 0 makes the study and runs nothing, for `similitude worker`.
    engine:
        process, inline (in this process; caps are soft) or ray.
    seed:
        Of the search.
    name:
        Name of the study in its storage; that of the objective by default.
    storage:
        Folder, or Optuna storage URL.
    json:
        Print one JSON object on standard output, and all else on standard error.
    """
    with Screen(as_json=json, kept=KEPT) as screen:
        from similitude.cli.tune_run import run_and_show
        from similitude.cli.tune_target import RunSettings, load_space, load_target, located, name_of
        from similitude.tuning.engines.drive import Ends
        from similitude.tuning.study.stored import open_tuning
        from similitude.tuning.trials.budget import Budget
        from similitude.tuning.trials.costs import cost_source
        from similitude.tuning.tune import trial_engine

        limits = Budget(total=budget, per_trial=per_trial, unit=unit)
        Ends(trials, None, budget)
        if workers < 0:
            raise TuningError(
                f"--workers {workers}: give at least 1, or 0 to make the study and run nothing."
            )
        settings = RunSettings(located(target), cost, trials, max(workers, 1), engine)
        if workers:
            trial_engine(engine, workers=workers)  # type: ignore[arg-type] (it says which names there are)
        dimensions = load_space(space)
        load_target(settings.target, dimensions)
        study, _ = open_tuning(
            storage,
            name or name_of(target),
            dimensions,
            budget=limits,
            cost=cost_source(settings.source(), limits),
            seed=seed,
            direction=direction,
        )
        settings.store(study)
        if workers:
            return run_and_show(screen, study, settings, budget=limits, where=storage)
        screen.say(
            f"Study {study.study_name} is ready. On any machine: similitude worker --study {storage} --name "
            f"{study.study_name}"
        )
        screen.result({"study": study.study_name, "storage": storage})
    return GOOD
