"""Sharpness inside transformers' Trainer and Lightning: the numbers of a plain loop, logs, and training as without."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from lightning.pytorch import LightningModule
from lightning.pytorch import Trainer as LightningTrainer
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

import similitude as sim
from similitude.core.errors import CurvatureError
from similitude.integrations import huggingface
from similitude.integrations.accelerate_forward import without_autocast
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


def test_mixed_precision_is_measured_in_the_precision_of_the_parameters(tmp_path):
    dtypes: list[set[torch.dtype]] = []

    class Watched(huggingface.SharpnessCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            seen: set[torch.dtype] = set()
            inner = given["model"].transformer.h[0].mlp.c_fc
            forward = given["model"].forward
            handle = inner.register_forward_hook(lambda module, inputs, result: seen.add(result.dtype))
            super().on_step_end(args, state, control, **given)
            handle.remove()
            dtypes.append(seen)
            assert given["model"].forward == forward

    callback = Watched(probe=PROBE, every=EVERY)
    with_it = hf_trained(tmp_path, [callback], bf16=True)
    assert dtypes == [set() if step % EVERY else {torch.float32} for step in range(1, STEPS + 1)]
    without = hf_trained(tmp_path, [], bf16=True)
    for (name, a), b in zip(with_it.model.named_parameters(), without.model.parameters(), strict=True):
        assert torch.equal(a, b), name
    plain = gpt().train()
    plain.load_state_dict(with_it.model.state_dict())
    plainly, under_autocast = (
        sim.Curvature(model, huggingface_loss, PROBE).loss_value for model in (plain, with_it.model)
    )
    assert callback.tracker.records[-1].loss == pytest.approx(plainly, rel=1e-6)
    assert under_autocast != pytest.approx(plainly, rel=1e-6)


class Shifted(nn.Linear):
    """A model whose forward has a decorator of its own, as those of transformers have."""

    @staticmethod
    def shifting(forward: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        @functools.wraps(forward)
        def shifted(*args: Any) -> torch.Tensor:
            return forward(*args) + 1

        return shifted

    @shifting
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input)


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("own", [False, True], ids=["of the class", "of the instance"])
def test_what_accelerate_wrapped_around_a_model_is_taken_off_and_put_back(times, own):
    model = Shifted(3, 2)
    if own:
        given = model.forward
        model.forward = lambda input: given(input)
    x = torch.randn(5, 3)
    expected = model(x)
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        for _ in range(times):
            prepared = Accelerator(mixed_precision="bf16", cpu=True).prepare_model(model)
            assert prepared is model
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    before, in_bfloat16 = dict(vars(model)), model(x)
    assert torch.equal(in_bfloat16, expected) == (times == 0)
    with without_autocast(model):
        assert torch.equal(model(x), expected)
    assert vars(model) == before
    with pytest.raises(RuntimeError, match="shape"), without_autocast(model):
        model(x.T)
    assert vars(model) == before
    assert torch.equal(model(x), in_bfloat16)


def test_a_note_is_logged_as_a_warning_once(tmp_path, caplog):
    callback = huggingface.SharpnessCallback(probe=PROBE, every=EVERY)
    hf_trained(tmp_path, [callback], optim="adafactor")
    notes = {record.note for record in callback.tracker.records}
    told = [row.getMessage() for row in caplog.records if "sharpness_measurement" in row.name]
    assert len(notes) == 1
    assert told == [f"Sharpness: {notes.pop()}"]


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


def lightning_trained(
    folder: Path,
    callbacks: Any,
    *,
    module: Net | None = None,
    ckpt_path: Path | None = None,
    max_epochs: int = 1,
    **options: Any,
) -> tuple[Net, LightningTrainer]:
    trainer = LightningTrainer(
        default_root_dir=str(folder), accelerator="cpu", max_epochs=max_epochs, logger=False, callbacks=callbacks,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    module = Net() if module is None else module
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        trainer.fit(module, DataLoader(TensorDataset(*classes(48)), 8), ckpt_path=ckpt_path)
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


class Turns(Net):
    """Two optimizers; the second steps as a batch's plan says, given as numbers of its steps."""

    def __init__(self, plan: Sequence[int], second: Any) -> None:
        super().__init__()
        self.plan, self.second, self.automatic_optimization = plan, second, False

    def training_step(self, batch: Any, index: int) -> None:  # type: ignore[override]
        first, second = cast("list[Any]", self.optimizers())

        def closure() -> torch.Tensor:
            first.zero_grad(), second.zero_grad()
            loss = classify(self.net, batch)
            self.manual_backward(loss)
            return loss

        closure()
        first.step()
        for _ in range(self.plan[index]):
            second.step(closure)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.net[0].parameters(), lr=0.1), self.second(self.net[3].parameters())


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1)


def lbfgs(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.LBFGS(parameters, lr=0.1, max_iter=3)


@pytest.mark.parametrize(
    ("plan", "second", "every", "measured", "along"),
    [
        ((1, 1, 1, 1, 1, 1), sgd, 3, [0, 3, 6], [3, 6]),
        ((1, 0, 1, 0, 1, 0), sgd, 2, [0, 2], [2]),
        ((2, 2, 2, 2, 2, 2), sgd, 3, [0, 4, 6, 10, 12], []),
        ((1, 1, 1, 1, 1, 1), lbfgs, 3, [0, 3, 6], [3, 6]),
    ],
    ids=["together", "every other batch", "twice a batch", "several evaluations a step"],
)
def test_the_steps_of_the_measured_optimizer_count(tmp_path, plan, second, every, measured, along):
    callback = SharpnessCallback(
        lambda m, b: classify(m.net, b), probe=classes(20), every=every, optimizer=1, directional=True
    )
    lightning_trained(tmp_path, [callback], module=Turns(plan, second))
    records = callback.tracker.records
    assert [r.step for r in records] == measured
    assert [r.step for r in records if r.directional is not None] == along


def test_a_resumed_training_goes_on_counting(tmp_path):
    plan, made = (1, 0, 0, 1, 0, 0), []
    for epochs, start in ((1, None), (2, tmp_path / "here.ckpt")):
        callbacks = [
            SharpnessCallback(lambda m, b: classify(m.net, b), probe=classes(8), every=1, optimizer=which)
            for which in (0, 1)
        ]
        _, trainer = lightning_trained(
            tmp_path, callbacks, module=Turns(plan, sgd), max_epochs=epochs, ckpt_path=start
        )
        trainer.save_checkpoint(tmp_path / "here.ckpt")
        made.append([[r.step for r in callback.tracker.records] for callback in callbacks])
    assert made == [[[0, 1, 2, 3, 4, 5, 6], [0, 1, 2]], [[6, 7, 8, 9, 10, 11, 12], [2, 3, 4]]]


@pytest.mark.parametrize(
    ("package", "module", "extra"),
    [
        ("transformers", "huggingface_sharpness", "hf"),
        ("lightning.pytorch", "lightning_sharpness", "lightning"),
    ],
)
def test_packages_are_asked_for_by_their_extra(monkeypatch, package, module, extra):
    monkeypatch.setitem(sys.modules, package, None)
    for name in (module, "lightning_callback"):
        monkeypatch.delitem(sys.modules, f"similitude.integrations.{name}", raising=False)
    with pytest.raises(ImportError, match=rf"pip install 'similitude\[{extra}\]'"):
        __import__(f"similitude.integrations.{module}")
