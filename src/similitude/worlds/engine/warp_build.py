"""Make the engine run by NVIDIA Warp, on a GPU or on the CPU, from the text that numba compiles too."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import sys
from contextlib import redirect_stdout
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.engine.build import SCENE, STATE, Engine, stored
from similitude.worlds.engine.warp_text import warp_text

NAMES = {"step": STATE, "view": SCENE}
FIXED = ("height", "ground", "solids", "meta", "coarse", "colors", "palette", "solid_palette")
"""Arrays that change only when a world is loaded."""
SCRATCH = ("scene", "depth")
"""Arrays whose content nobody reads afterwards."""
WRITTEN = {"step": ("things", "body", "hands"), "view": ("image",)}
"""Arrays that come back."""


def warped(device: str = "") -> Engine:
    """Return the engine compiled by Warp: its first call of each part compiles it, later processes find it cached.

    On the CPU its arrays are those of numpy. On a GPU copies stand for them: what an episode changes goes over and comes
    back with every call, the rest when a world has been loaded.

    Args:
        device: "cpu", "cuda" or "cuda:1"; "" takes a GPU where there is one.

    Raises:
        WorldError: Warp is not installed, or there is no such device.
    """
    wp = _warp()
    if not device:
        device = "cuda" if wp.is_cuda_available() else "cpu"
    if device != "cpu" and not (device.split(":")[0] == "cuda" and wp.is_cuda_available()):
        found = ", ".join(str(name) for name in wp.get_devices())
        raise WorldError(
            f'Warp finds no device {device!r} here, only {found}: backend="warp:cpu" works everywhere.'
        )
    parts = {part: _Part(part, device, mirror=device != "cpu") for part in NAMES}

    def loaded(e: int) -> None:
        for part in parts.values():
            part.stale.add(e)

    return Engine(f"warp:{device}", parts["step"], parts["view"], loaded)


class _Part:
    """A part of the engine, "step" or "view", on a device, and its arrays there.

    `mirror` says that the device has a memory of its own.
    """

    def __init__(self, part: str, device: str, *, mirror: bool) -> None:
        self.part = part
        self.device = device
        self.mirror = mirror
        self.names = NAMES[part].split(", ")
        self.stale: set[int] = set()
        self._host: dict[
            str, tuple[np.ndarray, Any]
        ] = {}  # numpy's arrays, and the same memory as Warp sees it
        self._here: dict[str, Any] = {}  # arrays on the device
        self._lock = Lock()

    def __call__(self, lo: int, hi: int, *arrays: np.ndarray) -> None:
        """Run environments lo to hi; threads take turns."""
        with self._lock:
            named = dict(zip(self.names, arrays, strict=True))
            kernels = _module(self.part, self.device)
            for name, array in named.items():
                self._take(name, array)
            self.stale.clear()
            here = [self._here[name] for name in self.names]
            wp = _warp()
            if self.part == "step":
                wp.launch(kernels.step_kernel, hi - lo, [lo, *here], device=self.device)
            else:
                wp.launch(kernels.survey_kernel, hi - lo, [lo, *here], device=self.device)
                columns = named["image"].shape[2]
                wp.launch(kernels.column_kernel, (hi - lo, columns), [lo, *here], device=self.device)
            if self.mirror:
                for name in WRITTEN[self.part]:
                    wp.copy(self._host[name][1], self._here[name])
                wp.synchronize_device(self.device)

    def _take(self, name: str, array: np.ndarray) -> None:
        """Have an array on the device as it is here."""
        wp = _warp()
        known = self._host.get(name)
        new = known is None or known[0] is not array
        if new:
            kind = wp.dtype_from_numpy(array.dtype)
            self._host[name] = array, wp.array(array, dtype=kind, device="cpu", copy=False)
        view = self._host[name][1]
        if not self.mirror:
            self._here[name] = view
            return
        if new:
            self._here[name] = wp.empty(view.shape, dtype=view.dtype, device=self.device)
        there = self._here[name]
        if new or (name not in FIXED and name not in SCRATCH):
            wp.copy(there, view)
        elif name in FIXED and array.shape[0] and "palette" not in name:
            row = array.size // array.shape[0]
            for e in self.stale:
                wp.copy(there, view, dest_offset=e * row, src_offset=e * row, count=row)


@functools.cache
def _warp() -> Any:
    if importlib.util.find_spec("warp") is None:
        raise WorldError(
            "the Warp engine needs NVIDIA Warp, which is not installed: pip install 'similitude[warp]', or take "
            'backend="numba".'
        )
    import warp as wp

    with redirect_stdout(sys.stderr):  # Warp greets; standard output belongs to the user
        wp.init()
    return wp


@functools.cache
def _module(part: str, device: str) -> ModuleType:
    """Compile a part for a device; its text lies in the user's cache, where Warp reads it again."""
    wp = _warp()
    text = warp_text(part, NAMES[part])
    name = f"warp_{part}_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    spec = importlib.util.spec_from_file_location(f"similitude_engine_{name}", stored(f"{name}.py", text))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    # Products and sums are rounded one by one, as numba does; no gradients.
    wp.set_module_options({"enable_backward": False, "fast_math": False, "fuse_fp": False}, module=module)
    with redirect_stdout(sys.stderr):
        wp.load_module(module, device=device)
    return module
