"""Sharpness inside transformers' Trainer and Lightning: the numbers of a plain loop, logs, and training as without."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch import Trainer as LightningTrainer
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

import similitude as sim
from similitude.core.errors import CurvatureError
from similitude.integrations import huggingface
from similitude.integrations.lightning import SharpnessCallback

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}")
    for text in (
        "The 'train_dataloader' does not have",
        ".*treespec, LeafSpec",
        "The number of training batches",
        "You are trying to `self.log",
    )
]
STEPS, EVERY, LENGTH = 6, 3, 8


def words(count: int) -> torch.Tensor:
    return torch.randint(0, 50, (count, LENGTH), generator=torch.Generator().manual_seed(0))


def gpt() -> GPT2LMHeadModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return GPT2LMHeadModel(
            GPT2Config(
                n_embd=16,
                n_head=2,
                n_layer=1,
                vocab_size=50,
                n_positions=LENGTH,
                bos_token_id=0,
                eos_token_id=0,
            )
        )


def hf_trained(folder: Path, callbacks: list[Any], **changes: Any) -> Trainer:
    rows = [{"input_ids": row, "labels": row} for row in words(24)]
    options: dict[str, Any] = {
        "output_dir": str(folder), "max_steps": STEPS, "per_device_train_batch_size": 4, "learning_rate": 0.01,
        "report_to": "none", "use_cpu": True, "disable_tqdm": True, "save_strategy": "no", "logging_strategy": "no",
        "lr_scheduler_type": "constant",
    }  # fmt: skip
    trainer = Trainer(gpt(), TrainingArguments(**options | changes), train_dataset=rows, callbacks=callbacks)
    for callback in callbacks:
        callback.bind(trainer) if changes.get("logging_strategy") == "steps" else None
    trainer.train()
    return trainer


PROBE = {"input_ids": words(6), "labels": words(6)}


def test_trainer_logs_the_sharpness_and_trains_as_without(tmp_path):
    callback = huggingface.SharpnessCallback(probe=PROBE, every=EVERY, directional=True)
    with_it = hf_trained(tmp_path, [callback])
    without = hf_trained(tmp_path, [])
    for (name, a), b in zip(with_it.model.named_parameters(), without.model.parameters(), strict=True):
        assert torch.equal(a, b), name
    records = callback.tracker.records
    assert [r.step for r in records] == [0, 3, 6]
    assert "step" in records[0].note  # AdamW has no state before its first step
    assert [r.units for r in records[1:]] == ["AdamW", "AdamW"]
    assert records[-1].threshold == pytest.approx(38)
    assert records[-1].directional is not None
    # After the last step model and optimizer are as they were when it was measured.
    with sim.Curvature(with_it.model, huggingface_loss, PROBE) as curvature:
        last = curvature.sharpness(1e-6, precondition=with_it.optimizer.optimizer)
    assert records[-1].value == pytest.approx(last.value, rel=3e-3)
    logged = [row for row in with_it.state.log_history if "sharpness" in row]
    assert [row["step"] for row in logged] == [0, 3, 6]
    assert logged[-1]["of_threshold"] == pytest.approx(records[-1].margin)


def huggingface_loss(model: Any, batch: Any) -> torch.Tensor:
    return model(**batch).loss


def test_a_bound_callback_reports_through_the_trainer(tmp_path):
    callback = huggingface.SharpnessCallback(huggingface_loss, probe=[PROBE], every=EVERY)
    trainer = hf_trained(
        tmp_path, [callback], logging_strategy="steps", logging_steps=2, gradient_accumulation_steps=2
    )
    rows = [row["step"] for row in trainer.state.log_history if "sharpness" in row]
    assert rows == [0, 3, 6]


def test_a_probe_without_labels_is_told(tmp_path):
    callback = huggingface.SharpnessCallback(probe={"input_ids": words(2)})
    with pytest.raises(CurvatureError, match=r"gave no loss: the probe has input_ids\. Put labels into it"):
        hf_trained(tmp_path, [callback])


class Net(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Dropout(0.1), nn.Linear(6, 3))

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        return classify(self.net, batch)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.5)


def classify(model: Any, batch: Any) -> torch.Tensor:
    return cross_entropy(model(batch[0]), batch[1])


def classes(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 8, generator=generator), torch.randint(0, 3, (count,), generator=generator)


def lightning_trained(folder: Path, callbacks: Any, **options: Any) -> tuple[Net, LightningTrainer]:
    trainer = LightningTrainer(
        default_root_dir=str(folder), accelerator="cpu", max_epochs=1, logger=False, callbacks=callbacks,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    module = Net()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        trainer.fit(module, DataLoader(TensorDataset(*classes(48)), 8))
    return module, trainer


def test_lightning_logs_the_sharpness_and_trains_as_without(tmp_path):
    module = Net()
    callback = SharpnessCallback(lambda m, b: classify(m.net, b), probe=classes(20), every=EVERY)
    trained, trainer = lightning_trained(tmp_path, [callback])
    without, _ = lightning_trained(tmp_path, [])
    for (name, a), b in zip(trained.named_parameters(), without.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert [r.step for r in callback.tracker.records] == [0, 3, 6]
    last = callback.tracker.records[-1]
    assert (last.units, last.threshold) == ("heavy ball", 3.0)
    assert float(trainer.callback_metrics["of_threshold"]) == pytest.approx(last.margin, rel=1e-5)
    assert not torch.equal(next(module.parameters()), next(trained.parameters()))


def test_accumulated_batches_are_one_step_and_a_submodule_is_measured(tmp_path):
    module = None

    class Of(SharpnessCallback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self.model = pl_module.net
            super().on_train_start(trainer, pl_module)

    callback = Of(classify, probe=[classes(20)], every=1)
    module, _ = lightning_trained(tmp_path, [callback], accumulate_grad_batches=2)
    assert [r.step for r in callback.tracker.records] == [0, 1, 2, 3]
    assert callback.tracker.records[-1].value > 0
    assert module is not None


def test_an_optimizer_that_is_not_there_is_told(tmp_path):
    callback = SharpnessCallback(lambda m, b: classify(m.net, b), probe=classes(4), optimizer=1)
    with pytest.raises(CurvatureError, match="optimizer=1: the module has 1 optimizers"):
        lightning_trained(tmp_path, [callback])


@pytest.mark.parametrize(
    ("package", "module", "extra"),
    [
        ("transformers", "huggingface_sharpness", "hf"),
        ("lightning.pytorch", "lightning_sharpness", "lightning"),
    ],
)
def test_packages_are_asked_for_by_their_extra(monkeypatch, package, module, extra):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"similitude.integrations.{module}", raising=False)
    with pytest.raises(ImportError, match=rf"pip install 'similitude\[{extra}\]'"):
        __import__(f"similitude.integrations.{module}")
