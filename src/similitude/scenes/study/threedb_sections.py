"""Sections of 3DB's configurations as settings of a study: models, evaluators, policies, rendering, logs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.assets.imagenet import class_ids, class_names
from similitude.scenes.models.evaluator import evaluator_of
from similitude.scenes.objects.catalog import OBJECTS
from similitude.scenes.study.reading import LARGEST
from similitude.scenes.study.settings import MODEL, StudySettings
from similitude.scenes.study.threedb_controls import controls_of

_USUAL_OBJECT = "mug"
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_RENDER = {"resolution": 256, "samples": 256}  # the original's own
_RENDER_ALWAYS = ("with_uv", "with_depth", "with_segmentation")  # frames always have these
_LOGGERS = ("image_logger", "json_logger")  # pictures and log.jsonl are always kept


def study_of(
    config: Mapping[str, Any],
    within: Callable[[Any, str], Path],
    objects: tuple[str, ...],
    left: list[str],
) -> StudySettings:
    """Return the study of a configuration's sections.

    Args:
        config: The sections by name.
        within: Turns a path that is named, and where, into one that may be read.
        objects: Names of objects; those of the class map where there are none.
        left: What could not be taken over is added, with where it stands.

    Raises:
        SceneError: A section or a value is not possible.
    """
    evaluator, classmap = _evaluation(_section(config, "evaluation"), within, left)
    model = _model(_section(config, "inference"), left)
    drawing = _drawing(_section(config, "render_args"), left)
    policy = _policy(_section(config, "policy"), left)
    controls = controls_of(config.get("controls"), left)
    _logging(_section(config, "logging"), left)
    chosen, labels = _objects(classmap, objects, left)
    evaluator_of(evaluator)  # what is wrong with it is said now
    return StudySettings(
        chosen,
        controls=controls,
        policy=policy,  # type: ignore[arg-type]
        models=(model,),
        evaluator=evaluator,
        labels=labels,
        **drawing,
    )


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    given = config.get(name)
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SceneError(f"{name}: {given!r:.60} is no mapping of names to values.")
    return given


def _evaluation(
    given: Mapping[str, Any], within: Callable[[Any, str], Path], left: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the evaluator's settings and the class map: numbers of classes by object."""
    module = str(given.get("module", "threedb.evaluators.classification")).rpartition(".")[2]
    _unknown("evaluation", given, ("module", "args"), left)
    args = dict(_section(given, "args")) if given.get("args") is not None else {}
    file = args.pop("classmap_path", None)
    if module == "detection":
        evaluator: dict[str, Any] = {"kind": "detection"}
        if "iou_threshold" in args:
            evaluator["iou"] = _number("evaluation.args.iou_threshold", args.pop("iou_threshold"))
        if file is not None:
            left.append(
                "evaluation.args.classmap_path: its numbers are of the detector's own classes. Give labels by name "
                "in the study."
            )
        file = None
    else:
        if module != "classification":
            left.append(
                f"evaluation.module: there is no evaluator like {given['module']!r} here; it classifies."
            )
        evaluator = {"kind": "classification", "top": args.pop("topk", 1)}
    left.extend(f"evaluation.args.{name}: there is no such setting here." for name in args)
    if file is None:
        return evaluator, {}
    found = within(file, "evaluation.args.classmap_path")
    if not found.is_file():
        left.append(
            f"evaluation.args.classmap_path: there is no file {str(file)!r}; objects keep their labels."
        )
        return evaluator, {}
    return evaluator, _classmap(found)


