"""Forecast hyperparameters and loss at a size that was not trained: by transfer, by fit, and whether they agree."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING

from similitude.core.citation import cites
from similitude.core.errors import GridError
from similitude.studies.forecast_records import Forecast
from similitude.studies.forecast_source import source_of, target_of
from similitude.studies.forecast_transfer import from_transfer
from similitude.studies.records import Transfer, TransferStudy

if TYPE_CHECKING:
    import optuna

TOLERANCE = 0.5


@cites(17, "Section 4 and Figure 1: the optimum of a small model is used at a large one")
def forecast(
    study: TransferStudy | Transfer | optuna.Study,
    to: Mapping[str, float],
    *,
    rule: str | None = None,
    tolerance: float = TOLERANCE,
) -> Forecast:
    """Forecast every transferred hyperparameter, and the loss, at a target size.

    Two forecasts stand side by side. *By transfer*: the value tuned at the base, which a plan keeps at every size. *By
    fit*: the value that the measured optima point to, on a power law of the dial, with an interval from seeds and from
    how far the optima lie off the law. Where both agree, use the transferred one. Both are backtested on the largest
    measured size, which is held out, and the cheapest further run that would halve the interval is named.

    Args:
        study: A transfer study (`sim.transfer`, `sim.read_study`), one rule's `Transfer` of it, or an Optuna study tuned
            with `sim.CarbsSampler` over a space with scale and transfer dimensions.
        to: The target by dial, e.g. `{"width": 1024}`. The dial that the study varied must be among them, dials that it
            kept may be; of a tuning study all its scale dimensions, or `{"cost": 1e6}`.
        rule: Which rule of a study of several; the last one by default.
        tolerance: Difference of the two forecasts that counts as none, in octaves.

    Returns:
        The forecast, its verdict `transfers` where they agree and `shifts` where they do not.

    Raises:
        GridError: `to` lacks the dial that was varied, names another, or is no larger than what was measured; there is
            no such rule, or no transfer dimension; the tolerance is no finite number of at least 0.
        TuningError: A tuning study has too few trials for scaling laws (15).

    Example:
        >>> import math
        >>> from similitude.studies.records import Curve
        >>> from similitude.studies.shift import transfer
        >>> rates = tuple(2.0**k for k in range(-10, 1))
        >>> def curve(n):  # the best rate falls as 1 / n
        ...     return Curve(n, rates, tuple((1 + 0.1 * math.log2(lr * n) ** 2,) for lr in rates))
        >>> found = forecast(transfer("sp", [curve(n) for n in (16, 32, 64)]), {"width": 256})
        >>> round(math.log2(found.values["lr"].fitted.value), 1), str(found.verdict.outcome)
        (-8.0, 'shifts')

    Cost:
        Milliseconds for a transfer study, seconds for the laws of a tuning study: nothing is trained.
    """
    if isinstance(tolerance, bool) or not isinstance(tolerance, Real) or not 0 <= tolerance < math.inf:
        raise GridError(
            f"tolerance={tolerance!r}: give a number of octaves, 0 or more; {TOLERANCE} is the default."
        )
    if not isinstance(to, Mapping):
        raise GridError(f'to={to!r} names no dial. Pass the target by dial, e.g. {{"width": 1024}}.')
    if not isinstance(study, TransferStudy | Transfer):
        import optuna

        from similitude.studies.forecast_tuning import forecast_tuning

        if not isinstance(study, optuna.Study):
            raise GridError(
                f"{type(study).__name__} is no study to forecast from. Pass what sim.transfer or sim.read_study "
                "returned, one Transfer of it, or an Optuna study."
            )
        if rule is not None:
            raise GridError(
                f"rule={rule!r}: a tuning study has no rules, it was tuned as it is. Leave rule out."
            )
        return forecast_tuning(study, to, tolerance=tolerance)
    source = source_of(study, rule)
    return from_transfer(source, to, target_of(source, to), tolerance=tolerance)
