"""All analyses of a model's answers together; what cannot be said, and why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row
from similitude.scenes.analysis.factors import factors_of, judged, unseen
from similitude.scenes.analysis.first_order import Sensitivity, sensitivity
from similitude.scenes.analysis.isotonic import Decline, decline
from similitude.scenes.analysis.levels import FactorTable, by_factor
from similitude.scenes.analysis.pairs import Interactions, interactions
from similitude.scenes.analysis.pose import PoseCurve, pose_curve
from similitude.scenes.analysis.reliability import Calibration, calibration
from similitude.scenes.analysis.rules import FailureRules, failure_rules
from similitude.scenes.analysis.shares import Standing, standing_of
from similitude.scenes.analysis.texture_bias import CueConflict, cue_conflict, texture_factor
from similitude.scenes.analysis.worst import worst_cases

RATIOS = ("occlusion_ratio", "ratio")
"""Settings that say how much of an object is hidden."""

ANGLES = ("rotation_x", "rotation_y", "rotation_z")
"""Settings that are angles."""

WORST = 12

T = TypeVar("T")


@dataclass(frozen=True)
class Findings:
    """What one model does in the scenes of a study.

    Attributes:
        subject: Name of the model.
        scenes: Scenes that count: with a score, and something of the object in the picture.
        failed: Scenes without a score.
        unseen: Scenes whose picture shows nothing of the object, which count in nothing else.
        standing: Over all scenes.
        factors: By factor, in the order of their sensitivity where that is known.
        sensitivity: Which factors matter; None where that cannot be said, as all that follows.
        interactions: Which pairs matter together.
        occlusion: How accuracy falls with what is hidden, and how the probability does.
        poses: Accuracy by each angle.
        textures: Texture against shape.
        calibration: Confidence beside accuracy.
        rules: Where it fails.
        worst: Rows with the highest losses.
        left_out: What could not be said, and why.
    """

    subject: str
    scenes: int
    failed: int
    unseen: int
    standing: Standing
    factors: tuple[FactorTable, ...]
    sensitivity: Sensitivity | None
    interactions: Interactions | None
    occlusion: tuple[Decline, ...]
    poses: tuple[PoseCurve, ...]
    textures: CueConflict | None
    calibration: Calibration | None
    rules: FailureRules | None
    worst: tuple[Row, ...]
    left_out: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "model": self.subject,
            "scenes": self.scenes,
            "failed": self.failed,
            "unseen": self.unseen,
            **self.standing.to_dict(),
            "factors": [one.to_dict() for one in self.factors],
            "sensitivity": _plain(self.sensitivity),
            "interactions": _plain(self.interactions),
            "occlusion": [one.to_dict() for one in self.occlusion],
            "poses": [one.to_dict() for one in self.poses],
            "textures": _plain(self.textures),
            "calibration": _plain(self.calibration),
            "rules": _plain(self.rules),
            "worst": [
                {"object": row.task, "controls": dict(row.params), "loss": row.metrics.get("loss")}
                for row in self.worst
            ],
            "left_out": self.left_out,
        }


def findings(rows: Iterable[Row], names: Sequence[str] = (), *, seed: int = 0) -> Findings:
    """Analyse the answers of one model in every way that its scenes allow.

    Args:
        rows: Rows of one model, failed ones too.
        names: Names of the classes that predictions number, as `SceneRun.names`.
        seed: Seed of bootstraps and splits.

    Raises:
        SceneError: No row has a score, or they are of several models.
    """
    given = list(rows)
    kept = judged(given)
    left_out: dict[str, str] = {}

    def tried(what: str, ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except SceneError as error:
            left_out[what] = str(error)
            return None

    known = factors_of(kept)
    found = tried("sensitivity", lambda: sensitivity(kept, seed=seed))
    order = [*found.indices] if found else [*known]
    settings = {name: name.rpartition(".")[2] for name in known}
    hidden = [name for name in order if settings[name] in RATIOS and known[name].numeric]
    turned = [name for name in order if settings[name] in ANGLES and known[name].numeric]
    declines = [
        tried(f"{name}: {measure}", lambda name=name, measure=measure: decline(kept, name, measure=measure))
        for name in hidden
        for measure in ("right", "probability")
    ]
    swapped = texture_factor(kept)
    return Findings(
        kept[0].subject,
        len(kept),
        sum(row.failed for row in given),
        sum(unseen(row) for row in given if not row.failed),
        standing_of(kept),
        tuple(by_factor(kept, name) for name in order),
        found,
        tried("interactions", lambda: interactions(kept)),
        tuple(one for one in declines if one is not None),
        tuple(pose_curve(kept, name) for name in turned),
        tried("textures", lambda: cue_conflict(kept, names, factor=swapped)) if swapped else None,
        tried("calibration", lambda: calibration(kept)),
        tried("rules", lambda: failure_rules(kept, seed=seed)),
        tuple(worst_cases(kept, WORST)),
        left_out,
    )


def _plain(one: Any) -> dict[str, Any] | None:
    return None if one is None else one.to_dict()
