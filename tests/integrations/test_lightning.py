"""Lightning under a plan: the losses of a plain loop, through clipping, accumulation and resuming."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import similitude as sim
from similitude.core.errors import PlanError
from similitude.integrations.lightning import PlanCallback
from similitude.scaling.records import Plan

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}")
    for text in (
        "The 'train_dataloader' does not have",
        ".*treespec, LeafSpec",
        "The number of training batches",
    )
]
STEPS, BATCH, LR, CLIP = 8, 16, 0.02, 0.05


def digits() -> TensorDataset:
    data = sim.data.load("digits")
    images = torch.tensor(data.train_images[: STEPS * BATCH].reshape(-1, 64) / 255.0, dtype=torch.float32)
    return TensorDataset(images, torch.tensor(data.train_labels[: STEPS * BATCH]))


def make(width: int) -> nn.Module:
    return sim.models.MLP(64, 10, width=width)


class Digits(LightningModule):
    def __init__(self, plan: Plan, net: nn.Module, schedule: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self.plan, self.net, self.schedule = plan, net, schedule
        self.losses: list[float] = []

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        loss = cross_entropy(self.net(batch[0]), batch[1])
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.plan.groups(self.net, lr=LR, weight_decay=0.1))
        schedule = (self.schedule or cosine)(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def cosine(optimizer: torch.optim.Optimizer) -> Any:
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return sim.plan(make, base=32, target=128, sample=torch.zeros(2, 64))


def fresh(plan: Plan, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return plan.apply_(make(128))


def fitted(module: Digits, folder: Path, *, resume: Any = None, **options: Any) -> list[float]:
    trainer = Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=folder, **{"enable_checkpointing": False, "max_epochs": 1} | options,
    )  # fmt: skip
    trainer.fit(module, DataLoader(digits(), BATCH), ckpt_path=resume)
    return module.losses


def by_hand(plan: Plan, net: nn.Module, clip: Callable[[], object] | None = None) -> list[float]:
    optimizer = torch.optim.AdamW(plan.groups(net, lr=LR, weight_decay=0.1))
    schedule, found = cosine(optimizer), []
    for images, labels in DataLoader(digits(), BATCH):
        loss = cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            clip()
        optimizer.step()
        schedule.step()
        found.append(loss.item())
    return found


def test_losses_are_those_of_a_plain_loop(plan, tmp_path):
    module = Digits(plan, fresh(plan))
    found = fitted(module, tmp_path, callbacks=[PlanCallback(plan, module.net)])
    assert found == pytest.approx(by_hand(plan, fresh(plan)), rel=1e-5)
    assert min(found) < found[0]


@pytest.mark.parametrize("units", ["base", "unfolded"])
def test_clipping_is_that_of_the_library(plan, tmp_path, units):
    net = fresh(plan)
    norms: list[float] = []
    expected = by_hand(
        plan, net, lambda: norms.append(float(sim.clip_grad_norm_(plan, net, CLIP, units=units)))
    )
    assert min(norms) > CLIP
    module = Digits(plan, fresh(plan))
    callback = PlanCallback(plan, module.net, max_norm=CLIP, units=units)
    assert fitted(module, tmp_path, callbacks=[callback]) == pytest.approx(expected, rel=1e-5)


def test_accumulated_gradients_are_clipped_once(plan, tmp_path):
    module = Digits(plan, fresh(plan))
    callbacks = [PlanCallback(plan, module.net, max_norm=CLIP)]
    found = fitted(module, tmp_path, callbacks=callbacks, accumulate_grad_batches=2)
    net, expected = fresh(plan), []
    optimizer = torch.optim.AdamW(plan.groups(net, lr=LR, weight_decay=0.1))
    schedule = cosine(optimizer)
    for index, (images, labels) in enumerate(DataLoader(digits(), BATCH)):
        loss = cross_entropy(net(images), labels)
        (loss / 2).backward()
        expected.append(loss.item())
        if index % 2:
            sim.clip_grad_norm_(plan, net, CLIP)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    assert found == pytest.approx(expected, rel=1e-5)


def test_training_resumes_from_a_checkpoint(plan, tmp_path):
    first, second = Digits(plan, fresh(plan)), Digits(plan, fresh(plan, seed=1))
    options: dict[str, Any] = {"enable_checkpointing": True, "max_epochs": 2}
    whole = Digits(plan, fresh(plan))
    expected = fitted(whole, tmp_path, callbacks=[PlanCallback(plan, whole.net)], max_epochs=2)
    fitted(first, tmp_path, callbacks=[PlanCallback(plan, first.net)], **options | {"max_epochs": 1})
    (checkpoint,) = tmp_path.rglob("*.ckpt")
    resumed = fitted(
        second, tmp_path, resume=checkpoint, callbacks=[PlanCallback(plan, second.net)], **options
    )
    assert resumed == pytest.approx(expected[STEPS:], rel=1e-5)


def test_a_scheduler_of_one_rate_is_stopped(plan, tmp_path):
    module = Digits(
        plan, fresh(plan), lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=STEPS)
    )
    with pytest.raises(PlanError, match="do not stand in the plan's ratios"):
        fitted(module, tmp_path, callbacks=[PlanCallback(plan, module.net)])


def test_a_split_optimizer_is_one(plan, tmp_path):
    module = Digits(plan, fresh(plan))
    module.configure_optimizers = lambda: sim.split(plan, module.net, lr=0.02, rest_lr=0.01)
    found = fitted(module, tmp_path, callbacks=[PlanCallback(plan, module.net, max_norm=1.0)])
    assert min(found) < found[0]


def test_clipping_by_lightning_is_refused(plan, tmp_path):
    module = Digits(plan, fresh(plan))
    with pytest.raises(
        PlanError, match=r"Trainer\(gradient_clip_val=0.5\) clips plain gradients, .* max_norm=0.5"
    ):
        fitted(module, tmp_path, callbacks=[PlanCallback(plan, module.net)], gradient_clip_val=0.5)
    callback = PlanCallback(plan, module.net, max_norm=1.0)
    with pytest.raises(
        PlanError, match=r"both Trainer\(gradient_clip_val=0.5\) and PlanCallback\(max_norm=1\)"
    ):
        fitted(module, tmp_path, callbacks=[callback], gradient_clip_val=0.5)
    base = sim.plan(make, base=32, target=32, sample=torch.zeros(2, 64))
    module = Digits(base, make(32))
    assert (
        len(fitted(module, tmp_path, callbacks=[PlanCallback(base, module.net)], gradient_clip_val=0.5))
        == STEPS
    )


def test_another_model_is_told(plan, tmp_path):
    module = Digits(plan, fresh(plan))
    with pytest.raises(PlanError, match="this model is not the one that the plan was made for"):
        fitted(module, tmp_path, callbacks=[PlanCallback(plan)])  # names of the plan are names in module.net


def test_several_optimizers_are_guarded_each_and_not_clipped_together(plan, tmp_path):
    class Two(Digits):
        def __init__(self, plan: Plan, net: nn.Module, *, flat: bool) -> None:
            super().__init__(plan, net)
            self.automatic_optimization, self.flat = False, flat

        def configure_optimizers(self) -> Any:
            groups = self.plan.groups(self.net, lr=LR)
            if self.flat:
                groups[0]["lr"] *= 3
            return [torch.optim.AdamW(groups[:2]), torch.optim.AdamW(groups[2:])]

        def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
            loss = cross_entropy(self.net(batch[0]), batch[1])
            self.losses.append(loss.item())
            optimizers: Any = self.optimizers()
            for optimizer in optimizers:
                optimizer.zero_grad()
            self.manual_backward(loss)
            for optimizer in optimizers:
                optimizer.step()
            return loss.detach()

    assert len(plan.groups(make(128), lr=1.0)) > 2
    module = Two(plan, fresh(plan), flat=False)
    found = fitted(module, tmp_path, callbacks=[PlanCallback(plan, module.net)])
    assert min(found) < found[0]
    module = Two(plan, fresh(plan), flat=True)
    with pytest.raises(PlanError, match="do not stand"):
        fitted(module, tmp_path, callbacks=[PlanCallback(plan, module.net)])
    module = Two(plan, fresh(plan), flat=False)
    with pytest.raises(PlanError, match="max_norm=1 with 2 optimizers would clip all gradients before each"):
        fitted(module, tmp_path, callbacks=[PlanCallback(plan, module.net, max_norm=1.0)])


def test_lightning_is_asked_for_by_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    for name in ("lightning", "lightning_sharpness", "lightning_callback"):
        monkeypatch.delitem(sys.modules, f"similitude.integrations.{name}")
    with pytest.raises(ImportError, match=r"pip install 'similitude\[lightning\]'"):
        import similitude.integrations.lightning  # noqa: F401
