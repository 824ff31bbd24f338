"""What the rows of a study say: by factor, in pairs, in rules, on the surface, and of two models beside each other.

Public names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from similitude.core.lazy import lazy_names

if TYPE_CHECKING:
    from similitude.scenes.analysis.comparison import Comparison, compare
    from similitude.scenes.analysis.everything import Findings, findings
    from similitude.scenes.analysis.first_order import Sensitivity, sensitivity
    from similitude.scenes.analysis.hdmr import SecondOrder, second_order
    from similitude.scenes.analysis.isotonic import Decline, decline
    from similitude.scenes.analysis.levels import FactorMap, FactorTable, by_factor, factor_map
    from similitude.scenes.analysis.pairs import Interactions, interactions
    from similitude.scenes.analysis.pose import PoseCurve, pose_curve
    from similitude.scenes.analysis.reliability import Calibration, calibration
    from similitude.scenes.analysis.rules import FailureRules, failure_rules
    from similitude.scenes.analysis.shares import share_of
    from similitude.scenes.analysis.surface import SurfaceMap, hidden_map, painted_map
    from similitude.scenes.analysis.texture_bias import CueConflict, cue_conflict
    from similitude.scenes.analysis.worst import worst_cases

__all__ = [
    "Calibration",
    "Comparison",
    "CueConflict",
    "Decline",
    "FactorMap",
    "FactorTable",
    "FailureRules",
    "Findings",
    "Interactions",
    "PoseCurve",
    "SecondOrder",
    "Sensitivity",
    "SurfaceMap",
    "by_factor",
    "calibration",
    "compare",
    "cue_conflict",
    "decline",
    "factor_map",
    "failure_rules",
    "findings",
    "hidden_map",
    "interactions",
    "painted_map",
    "pose_curve",
    "second_order",
    "sensitivity",
    "share_of",
    "worst_cases",
]

_HOMES = {
    "Calibration": "reliability",
    "Comparison": "comparison",
    "CueConflict": "texture_bias",
    "Decline": "isotonic",
    "FactorMap": "levels",
    "FactorTable": "levels",
    "FailureRules": "rules",
    "Findings": "everything",
    "Interactions": "pairs",
    "PoseCurve": "pose",
    "SecondOrder": "hdmr",
    "Sensitivity": "first_order",
    "SurfaceMap": "surface",
    "by_factor": "levels",
    "calibration": "reliability",
    "compare": "comparison",
    "cue_conflict": "texture_bias",
    "decline": "isotonic",
    "factor_map": "levels",
    "failure_rules": "rules",
    "findings": "everything",
    "hidden_map": "surface",
    "interactions": "pairs",
    "painted_map": "surface",
    "pose_curve": "pose",
    "second_order": "hdmr",
    "sensitivity": "first_order",
    "share_of": "shares",
    "worst_cases": "worst",
}

__getattr__, __dir__ = lazy_names(globals(), __name__, _HOMES)
