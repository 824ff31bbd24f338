"""The papers behind the code: which paper an object implements, and where in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Paper:
    """A paper that similitude implements: its number in our list, its title and its arXiv identifier."""

    number: int
    title: str
    arxiv: str

    @property
    def url(self) -> str:
        """Address of the paper's abstract."""
        return f"https://arxiv.org/abs/{self.arxiv}"


_LIST = [
    (1, "The Optimization Landscape of SGD Across the Feature Learning Strength", "2410.04642"),
    (2, "Super Consistency of Neural Network Landscapes and Learning Rate Transfer", "2402.17457"),
    (
        3,
        "Towards Training Without Depth Limits: Batch Normalization Without Gradient Explosion",
        "2310.02012",
    ),
    (
        4,
        "Alternating Gradient Flows: A Theory of Feature Learning in Two-layer Neural Networks",
        "2506.06489",
    ),
    (5, "Saddle-to-Saddle Dynamics in Deep ReLU Networks", "2505.21722"),
    (
        6,
        "More is Better: when Infinite Overparameterization is Optimal and Overfitting is Obligatory",
        "2311.14646",
    ),
    (7, "A Spectral Condition for Feature Learning", "2310.17813"),
    (8, "Les Houches Lectures on Deep Learning at Large and Infinite Width", "2309.01592"),
    (9, "An Agnostic View on the Cost of Overfitting in (Kernel) Ridge Regression", "2306.13185"),
    (10, "CARBS: Cost Aware pareto-Region Bayesian Search", "2306.08055"),
    (11, "On the Stepwise Nature of Self-Supervised Learning", "2303.15438"),
    (12, "Avalon: A Benchmark for RL Generalization Using Procedurally Generated Worlds", "2210.13417"),
    (13, "Tensor Programs VI: Feature Learning in Infinite-Depth Neural Networks", "2310.02244"),
    (14, "Tensor Programs IVb: Adaptive Optimization in the Infinite-Width Limit", "2308.01814"),
    (15, "Width and Depth Limits Commute in Residual Networks", "2302.00453"),
    (
        16,
        "High-dimensional Asymptotics of Feature Learning: How One Gradient Step Improves the Representation",
        "2205.01445",
    ),
    (
        17,
        "Tensor Programs V: Tuning Large Neural Networks via Zero-Shot Hyperparameter Transfer",
        "2203.03466",
    ),
    (18, "CLUES: Few-Shot Learning Evaluation in Natural Language Understanding", "2111.02570"),
    (
        19,
        "Implicit Acceleration and Feature Learning in Infinitely Wide Neural Networks with Bottlenecks",
        "2107.00364",
    ),
    (20, "3DB: A Framework for Debugging Computer Vision Models", "2106.03805"),
    (
        21,
        "Tensor Programs IIb: Architectural Universality of Neural Tangent Kernel Training Dynamics",
        "2105.03703",
    ),
]
PAPERS: dict[int, Paper] = {number: Paper(number, title, arxiv) for number, title, arxiv in _LIST}


@dataclass(frozen=True)
class Citation:
    """Where a formula comes from: a paper and the place in it."""

    paper: Paper
    place: str

    def __str__(self) -> str:
        return f"{self.paper.title} (arXiv {self.paper.arxiv}), {self.place}"


def cites(paper: int, place: str) -> Callable[[T], T]:
    """Mark a function or class with the paper that it implements.

    Args:
        paper: The paper's number in `PAPERS`.
        place: Section, equation or table.
    """

    def mark(obj: T) -> T:
        known = getattr(obj, "__citations__", ())
        obj.__citations__ = (*known, Citation(PAPERS[paper], place))  # type: ignore[attr-defined]
        return obj

    return mark


def cite(obj: Any) -> tuple[Citation, ...]:
    """Return the papers that a function, class or instance implements; empty where it implements none.

    Example:
        >>> import similitude as sim
        >>> [citation.paper.number for citation in cite(sim.plan)]
        [1, 13, 7, 17]
    """
    return getattr(obj, "__citations__", ())
