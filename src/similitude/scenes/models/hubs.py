"""Models of torchvision, timm and Hugging Face, with weights that this machine has or can fetch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from similitude.core.errors import SceneError
from similitude.runs.engine import one_line
from similitude.scenes.assets.imagenet import class_names
from similitude.scenes.models.torch_model import RESOLUTION, TorchDetector, TorchModel


def torchvision_model(name: str, *, detects: bool = False) -> TorchModel | TorchDetector:
    """Return a model of torchvision with its default weights.

    Args:
        name: As in `torchvision.models.list_models()`.
        detects: Whether it finds boxes.

    Raises:
        SceneError: torchvision is not installed, has no such model, or its weights are not here and cannot be fetched.
    """
    models = _imported("torchvision.models", "torchvision")
    try:
        weights = models.get_model_weights(name).DEFAULT
    except (ValueError, AttributeError) as error:
        raise SceneError(
            f"torchvision has no model {name!r} with weights. Its models: torchvision.models.list_models()."
        ) from error
    module = _fetched(f"torchvision:{name}", lambda: models.get_model(name, weights=weights))
    names = tuple(map(str, weights.meta.get("categories", ())))
    if detects:
        return TorchDetector(module, f"torchvision:{name}", names=names)
    preset = weights.transforms()
    size = getattr(preset, "crop_size", [RESOLUTION])
    return TorchModel(
        module,
        f"torchvision:{name}",
        names=names,
        resolution=int(size[0] if isinstance(size, list | tuple) else size),
        mean=preset.mean,
        std=preset.std,
    )


def timm_model(name: str) -> TorchModel:
    """Return a pretrained model of timm.

    Args:
        name: As in `timm.list_models(pretrained=True)`.

    Raises:
        SceneError: timm is not installed, has no such model, or its weights are not here and cannot be fetched.
    """
    timm = _imported("timm", "timm")
    if not timm.is_model(name.partition(".")[0]):
        raise SceneError(f"timm has no model {name!r}. Its models: timm.list_models(pretrained=True).")
    module = _fetched(f"timm:{name}", lambda: timm.create_model(name, pretrained=True))
    config = import_module("timm.data").resolve_model_data_config(module)
    names = class_names() if module.num_classes == len(class_names()) else ()
    return TorchModel(
        module,
        f"timm:{name}",
        names=names,
        resolution=int(config["input_size"][-1]),
        mean=config["mean"],
        std=config["std"],
    )


def hugging_face_model(name: str) -> TorchModel:
    """Return an image classifier of Hugging Face.

    Args:
        name: Of a repository, or the path of a folder.

    Raises:
        SceneError: transformers is not installed, or the model is not here and cannot be fetched.
    """
    transformers = _imported("transformers", "transformers")
    module = _fetched(
        f"hf:{name}", lambda: transformers.AutoModelForImageClassification.from_pretrained(name)
    )
    mixin = import_module("transformers.image_processing_base").ImageProcessingMixin
    config, _ = _fetched(f"hf:{name}", lambda: mixin.get_image_processor_dict(name))
    labels = module.config.id2label
    size = config.get("crop_size") or config.get("size") or RESOLUTION
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge") or RESOLUTION
    normal = config.get("do_normalize", True)
    return TorchModel(
        module,
        f"hf:{name}",
        names=tuple(str(labels[number]) for number in sorted(labels)),
        resolution=int(size),
        mean=config.get("image_mean", (0.5,) * 3) if normal else (0.0,) * 3,
        std=config.get("image_std", (0.5,) * 3) if normal else (1.0,) * 3,
    )


def _imported(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise SceneError(
            f"{package} is not installed ({error}). Install it: pip install {package}"
        ) from error


def _fetched(name: str, make: Any) -> Any:
    try:
        return make()
    except Exception as error:  # each library has its own errors for a missing network, file or name
        raise SceneError(
            f"the model {name} cannot be loaded: {one_line(error):.300}. Its weights are not on this machine, and could "
            "not be fetched. Put them where the library looks for them, or name another model, e.g. efficientnet-lite0."
        ) from error
