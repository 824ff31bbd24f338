"""Ray as an option of a command line: `ray`, or `ray:num_gpus=1,address=head:6379`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from similitude.core.errors import StudyError
from similitude.runs.ray import RayEngine

_READ: dict[str, Callable[[str], Any]] = {
    "address": str,
    "num_cpus": float,
    "num_gpus": float,
    "memory": lambda text: int(float(text)),
    "retries": int,
}


def is_ray(text: str) -> bool:
    """Whether an engine's name is that of Ray, with or without settings."""
    return text == "ray" or text.startswith("ray:")


def ray_engine(text: str, *, at_once: int | None = None, retries: int | None = None) -> RayEngine:
    """Read what a user wants of Ray.

    Args:
        text: "ray", or "ray:" and settings of `RayEngine` separated by commas.
        at_once: Most jobs at a time.
        retries: How often a lost job is started again where the text does not say; that of `RayEngine` where None.

    Raises:
        StudyError: There is no such setting, or its value is none.

    Example:
        >>> ray_engine("ray:num_gpus=0.5,address=head:6379").num_gpus
        0.5
    """
    given: dict[str, Any] = {} if retries is None else {"retries": retries}
    for setting in text.partition(":")[2].split(",") if ":" in text else ():
        name, _, value = setting.strip().partition("=")
        if name not in _READ:
            raise StudyError(
                f"--engine {text}: {name!r} is no setting of it; {', '.join(_READ)} are, as in ray:num_gpus=1."
            )
        try:
            given[name] = _READ[name](value)
        except (ValueError, OverflowError):
            raise StudyError(f"--engine {text}: {value!r} is no number for {name}.") from None
    return RayEngine(at_once=at_once, **given)
