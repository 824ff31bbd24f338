"""What the rows of a study say: the standing of each model on each object, and rows as commands print them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.evaluation.aggregate import mean_of
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import VISIBLE, counted, unseen
from similitude.scenes.analysis.shares import Standing, standing_of
from similitude.scenes.study.records import PLACE, SceneRun


@dataclass(frozen=True)
class ObjectStanding:
    """A model on an object.

    Attributes:
        model: The model's name.
        object: The object's name; empty for all together.
        scenes: Scenes that count: with a score, and something of the object in the picture.
        failures: Scenes without a score, which count in nothing else.
        unseen: Scenes whose picture shows nothing of the object, which count in nothing else either.
        standing: Accuracy, loss and probability with intervals; None where nothing has a score.
        metrics: Means of the evaluator's other numbers; of a regression also "r2" (torchmetrics).
    """

    model: str
    object: str
    scenes: int
    failures: int
    unseen: int
    standing: Standing | None
    metrics: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "scenes": self.scenes,
            "failures": self.failures,
            "unseen": self.unseen,
            **(
                {"accuracy": None, "loss": None, "probability": None}
                if self.standing is None
                else self.standing.to_dict()
            ),
            "means": self.metrics,
        }


def summarise(run: SceneRun) -> list[ObjectStanding]:
    """Return how every model stands on every object, and on all of them where there are several."""
    found = []
    for model in dict.fromkeys(row.subject for row in run.rows):
        own = run.of(model)
        objects = list(dict.fromkeys(row.task for row in own))
        for name in [*objects, *([""] if len(objects) > 1 else [])]:
            found.append(_standing(model, name, [row for row in own if name in ("", row.task)]))
    return found


def summary_record(found: Sequence[ObjectStanding]) -> dict[str, Any]:
    """Return a summary as the command prints it: by model, then by object."""
    out: dict[str, Any] = {}
    for one in found:
        own = out.setdefault(one.model, {"objects": {}})
        if one.object:
            own["objects"][one.object] = one.to_dict()
        else:
            own["all"] = one.to_dict()
    return out


def nothing_seen(count: int) -> str:
    """Return how many scenes show nothing of their object, in words.

    Example:
        >>> nothing_seen(1), nothing_seen(7)
        ('1 scene shows nothing of the object', '7 scenes show nothing of the object')
    """
    return f"{count} scene{'s show' if count > 1 else ' shows'} nothing of the object"


def row_record(run: SceneRun, row: Row) -> dict[str, Any]:
    """Return a row as the command prints it: object, controls by instance, prediction, correct, loss and the rest."""
    controls: dict[str, dict[str, Any]] = {name: {} for name in run.settings.controls}
    for name, value in row.params.items():
        if name not in PLACE:
            instance, _, setting = name.partition(".")
            controls.setdefault(instance, {})[setting] = value
    picture = run.picture(row)
    return {
        "object": row.task,
        "controls": controls,
        **{name: row.params[name] for name in PLACE},
        "model": row.subject,
        "prediction": run.prediction(row) if run.classes.get(row.subject) else row.metrics.get("prediction"),
        "correct": None if unseen(row) else row.success,
        "score": row.score,
        "loss": row.metrics.get("loss"),
        VISIBLE: row.metrics.get(VISIBLE),
        **{name: value for name, value in row.metrics.items() if name not in ("prediction", "loss", VISIBLE)},
        "seconds": row.seconds,
        "picture": None if picture is None else str(picture),
        **({"error": row.error} if row.error else {}),
    }


def _standing(model: str, name: str, rows: Sequence[Row]) -> ObjectStanding:
    good = counted(rows)
    return ObjectStanding(
        model,
        name,
        len(good),
        sum(row.failed for row in rows),
        sum(unseen(row) for row in rows if not row.failed),
        standing_of(good) if good else None,
        _means(good),
    )


def _means(rows: Sequence[Row]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row.metrics)
    out = {}
    for name in names:
        values = [row.metrics[name] for row in rows if math.isfinite(row.metrics.get(name, math.nan))]
        if values and name not in ("prediction", "target", "loss", "probability"):
            out[name] = mean_of(values).value
    if "target" in names and len(rows) > 1:
        out.update(_fit(rows))
    return out


def _fit(rows: Sequence[Row]) -> dict[str, float]:
    """Return the coefficient of determination of a regression."""
    import torch
    from torchmetrics.functional import r2_score

    said, target = (torch.tensor([row.metrics[name] for row in rows]) for name in ("prediction", "target"))
    return {"r2": float(r2_score(said, target))} if np.ptp(target.numpy()) > 0 else {}
