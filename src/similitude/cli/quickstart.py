"""`similitude quickstart`: the main job on real data, in two minutes, with a report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from similitude.cli.exits import GOOD, INTERRUPTED, WRONG_USE
from similitude.cli.screen import Screen


def quickstart(
    *,
    only: Annotated[tuple[Literal["mlp", "gpt"], ...], Parameter(negative="")] = (),
    images: str = "digits",
    out: Path = Path("similitude-runs"),
    workers: int | None = None,
    engine: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train small networks of several widths on real data, and see whether the best learning rate stays put.

    Two parametrizations are compared: the standard one (sp) and muP (mup). The exit code is 0 when the job is
    done, whatever it found; the verdicts are in the output.

    Parameters
    ----------
    only:
        Run this experiment alone.
    images:
        Images that the MLP learns: digits (always here), fashion-mnist (where its package is installed),
        photos, or another image set of `similitude data list`.
    out:
        Folder for the study and the report; finished runs found there are not run again.
    workers:
        Processes that train side by side, each with its share of the cores; one per core by default.
    engine:
        Where runs are computed: inline (this process), process (several of this machine) or ray, perhaps with settings:
        ray:num_gpus=1,address=head:6379. By --workers where it is not given.
    json:
        Print one JSON object on standard output, and all else on standard error.
    """
    started = time.monotonic()
    with Screen(as_json=json) as screen:
        screen.say("similitude quickstart: tune the scale model, build the real thing.")

        import similitude as sim
        from similitude.cli.engines import engine_of
        from similitude.cli.watch import describe, report_path, watch, write_page
        from similitude.report.plans import plan_table
        from similitude.runs.engine import available_cores
        from similitude.studies import reference
        from similitude.studies.experiment import planner_of

        makers = {"mlp": lambda: reference.mlp(reference.images_of(images)), "gpt": reference.gpt}
        # Workers of one thread each lose nothing to threads that wait for one another on a busy machine.
        alone = available_cores() == 1
        folder = out / ("quickstart" if images == "digits" else f"quickstart-{images}")
        studies: list[sim.TransferStudy] = []
        interrupted = False
        for name in dict.fromkeys(only) or makers:
            try:
                experiment = makers[name]()
                screen.say("")
                screen.say(f"[{name}] {describe(experiment)}")
                made = planner_of(experiment).plan(experiment.widths[-1])
                screen.say(plan_table(made))
                with engine_of(engine, workers, alone=alone) as where:
                    study, interrupted = watch(screen, experiment, folder, engine=where)
            except KeyboardInterrupt:  # before its first run: the report has the experiments before it
                if not studies:
                    raise
                interrupted = True
            else:
                studies.append(study)
            if interrupted:
                break
        screen.say("")
        page = write_page(screen, studies, report_path(folder), title="similitude quickstart")
        seconds = time.monotonic() - started
        screen.say(f"{seconds:.0f} s in all.")
        screen.result(
            {
                "experiments": [s.to_dict() for s in studies],
                "interrupted": interrupted,
                "seconds": seconds,
                "report": None if page is None else str(page),
            }
        )
    return INTERRUPTED if interrupted else WRONG_USE if page is None else GOOD
