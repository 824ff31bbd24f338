"""`similitude quickstart`: the main job on real data, in two minutes, with a report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from similitude.cli.screen import Screen


def quickstart(
    *,
    only: Annotated[tuple[Literal["mlp", "gpt"], ...], Parameter(negative="")] = (),
    out: Path = Path("similitude-runs"),
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train small networks of several widths on real data, and see whether the best learning rate stays put.

    Two parametrizations are compared: the standard one (sp) and muP (mup). The exit code is 0 when the job is done,
    whatever it found; the verdicts are in the output.

    Parameters
    ----------
    only:
        Run this experiment alone.
    out:
        Folder for the study and the report; finished runs found there are not run again.
    json:
        Print one JSON object on standard output, and all else on standard error.
    """
    started = time.monotonic()
    screen = Screen(as_json=json)
    screen.say("similitude quickstart: tune the scale model, build the real thing.")

    import similitude as sim
    from similitude.report.terminal import plan_table, transfer_summary
    from similitude.studies import reference

    makers = {"mlp": reference.mlp, "gpt": reference.gpt}
    folder = out / "quickstart"
    studies: list[sim.TransferStudy] = []
    interrupted = False
    for name in only or tuple(makers):
        experiment = makers[name]()
        screen.say("")
        screen.say(f"[{name}] {describe(experiment)}")
        sample_plan = sim.plan(
            experiment.make,
            base=experiment.base,
            target=experiment.widths[-1],
            optimizer=experiment.optimizer,
            rule=experiment.rules[-1],
        )
        screen.say(plan_table(sample_plan))
        try:
            with screen.progress() as bar:
                study = sim.run(experiment, folder, on_progress=bar)
        except sim.StudyInterrupted as stop:
            study, interrupted = stop.study, True
        screen.say(found(study))
        screen.say(transfer_summary(study))
        studies.append(study)
        if interrupted:
            break
    report = sim.write_report(studies, folder / "report.html", title="similitude quickstart")
    seconds = time.monotonic() - started
    screen.say("")
    if interrupted:
        screen.say("Interrupted: finished runs are kept, and the same command continues from them.")
    screen.say(f"{seconds:.0f} s. Report: {report.resolve()}")
    screen.result(
        {
            "experiments": [s.to_dict() for s in studies],
            "interrupted": interrupted,
            "seconds": seconds,
            "report": str(report.resolve()),
        }
    )
    return 130 if interrupted else 0


def describe(experiment) -> str:  # noqa: ANN001
    """Say in one paragraph what an experiment trains."""
    data = experiment.batches.describe()
    facts = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in data.items() if key != "data")
    low, high = experiment.lrs[0], experiment.lrs[-1]
    return (
        f"{data['data']} ({facts}); widths {', '.join(map(str, experiment.widths))}; {len(experiment.lrs)} learning "
        f"rates from {low:.2g} to {high:.2g}; {len(experiment.seeds)} seeds; {experiment.steps} steps of "
        f"{getattr(experiment.optimizer, '__name__', 'the optimizer')}; all runs of a width train as one batched program."
    )


def found(study) -> str:  # noqa: ANN001
    """Say how many runs were found, made, and are missing."""
    parts = [f"{study.cells_run} runs in {study.seconds:.0f} s"]
    if study.cells_found:
        parts.append(f"{study.cells_found} finished runs found and not repeated")
    if study.cells_missing:
        parts.append(f"{study.cells_missing} runs missing")
    return "; ".join(parts) + "."
