"""Whether there is something of a name, seen without building or drawing it; close names are said."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from similitude.core.closest import closest_name, did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.controls.catalog import KIND, control_named
from similitude.scenes.controls.setting import Setting


def check_names(
    objects: Iterable[str], environments: Iterable[str], controls: Mapping[str, Mapping[str, Any]]
) -> None:
    """See that there is everything that scenes name, before any of them is drawn.

    What is there but broken, and pictures that are missing, are the failures of the scenes that need them.

    Args:
        objects: Names of objects.
        environments: Names of environments.
        controls: Settings by instance, then by name: values, or lists of them; ranges have no names.

    Raises:
        SceneError: There is nothing of a name; the close one is said.
    """
    for name in objects:
        check_object(name)
    for name in environments:
        check_environment(name)
    for instance, given in controls.items():
        control = control_named(str(given.get(KIND, instance)), instance=instance)
        for name, value in given.items():
            if name in control.settings:
                for one in value if isinstance(value, list | tuple) else (value,):
                    _check_setting(control.settings[name], one, f"control '{instance}', setting '{name}': ")


def check_object(name: str) -> None:
    """See that there is an object of a name; a file that is there may still be broken.

    Args:
        name: As in `similitude.scenes.objects.catalog.find_object`.

    Raises:
        SceneError: There is none, its file is not there, or Debian's furniture is not installed.
    """
    from similitude.scenes.objects.catalog import FILES, FURNITURE, OBJECTS, find_object

    if name in OBJECTS:
        return
    if name.startswith(FURNITURE):
        from similitude.scenes.assets.sweethome import furniture_piece

        furniture_piece(name.removeprefix(FURNITURE))
    elif Path(name).suffix.lower() in FILES:
        _check_file("object", name, FILES)
    else:
        find_object(name)  # says what there is


def check_environment(name: str) -> None:
    """See that there is light from all around of a name; a file that is there may still be broken.

    Args:
        name: As in `similitude.scenes.assets.environments.environment_pixels`.

    Raises:
        SceneError: There is none, its file is not there, or Blender, which it comes with, is not installed.
    """
    from similitude.scenes.assets.blender_lights import PREFIX, blender_light
    from similitude.scenes.assets.environments import ENVIRONMENTS, environment_pixels
    from similitude.scenes.assets.light_files import KINDS

    if name in ENVIRONMENTS:
        return
    if name.startswith(PREFIX):
        blender_light(name.removeprefix(PREFIX))
    elif Path(name).suffix.lower() in KINDS:
        _check_file("environment", name, KINDS)
    else:
        environment_pixels(name)  # says what there is


def check_texture(name: str) -> None:
    """See that a texture has a name that is known, or is a path; a picture that is missing fails its scenes alone.

    Raises:
        SceneError: It is neither.
    """
    from similitude.scenes.assets.textures import TEXTURES, texture_pixels

    if name not in TEXTURES and not Path(name).is_absolute():
        texture_pixels(name)  # says what there is


def _check_setting(setting: Setting, value: Any, where: str) -> None:
    known = getattr(setting.dimension, "values", ())
    if setting.known is None or not isinstance(value, str) or value in known:
        return
    try:
        setting.known(value)
    except SceneError as error:
        close = did_you_mean(value, known)
        raise SceneError(f"{where}{error if close in str(error) else f'{close}{error}'}") from error


def _check_file(what: str, name: str, kinds: Collection[str]) -> None:
    """See that a file is there; close are names of files of the same kinds, whichever their endings."""
    path = Path(name)
    try:
        if path.exists():
            return
        files = path.parent.iterdir() if path.parent.is_dir() else ()
        beside = {one.stem: one.name for one in sorted(files) if one.suffix.lower() in kinds}
        close = closest_name(path.stem, beside)
        said = f"there is no such file. {'' if close is None else f'Did you mean {beside[close]}? '}"
    except (OSError, ValueError) as error:
        said = f"no disk has such a path ({error}). "
    raise SceneError(f"the {what} {name!r:.200}: {said}Name a file that is there.")
