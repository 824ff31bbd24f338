"""One self-contained HTML file of a training: curves, test worlds beside chance, settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from similitude.core.chart import Chart, Series
from similitude.evaluation.aggregate import Estimate
from similitude.report.claim_figures import chart_figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template
from similitude.worlds.learning.judging import TaskTest
from similitude.worlds.learning.training import Progress, Training
from similitude.worlds.protocol.summary import success_share


def write_training_page(
    path: str | Path, settings: Training, progress: Progress, tests: Sequence[TaskTest]
) -> Path:
    """Write one HTML file of a training.

    Args:
        path: Where to write; an existing file is replaced.
        settings: What was trained.
        progress: How it went.
        tests: What the agent does in test worlds.

    Raises:
        ReportError: The file cannot be written.
    """
    return write_atomically(path, render_training_page(settings, progress, tests))


def render_training_page(settings: Training, progress: Progress, tests: Sequence[TaskTest]) -> str:
    """Return the HTML that `write_training_page` writes."""
    return render_template(
        "worlds_training.html",
        {"share": share},
        tests=tests,
        progress=progress,
        how=how_learned(progress),
        figures=chart_figures(training_charts(progress)),
        settings=_flat(settings.to_dict()),
    )


def how_learned(progress: Progress) -> str:
    """Say in a sentence what an agent learned from.

    Example:
        >>> how_learned(Progress(frames=6400))
        'PPO alone, 6,400 frames.'
    """
    parts = []
    if progress.solved is not None:
        parts.append(f"cloning of oracles, {progress.demonstrated:,} recorded frames")
    if progress.frames:
        parts.append(f"PPO{'' if parts else ' alone'}, {progress.frames:,} frames")
    return f"{', then '.join(parts) or 'not at all'}."


def share(estimate: Estimate) -> str:
    """Return a share in percent with its interval.

    Example:
        >>> share(Estimate(0.5, 0.25, 0.75, 8, "Wilson"))
        '50 % [25, 75]'
    """
    return f"{100 * estimate.value:.0f} % [{100 * estimate.low:.0f}, {100 * estimate.high:.0f}]"


def training_charts(progress: Progress) -> list[Chart]:
    """Return the curves of a training; those without points too."""
    tasks = list(dict.fromkeys(one["task"] for one in progress.watched))
    unseen = []
    for task in tasks:
        own = [one for one in progress.watched if one["task"] == task]
        shares = [
            success_share([True] * one["solved"] + [False] * (one["worlds"] - one["solved"])) for one in own
        ]
        unseen.append(
            Series(
                f"{task}, validation",
                [one["frames"] for one in own],
                [one.value for one in shares],
                [one.interval for one in shares],
                "joined",
            )
        )
    learning = progress.learning[:: max(1, len(progress.learning) // 200)]
    frames = [one["frames"] for one in learning]
    solved = Series("training, latest episodes", frames, [one["success"] for one in learning], kind="line")
    levels = [Series(task, frames, [one["levels"][task] for one in learning], kind="line") for task in tasks]
    steps = [step for step, _ in progress.cloning]
    losses = [loss for _, loss in progress.cloning]
    return [
        Chart(
            "Worlds solved",
            "frames of PPO",
            "share of worlds solved",
            (*unseen, solved),
            "At 0 frames the agent is what cloning made of it. Training worlds become harder as the curriculum climbs.",
            y_range=(0.0, 1.02),
        ),
        Chart(
            "Curriculum",
            "frames of PPO",
            "largest difficulty",
            tuple(levels) if frames else (),
            "Worlds are drawn evenly from difficulty 0 to this level, which rises with successes.",
        ),
        Chart(
            "Cloning",
            "step",
            "nats per frame, held-out episodes",
            (Series("loss", steps, losses, kind="joined"),),
            "Negative log likelihood of what oracles did. Where it rises, frames are learned by heart; the agent has the "
            "weights of the lowest point.",
        ),
    ]


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            found |= {f"{name}: {inner}": one for inner, one in value.items()}
        else:
            found[name] = value
    return found
