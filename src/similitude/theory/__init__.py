"""Predictions: what theory says of a network before any training.

Public names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from similitude.core.lazy import lazy_names

if TYPE_CHECKING:
    from similitude.theory.adaptive_limits.comparison import LimitComparison
    from similitude.theory.adaptive_limits.entrywise import Adaptive, Momentum, entrywise
    from similitude.theory.adaptive_limits.networks import limit_groups
    from similitude.theory.adaptive_limits.particles import FeatureLimit, feature_limit
    from similitude.theory.adaptive_limits.records import LimitRun, NetworkRuns
    from similitude.theory.adaptive_limits.tangent import NonlinearKernel, nonlinear_kernel
    from similitude.theory.bottleneck.heads import wide_head
    from similitude.theory.bottleneck.limit import WideKernels, bottleneck_start, without_bottleneck
    from similitude.theory.bottleneck.linear import LinearSpeedUp, linear_speed_up
    from similitude.theory.bottleneck.run import BottleneckRun
    from similitude.theory.bottleneck.segment import Segment
    from similitude.theory.bottleneck.training import train_bottlenecks
    from similitude.theory.depth import phi_correlation
    from similitude.theory.finite_width.catapult import Catapult, catapult_map, catapult_window
    from similitude.theory.finite_width.criticality import Criticality, critical_line, criticality
    from similitude.theory.finite_width.cumulants import VarianceCumulants, variance_cumulants
    from similitude.theory.finite_width.log_normal import LogSize, relu_log_normal, relu_log_size
    from similitude.theory.finite_width.ntk_fluctuation import (
        ntk_relative_second_moment,
        ntk_relative_second_moment_limit,
        ntk_relative_variance,
    )
    from similitude.theory.finite_width.residual_draws import sample_resnet_covariance
    from similitude.theory.finite_width.residual_flow import covariance_profile, resnet_covariance, resnet_ntk
    from similitude.theory.gradient_flows.alternating import AlternatingGradientFlow
    from similitude.theory.gradient_flows.diagonal import diagonal_linear
    from similitude.theory.gradient_flows.linear import linear
    from similitude.theory.gradient_flows.modular import modular_addition
    from similitude.theory.gradient_flows.own import own_problem, two_layer_problem
    from similitude.theory.gradient_flows.staircase import Staircase
    from similitude.theory.gradient_flows.transformer import linear_transformer
    from similitude.theory.joint_embedding.history import EmbeddingHistory
    from similitude.theory.joint_embedding.losses import barlow_twins, simclr, spectral_contrastive, vicreg
    from similitude.theory.joint_embedding.modes import ViewModes, view_modes
    from similitude.theory.joint_embedding.overlap import kernel_pca, subspace_overlap
    from similitude.theory.joint_embedding.steps import EmbeddingSteps, embedding_steps
    from similitude.theory.joint_embedding.tracker import EmbeddingTracker
    from similitude.theory.joint_embedding.training import train_encoder
    from similitude.theory.joint_embedding.views import image_views
    from similitude.theory.linear_resnet import LinearResNetLimit, linear_resnet_limit
    from similitude.theory.one_step.alignment import one_step_alignment, whitened
    from similitude.theory.one_step.asymptotic import OneStepRisk, one_step_risk
    from similitude.theory.one_step.equivalent import equivalent_risk
    from similitude.theory.one_step.hermite import HermiteMoments, hermite_moments
    from similitude.theory.one_step.large_step import TauStar, tau_star
    from similitude.theory.one_step.network import TwoLayer
    from similitude.theory.one_step.report import FeatureErrors, OneStepReport, one_step_report
    from similitude.theory.one_step.spike import OneStepSpike, one_step_spike
    from similitude.theory.one_step.task import GaussianTask
    from similitude.theory.ridge.curve import LearningCurve
    from similitude.theory.ridge.effective_rank import coefficient_bound, effective_ranks
    from similitude.theory.ridge.exponents import Exponents, exponents
    from similitude.theory.ridge.leave_one_out import overfitting_coefficient
    from similitude.theory.ridge.optimal import OptimalRidge, optimal_ridge
    from similitude.theory.ridge.overfitting import (
        CostOfOverfitting,
        cost_of_overfitting,
        noise_risk,
        taxonomy,
    )
    from similitude.theory.ridge.power_law import (
        interpolation_penalty,
        optimal_fitting_ratio,
        power_law_error,
    )
    from similitude.theory.ridge.risk import RidgeRisk, rf_risk
    from similitude.theory.ridge.spectrum import Spectrum
    from similitude.theory.ridge.taxonomy import Taxonomy
    from similitude.theory.saddle_escape.direction import Escape, escape, escape_of
    from similitude.theory.saddle_escape.layer_ranks import LayerRank, bottleneck_rank, layer_ranks
    from similitude.theory.saddle_escape.norm_law import escape_scale, escape_time
    from similitude.theory.saddle_escape.path import SmallStart, from_small_start
    from similitude.theory.saddle_escape.task import homogeneous_task, relu_task
    from similitude.theory.streams import stream_growth

_HOMES = {
    "Adaptive": "adaptive_limits.entrywise",
    "AlternatingGradientFlow": "gradient_flows.alternating",
    "BottleneckRun": "bottleneck.run",
    "Catapult": "finite_width.catapult",
    "CostOfOverfitting": "ridge.overfitting",
    "Criticality": "finite_width.criticality",
    "EmbeddingHistory": "joint_embedding.history",
    "EmbeddingSteps": "joint_embedding.steps",
    "EmbeddingTracker": "joint_embedding.tracker",
    "Escape": "saddle_escape.direction",
    "Exponents": "ridge.exponents",
    "FeatureErrors": "one_step.report",
    "FeatureLimit": "adaptive_limits.particles",
    "GaussianTask": "one_step.task",
    "HermiteMoments": "one_step.hermite",
    "LayerRank": "saddle_escape.layer_ranks",
    "LearningCurve": "ridge.curve",
    "LimitComparison": "adaptive_limits.comparison",
    "LimitRun": "adaptive_limits.records",
    "LinearResNetLimit": "linear_resnet",
    "LinearSpeedUp": "bottleneck.linear",
    "LogSize": "finite_width.log_normal",
    "Momentum": "adaptive_limits.entrywise",
    "NetworkRuns": "adaptive_limits.records",
    "NonlinearKernel": "adaptive_limits.tangent",
    "OneStepReport": "one_step.report",
    "OneStepRisk": "one_step.asymptotic",
    "OneStepSpike": "one_step.spike",
    "OptimalRidge": "ridge.optimal",
    "RidgeRisk": "ridge.risk",
    "Segment": "bottleneck.segment",
    "SmallStart": "saddle_escape.path",
    "Spectrum": "ridge.spectrum",
    "Staircase": "gradient_flows.staircase",
    "TauStar": "one_step.large_step",
    "Taxonomy": "ridge.taxonomy",
    "TwoLayer": "one_step.network",
    "VarianceCumulants": "finite_width.cumulants",
    "ViewModes": "joint_embedding.modes",
    "WideKernels": "bottleneck.limit",
    "barlow_twins": "joint_embedding.losses",
    "bottleneck_rank": "saddle_escape.layer_ranks",
    "bottleneck_start": "bottleneck.limit",
    "catapult_map": "finite_width.catapult",
    "catapult_window": "finite_width.catapult",
    "coefficient_bound": "ridge.effective_rank",
    "cost_of_overfitting": "ridge.overfitting",
    "covariance_profile": "finite_width.residual_flow",
    "critical_line": "finite_width.criticality",
    "criticality": "finite_width.criticality",
    "diagonal_linear": "gradient_flows.diagonal",
    "effective_ranks": "ridge.effective_rank",
    "embedding_steps": "joint_embedding.steps",
    "entrywise": "adaptive_limits.entrywise",
    "equivalent_risk": "one_step.equivalent",
    "escape": "saddle_escape.direction",
    "escape_of": "saddle_escape.direction",
    "escape_scale": "saddle_escape.norm_law",
    "escape_time": "saddle_escape.norm_law",
    "exponents": "ridge.exponents",
    "feature_limit": "adaptive_limits.particles",
    "from_small_start": "saddle_escape.path",
    "hermite_moments": "one_step.hermite",
    "homogeneous_task": "saddle_escape.task",
    "image_views": "joint_embedding.views",
    "interpolation_penalty": "ridge.power_law",
    "kernel_pca": "joint_embedding.overlap",
    "layer_ranks": "saddle_escape.layer_ranks",
    "limit_groups": "adaptive_limits.networks",
    "linear": "gradient_flows.linear",
    "linear_resnet_limit": "linear_resnet",
    "linear_speed_up": "bottleneck.linear",
    "linear_transformer": "gradient_flows.transformer",
    "modular_addition": "gradient_flows.modular",
    "noise_risk": "ridge.overfitting",
    "nonlinear_kernel": "adaptive_limits.tangent",
    "ntk_relative_second_moment": "finite_width.ntk_fluctuation",
    "ntk_relative_second_moment_limit": "finite_width.ntk_fluctuation",
    "ntk_relative_variance": "finite_width.ntk_fluctuation",
    "one_step_alignment": "one_step.alignment",
    "one_step_report": "one_step.report",
    "one_step_risk": "one_step.asymptotic",
    "one_step_spike": "one_step.spike",
    "optimal_fitting_ratio": "ridge.power_law",
    "optimal_ridge": "ridge.optimal",
    "overfitting_coefficient": "ridge.leave_one_out",
    "own_problem": "gradient_flows.own",
    "phi_correlation": "depth",
    "power_law_error": "ridge.power_law",
    "relu_log_normal": "finite_width.log_normal",
    "relu_log_size": "finite_width.log_normal",
    "relu_task": "saddle_escape.task",
    "resnet_covariance": "finite_width.residual_flow",
    "resnet_ntk": "finite_width.residual_flow",
    "rf_risk": "ridge.risk",
    "sample_resnet_covariance": "finite_width.residual_draws",
    "simclr": "joint_embedding.losses",
    "spectral_contrastive": "joint_embedding.losses",
    "stream_growth": "streams",
    "subspace_overlap": "joint_embedding.overlap",
    "tau_star": "one_step.large_step",
    "taxonomy": "ridge.overfitting",
    "train_bottlenecks": "bottleneck.training",
    "train_encoder": "joint_embedding.training",
    "two_layer_problem": "gradient_flows.own",
    "variance_cumulants": "finite_width.cumulants",
    "vicreg": "joint_embedding.losses",
    "view_modes": "joint_embedding.modes",
    "whitened": "one_step.alignment",
    "wide_head": "bottleneck.heads",
    "without_bottleneck": "bottleneck.limit",
}

__all__ = [
    "Adaptive",
    "AlternatingGradientFlow",
    "BottleneckRun",
    "Catapult",
    "CostOfOverfitting",
    "Criticality",
    "EmbeddingHistory",
    "EmbeddingSteps",
    "EmbeddingTracker",
    "Escape",
    "Exponents",
    "FeatureErrors",
    "FeatureLimit",
    "GaussianTask",
    "HermiteMoments",
    "LayerRank",
    "LearningCurve",
    "LimitComparison",
    "LimitRun",
    "LinearResNetLimit",
    "LinearSpeedUp",
    "LogSize",
    "Momentum",
    "NetworkRuns",
    "NonlinearKernel",
    "OneStepReport",
    "OneStepRisk",
    "OneStepSpike",
    "OptimalRidge",
    "RidgeRisk",
    "Segment",
    "SmallStart",
    "Spectrum",
    "Staircase",
    "TauStar",
    "Taxonomy",
    "TwoLayer",
    "VarianceCumulants",
    "ViewModes",
    "WideKernels",
    "barlow_twins",
    "bottleneck_rank",
    "bottleneck_start",
    "catapult_map",
    "catapult_window",
    "coefficient_bound",
    "cost_of_overfitting",
    "covariance_profile",
    "critical_line",
    "criticality",
    "diagonal_linear",
    "effective_ranks",
    "embedding_steps",
    "entrywise",
    "equivalent_risk",
    "escape",
    "escape_of",
    "escape_scale",
    "escape_time",
    "exponents",
    "feature_limit",
    "from_small_start",
    "hermite_moments",
    "homogeneous_task",
    "image_views",
    "interpolation_penalty",
    "kernel_pca",
    "layer_ranks",
    "limit_groups",
    "linear",
    "linear_resnet_limit",
    "linear_speed_up",
    "linear_transformer",
    "modular_addition",
    "noise_risk",
    "nonlinear_kernel",
    "ntk_relative_second_moment",
    "ntk_relative_second_moment_limit",
    "ntk_relative_variance",
    "one_step_alignment",
    "one_step_report",
    "one_step_risk",
    "one_step_spike",
    "optimal_fitting_ratio",
    "optimal_ridge",
    "overfitting_coefficient",
    "own_problem",
    "phi_correlation",
    "power_law_error",
    "relu_log_normal",
    "relu_log_size",
    "relu_task",
    "resnet_covariance",
    "resnet_ntk",
    "rf_risk",
    "sample_resnet_covariance",
    "simclr",
    "spectral_contrastive",
    "stream_growth",
    "subspace_overlap",
    "tau_star",
    "taxonomy",
    "train_bottlenecks",
    "train_encoder",
    "two_layer_problem",
    "variance_cumulants",
    "vicreg",
    "view_modes",
    "whitened",
    "wide_head",
    "without_bottleneck",
]

__getattr__, __dir__ = lazy_names(globals(), "similitude.theory", _HOMES)
