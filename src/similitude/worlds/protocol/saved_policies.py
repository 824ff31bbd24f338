"""Policies that were saved as TorchScript: one file that plays anywhere, without the code that trained it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from similitude.core.errors import WorldError


class ScriptedPolicy:
    """A TorchScript module as a policy.

    The module maps a dictionary of tensors, the observation with a leading axis of 1, to 21 numbers, (1, 21), which are
    clipped to [-1, 1]; the last three are switches, on above 0.5. Images come as uint8. It may have attributes
    `observation` ("full", "flat" or "state", which it is where there is none) and `resolution`, and a method `reset()`.

    Args:
        path: The file.

    Raises:
        WorldError: There is no such file, or it holds no TorchScript module.
    """

    def __init__(self, path: str | Path) -> None:
        import torch

        path = Path(path)
        if not path.is_file():
            raise WorldError(
                f"there is no policy at {path}. Name random, oracle, a TorchScript file, or file.py:factory."
            )
        try:
            self._module = torch.jit.load(str(path), map_location="cpu").eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise WorldError(
                f"{path} holds no TorchScript module ({str(error).splitlines()[0]:.100}). Save one with "
                "torch.jit.script(policy).save(path), or name file.py:factory."
            ) from error
        self.observation = str(getattr(self._module, "observation", "state"))
        self.resolution = tuple(getattr(self._module, "resolution", (96, 96)))

    def reset(self) -> None:
        """Begin an episode."""
        if hasattr(self._module, "reset"):
            self._module.reset()

    def __call__(
        self, observation: Mapping[str, np.ndarray], info: Mapping[str, Any] | None = None
    ) -> np.ndarray:
        """Return the action of this frame, (21,)."""
        import torch

        batch = {name: torch.as_tensor(array)[None] for name, array in observation.items()}
        with torch.no_grad():
            action = self._module(batch)
        return np.clip(action.reshape(-1).double().numpy(), -1.0, 1.0)


def scripted(task: str, seed: int, *, path: str) -> ScriptedPolicy:
    """Return the policy of a file; the same one for every task, whatever the seed."""
    return ScriptedPolicy(path)
