"""Read the values of options: numbers, powers of two, lists, names of schedules."""

from __future__ import annotations

from similitude.core.errors import GridError
from similitude.training.schedule import Schedule, WarmupCosine, WarmupLinear, constant


def rate(text: str, option: str, *, what: str = "learning rate") -> float:
    """Read a learning rate or another positive number: written out, or as a power such as 2^-7.5.

    Args:
        text: What the user wrote.
        option: For which option, for the message.
        what: What the number is, for the message.

    Raises:
        GridError: It is neither, or not positive.

    Example:
        >>> rate("2^-3", "--lr-min"), rate("1e-3", "--lr-min")
        (0.125, 0.001)
    """
    base, power, exponent = text.partition("^")
    try:
        value = float(base) ** float(exponent) if power else float(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        value = None
    # A negative base to a fractional power is complex.
    if not isinstance(value, float) or not 0 < value < float("inf"):
        raise GridError(
            f"{option} {text} is not a positive {what}. Write a number above 0, e.g. 0.001, or a "
            "power, e.g. 2^-10."
        )
    return value


def rate_grid(lr_min: str | None, lr_max: str | None, points: int) -> tuple[float, ...] | None:
    """Read the ends of a grid of learning rates; None where neither is given, and rates are to be searched.

    Args:
        lr_min: Smallest rate.
        lr_max: Largest rate.
        points: Number of rates.

    Raises:
        GridError: One end is missing, is no rate, or the grid has too few rates.

    Example:
        >>> rate_grid("2^-3", "2^-1", 3), rate_grid(None, None, 3)
        ((0.125, 0.25, 0.5), None)
    """
    from similitude.studies.experiment import rates

    if lr_min is None and lr_max is None:
        return None
    if lr_min is None or lr_max is None:
        missing = "--lr-min" if lr_min is None else "--lr-max"
        raise GridError(
            f"{missing} is missing: a grid of learning rates has two ends. Give both, or neither."
        )
    return rates(rate(lr_min, "--lr-min"), rate(lr_max, "--lr-max"), points)


def whole_numbers(text: str, option: str) -> tuple[int, ...]:
    """Read whole numbers separated by commas.

    Raises:
        GridError: One of them is not a whole number.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        wrong = next(part for part in text.split(",") if not part.strip().removeprefix("-").isdecimal())
        raise GridError(
            f"{option} {text}: '{wrong}' is not a whole number. Write whole numbers separated by commas, "
            "e.g. 64,128,256."
        ) from error


def names(text: str) -> tuple[str, ...]:
    """Read names separated by commas.

    Example:
        >>> names("sp, mup")
        ('sp', 'mup')
    """
    return tuple(part.strip() for part in text.split(",") if part.strip())


def depth_rules(text: str) -> tuple[str | float, ...]:
    """Read depth rules separated by commas: names, or exponents.

    Example:
        >>> depth_rules("depth_mup,0.75")
        ('depth_mup', 0.75)
    """
    return tuple(_number_or_name(part) for part in names(text))


def depth_rule_of(text: str | None) -> str | float | None:
    """Read a depth rule: a name, or the residual exponent as a number.

    Args:
        text: What the user wrote; which names and numbers there are is for the planner to say.

    Example:
        >>> depth_rule_of("complete_p"), depth_rule_of("0.75"), depth_rule_of(None)
        ('complete_p', 0.75, None)
    """
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def at_least(value: int, least: int, option: str) -> int:
    """Return a number that is large enough.

    Raises:
        GridError: It is smaller than `least`.
    """
    if value < least:
        raise GridError(f"{option} {value} is too small: give at least {least}.")
    return value


def schedule_of(name: str, *, steps: int, warmup: int) -> Schedule:
    """Return a schedule by its name: "constant", "linear" or "cosine".

    Args:
        name: Its name.
        steps: Number of training steps.
        warmup: Steps of linear warmup before.

    Raises:
        GridError: The warmup is longer than the run.
    """
    if not 0 <= warmup <= steps:
        raise GridError(
            f"--warmup {warmup} does not fit into --steps {steps}: give 0 to {steps} steps of warmup."
        )
    if name == "constant":
        return WarmupLinear(steps, warmup, final=1.0) if warmup else constant
    return {"linear": WarmupLinear, "cosine": WarmupCosine}[name](steps, warmup)


def _number_or_name(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text
