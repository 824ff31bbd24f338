"""Every reference network: shapes, parameter counts, dials, stacked gradients under vmap."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F

from similitude.core.errors import SimilitudeError
from similitude.models import GPT, MLP, ConvNet, ModelError, ResNet, ViT


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[..., nn.Module]  # make(width=, depth=, **more)
    sample: Callable[[torch.dtype], Tensor]
    outputs: tuple[int, ...]
    count: Callable[[int, int], int]  # (width, depth) -> parameters


def images(channels: int, size: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(4, channels, size, size, generator=torch.Generator().manual_seed(0)).to(dtype)


def block_count(w: int) -> int:
    attention = 4 * (w * w + w)
    return attention + (w * 4 * w + 4 * w) + (4 * w * w + w) + 2 * (2 * w)


def conv_count(w: int, d: int) -> int:
    norms = 2 * w * d
    return 2 * 9 * w + (d - 1) * 9 * w * w + norms + (w + 1) * 5


def resnet_count(w: int, d: int) -> int:
    total = 3 * 9 * w + 2 * 4 * w + (4 * w + 1) * 5  # stem, last norm, head
    for s, c in enumerate((w, 2 * w, 4 * w)):
        for b in range(d):
            entry = c // 2 if s > 0 and b == 0 else c
            total += 9 * entry * c + 9 * c * c + 2 * entry + 2 * c + (entry * c if entry != c else 0)
    return total


CASES = [
    Case(
        "mlp",
        lambda **k: MLP(36, 5, **k),
        lambda t: images(1, 6, t),
        (4, 5),
        lambda w, d: 37 * w + (d - 1) * (w + 1) * w + (w + 1) * 5,
    ),
    Case("convnet", lambda **k: ConvNet(2, 5, **k), lambda t: images(2, 9, t), (4, 5), conv_count),
    Case("resnet", lambda **k: ResNet(3, 5, **k), lambda t: images(3, 8, t), (4, 5), resnet_count),
    Case(
        "vit",
        lambda **k: ViT(8, 2, 5, patch=4, **k),
        lambda t: images(2, 8, t),
        (4, 5),
        lambda w, d: (32 + 1) * w + w + 5 * w + d * block_count(w) + 2 * w + (w + 1) * 5,
    ),
    Case(
        "gpt",
        lambda **k: GPT(11, 8, **k),
        lambda t: torch.randint(11, (4, 7), generator=torch.Generator().manual_seed(0)),
        (4, 7, 11),
        lambda w, d: 11 * w + 8 * w + d * block_count(w) + 2 * w + (w + 1) * 11,
    ),
]
cases = pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def loss(
    model: nn.Module, params: dict[str, Tensor], x: Tensor, buffers: dict[str, Tensor] | None = None
) -> Tensor:
    out = functional_call(model, {**params, **(buffers or {})}, (x,)).flatten(0, -2)
    return F.cross_entropy(out, torch.arange(len(out)) % out.shape[-1])


@cases
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_output_shape_and_dtype(case: Case, dtype: torch.dtype):
    model = seeded(lambda: case.make(width=16, depth=2), 0).to(dtype)
    out = model(case.sample(dtype))
    assert out.shape == case.outputs
    assert out.dtype == dtype
    assert out.isfinite().all()


@cases
@pytest.mark.parametrize(("width", "depth"), [(16, 1), (32, 3)])
def test_parameter_count_in_closed_form(case: Case, width: int, depth: int):
    model = case.make(width=width, depth=depth)
    assert sum(p.numel() for p in model.parameters()) == case.count(width, depth)


@cases
def test_width_changes_no_name_and_depth_only_adds(case: Case):
    def names(**dials: int) -> dict[str, torch.Size]:
        with torch.device("meta"):
            return {n: p.shape for n, p in case.make(**dials).named_parameters()}

    narrow, wide, deep = names(width=16, depth=2), names(width=48, depth=2), names(width=16, depth=4)
    assert list(narrow) == list(wide)
    assert any(narrow[n] != wide[n] for n in narrow)
    assert {n: deep[n] for n in narrow} == narrow
    added = set(deep) - set(narrow)
    assert added
    assert all(any(part.isdigit() and int(part) >= 2 for part in n.split(".")) for n in added)


@cases
def test_stacked_gradients_equal_those_of_each_model(case: Case, recwarn: pytest.WarningsRecorder):
    models = [seeded(lambda: case.make(width=16, depth=2), s).double() for s in range(3)]
    x = case.sample(torch.float64)
    template = copy.deepcopy(models[0]).to("meta")
    params, buffers = stack_module_state(models)
    assert not buffers
    stacked = vmap(grad(lambda p: loss(template, p, x)))({n: p.detach() for n, p in params.items()})
    for i, model in enumerate(models):
        own = dict(model.named_parameters())
        for name, g in zip(own, torch.autograd.grad(loss(model, own, x), list(own.values())), strict=True):
            torch.testing.assert_close(stacked[name][i], g, rtol=1e-12, atol=1e-12)
    assert not [w for w in recwarn if "performance drop" in str(w.message)]


@cases
def test_zero_head_gives_zero_outputs_and_leaves_the_rest_alone(case: Case):
    plain = seeded(lambda: case.make(width=16, depth=1), 3)
    zeroed = seeded(lambda: case.make(width=16, depth=1, zero_head=True), 3)
    assert not zeroed(case.sample(torch.float32)).any()
    for (name, a), b in zip(plain.named_parameters(), zeroed.parameters(), strict=True):
        assert name.startswith("head.") or torch.equal(a, b)


@cases
def test_building_draws_only_torchs_own_numbers_and_inputs_stay(case: Case):
    x = case.sample(torch.float32)
    before = x.clone()
    model = seeded(lambda: case.make(width=16, depth=2), 0)
    state = torch.random.get_rng_state()
    assert torch.equal(model(x), model(x))
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(x, before)


@cases
@pytest.mark.parametrize("bad", [0, -2, 1.5, True])
@pytest.mark.parametrize("dial", ["width", "depth"])
def test_bad_dials_are_named(case: Case, dial: str, bad: object):
    with pytest.raises(ModelError, match=rf"\({dial}={bad!r}\): {dial} must be an integer of at least 1"):
        case.make(**{"width": 16, "depth": 1, dial: bad})
    assert issubclass(ModelError, SimilitudeError)
    assert issubclass(ModelError, ValueError)


def test_mlp_is_the_formula():
    model = seeded(lambda: MLP(6, 3, width=7, depth=2, activation="tanh"), 0).double()
    x = images(1, 6, torch.float64)[:, 0, :1].squeeze(1)
    (a, b), h = model.hidden, model.head
    expected = h.bias + (b.bias + (a.bias + x @ a.weight.T).tanh() @ b.weight.T).tanh() @ h.weight.T
    torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-12)


def test_linear_mlp_without_bias_is_a_product_of_matrices():
    model = MLP(6, 3, width=7, depth=2, activation="linear", bias=False).double()
    product = model.head.weight @ model.hidden[1].weight @ model.hidden[0].weight
    torch.testing.assert_close(model(torch.eye(6, dtype=torch.float64)), product.T, rtol=1e-12, atol=1e-12)


def test_attention_equals_torchs_fused_attention():
    attention = seeded(lambda: GPT(5, 9, width=32), 0).double().blocks[0].attention
    x = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(1)).double()

    def heads(layer: nn.Linear) -> Tensor:
        return layer(x).view(2, 9, 2, 16).transpose(1, 2)

    fused = F.scaled_dot_product_attention(
        heads(attention.query), heads(attention.key), heads(attention.value), is_causal=True
    )
    expected = attention.out(fused.transpose(1, 2).reshape(2, 9, 32))
    torch.testing.assert_close(attention(x), expected, rtol=1e-12, atol=1e-12)


def test_gpt_is_causal():
    model = seeded(lambda: GPT(11, 8, width=32), 0).double()
    embedded: list[Tensor] = []
    model.tokens.register_forward_hook(lambda _m, _i, out: embedded.append(out))
    logits = model(torch.arange(8)[None])
    for t in range(8):
        (g,) = torch.autograd.grad(logits[0, t].square().sum(), embedded[0], retain_graph=True)
        assert not g[0, t + 1 :].any()
        assert (g[0, : t + 1].abs().sum(-1) > 0).all()


def test_gpt_tied_head_is_the_embedding():
    model = GPT(11, 8, width=32, tie=True)
    assert model.head.weight is model.tokens.weight
    untied = sum(p.numel() for p in GPT(11, 8, width=32).parameters())
    assert sum(p.numel() for p in model.parameters()) == untied - 11 * 32


@pytest.mark.parametrize(
    ("model", "size"),
    [(lambda **k: ConvNet(1, 5, norm="batch", **k), 8), (lambda **k: ResNet(1, 5, norm="batch", **k), 8)],
    ids=["convnet", "resnet"],
)
def test_batch_norm_stacks_when_its_buffers_are_stacked(model: Callable[..., nn.Module], size: int):
    models = [seeded(lambda: model(width=8, depth=1), s).double() for s in range(3)]
    x = images(1, size, torch.float64)
    params, buffers = stack_module_state(copy.deepcopy(models))
    stacked = vmap(grad(lambda p, b: loss(models[0], p, x, b)))(
        {n: p.detach() for n, p in params.items()}, buffers
    )
    for i, m in enumerate(models):
        loss(m, dict(m.named_parameters()), x).backward()
        for name, p in m.named_parameters():
            torch.testing.assert_close(stacked[name][i], p.grad, rtol=1e-12, atol=1e-12)
        for name, b in m.named_buffers():
            torch.testing.assert_close(buffers[name][i], b, rtol=1e-12, atol=1e-12)


def test_group_norm_keeps_its_group_size_as_the_width_grows():
    for width in (16, 64):
        groups = {
            m.num_channels / m.num_groups
            for m in ResNet(3, 5, width=width).modules()
            if isinstance(m, nn.GroupNorm)
        }
        assert groups == {8}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: GPT(5, 8, width=40), r"40 / 16 = 2\.5 heads, not a whole number\. Use width=32 or 48"),
        (lambda: ViT(8, 1, 5, patch=4, width=10), r"Use width=16, or a head_dim that divides 10"),
        (lambda: ViT(10, 1, 5, patch=4, width=16), r"10 / 4 = 2\.5 patches per side.*image_size=8 or 12"),
        (lambda: ResNet(1, 5, width=20), r"width=20, channels_per_group=8.*width=16 or 24"),
        (lambda: GPT(5, 8, width=16, tie=True, zero_head=True), "Drop tie=True or zero_head=True"),
        (lambda: MLP(5, 8, width=16, activation="softplus"), "softplus.*relu, gelu, silu, tanh, linear"),
        (lambda: ConvNet(1, 5, width=16, norm="group5"), "norm='group5'.*Pass one of these"),
        (
            lambda: GPT(5, 8, width=16)(torch.zeros(1, 9, dtype=torch.long)),
            "9 tokens but context=8.*context=9",
        ),
        (lambda: ViT(8, 1, 5, patch=4, width=16)(torch.zeros(1, 1, 8, 9)), r"\(1, 8, 9\).*\(1, 8, 8\)"),
    ],
)
def test_what_cannot_be_built_says_what_to_do(make: Callable[[], object], text: str):
    with pytest.raises(ModelError, match=text):
        make()


def test_a_zero_head_gpt_starts_at_the_uniform_distribution():
    model = GPT(11, 8, width=16, zero_head=True)
    tokens = torch.zeros(2, 8, dtype=torch.long)
    assert F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).item() == pytest.approx(
        math.log(11)
    )
