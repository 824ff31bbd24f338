"""similitude: tune the scale model, build the real thing.

Public names are loaded when first used, so that `import similitude` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from similitude.checking.coordinates import check
    from similitude.checking.diversity import diversity
    from similitude.checking.diversity_records import Diversity
    from similitude.checking.guard import guard
    from similitude.checking.records import Check
    from similitude.core.citation import cite
    from similitude.core.claim import Claim
    from similitude.core.errors import KernelError, SimilitudeError, TheoryError
    from similitude.core.verdict import Outcome, Verdict
    from similitude.kernels.entry import kernel
    from similitude.kernels.infinite import Kernel
    from similitude.kernels.monte_carlo import EstimatedKernel
    from similitude.landscape.curvature import Curvature
    from similitude.landscape.doctor import doctor
    from similitude.landscape.doctor_records import Doctor
    from similitude.landscape.features import FeatureProbe, feature_change
    from similitude.landscape.gram import Gram
    from similitude.landscape.ntk import ntk_gram
    from similitude.landscape.tracker import SharpnessTracker
    from similitude.report.html import write_report
    from similitude.runs.engine import InProcess
    from similitude.runs.pool import ProcessPool
    from similitude.runs.ray import RayEngine
    from similitude.scaling.abc import abc, abc_of
    from similitude.scaling.centred import Centred
    from similitude.scaling.clipping import clip_grad_norm_
    from similitude.scaling.dataflow.operations import register_operation
    from similitude.scaling.geometry import measure_optimizer
    from similitude.scaling.measured import MeasuredOptimizer
    from similitude.scaling.optimizers import register_optimizer
    from similitude.scaling.plan import Plan, plan
    from similitude.scaling.regime import Regime
    from similitude.scaling.rule_registry import register_rule
    from similitude.scaling.rules import Cell, Power
    from similitude.scaling.split import split
    from similitude.scaling.unit_scale import unit_scaled
    from similitude.studies import richness
    from similitude.studies.bottleneck import bottleneck
    from similitude.studies.bottleneck_records import BottleneckStudy
    from similitude.studies.consistency import consistency
    from similitude.studies.consistency_records import Consistency
    from similitude.studies.experiment import Experiment, rates
    from similitude.studies.family_records import TunedFamily
    from similitude.studies.finite_width import finite_width
    from similitude.studies.finite_width_records import FiniteWidth
    from similitude.studies.forecast import forecast
    from similitude.studies.forecast_records import Forecast
    from similitude.studies.gamma_records import GammaSweep
    from similitude.studies.gamma_sweep import gamma_sweep
    from similitude.studies.read import read_study
    from similitude.studies.records import Curve, Optimum, Transfer, TransferStudy
    from similitude.studies.run import StudyInterrupted, run, transfer
    from similitude.studies.tune_family import tune_family
    from similitude.studies.universality import universality
    from similitude.studies.universality_records import Universality
    from similitude.studies.valley import valley
    from similitude.studies.valley_records import ValleyStudy
    from similitude.theory import signal
    from similitude.theory.joint_embedding.tracker import EmbeddingTracker
    from similitude.training.ensemble import Replica, train_ensemble
    from similitude.training.loop import train
    from similitude.tuning.carbs import CarbsSampler
    from similitude.tuning.laws.laws import ScalingLaws
    from similitude.tuning.space.dimensions import Choice, Linear, Log, Logit
    from similitude.tuning.space.space import Space
    from similitude.tuning.study.warm import warm_start
    from similitude.tuning.trials.budget import Budget
    from similitude.tuning.trials.failures import TrialFailure
    from similitude.tuning.trials.flops import count_flops
    from similitude.tuning.trials.retry import recover
    from similitude.tuning.tune import tune

_HOMES = {
    "BottleneckStudy": "studies.bottleneck_records",
    "Budget": "tuning.trials.budget",
    "CarbsSampler": "tuning.carbs",
    "Cell": "scaling.rules",
    "Centred": "scaling.centred",
    "Check": "checking.records",
    "Choice": "tuning.space.dimensions",
    "Claim": "core.claim",
    "Consistency": "studies.consistency_records",
    "Curvature": "landscape.curvature",
    "Curve": "studies.records",
    "Diversity": "checking.diversity_records",
    "Doctor": "landscape.doctor_records",
    "EmbeddingTracker": "theory.joint_embedding.tracker",
    "EstimatedKernel": "kernels.monte_carlo",
    "Experiment": "studies.experiment",
    "FeatureProbe": "landscape.features",
    "FiniteWidth": "studies.finite_width_records",
    "Forecast": "studies.forecast_records",
    "GammaSweep": "studies.gamma_records",
    "Gram": "landscape.gram",
    "InProcess": "runs.engine",
    "Kernel": "kernels.infinite",
    "KernelError": "core.errors",
    "Linear": "tuning.space.dimensions",
    "Log": "tuning.space.dimensions",
    "Logit": "tuning.space.dimensions",
    "MeasuredOptimizer": "scaling.measured",
    "Optimum": "studies.records",
    "Outcome": "core.verdict",
    "Plan": "scaling.plan",
    "Power": "scaling.rules",
    "ProcessPool": "runs.pool",
    "RayEngine": "runs.ray",
    "Regime": "scaling.regime",
    "Replica": "training.ensemble",
    "ScalingLaws": "tuning.laws.laws",
    "SharpnessTracker": "landscape.tracker",
    "SimilitudeError": "core.errors",
    "Space": "tuning.space.space",
    "StudyInterrupted": "studies.run",
    "TheoryError": "core.errors",
    "Transfer": "studies.records",
    "TransferStudy": "studies.records",
    "TunedFamily": "studies.family_records",
    "TrialFailure": "tuning.trials.failures",
    "Universality": "studies.universality_records",
    "ValleyStudy": "studies.valley_records",
    "Verdict": "core.verdict",
    "abc": "scaling.abc",
    "abc_of": "scaling.abc",
    "bottleneck": "studies.bottleneck",
    "check": "checking.coordinates",
    "cite": "core.citation",
    "clip_grad_norm_": "scaling.clipping",
    "consistency": "studies.consistency",
    "count_flops": "tuning.trials.flops",
    "diversity": "checking.diversity",
    "doctor": "landscape.doctor",
    "feature_change": "landscape.features",
    "finite_width": "studies.finite_width",
    "forecast": "studies.forecast",
    "gamma_sweep": "studies.gamma_sweep",
    "guard": "checking.guard",
    "kernel": "kernels.entry",
    "measure_optimizer": "scaling.geometry",
    "ntk_gram": "landscape.ntk",
    "plan": "scaling.plan",
    "rates": "studies.experiment",
    "read_study": "studies.read",
    "recover": "tuning.trials.retry",
    "register_operation": "scaling.dataflow.operations",
    "register_optimizer": "scaling.optimizers",
    "register_rule": "scaling.rule_registry",
    "run": "studies.run",
    "split": "scaling.split",
    "train": "training.loop",
    "train_ensemble": "training.ensemble",
    "transfer": "studies.run",
    "tune": "tuning.tune",
    "tune_family": "studies.tune_family",
    "unit_scaled": "scaling.unit_scale",
    "universality": "studies.universality",
    "valley": "studies.valley",
    "warm_start": "tuning.study.warm",
    "write_report": "report.html",
}

_PACKAGES = frozenset(
    {
        "checking",
        "claims",
        "data",
        "evaluation",
        "fewshot",
        "integrations",
        "kernels",
        "landscape",
        "models",
        "report",
        "runs",
        "scaling",
        "scenes",
        "studies",
        "testing",
        "theory",
        "training",
        "tuning",
        "worlds",
    }
)

_NAMESPACES = {"richness": "studies.richness", "signal": "theory.signal"}

__all__ = [
    "BottleneckStudy",
    "Budget",
    "CarbsSampler",
    "Cell",
    "Centred",
    "Check",
    "Choice",
    "Claim",
    "Consistency",
    "Curvature",
    "Curve",
    "Diversity",
    "Doctor",
    "EmbeddingTracker",
    "EstimatedKernel",
    "Experiment",
    "FeatureProbe",
    "FiniteWidth",
    "Forecast",
    "GammaSweep",
    "Gram",
    "InProcess",
    "Kernel",
    "KernelError",
    "Linear",
    "Log",
    "Logit",
    "MeasuredOptimizer",
    "Optimum",
    "Outcome",
    "Plan",
    "Power",
    "ProcessPool",
    "RayEngine",
    "Regime",
    "Replica",
    "ScalingLaws",
    "SharpnessTracker",
    "SimilitudeError",
    "Space",
    "StudyInterrupted",
    "TheoryError",
    "Transfer",
    "TransferStudy",
    "TrialFailure",
    "TunedFamily",
    "Universality",
    "ValleyStudy",
    "Verdict",
    "__version__",
    "abc",
    "abc_of",
    "bottleneck",
    "check",
    "cite",
    "clip_grad_norm_",
    "consistency",
    "count_flops",
    "diversity",
    "doctor",
    "feature_change",
    "finite_width",
    "forecast",
    "gamma_sweep",
    "guard",
    "kernel",
    "measure_optimizer",
    "ntk_gram",
    "plan",
    "rates",
    "read_study",
    "recover",
    "register_operation",
    "register_optimizer",
    "register_rule",
    "richness",
    "run",
    "signal",
    "split",
    "train",
    "train_ensemble",
    "transfer",
    "tune",
    "tune_family",
    "unit_scaled",
    "universality",
    "valley",
    "warm_start",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"similitude.{name}")
    if name in _NAMESPACES:
        return import_module(f"similitude.{_NAMESPACES[name]}")
    if name in _HOMES:
        value = getattr(import_module(f"similitude.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'similitude' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