def _classmap(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST:
            raise SceneError(f"{path} is larger than {LARGEST:,} bytes: it is no class map.")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SceneError(f"{path}: is no class map that can be read ({error!s:.100}).") from error
    if not isinstance(data, dict):
        raise SceneError(f"{path}: a class map has numbers of classes by object, e.g. {{'mug': [504, 968]}}.")
    return data


def _objects(
    classmap: Mapping[str, Any], given: tuple[str, ...], left: list[str]
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return objects and their labels."""
    names = {name.removesuffix(".blend").lower(): numbers for name, numbers in classmap.items()}
    chosen = given or tuple(name for name in names if name in OBJECTS)
    if not given:
        left.extend(
            f"evaluation.args.classmap_path: {name!r}: a file of Blender's is not read, and no object here is so called."
            for name in names
            if name not in OBJECTS
        )
    if not chosen:
        left.append(
            f"objects: the original takes them from its folder of Blender's files; here it is the {_USUAL_OBJECT}. Name "
            "yours in the study."
        )
        chosen = (_USUAL_OBJECT,)
    return chosen, {name: _labels(name, names[name]) for name in chosen if name in names}


def _labels(name: str, given: Any) -> tuple[str, ...]:
    numbers = given if isinstance(given, list) else [given]
    every = class_names()
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(every):
            raise SceneError(
                f"evaluation.args.classmap_path: {name!r}: {number!r:.40} is no class of ImageNet, 0 to {len(every) - 1}."
            )
    found = tuple(dict.fromkeys(every[number] for number in numbers))
    if not found:
        raise SceneError(f"evaluation.args.classmap_path: {name!r} has no class. Give it one.")
    class_ids(found)
    return found


def _model(given: Mapping[str, Any], left: list[str]) -> str:
    if not given:
        return MODEL
    known = ("module", "class", "args", "resolution", "normalization", "label_map", "output_shape")
    _unknown("inference", given, known, left)
    size = given.get("resolution", 224)
    if size not in (224, [224, 224], [1, 3, 224, 224]):
        left.append(f"inference.resolution: {size!r:.40}: models see pictures in their own size here.")
    normal = given.get("normalization")
    if normal is not None and not _is_imagenets(normal):
        left.append(
            "inference.normalization: models of libraries see pictures normalised as they were trained."
        )
    args = given.get("args") or {}
    if not isinstance(args, Mapping):
        raise SceneError(f"inference.args: {args!r:.60} is no mapping of names to values.")
    for name, value in args.items():
        if (name, value) not in (("pretrained", True), ("progress", True), ("progress", False)):
            left.append(
                f"inference.args.{name}: {value!r:.40}: models of libraries have their trained weights here."
            )
    module, cls = str(given.get("module", "")), str(given.get("class", ""))
    if module.startswith("torchvision.models") and cls:
        return f"torchvision:{cls}"
    if module in ("timm", "timm.models") and cls:
        return f"timm:{cls}"
    left.append(
        f"inference.module: {module!r:.60} is no library whose models are known by name; the model is {MODEL}. Name "
        "yours in the study as file.py:factory."
    )
    return MODEL


def _is_imagenets(normal: Any) -> bool:
    return isinstance(normal, Mapping) and all(
        isinstance(normal.get(name), list | tuple)
        and len(normal[name]) == 3
        and all(
            isinstance(a, int | float) and abs(a - b) < 5e-3 for a, b in zip(normal[name], own, strict=True)
        )
        for name, own in _IMAGENET.items()
    )


def _drawing(given: Mapping[str, Any], left: list[str]) -> dict[str, Any]:
    engine = str(given.get("engine", "threedb.rendering.render_blender"))
    if engine.rpartition(".")[2] != "render_blender":
        left.append(f"render_args.engine: there is no renderer like {engine!r:.60} here; it is cycles.")
    for name in given:
        if name == "max_depth":
            left.append("render_args.max_depth: the renderer has its own number of bounces.")
        elif name not in ("engine", *_RENDER, *_RENDER_ALWAYS):
            left.append(f"render_args.{name}: there is no such setting here.")
    return {name: given.get(name, usual) for name, usual in _RENDER.items()} | {"renderer": "cycles"}


def _policy(given: Mapping[str, Any], left: list[str]) -> dict[str, Any]:
    module = str(given.get("module", "")).rpartition(".")[2]
    kinds = {"grid_search": ("grid", "samples_per_dim"), "random_search": ("random", "samples")}
    if module not in kinds:
        left.append(f"policy.module: there is no policy like {given.get('module')!r} here; it is random.")
        return {"kind": "random"}
    kind, number = kinds[module]
    _unknown("policy", given, ("module", number, *(("seed",) if kind == "random" else ())), left)
    if number not in given:
        raise SceneError(f"policy.{number} is missing: {module} needs it.")
    if isinstance(given[number], bool) or not isinstance(given[number], int) or given[number] < 1:
        raise SceneError(f"policy.{number}: {given[number]!r:.40} is no whole number of at least 1.")
    if kind == "grid":
        return {"kind": kind, "samples": given[number]}
    return {"kind": kind, "count": given[number], "seed": given.get("seed") or 0}


def _logging(given: Mapping[str, Any], left: list[str]) -> None:
    _unknown("logging", given, ("logger_modules",), left)
    for module in given.get("logger_modules") or ():
        name = str(module).rpartition(".")[2]
        if name == "tb_logger":
            left.append("logging.logger_modules: tb_logger: run the study with --tensorboard.")
        elif name not in _LOGGERS:
            left.append(f"logging.logger_modules: there is no logger like {module!r:.60} here.")


def _unknown(where: str, given: Mapping[str, Any], known: Sequence[str], left: list[str]) -> None:
    for name in given:
        if name not in known:
            close = did_you_mean(name, known, cutoff=0.5)
            left.append(f"{where}.{name}: there is no such setting. {close}".rstrip())


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SceneError(f"{where}: {value!r:.40} is no number.")
    return float(value)
