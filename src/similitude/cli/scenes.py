"""`similitude scenes render|install|import`: single pictures, renderers, and studies of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from similitude.cli.exits import GOOD
from similitude.cli.options import names
from similitude.cli.screen import Screen
from similitude.cli.whole import Whole

if TYPE_CHECKING:
    import numpy as np

    from similitude.scenes.frame import Frame

Switch = Annotated[bool, Parameter(negative="")]

SEGMENTS = ((0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167))
"""Colours of nothing, object, occluder, ground and liquid in a picture of the segmentation (Okabe and Ito 2008)."""


def render(
    object_: str,
    /,
    *,
    out: Path,
    set_: Annotated[tuple[str, ...], Parameter(name="--set")] = (),
    environment: str = "studio",
    renderer: str = "raster",
    resolution: Whole = 512,
    samples: Whole | None = None,
    canonical: Switch = False,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    json: Switch = False,
) -> int:
    """Draw one scene.

    Parameters
    ----------
    object_:
        Name of an object, sweethome3d:NAME, or the path of a .obj, .gltf or .glb file.
    out:
        The picture to write, .png.
    set_:
        A setting, e.g. --set orientation.rotation_z=0.5; may be given several times. An instance with a name of its own
        says its kind: --set lamp.kind=light --set lamp.power=80.
    environment:
        Light from all around: a name, or the path of an EXR or HDR file.
    renderer:
        raster, cycles or mitsuba.
    resolution:
        Rows and columns.
    samples:
        Samples per pixel.
    canonical:
        Begin with the everyday view of the object, in which it is tested for admission.
    all_:
        Write alpha, depth, segmentation and uv beside the picture too, as pictures and exactly as .npz.
    json:
        Print one JSON object on standard output: the files, the scene and its digest.
    """
    with Screen(as_json=json) as screen:
        from similitude.core.errors import SceneError
        from similitude.report.files import check_writable
        from similitude.scenes.known import check_names, check_object
        from similitude.scenes.renderers.open_renderers import close_renderers, opened
        from similitude.scenes.rendering import render as drawn
        from similitude.scenes.scene import Scene

        if out.suffix.lower() != ".png":
            raise SceneError(
                f"--out {out}: pictures are written as .png, e.g. --out {out.with_suffix('.png')}."
            )
        check_writable(out)
        object_, environment = (_absolute(one) for one in (object_, environment))
        controls: dict[str, dict[str, Any]] = {}
        check_object(object_)
        if canonical:
            from similitude.scenes.objects.admission import canonical_scene

            view = canonical_scene(object_)
            controls = {instance: dict(values) for instance, values in view.controls.items()}
        for text in set_:
            instance, name, value = _setting(text)
            controls.setdefault(instance, {})[name] = value
        scene = Scene(object_, controls, environment, resolution, samples)
        check_names((), (environment,), scene.controls)
        try:
            frame = drawn(scene, opened(renderer))
        finally:
            close_renderers()
        files = _written(frame, out, everything=all_)
        for file in files:
            screen.say(str(file))
        screen.result(
            {
                "files": [str(file) for file in files],
                "scene": scene.to_dict(),
                "digest": scene.digest,
                "visible": frame.visible,
            }
        )
    return GOOD


def install(what: Literal["cycles"], /, *, python: str | None = None, json: Switch = False) -> int:
    """Install a renderer that needs an interpreter of its own.

    Blender's Cycles is put into the user's cache, about 900 MB; it is free software under the GPL and runs as a process
    apart.

    Parameters
    ----------
    what:
        cycles.
    python:
        An interpreter that Blender's wheels are made for.
    json:
        Print one JSON object on standard output: the interpreter.
    """
    with Screen(as_json=json) as screen:
        from similitude.scenes.renderers.blender import install_cycles

        screen.result({"renderer": what, "python": str(install_cycles(python=python))})
    return GOOD


def import_(
    file: Path,
    /,
    *,
    out: Path | None = None,
    root: Path | None = None,
    objects: str | None = None,
    strict: Switch = False,
    json: Switch = False,
) -> int:
    """Turn a configuration of 3DB into a study of ours, and say what has no counterpart.

    Parameters
    ----------
    file:
        The configuration (YAML).
    out:
        The study to write; by default FILE-study.yaml in the current folder.
    root:
        The folder that files which it names must be in; its own by default.
    objects:
        Names of objects, separated by commas, in place of the original's, whose files of Blender are not read.
    strict:
        Refuse a configuration of which something has no counterpart.
    json:
        Print one JSON object on standard output: the study, its file, and what was not mapped.
    """
    with Screen(as_json=json) as screen:
        import yaml

        from similitude.report.files import check_writable, write_atomically
        from similitude.scenes.study.threedb import read_threedb

        place = out or Path(f"{file.stem}-study.yaml")
        check_writable(place)
        settings, left = read_threedb(
            file, root=root, objects=names(objects) if objects else (), strict=strict
        )
        text = yaml.safe_dump(settings.to_dict(), sort_keys=False, allow_unicode=True)
        write_atomically(place, text)
        for one in left:
            screen.say(f"not mapped: {one}")
        screen.say(f"Study: {place.resolve()}. Run it: similitude suite run scenes {place}")
        screen.result(
            {"study": settings.to_dict(), "file": str(place), "not_mapped": [str(one) for one in left]}
        )
    return GOOD


def _absolute(name: str) -> str:
    """Return the path of a file as an absolute one, and a name as it is."""
    from similitude.scenes.study.reading import absolute_path

    if ":" in name:
        return name
    try:
        place = "/" in name or Path(name).is_file()
    except OSError:  # longer than the name of any file
        place = False
    return absolute_path(name, Path.cwd()) if place else name


def _setting(text: str) -> tuple[str, str, Any]:
    import yaml

    from similitude.core.errors import SceneError

    place, equals, value = text.partition("=")
    instance, dot, name = place.partition(".")
    if not (equals and dot and instance and name):
        raise SceneError(f"--set {text}: write control.setting=value, e.g. --set orientation.rotation_z=0.5.")
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SceneError(f"--set {text}: {value!r} is no value. Give a number or a name.") from error
    return instance, name, _absolute(read) if isinstance(read, str) else read


def _written(frame: Frame, out: Path, *, everything: bool) -> list[Path]:
    """Write a frame's picture and, where asked for, all else that it holds."""
    import os

    import numpy as np
    from PIL import Image

    from similitude.report.files import replacing

    pictures = {"": _bytes(frame.rgb)}
    if everything:
        near = frame.depth[np.isfinite(frame.depth)]
        low, high = (float(near.min()), float(near.max())) if near.size else (0.0, 1.0)
        shown = (high - frame.depth) / max(high - low, 1e-9) * 0.9 + 0.1
        uv = np.nan_to_num(np.concatenate([frame.uv, np.zeros_like(frame.uv[..., :1])], -1))
        pictures |= {
            "-alpha": _bytes(frame.alpha),
            "-depth": _bytes(np.where(np.isfinite(frame.depth), shown, 0.0)),
            "-segmentation": np.array(SEGMENTS, np.uint8)[frame.segmentation],
            "-uv": _bytes(uv),
        }
    files = []
    for ending, pixels in pictures.items():
        place = out.with_name(f"{out.stem}{ending}.png")
        with replacing(place) as (target, temporary):
            Image.fromarray(pixels).save(temporary, format="png")
            os.replace(temporary, target)
        files.append(place)
    if everything:
        place = out.with_suffix(".npz")
        with replacing(place) as (target, temporary):
            temporary.write_bytes(frame.to_bytes())
            os.replace(temporary, target)
        files.append(place)
    return files


def _bytes(values: np.ndarray) -> np.ndarray:
    """Return values from 0 to 1 as bytes."""
    return (values.clip(0, 1) * 255 + 0.5).astype("uint8")
