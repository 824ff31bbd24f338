"""A leaderboard of stored results: learners by their mean, always beside the constant, people and published rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

from similitude.core.errors import EvaluationError
from similitude.core.plain import finite
from similitude.evaluation.anchors import Anchor, AnchorKind
from similitude.evaluation.rowfile import ROWS, read_rows
from similitude.evaluation.tables import subject_of
from similitude.fewshot.publications import Aggregate, aggregate, published
from similitude.fewshot.summary import Metric
from similitude.fewshot.tasks import SPLITS, TASKS

if TYPE_CHECKING:
    from rich.table import Table

CONSTANT = "constant"
_SST2 = {10: (48.76, 6.07), 20: (51.24, 6.07), 30: (53.71, 4.95)}
_OTHERS = {"mnli": 33.33, "conll": 51.33, "wikiann": 62.83, "squad": 49.50, "record": 12.50}
_EMPTY = ("conll", "wikiann")  # where the strict score of nothing is 0


@dataclass(frozen=True)
class Standing:
    """One line of the leaderboard.

    Attributes:
        name: The learner, model, or people.
        kind: "measured" for stored results, else what kind of anchor it is.
        means: Mean score by task; of stored results those tasks that have all five splits.
        deviations: Population standard deviation over splits by task, where one is known.
        overall: The aggregate; None where a task is missing.
        note: What is missing, and where published rows are from.
    """

    name: str
    kind: AnchorKind | str
    means: Mapping[str, float]
    deviations: Mapping[str, float]
    overall: Aggregate | None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        overall = self.overall and {"mean": self.overall.mean, "deviation": self.overall.deviation}
        return finite(
            {
                "name": self.name,
                "kind": self.kind,
                "means": dict(self.means),
                "deviations": dict(self.deviations),
                "overall": overall,
                "note": self.note,
            }
        )


@dataclass(frozen=True)
class Leaderboard:
    """Learners and anchors, the best first; those without a mean of all six tasks come last.

    Attributes:
        shots: Number of shots.
        metric: The score.
        standings: The lines.
    """

    shots: int
    metric: Metric
    standings: tuple[Standing, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        lines = [standing.to_dict() for standing in self.standings]
        return {"shots": self.shots, "metric": self.metric, "standings": lines}

    def __rich__(self) -> Table:
        from rich.table import Table

        # Narrow enough for 80 columns; the deviations of tasks are in the JSON.
        table = Table(box=None, padding=(0, 1, 0, 0), title_justify="left", caption_justify="left")
        table.title = f"S1 x 100 ({self.metric}) at {self.shots} shots; ±: deviation over splits"
        for column in ("", "kind"):
            table.add_column(column, no_wrap=True)
        for column in ("mean", *TASKS):
            table.add_column(column, justify="right", no_wrap=True)
        for one in self.standings:
            cells = [_cell(one.means.get(task)) for task in TASKS]
            overall = _cell(one.overall.mean, one.overall.deviation) if one.overall else "–"
            table.add_row(one.name, one.kind, overall, *cells)
        notes = [f"{one.name}: {one.note}" for one in self.standings if one.note and one.kind == "measured"]
        sources = dict.fromkeys(one.note for one in self.standings if one.kind in ("human", "published"))
        table.caption = "\n".join([*notes, *(f"human and published: {source}" for source in sources)])
        return table


def leaderboard(
    paths: Iterable[str | Path], *, shots: int = 30, metric: Metric = "fair", task: str | None = None
) -> Leaderboard:
    """Rank stored results.

    The row of the constant is always there, as measured on the published files, beside any result of that name that says
    something else. How the
    published scores treat empty and alternative answers is not stated; on CoNLL and WikiANN they can only be of the kind
    of the fair score, since several equal its constant.

    Args:
        paths: JSON reports of `similitude suite run fewshot --json`, folders of such, or folders of rows (`--out`).
        shots: 10, 20 or 30.
        metric: The score of stored results; published rows are as they are.
        task: Rank by this task rather than by the mean of all.

    Raises:
        EvaluationError: There are no results in the paths, one is malformed, or two contradict each other.
    """
    found = _results(paths, metric)
    lines = [_measured(name, scores, shots) for name, scores in found.items()]
    lines = [line for line in lines if line.means or line.note]
    constant = _of_anchor(constant_anchor(shots, metric))
    if not any(line.name == CONSTANT and _agree(line, constant) for line in lines):
        lines.append(constant)
    lines += [_of_anchor(anchor) for anchor in published() if anchor.params["shots"] == shots]
    if task is not None and task not in TASKS:
        raise EvaluationError(f"{task!r} is not a task of CLUES. Rank by one of {', '.join(TASKS)}.")

    def rank(line: Standing) -> tuple[bool, float]:
        of_task = None if task is None else line.means.get(task)
        value = of_task if task is not None else line.overall and line.overall.mean
        rest = fmean(line.means.values()) if line.means else 0.0
        return (value is None, -(rest if value is None else value))

    return Leaderboard(shots, metric, tuple(sorted(lines, key=rank)))


def constant_anchor(shots: int, metric: Metric = "fair") -> Anchor:
    """Return what the constant learner scores on the published files.

    Args:
        shots: 10, 20 or 30.
        metric: The score.

    Raises:
        EvaluationError: There are no other numbers of shots.

    Example:
        >>> constant_anchor(30).scores["conll"], constant_anchor(30, "strict").scores["conll"]
        (51.33, 0.0)
    """
    if shots not in _SST2:
        raise EvaluationError(
            f"CLUES has {', '.join(map(str, _SST2))} shots, not {shots}. Choose one of them."
        )
    others = {t: 0.0 if metric == "strict" and t in _EMPTY else value for t, value in _OTHERS.items()}
    mean, deviation = _SST2[shots]
    return Anchor(
        name=CONSTANT,
        kind="constant",
        scores={"sst-2": mean, **others},
        deviations={"sst-2": deviation, **dict.fromkeys(others, 0.0)},
        params={"shots": shots},
        source="the learner 'constant' on the published files",
    )


Results = dict[tuple[str, int, int], float]


def _results(paths: Iterable[str | Path], metric: Metric) -> dict[str, Results]:
    """Scores of every learner by task, shots and split."""
    found: dict[str, Results] = {}
    origins: dict[str, str] = {}
    for path in map(Path, paths):
        reports = sorted(path.glob("*.json")) if path.is_dir() else [path] if path.suffix == ".json" else []
        for report in reports:
            learner, rows, data = _report(report)
            origins.setdefault(data, str(report))
            for number, row in enumerate(rows, 1):
                _add(found, learner, row, metric, f"{report}, row {number}")
        if (path.is_dir() and any(path.rglob(ROWS))) or not reports:
            for row in read_rows([path]):
                if row.suite == "fewshot" and not row.failed:
                    origins.setdefault(str(row.params.get("data", "")), str(path))
                    _add(
                        found,
                        subject_of(row),
                        {**row.params, "task": row.task, **row.metrics},
                        metric,
                        str(path),
                    )
    if not found:
        raise EvaluationError(
            "there are no results to rank. Name folders that `similitude suite run fewshot --out FOLDER` wrote, or files "
            "of what it printed with --json."
        )
    known = {data: where for data, where in origins.items() if data}
    if len(known) > 1:
        raise EvaluationError(
            f"the results are of different data ({', '.join(f'{d} in {w}' for d, w in known.items())}), and scores on "
            "different tests do not rank. Rank those of one data set."
        )
    return found


def _report(path: Path) -> tuple[str, list[Any], str]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        learner, rows, origin = data["learner"], data["rows"], data.get("data") or ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EvaluationError(
            f"{path} is no report of a run ({type(error).__name__}: {error}): a JSON object with 'learner' and 'rows' is "
            "expected, as `similitude suite run fewshot --json` prints. Name another file, or move this one away."
        ) from error
    if not isinstance(learner, str) or not isinstance(rows, list):
        raise EvaluationError(f"{path} is no report of a run: 'learner' has to be a text and 'rows' a list.")
    return learner, rows, str(origin)


def _add(found: dict[str, Results], learner: str, row: Any, metric: Metric, where: str) -> None:
    try:
        place = (str(row["task"]), int(row["shots"]), int(row["split"]))
        value = float(row[metric])
    except (KeyError, TypeError, ValueError) as error:
        raise EvaluationError(
            f"{where} is no row of a run ({type(error).__name__}: {error}): task, shots, split and {metric} are expected."
        ) from error
    if place[0] not in TASKS or not 0 <= value <= 100:
        raise EvaluationError(f"{where}: task {place[0]!r} with score {value:g}; tasks are {', '.join(TASKS)}, "
                              "scores from 0 to 100.")  # fmt: skip
    before = found.setdefault(learner, {}).setdefault(place, value)
    if abs(before - value) > 1e-6:
        raise EvaluationError(
            f"{where}: {learner!r} has {value:g} on {place[0]}, {place[1]} shots, split {place[2]}, but {before:g} in "
            "another result. Rank one run of each learner, or give them different names."
        )


def _measured(name: str, scores: Results, shots: int) -> Standing:
    means: dict[str, float] = {}
    deviations: dict[str, float] = {}
    short = []
    for task in TASKS:
        values = [scores[task, shots, split] for split in SPLITS if (task, shots, split) in scores]
        if len(values) == len(SPLITS):
            means[task], deviations[task] = fmean(values), pstdev(values)
        elif values:
            short.append(f"{task} has {len(values)} of {len(SPLITS)} splits")
    overall = aggregate(means, deviations) if len(means) == len(TASKS) else None
    return Standing(name, "measured", means, deviations, overall, ", ".join(short))


def _of_anchor(anchor: Anchor) -> Standing:
    overall = aggregate(anchor.scores, anchor.deviations) if set(anchor.scores) == set(TASKS) else None
    return Standing(anchor.name, anchor.kind, anchor.scores, anchor.deviations, overall, anchor.source)


def _agree(line: Standing, constant: Standing) -> bool:
    """Return whether a measured constant is the known one, up to its rounding."""
    return set(line.means) == set(constant.means) and all(
        abs(line.means[task] - value) < 0.00501 for task, value in constant.means.items()
    )


def _cell(mean: float | None, deviation: float | None = None) -> str:
    if mean is None:
        return "–"
    return f"{mean:.1f}" if deviation is None else f"{mean:.1f}±{deviation:.1f}"
