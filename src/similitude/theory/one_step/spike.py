"""The singular value that one gradient step pulls out of the first layer's weights, and its direction (paper 16)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from similitude.core.citation import cites
from similitude.theory.finite_width.activation import Phi
from similitude.theory.finite_width.given import number
from similitude.theory.one_step.hermite import HermiteMoments
from similitude.theory.one_step.proportions import proportions


@dataclass(frozen=True)
class OneStepSpike:
    """What a step does to the singular values of the first layer. Made by `one_step_spike`.

    Attributes:
        strength: theta_2, the singular value of the step itself: eta mu_1 |v|.
        threshold: Strength above which a singular value leaves the bulk: (width / dimension)^(1/4).
        threshold_eta: The step size with that strength.
        bulk: Largest singular value of the weights before the step: 1 + sqrt(width / dimension).
        top: Largest singular value after it; `bulk` below the threshold.
        alignment: Squared cosine of its input direction and the teacher's; 0 below the threshold.
    """

    strength: float
    threshold: float
    threshold_eta: float
    bulk: float
    top: float
    alignment: float

    def __str__(self) -> str:
        if self.strength <= self.threshold:
            return (
                f"no spike: strength {self.strength:.3g}, threshold {self.threshold:.3g} "
                f"(eta {self.threshold_eta:.3g})"
            )
        return f"spike at {self.top:.3g} (bulk to {self.bulk:.3g}), squared cosine with the teacher {self.alignment:.3g}"


@cites(16, "Theorem on the spike and its alignment after one step of eta = O(1)")
def one_step_spike(
    student: Phi | HermiteMoments,
    teacher: Phi | HermiteMoments,
    *,
    n: float,
    width: float,
    dimension: float,
    eta: float,
    noise: float = 0.0,
) -> OneStepSpike:
    """Predict the top singular value and direction of the first layer after one full-batch gradient step.

    The network is f(x) = N^(-1/2) a' phi(W x), W of entries N(0, 1 / dimension), a of entries N(0, 1 / width), its step
    W + eta sqrt(N) G with -G the gradient of half the mean squared error. In the units of a torch module, the readout has
    entries N(0, 1 / width^2) and the learning rate is eta sqrt(width). Inputs are N(0, I), labels
    teacher(<x, beta>) + noise with |beta| = 1, means of both functions subtracted.

    Args:
        student: phi, of torch operations, or its moments.
        teacher: The link function, or its moments.
        n: Training samples of the step.
        width: N.
        dimension: Of the inputs. Only ratios of these three matter.
        eta: Step size, at least 0; holds for eta of the order of 1, up to about width^(1/4).
        noise: Variance of the labels' noise.

    Raises:
        TheoryError: A number is out of range, or the student has no linear part.

    Example:
        A linear student and teacher, endless samples: the step is eta beta a', of strength eta.

        >>> linear = HermiteMoments(0.0, 1.0, 0.0)
        >>> found = one_step_spike(linear, linear, n=1e12, width=1.0, dimension=1.0, eta=2.0)
        >>> round(found.top, 6), round(found.alignment, 6)  # 5 / 2, 1 - 1 / eta^2
        (2.5, 0.75)
    """
    eta = number("eta", eta)
    at = proportions(student, teacher, n=n, width=width, dimension=dimension, noise=noise)
    return spike_of(abs(at.student.linear) * at.gradient, eta, at.width, at.aimed)


def spike_of(gradient: float, eta: float, ratio: float, aimed: float) -> OneStepSpike:
    """Return the spike of W + eta gradient v a' with unit vectors v and a that are independent of Gaussian W.

    Args:
        gradient: Norm of the gradient, in units of 1 / sqrt(N).
        eta: Step size.
        ratio: Width over dimension.
        aimed: Squared cosine of v with the direction that alignment is measured to.
    """
    strength, threshold, bulk = eta * gradient, ratio**0.25, 1 + math.sqrt(ratio)
    threshold_eta = threshold / gradient if gradient > 0 else math.inf
    if strength <= threshold:
        return OneStepSpike(strength, threshold, threshold_eta, bulk, bulk, 0.0)
    root = math.sqrt(ratio) / strength
    top = math.hypot(1.0, strength) * math.hypot(1.0, root)
    kept = 1 - (1 + root * root) / (1 + strength * strength)
    return OneStepSpike(strength, threshold, threshold_eta, bulk, top, aimed * max(kept, 0.0))
