"""The embedding spectrum inside transformers' Trainer and Lightning: the numbers of a plain loop, training as without."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch import Trainer as LightningTrainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from transformers import Trainer, TrainingArguments

import similitude as sim
from similitude.core.errors import TheoryError
from similitude.integrations import huggingface
from similitude.integrations.lightning import EmbeddingCallback

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}")
    for text in (
        "The 'train_dataloader' does not have",
        ".*treespec, LeafSpec",
        "The number of training batches",
        "You are trying to `self.log",
    )
]
STEPS, EVERY = 6, 2


def views(count: int = 24) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 4, generator=generator)
    return x, x + 0.1 * torch.randn(count, 4, generator=generator)


class Siamese(nn.Module):
    """As models of transformers: a dict in, a dict with a loss out; the encoder has dropout."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.encoder = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3))

    def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        one, two = self.encoder(a), self.encoder(b)
        return {"loss": sim.theory.barlow_twins(one, two), "embedding": one}


def embed(model: Any, view: Tensor) -> Tensor:
    return model.encoder(view)


def hf_trained(folder: Path, callbacks: list[Any], **changes: Any) -> Trainer:
    options: dict[str, Any] = {
        "output_dir": str(folder), "max_steps": STEPS, "per_device_train_batch_size": 8, "learning_rate": 0.01,
        "report_to": "none", "use_cpu": True, "disable_tqdm": True, "save_strategy": "no", "logging_strategy": "no",
    }  # fmt: skip
    rows = [{"a": a, "b": b} for a, b in zip(*views(), strict=True)]
    trainer = Trainer(
        Siamese(), TrainingArguments(**options | changes), train_dataset=rows, callbacks=callbacks
    )
    for callback in callbacks:
        callback.bind(trainer) if changes.get("logging_strategy") == "steps" else None
    trainer.train()
    return trainer


def test_trainer_logs_the_spectrum_and_trains_as_without(tmp_path):
    log = tmp_path / "spectrum.jsonl"
    callback = huggingface.EmbeddingCallback(views(), embed=embed, every=EVERY, log=log)
    with_it, without = hf_trained(tmp_path, [callback]), hf_trained(tmp_path, [])
    for (name, a), b in zip(with_it.model.named_parameters(), without.model.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert callback.tracker.history.times.tolist() == [0, 2, 4, 6]
    last = sim.EmbeddingTracker(views(), embed=embed).update(with_it.model, 0)
    assert callback.tracker.history.eigenvalues[-1].tolist() == pytest.approx(last)
    logged = [row for row in with_it.state.log_history if "embedding_rank" in row]
    assert [row["step"] for row in logged] == [0, 2, 4, 6]
    assert logged[-1]["embedding_eigenvalue_3"] == pytest.approx(last[2])
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [0, 2, 4, 6]


def test_a_bound_callback_reports_through_the_trainer_in_full_precision(tmp_path):
    callback = huggingface.EmbeddingCallback(views(), embed=embed, every=3)
    trainer = hf_trained(tmp_path, [callback], logging_strategy="steps", logging_steps=2, bf16=True)
    assert [row["step"] for row in trainer.state.log_history if "embedding_rank" in row] == [0, 3, 6]
    plain = Siamese()
    plain.load_state_dict(trainer.model.state_dict())
    exact = sim.EmbeddingTracker(views(), embed=embed).update(plain, 0)
    assert callback.tracker.history.eigenvalues[-1].tolist() == pytest.approx(exact, rel=1e-6)


def test_a_model_without_embeddings_is_told(tmp_path):
    with pytest.raises(TheoryError, match=r"gives dict for a view.*Pass embed="):
        hf_trained(tmp_path, [huggingface.EmbeddingCallback(views(), embed=lambda m, view: m(view, view))])


class Net(LightningModule):
    def __init__(self, *, optimizers: int = 1) -> None:
        super().__init__()
        self.inner, self.count = Siamese(), optimizers
        self.automatic_optimization = optimizers == 1

    def training_step(self, batch: Any, index: int) -> Tensor | None:
        loss = self.inner(*batch)["loss"]
        if self.automatic_optimization:
            return loss
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
        return None

    def configure_optimizers(self) -> Any:
        made = [torch.optim.SGD(self.parameters(), lr=0.05 / self.count) for _ in range(self.count)]
        return made if self.count > 1 else made[0]


def lightning_trained(folder: Path, module: Net, callbacks: list[Any], **options: Any) -> LightningTrainer:
    trainer = LightningTrainer(
        default_root_dir=str(folder), accelerator="cpu", max_epochs=2, logger=False, callbacks=callbacks,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        trainer.fit(module, DataLoader(TensorDataset(*views()), 8))
    return trainer


def test_lightning_logs_the_spectrum_and_trains_as_without(tmp_path):
    trained, without = Net(), Net()
    callback = EmbeddingCallback(views(), model=trained.inner.encoder, every=EVERY)
    trainer = lightning_trained(tmp_path, trained, [callback])
    lightning_trained(tmp_path, without, [])
    for (name, a), b in zip(trained.named_parameters(), without.named_parameters(), strict=True):
        assert torch.equal(a, b[1]), name
    assert callback.tracker.history.times.tolist() == [0, 2, 4, 6]
    last = sim.EmbeddingTracker(views()).update(trained.inner.encoder, 0)
    assert callback.tracker.history.eigenvalues[-1].tolist() == pytest.approx(last)
    assert float(trainer.callback_metrics["embedding_eigenvalue_1"]) == pytest.approx(last[0], rel=1e-5)


@pytest.mark.parametrize(
    ("optimizers", "options", "times"),
    [(1, {"accumulate_grad_batches": 3}, [0, 1, 2]), (2, {}, [0, 3, 6, 9, 12])],
    ids=["accumulated batches are one step", "steps that are passed count as the last one to be recorded"],
)
def test_steps_are_those_of_the_optimizers(tmp_path, optimizers, options, times):
    callback = EmbeddingCallback(
        views(), embed=lambda m, view: m.inner.encoder(view), every=1 if optimizers == 1 else 3
    )
    lightning_trained(tmp_path, Net(optimizers=optimizers), [callback], **options)
    assert callback.tracker.history.times.tolist() == times


@pytest.mark.parametrize(
    ("package", "module", "extra"),
    [
        ("transformers", "huggingface_embedding", "hf"),
        ("lightning.pytorch", "lightning_embedding", "lightning"),
    ],
)
def test_packages_are_asked_for_by_their_extra(monkeypatch, package, module, extra):
    monkeypatch.setitem(sys.modules, package, None)
    for name in (module, "lightning_callback"):
        monkeypatch.delitem(sys.modules, f"similitude.integrations.{name}", raising=False)
    with pytest.raises(ImportError, match=rf"pip install 'similitude\[{extra}\]'"):
        __import__(f"similitude.integrations.{module}")
