"""Pattern lists: the first match gives every tensor of real models the group that the plan gives it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict

import pytest
import torch
from torch import nn
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

import similitude as sim
from similitude.core.errors import PlanError, RoleError
from similitude.integrations.torchtitan import PatternGroup, compact_pattern, pattern_groups

TOKENS = torch.randint(50, (2, 8), generator=torch.Generator().manual_seed(0))


def gpt2(width: int) -> nn.Module:
    return GPT2LMHeadModel(GPT2Config(n_embd=width, n_head=width // 8, n_layer=11, vocab_size=50))


def llama(width: int) -> nn.Module:
    heads = width // 8
    config = LlamaConfig(
        vocab_size=50, num_hidden_layers=3, hidden_size=width, intermediate_size=2 * width,
        num_attention_heads=heads, num_key_value_heads=heads,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def convnext(width: int) -> nn.Module:
    sizes = [width, width, 2 * width, 2 * width]
    return ConvNextForImageClassification(ConvNextConfig(hidden_sizes=sizes, depths=[1, 2, 3, 1]))


MODELS: dict[str, tuple[Callable[[int], nn.Module], object]] = {
    "gpt2": (gpt2, TOKENS),
    "llama": (llama, TOKENS),
    "convnext": (convnext, torch.zeros(1, 3, 64, 64)),
}


def titan_groups(model: nn.Module, patterns: Sequence[PatternGroup]) -> list[dict[str, object]]:
    """Sort tensors as torchtitan does: patterns in order, found anywhere in the name, each name taken once."""
    taken: set[str] = set()
    groups: list[dict[str, object]] = []
    for each in patterns:
        names = [n for n, p in model.named_parameters() if p.requires_grad and re.search(each.pattern, n)]
        fresh = [name for name in names if name not in taken]
        assert fresh, each.pattern
        taken.update(fresh)
        groups.append({"params": [model.get_parameter(n) for n in fresh], **each.optimizer_kwargs})
    assert taken == {name for name, p in model.named_parameters() if p.requires_grad}
    return groups


def flat(groups: Sequence[dict[str, object]]) -> dict[int, dict[str, object]]:
    found = {}
    for group in groups:
        options = {key: value for key, value in group.items() if key != "params"}
        parameters = group["params"]
        assert isinstance(parameters, list)
        found |= {id(parameter): options for parameter in parameters}
    return found


@pytest.mark.parametrize("name", MODELS)
def test_applying_the_list_gives_the_groups_of_the_plan(name):
    make, sample = MODELS[name]
    plan = sim.plan(make, base=16, target=64, sample=sample)  # pyright: ignore[reportArgumentType]
    model = make(64)
    patterns = pattern_groups(plan, lr=0.003, weight_decay=0.1, betas=(0.9, 0.95))
    groups = plan.groups(model, lr=0.003, weight_decay=0.1, betas=(0.9, 0.95))
    assert flat(titan_groups(model, patterns)) == flat(groups)
    assert len(patterns) == len(groups)
    assert flat(titan_groups(model, patterns[::-1])) == flat(groups)  # they exclude one another
    torch.optim.AdamW(titan_groups(model, patterns))  # keys that no optimizer knows do no harm
    assert {asdict(each)["optimizer_name"] for each in patterns} == {"AdamW"}


def test_blocks_share_one_expression():
    plan = sim.plan(gpt2, base=16, target=64, sample=TOKENS)
    texts = [each.pattern for each in pattern_groups(plan, lr=1.0)]
    assert len("".join(texts)) < 1000
    assert all(r"transformer\.h\.\d+\." in text for text in texts if ".attn" in text)
    assert not any(re.search(r"h\.\d", text) for text in texts)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.0.w", "a.1.w", "a.10.w", "b"], r"^(?:a\.\d+\.w|b)$"),
        (["a.1.w"], r"^a\.1\.w$"),
        (["a.0.w", "c.0.1.w"], r"^(?:a\.0\.w|c\.0\.1\.w)$"),
        (["c.0.0.w", "c.0.1.w"], r"^c\.0\.\d+\.w$"),
        (["c.0.0.w", "c.1.1.w"], r"^(?:c\.0\.0\.w|c\.1\.1\.w)$"),
    ],
)
def test_patterns_are_compact_and_exact(names, expected):
    universe = ["a.0.w", "a.1.w", "a.10.w", "b", *(f"c.{i}.{j}.w" for i in range(2) for j in range(2))]
    pattern = compact_pattern(names, universe)
    assert pattern == expected
    assert [name for name in universe if re.search(pattern, name)] == sorted(names, key=universe.index)


def test_any_part_of_any_names_is_matched_exactly():
    """Random subsets of names with up to two numbers, against a look-up."""
    draw = torch.Generator().manual_seed(0)
    universe = (
        [f"m.{i}.w" for i in range(4)]
        + [f"m.{i}.x.{j}.w" for i in range(3) for j in range(3)]
        + ["m.w", "mw"]
    )
    for _ in range(200):
        keep = torch.rand(len(universe), generator=draw) < 0.5
        names = [name for name, kept in zip(universe, keep, strict=True) if kept] or universe[:1]
        pattern = compact_pattern(names, universe)
        assert [name for name in universe if re.search(pattern, name)] == names, pattern


def test_what_one_list_cannot_say_is_refused():
    plan = sim.plan(gpt2, base=16, target=64, sample=TOKENS, optimizer=torch.optim.Muon)
    with pytest.raises(PlanError, match=r"Muon trains the matrices of this plan alone, and .* go to another"):
        pattern_groups(plan, lr=0.02)
    plan = sim.plan(gpt2, base=16, target=64, sample=TOKENS)
    with pytest.raises(PlanError, match="AdamW takes no 'momentum'"):
        pattern_groups(plan, lr=0.02, momentum=0.9)
    refused = sim.plan(
        lambda width: nn.Sequential(nn.Embedding(width, 8), nn.Linear(8, width)),
        base=16,
        target=64,
        sample=TOKENS % 16,
    )
    with pytest.raises(RoleError, match="no role"):
        pattern_groups(refused, lr=0.02)
