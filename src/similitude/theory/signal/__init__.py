"""How a signal passes through a deep network, forwards and backwards: `sim.signal`.

Public names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from similitude.core.lazy import lazy_names

if TYPE_CHECKING:
    from similitude.theory.batch_norm.bounds import gradient_bound, isometry_bound, least_constant
    from similitude.theory.batch_norm.gaps import isometry_gap, isometry_rate, orthogonality_gap
    from similitude.theory.batch_norm.network import RowNorm, batch_norm_net
    from similitude.theory.batch_norm.orthogonal import haar_orthogonal, orthogonal_
    from similitude.theory.batch_norm.rank import RankCondition, gradient_rate, rank_condition
    from similitude.theory.batch_norm.shaping import ShapedActivation, Shaping, choose_shaping
    from similitude.theory.signal.measure import profile
    from similitude.theory.signal.records import Profile, SignalLayer
    from similitude.theory.signal.training import DepthTraining, train_depths

_HOMES = {
    "DepthTraining": "signal.training",
    "Profile": "signal.records",
    "RankCondition": "batch_norm.rank",
    "RowNorm": "batch_norm.network",
    "ShapedActivation": "batch_norm.shaping",
    "Shaping": "batch_norm.shaping",
    "SignalLayer": "signal.records",
    "batch_norm_net": "batch_norm.network",
    "choose_shaping": "batch_norm.shaping",
    "gradient_bound": "batch_norm.bounds",
    "gradient_rate": "batch_norm.rank",
    "haar_orthogonal": "batch_norm.orthogonal",
    "isometry_bound": "batch_norm.bounds",
    "isometry_gap": "batch_norm.gaps",
    "isometry_rate": "batch_norm.gaps",
    "least_constant": "batch_norm.bounds",
    "orthogonal_": "batch_norm.orthogonal",
    "orthogonality_gap": "batch_norm.gaps",
    "profile": "signal.measure",
    "rank_condition": "batch_norm.rank",
    "train_depths": "signal.training",
}

__all__ = [
    "DepthTraining",
    "Profile",
    "RankCondition",
    "RowNorm",
    "ShapedActivation",
    "Shaping",
    "SignalLayer",
    "batch_norm_net",
    "choose_shaping",
    "gradient_bound",
    "gradient_rate",
    "haar_orthogonal",
    "isometry_bound",
    "isometry_gap",
    "isometry_rate",
    "least_constant",
    "orthogonal_",
    "orthogonality_gap",
    "profile",
    "rank_condition",
    "train_depths",
]

__getattr__, __dir__ = lazy_names(globals(), "similitude.theory", _HOMES)
