"""A plan inside Lightning: a callback that guards the optimizers and clips gradients as the plan needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.optim import Optimizer

from similitude.checking.guard import Guard, guard
from similitude.core.errors import PlanError
from similitude.integrations.lightning_callback import Callback
from similitude.integrations.lightning_embedding import EmbeddingCallback
from similitude.integrations.lightning_sharpness import SharpnessCallback
from similitude.scaling.axes import some
from similitude.scaling.clipping import Units, clip_grad_norm_, gradient_scales
from similitude.scaling.matching import match
from similitude.scaling.records import Plan

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

__all__ = ["EmbeddingCallback", "PlanCallback", "SharpnessCallback"]


class PlanCallback(Callback):
    """Keep a plan whole while `lightning.pytorch.Trainer` trains.

    The LightningModule stays as it is: it returns optimizers made from `plan.groups(model, lr=...)`, or by
    `similitude.split`, and any relative schedulers from `configure_optimizers`. This callback watches the optimizers
    for flattened ratios (`similitude.guard`), refuses Trainer's own clipping where folding changes its meaning, and
    clips in the units of the base instead.

    Args:
        plan: The plan that was applied to the model.
        model: The submodule of the LightningModule that the plan is for. Names of the plan are names in it. Where None,
            the LightningModule itself.
        max_norm: Largest gradient norm, as tuned at the base; None for no clipping. With several optimizers each step
            would clip all gradients anew, so there it is refused.
        units: Units of that norm, see `similitude.clip_grad_norm_`.

    Example:
        `Trainer(callbacks=[PlanCallback(plan, module.net, max_norm=1.0)])`
    """

    def __init__(
        self,
        plan: Plan,
        model: nn.Module | None = None,
        *,
        max_norm: float | None = None,
        units: Units = "base",
    ) -> None:
        super().__init__()
        self.plan, self.model, self.max_norm = plan, model, max_norm
        self.units: Units = units
        self._guards: list[Guard] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Guard every optimizer.

        Raises:
            PlanError: The model is not that of the plan, ratios are wrong already, or Trainer would clip by itself.
        """
        model = self._model(pl_module)
        match(self.plan, model)
        _check_clipping(self.plan, trainer, self.max_norm)
        whole = len(trainer.optimizers) == 1  # of several optimizers none has all tensors
        self._guards = [guard(o, self.plan, model) if whole else guard(o) for o in trainer.optimizers]

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Clip, once gradients are accumulated and unscaled.

        Raises:
            PlanError: The gradients are still scaled for float16, because the optimizer is fused.
        """
        if self.max_norm is None:
            return
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            raise PlanError(
                f"a fused {type(optimizer).__name__} takes gradients that are still scaled for float16, so they cannot "
                "be clipped before its step. Make it with fused=False, or train with precision='bf16-mixed'."
            )
        clip_grad_norm_(self.plan, self._model(pl_module), self.max_norm, units=self.units)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the guards off."""
        for each in self._guards:
            each.remove()
        self._guards = []

    def _model(self, pl_module: LightningModule) -> nn.Module:
        return pl_module if self.model is None else self.model


def _check_clipping(plan: Plan, trainer: Trainer, max_norm: float | None) -> None:
    if max_norm is not None and len(trainer.optimizers) > 1:
        raise PlanError(
            f"max_norm={max_norm:g} with {len(trainer.optimizers)} optimizers would clip all gradients before each of "
            "their steps. Call similitude.clip_grad_norm_ in configure_gradient_clipping, or make one optimizer by "
            "similitude.split."
        )
    own = trainer.gradient_clip_val
    if not own:
        return
    if max_norm is not None:
        raise PlanError(
            f"both Trainer(gradient_clip_val={own:g}) and PlanCallback(max_norm={max_norm:g}) would clip. Drop the first."
        )
    changed = [name for name, scale in gradient_scales(plan).items() if scale != 1.0]
    if changed:
        raise PlanError(
            f"Trainer(gradient_clip_val={own:g}) clips plain gradients, and under this plan {some(changed)} have "
            "gradients of another size than at the base, so the threshold that you tuned would clip otherwise. Drop it "
            f"and pass PlanCallback(plan, model, max_norm={own:g}), which clips in the units of the base."
        )
