"""Two gloo processes that train the same planned model in every wrapper; `test_distributed.py` starts them."""

from __future__ import annotations

import copy
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # what optimizers import late, before one process becomes two
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import similitude as sim
from similitude.scaling.records import Plan

WIDTH, STEPS, BATCH, LENGTH, VOCABULARY = 48, 6, 4, 10, 30
CLIP = 0.5
Clip = Callable[[nn.Module], torch.Tensor]


class Net(nn.Module):
    """A tied language model, whose final norm carries the head's multiplier; uneven shards for two processes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, width)
        self.up, self.down = (
            nn.Linear(width, 3 * width + width // 16),
            nn.Linear(3 * width + width // 16, width),
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, VOCABULARY, bias=False)
        self.value = nn.Linear(width, 1)
        self.head.weight = self.table.weight

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.table(tokens)
        h = x + self.down(torch.relu(self.up(x)))
        return self.head(self.norm(h)), self.value(h)


def batches() -> Iterator[torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        yield torch.randint(VOCABULARY, (BATCH, LENGTH), generator=draw)


def net() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Net(WIDTH)


def adamw(plan: Plan, model: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.AdamW(plan.groups(model, lr=0.02, weight_decay=0.1))
    sim.guard(optimizer, plan, model)
    return optimizer


def loss_of(model: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    logits, value = model(tokens)
    return cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()) + 0.1 * value.square().mean()


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    clip: Clip,
    *,
    first: int = 0,
    after: Callable[[], Any] | None = None,
) -> list[list[float]]:
    """Return the loss of the whole batch and the norm before clipping, of every step."""
    rank, processes = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step), last_epoch=-1)
    found = []
    for tokens in list(batches())[first:]:
        loss = loss_of(model, tokens.chunk(processes)[rank])
        optimizer.zero_grad()
        loss.backward()
        norm = float(clip(model))
        optimizer.step()
        schedule.step()
        whole = loss.detach().clone()
        if processes > 1:
            dist.all_reduce(whole)
        found.append([whole.item() / processes, norm])
        if after is not None:
            after()
    return found


def clips(plan: Plan) -> dict[str, Clip]:
    return {
        "base": lambda model: sim.clip_grad_norm_(plan, model, CLIP),
        "unfolded": lambda model: sim.clip_grad_norm_(plan, model, CLIP, units="unfolded"),
    }


def ddp(plan: Plan) -> nn.Module:
    return nn.parallel.DistributedDataParallel(plan.apply_(net()))


def sharded_after(plan: Plan) -> nn.Module:
    return _shard(plan.apply_(net()))


def sharded_before(plan: Plan) -> nn.Module:
    return plan.apply_(_shard(net()))


def sharded_and_compiled(plan: Plan) -> nn.Module:
    return torch.compile(_shard(plan.apply_(net())), backend="eager")  # pyright: ignore[reportReturnType]


def _shard(model: nn.Module) -> nn.Module:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for part in (model.up, model.down):
        assert isinstance(part, nn.Module)
        fully_shard(part, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def resumed(plan: Plan) -> list[list[float]]:
    """Three steps, a full checkpoint into a new sharded model of other weights, and the other three."""
    clip, half = clips(plan)["base"], STEPS // 2
    model = sharded_after(plan)
    optimizer = torch.optim.AdamW(plan.groups(model, lr=0.02, weight_decay=0.1))
    start = _constant(model, optimizer, clip, range(half))
    saved = copy.deepcopy(get_state_dict(model, optimizer))
    other = sharded_before(plan)
    for p in other.parameters():
        p.data.zero_()
    resumed_optimizer = torch.optim.AdamW(plan.groups(other, lr=123.0))  # the state's own rates win
    set_state_dict(other, resumed_optimizer, model_state_dict=saved[0], optim_state_dict=saved[1])
    return start + _constant(other, resumed_optimizer, clip, range(half, STEPS))


def _constant(
    model: nn.Module, optimizer: torch.optim.Optimizer, clip: Clip, steps: range
) -> list[list[float]]:
    found = []
    for tokens in [list(batches())[step] for step in steps]:
        processes, rank = (dist.get_world_size(), dist.get_rank()) if dist.is_initialized() else (1, 0)
        loss = loss_of(model, tokens.chunk(processes)[rank])
        optimizer.zero_grad()
        loss.backward()
        norm = float(clip(model))
        optimizer.step()
        whole = loss.detach().clone()
        if processes > 1:
            dist.all_reduce(whole)
        found.append([whole.item() / processes, norm])
    return found


def averaged(model: nn.Module, optimizer: torch.optim.Optimizer, clip: Clip) -> float:
    """Loss of the moving average of the weights on the first batch, after training. FSDP2 allows no copies of a model."""
    own = model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model
    average = AveragedModel(own, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    train(model, optimizer, clip, after=lambda: average.update_parameters(own))
    return loss_of(average, next(batches())).item()


def plain(plan: Plan) -> dict[str, Any]:
    """What one process without wrappers gives."""
    found: dict[str, Any] = {}
    for units, clip in clips(plan).items():
        model = plan.apply_(net())
        found[units] = train(model, adamw(plan, model), clip)
    model = plan.apply_(net())
    optimizer = torch.optim.AdamW(plan.groups(model, lr=0.02, weight_decay=0.1))
    found["constant"] = _constant(model, optimizer, clips(plan)["base"], range(STEPS))
    model = plan.apply_(net())
    found["average"] = averaged(model, adamw(plan, model), clips(plan)["base"])
    return found


def main(rank: int, folder: Path) -> None:
    plan = Plan.load(folder / "plan.json")
    dist.init_process_group("gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2)
    found: dict[str, Any] = {}
    for wrap in (ddp, sharded_after, sharded_before, sharded_and_compiled):
        for units, clip in clips(plan).items():
            model = wrap(plan)
            found[f"{wrap.__name__} {units}"] = train(model, adamw(plan, model), clip)
    found["resumed"] = resumed(plan)
    model = ddp(plan)
    found["average"] = averaged(model, adamw(plan, model), clips(plan)["base"])
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    other = os.fork()  # so that torch is imported once
    main(1 if other == 0 else 0, Path(sys.argv[1]))
    if other:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]))
