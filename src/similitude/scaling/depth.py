"""Rules of depth: how a residual branch, and everything inside it, scales with the number of branches: paper 13.

A stage of L branches computes x <- x + (L / L0)^-alpha f_l(x). The multiplier is folded into the tensors that end a
branch; learning rates inside a branch keep the sum of all branches' changes from growing. `docs/rules.md` derives
every exponent.
"""

from __future__ import annotations

from typing import NamedTuple

from similitude.core.citation import cites
from similitude.core.errors import PlanError
from similitude.scaling.rules import FAMILIES

DEPTH_MUP, COMPLETE_P = 0.5, 1.0
DEPTH_RULES = {"depth_mup": DEPTH_MUP, "complete_p": COMPLETE_P}
"""The residual exponent alpha by name."""

STANDARD = "sp"
"""The depth rule that leaves everything as the user wrote it."""

DepthRule = str | float
"""A name of `DEPTH_RULES`, the exponent alpha in [1/2, 1], or "sp"."""


class DepthPowers(NamedTuple):
    """Exponents of the ratio of branches r, for a tensor inside a branch.

    Attributes:
        branch: Multiplier of the branch, r^-alpha.
        lr: Learning rate.
        eps: The optimizer's eps: the size of one gradient entry.
        shared_lr: Learning rate, as exponent of the ratio of uses where one tensor serves several branches.
        shared_eps: The same for eps.
    """

    branch: float
    lr: float
    eps: float
    shared_lr: float = 0.0
    shared_eps: float = 0.0


@cites(13, "Section 3 and Claims 7.1-7.6")
def residual_exponent(depth_rule: DepthRule | None) -> float | None:
    """Read a depth rule.

    Args:
        depth_rule: "depth_mup" (1/2), "complete_p" (1), the exponent itself, or "sp" (no rule).

    Returns:
        The residual exponent alpha; None under "sp" and where no rule is given.

    Raises:
        PlanError: The name does not exist, or the exponent is outside [1/2, 1].

    Example:
        >>> residual_exponent("complete_p"), residual_exponent(0.75), residual_exponent("sp")
        (1.0, 0.75, None)
    """
    if depth_rule is None or depth_rule == STANDARD:
        return None
    if isinstance(depth_rule, str):
        if depth_rule not in DEPTH_RULES:
            raise PlanError(
                f"depth_rule {depth_rule!r} is unknown. Choose one of {', '.join(map(repr, DEPTH_RULES))}, a residual "
                f"exponent alpha in [0.5, 1], or {STANDARD!r} (everything as you wrote it)."
            )
        return DEPTH_RULES[depth_rule]
    if isinstance(depth_rule, bool) or not isinstance(depth_rule, int | float):
        raise PlanError(
            f"depth_rule={depth_rule!r} is no depth rule. Choose one of {', '.join(map(repr, DEPTH_RULES))}, a residual "
            f"exponent alpha in [0.5, 1], or {STANDARD!r}."
        )
    if not DEPTH_MUP <= depth_rule <= COMPLETE_P:
        law = (
            "below 1/2 the sum of L branches grows at initialization as L^(1/2 - alpha)"
            if depth_rule < DEPTH_MUP
            else "above 1 every branch's share vanishes faster than their number grows"
        )
        raise PlanError(
            f"depth_rule={depth_rule:g} is outside [0.5, 1]: {law}. Choose 'depth_mup' (0.5), 'complete_p' (1) or an "
            "exponent between them."
        )
    return float(depth_rule)


@cites(13, "Table 1 and Section 3")
def depth_powers(alpha: float, family: str) -> DepthPowers:
    """Return how a tensor inside a branch is trained, as exponents of the ratio r of branches.

    Each of L branches adds r^-alpha times the change of its own output, and the L changes are aligned. So the change of
    a branch's output must shrink as r^(alpha - 1). A normalized step makes it as large as its learning rate; a
    gradient step has the factor r^-alpha already in it.

    Args:
        alpha: Residual exponent in [1/2, 1].
        family: One of `similitude.scaling.rules.FAMILIES`.

    Raises:
        PlanError: The family is unknown.

    Example:
        >>> depth_powers(0.5, "entrywise")
        DepthPowers(branch=-0.5, lr=-0.5, eps=-0.5, shared_lr=0.0, shared_eps=1.0)
        >>> depth_powers(1.0, "sgd").lr
        1.0
    """
    if family not in FAMILIES:
        raise PlanError(
            f"optimizer family {family!r} is unknown. Choose one of {', '.join(map(repr, FAMILIES))}."
        )
    if family == "sgd":  # the gradient of a tensor with several uses is the sum over them
        return DepthPowers(-alpha, 2 * alpha - 1, 0.0, shared_lr=-1.0)
    return DepthPowers(-alpha, alpha - 1, -alpha, shared_eps=1.0)
