"""The steps of an embedding spectrum as a table for the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.report.layout import coloured, hanging, plain_table
from similitude.theory.joint_embedding.history import EmbeddingHistory
from similitude.theory.joint_embedding.steps import EmbeddingSteps


def steps_table(
    run: EmbeddingHistory, *, name: str, predicted: EmbeddingSteps | None = None
) -> RenderableType:
    """Show when each dimension of an embedding switched on.

    Args:
        run: The spectrum along training.
        name: What the encoder is called.
        predicted: What its kernel at the start predicts.

    Returns:
        A rich renderable for `Console.print`.
    """
    verdict = run.verdict()
    head = Text.assemble((f"{name}: effective rank {run.ranks[-1]:.3g}  ", "bold"), coloured(verdict))
    parts: list[RenderableType] = [head, hanging(verdict.summary)]
    if run.steps():
        parts += [Text(""), _steps(run, predicted)]
    parts += [hanging(f"likely cause: {cause}") for cause in verdict.causes]
    parts += [hanging(f"next: {verdict.next}", "bold")] if verdict.next else []
    notes = () if predicted is None else predicted.notes
    return Group(*parts, *(hanging(f"note: {note}.") for note in notes))


def _steps(run: EmbeddingHistory, predicted: EmbeddingSteps | None) -> Table:
    table = plain_table()
    theory = ("kernel at the start",) if predicted is not None else ()
    for column in ("dimension", "half its end at", *theory, "ends at", "next dimension then"):
        table.add_column(column, justify="right", overflow="fold")
    for step in run.steps():
        foretold = () if predicted is None else (f"{predicted.times[step.dimension - 1]:.4g}",)
        table.add_row(
            str(step.dimension),
            f"{step.time:.4g}",
            *foretold,
            f"{step.final:.3g}",
            "" if step.spill is None else f"{step.spill:.0%}",
        )
    return table
