"""transformers' Trainer under a plan: the losses of a plain loop, through accumulation, clipping and resuming."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn
from torch.utils.data import IterableDataset
from transformers import GPT2Config, GPT2LMHeadModel, SchedulerType, Trainer, TrainingArguments
from transformers.optimization import get_scheduler

import similitude as sim
from similitude.core.errors import PlanError, RoleError
from similitude.integrations.huggingface import optimizers
from similitude.scaling.records import Plan

BASE, TARGET, STEPS, BATCH, LENGTH = 16, 48, 6, 4, 12
LR, DECAY, WARMUP = 3e-3, 0.1, 2


def make(width: int) -> nn.Module:
    config = GPT2Config(
        n_embd=width, n_head=width // 8, n_layer=2, vocab_size=100, n_positions=LENGTH,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return GPT2LMHeadModel(config)


def characters() -> torch.Tensor:
    text = sim.data.load("text").train
    codes = torch.tensor([ord(c) % 100 for c in text[: 64 * LENGTH]])
    return codes.unflatten(0, (-1, LENGTH))


class Lines(IterableDataset):
    """Lines of a novel in their order, so that a plain loop sees what Trainer sees."""

    def __init__(self) -> None:
        self.lines = characters()

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for line in self.lines:
            labels = line.clone()
            labels[
                0
            ] = -100  # Trainer divides by the number of labels, the model never asks for the first one
            yield {"input_ids": line, "labels": labels}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return sim.plan(make, base=BASE, target=TARGET, sample=torch.zeros(2, LENGTH, dtype=torch.long))


def fresh(plan: Plan, width: int = TARGET, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return plan.apply_(make(width))


def arguments(folder: Path, **changes: Any) -> TrainingArguments:
    options: dict[str, Any] = {
        "output_dir": str(folder), "max_steps": STEPS, "per_device_train_batch_size": BATCH, "learning_rate": LR,
        "weight_decay": DECAY, "adam_beta2": 0.95, "warmup_steps": WARMUP, "lr_scheduler_type": "linear",
        "report_to": "none", "use_cpu": True, "disable_tqdm": True, "save_strategy": "no", "max_grad_norm": 0.0,
        "logging_strategy": "no",
    }  # fmt: skip
    return TrainingArguments(**options | changes)


def trained(
    model: nn.Module, args: TrainingArguments, *, resume: Path | None = None, **trainer_options: Any
) -> list[float]:
    """Train by Trainer, and return the loss of every forward pass."""
    found: list[float] = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        found.append(output.loss.item())

    handle = model.register_forward_hook(note)
    trainer = Trainer(model, args, train_dataset=Lines(), **trainer_options)  # pyright: ignore[reportArgumentType]
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    handle.remove()
    return found


def by_hand(
    plan: Plan, model: nn.Module, *, clip: Callable[[], object] | None = None, batch: int = BATCH
) -> list[float]:
    """The plain loop: a group per tensor from the rows, no decay of biases and norms, a warm-up and a linear decay."""
    rows = {row.name: row for row in plan.rows}
    groups = []
    for name, p in model.named_parameters():
        row, vector = rows[name], p.dim() == 1
        groups.append({
            "params": [p], "lr": LR * row.lr, "eps": 1e-8 * row.eps,
            "weight_decay": 0.0 if vector else DECAY * row.weight_decay,
        })  # fmt: skip
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95))
    shape = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: step / WARMUP if step < WARMUP else (STEPS - step) / (STEPS - WARMUP)
    )
    found = []
    for tokens in characters()[: STEPS * batch].split(batch):
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        if clip is not None:
            clip()
        optimizer.step()
        shape.step()
        optimizer.zero_grad()
        found.append(loss.item())
    return found


def test_losses_are_those_of_a_plain_loop(plan, tmp_path):
    model, args = fresh(plan), arguments(tmp_path)
    expected = by_hand(plan, fresh(plan))
    assert trained(model, args, optimizers=optimizers(plan, model, args)) == pytest.approx(expected, rel=1e-5)
    other = fresh(plan)
    assert trained(other, args) != pytest.approx(expected, rel=1e-3)  # Trainer's own groups erase the plan


def test_accumulated_gradients_are_those_of_the_whole_batch(plan, tmp_path):
    model = fresh(plan)
    args = arguments(tmp_path, per_device_train_batch_size=BATCH // 2, gradient_accumulation_steps=2)
    parts = trained(model, args, optimizers=optimizers(plan, model, args, max_norm=0.5))
    whole = [
        a + b for a, b in zip(parts[::2], parts[1::2], strict=True)
    ]  # each is a share of the batch's mean
    plain = fresh(plan)
    expected = by_hand(plan, plain, clip=lambda: sim.clip_grad_norm_(plan, plain, 0.5))
    assert whole == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("units", ["base", "unfolded"])
def test_clipping_is_that_of_the_library(plan, tmp_path, units):
    model, args, plain = fresh(plan), arguments(tmp_path), fresh(plan)
    norms: list[float] = []
    expected = by_hand(
        plan, plain, clip=lambda: norms.append(float(sim.clip_grad_norm_(plan, plain, 0.5, units=units)))
    )
    assert min(norms) > 0.5
    made = optimizers(plan, model, args, max_norm=0.5, units=units)
    assert trained(model, args, optimizers=made) == pytest.approx(expected, rel=1e-5)


def test_training_resumes_from_a_checkpoint(plan, tmp_path):
    args = arguments(tmp_path, save_strategy="steps", save_steps=STEPS // 2)
    model = fresh(plan)
    whole = trained(model, args, optimizers=optimizers(plan, model, args))
    other = fresh(plan, seed=1)  # other weights, which the checkpoint replaces
    resumed = trained(
        other, args, optimizers=optimizers(plan, other, args), resume=tmp_path / f"checkpoint-{STEPS // 2}"
    )
    assert resumed == pytest.approx(whole[STEPS // 2 :], rel=1e-5)


def test_at_the_base_it_is_trainers_own_optimizer_bit_for_bit(tmp_path):
    sample = torch.zeros(2, LENGTH, dtype=torch.long)
    identity = sim.plan(make, base=BASE, target=BASE, sample=sample)
    model, args = fresh(identity, BASE), arguments(tmp_path, max_grad_norm=1.0)
    own = trained(fresh(identity, BASE), args)
    assert trained(model, args, optimizers=optimizers(identity, model, args)) == own


def test_what_decays_may_be_named(plan, tmp_path):
    model, args = fresh(plan), arguments(tmp_path)
    optimizer, _ = optimizers(plan, model, args, decay_parameters=["transformer.wpe.weight"])
    decaying = [p for group in optimizer.param_groups for p in group["params"] if group["weight_decay"]]
    assert [id(p) for p in decaying] == [id(model.get_parameter("transformer.wpe.weight"))]
    with pytest.raises(PlanError, match="decay_parameters names 'wpe', which the model does not have"):
        optimizers(plan, model, args, decay_parameters=["wpe"])


SCHEDULES: dict[str, dict[str, Any]] = {
    "linear": {}, "cosine": {}, "cosine_with_restarts": {}, "polynomial": {"lr_end": 1e-4}, "constant": {},
    "constant_with_warmup": {}, "inverse_sqrt": {}, "cosine_with_min_lr": {"min_lr": 3e-4},
    "cosine_warmup_with_min_lr": {"min_lr": 3e-4}, "warmup_stable_decay": {"num_decay_steps": 2},
    "reduce_lr_on_plateau": {},
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_of_trainer_keep_the_ratios(plan, tmp_path, name):
    """Those with an absolute end divide it by the optimizer's default, which is the base's rate."""
    model, args = fresh(plan), arguments(tmp_path)
    optimizer, _ = optimizers(plan, model, args)
    base = torch.optim.AdamW(make(BASE).parameters(), lr=LR)
    schedules = [
        get_scheduler(SchedulerType(name), o, num_warmup_steps=2, num_training_steps=STEPS,
                      scheduler_specific_kwargs=SCHEDULES[name])
        for o in (optimizer, base)
    ]  # fmt: skip
    for _ in range(STEPS):
        optimizer.step()  # guarded
        base.step()
        for schedule in schedules:
            cast(Any, schedule).step(*([1.0] if name == "reduce_lr_on_plateau" else []))
        rate = base.param_groups[0]["lr"]
        for group in optimizer.param_groups:
            assert group["lr"] == pytest.approx(rate * group["lr_factor"], rel=1e-9)


def test_the_schedule_of_absolute_bounds_is_stopped(plan, tmp_path):
    model = fresh(plan)
    optimizer, _ = optimizers(plan, model, arguments(tmp_path))
    options: Any = {"min_lr": 2e-3, "patience": 0, "smooth": False}
    schedule: Any = get_scheduler(SchedulerType("greedy"), optimizer, scheduler_specific_kwargs=options)
    optimizer.step()
    for loss in (1.0, 2.0, 3.0):
        schedule.step(loss)
    with pytest.raises(PlanError, match="do not stand in the plan's ratios"):
        optimizer.step()


def test_clipping_by_trainer_is_refused_with_numbers(plan, tmp_path):
    model = fresh(plan)
    with pytest.raises(
        PlanError,
        match=r"Trainer would clip by the plain norm of all gradients \(max_grad_norm=1; .* and \d+ more have gradients "
        r"of another size than at the base: that of 'transformer.*' is x0.\d+.* optimizers\(..., max_norm=1\)",
    ):
        optimizers(plan, model, arguments(tmp_path, max_grad_norm=1.0))
    with pytest.raises(
        PlanError, match=r"both max_grad_norm=1 of the TrainingArguments and max_norm=0.5 would clip"
    ):
        optimizers(plan, model, arguments(tmp_path, max_grad_norm=1.0), max_norm=0.5)


def test_optimizers_that_do_not_fit_are_refused(plan, tmp_path):
    model = fresh(plan)
    with pytest.raises(
        PlanError, match=r"the plan was made for AdamW \(entrywise\), and optim='.*sgd' trains by SGD"
    ):
        optimizers(plan, model, arguments(tmp_path, optim="sgd"))
    same_family = arguments(tmp_path, optim="rmsprop", weight_decay=0.0)
    assert type(optimizers(plan, model, same_family)[0]) is torch.optim.RMSprop
    with pytest.raises(PlanError, match=r"as at width 16, but the plan is for"):
        optimizers(plan, make(BASE), arguments(tmp_path))
    refused = sim.plan(
        lambda width: nn.Sequential(nn.Embedding(width, 8), nn.Linear(8, width)), base=BASE, target=TARGET,
        sample=torch.zeros(2, 3, dtype=torch.long),
    )  # fmt: skip
    with pytest.raises(RoleError, match="is in no group"):
        optimizers(refused, nn.Sequential(nn.Embedding(TARGET, 8), nn.Linear(8, TARGET)), arguments(tmp_path))


def test_adafactor_whose_eps_is_a_pair_is_planned_and_steps(plan, tmp_path):
    model = fresh(plan)
    optimizer, _ = optimizers(plan, model, arguments(tmp_path, optim="adafactor"))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    tokens = characters()[:2]
    model(input_ids=tokens, labels=tokens).loss.backward()
    optimizer.step()
    assert type(optimizer).__name__ == "Adafactor"
    assert isinstance(optimizer.param_groups[0]["eps"], tuple)
    assert any(not torch.equal(before[name], p) for name, p in model.named_parameters())


def test_fused_steps_on_scaled_gradients_are_refused(plan, tmp_path):
    model, args = fresh(plan), arguments(tmp_path, optim="adamw_torch_fused")
    optimizer, _ = optimizers(plan, model, args, max_norm=1.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    tokens = characters()[:BATCH]
    scaler.scale(model(input_ids=tokens, labels=tokens).loss).backward()
    with pytest.raises(PlanError, match="a fused AdamW takes gradients that are still scaled"):
        scaler.step(optimizer)


def test_clipping_sees_unscaled_gradients(plan, tmp_path):
    found = []
    for scale in (1.0, 1024.0):
        model, args = fresh(plan), arguments(tmp_path, optim="adamw_torch", adam_epsilon=1e-3)
        optimizer, _ = optimizers(plan, model, args, max_norm=0.01)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        tokens = characters()[:BATCH]
        scaler.scale(model(input_ids=tokens, labels=tokens).loss).backward()
        scaler.step(optimizer)
        found.append(model.get_parameter("transformer.wpe.weight").detach())
    assert torch.equal(*found)


def test_transformers_is_asked_for_by_its_extra(plan, tmp_path, monkeypatch):
    import sys

    args = arguments(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'similitude\[hf\]'"):
        optimizers(plan, fresh(plan), args)
