"""Learning rates by parameter at which a network's own tangent kernel has the infinite-width one as its limit."""

from __future__ import annotations

from similitude.kernels.scales import ScaleTable


def tangent_rates(scales: ScaleTable) -> dict[str, float]:
    """Return the learning rate of every parameter of the recorded module, for `ntk_gram(..., rates=)`.

    With the rule "ntp" it is the variance of an entry: each is sigma omega, and omega is trained at rate 1. Parameters
    that are left out do not enter the kernel.

    Args:
        scales: Of the module as it was read: `kernel.reader(x).scales`.
    """
    found: dict[str, float] = {}
    for (name, role), rate in scales.rate.items():
        fan = scales.fans[name, role] if role == "matrix" else 1
        found[name] = rate / (fan * scales.factors.get((name, role), 1.0) ** 2)
    return found
