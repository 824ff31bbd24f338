"""The plan as a whole: rows, JSON, texts, samples, how layers move when it is followed, transformers."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import math

import growth_oracle as oracle
import pytest
import torch
from torch import nn

from similitude import models
from similitude.core.citation import cite
from similitude.core.errors import FactoryError, PlanError, RoleError
from similitude.scaling.plan import Plan, plan

SAMPLE = torch.zeros(2, 12)
TOKENS = torch.zeros(2, 4, dtype=torch.long)


def make(width: int) -> nn.Module:
    return models.MLP(12, 3, width=width, depth=2, zero_head=True)


def tied(width: int) -> nn.Module:
    return models.GPT(7, 4, width=width, depth=1, head_dim=8, tie=True)


def test_rows_say_everything():
    made = plan(make, base=16, target=64, sample=SAMPLE)
    rows = {row.name: row for row in made.rows}
    assert list(rows) == [n for n, _ in make(64).named_parameters()]
    hidden = rows["hidden.1.weight"]
    assert (hidden.role, hidden.base_shape, hidden.shape) == ("hidden", (16, 16), (64, 64))
    assert (hidden.fan_in_ratio, hidden.fan_out_ratio) == (4.0, 4.0)
    assert (hidden.init, hidden.rescale, hidden.lr, hidden.eps, hidden.weight_decay) == (
        0.5,
        1.0,
        0.25,
        0.25,
        4.0,
    )
    head = rows["head.weight"]
    assert (head.role, head.init, head.rescale, head.lr, head.eps) == ("output", 0.25, 1.0, 0.25, 1.0)
    assert "without spread" in head.reason
    assert rows["hidden.1.bias"].rescale == 2.0


@pytest.mark.parametrize("rule", ["mup", "sp", "ntp"])
def test_at_the_base_every_number_is_exactly_one_and_roles_are_known(rule):
    made = plan(make, base=16, target=16, rule=rule, sample=SAMPLE)
    assert made.is_identity
    for row in made.rows:
        assert (row.init, row.rescale, row.lr, row.eps, row.weight_decay) == (1.0,) * 5
    assert {row.role for row in made.rows} == {"input", "vector", "hidden", "output", "finite"}


def test_sp_shows_the_users_own_init_and_needs_no_sample():
    made = plan(tied, base=16, target=64, rule="sp")
    assert made.is_identity
    rows = {row.name: row for row in made.rows}
    assert rows["tokens.weight"].role == "undecided"
    assert rows["tokens.weight"].aliases == ("head.weight",)
    assert rows["blocks.0.up.weight"].init == 0.5
    assert made.groups(made.apply_(tied(64)), lr=0.1)[0]["lr"] == 0.1
    assert plan(tied, base=16, target=16, sample=TOKENS).is_identity


def test_every_other_rule_needs_a_sample():
    with pytest.raises(PlanError, match=r"plan needs a sample.*a tensor, a tuple of positional"):
        plan(make, base=16, target=64)


@pytest.mark.parametrize("rule", ["mup", "spectral"])
def test_a_tied_head_is_carried_by_the_norm_before_it(rule):
    made = plan(tied, base=16, target=64, sample=TOKENS, rule=rule)
    rows = {row.name: row for row in made.rows}
    assert (made.refused, made.hooks) == ((), ())
    assert (rows["tokens.weight"].role, rows["tokens.weight"].init, rows["tokens.weight"].lr) == (
        "lookup",
        1,
        1,
    )
    for name in ("norm.weight", "norm.bias"):
        assert (rows[name].multiplier, rows[name].rescale, rows[name].lr, rows[name].eps) == (
            0.25,
            0.25,
            0.25,
            1.0,
        )
    model = made.apply_(tied(64))
    assert torch.equal(model.norm.weight, torch.full((64,), 0.25))


def test_a_base_that_is_planned_for_itself_with_knobs_changes_by_the_knobs_alone():
    knobs = {"embedding": {"lr": 0.125}, "head": 2.0}
    made = plan(
        lambda w: models.GPT(7, 4, width=w, depth=1, head_dim=8),
        base=16,
        target=16,
        sample=TOKENS,
        knobs=knobs,
    )
    rows = {row.name: row for row in made.rows}
    assert (rows["tokens.weight"].lr, rows["tokens.weight"].rescale) == (0.125, 1.0)
    assert (rows["head.weight"].lr, rows["head.weight"].rescale, rows["head.weight"].eps) == (2.0, 2.0, 0.5)
    assert (rows["blocks.0.up.weight"].lr, rows["blocks.0.up.weight"].rescale) == (1.0, 1.0)
    of_tied = {
        r.name: r for r in plan(tied, base=16, target=16, sample=TOKENS, knobs={"embedding": 4.0}).rows
    }
    assert of_tied["tokens.weight"].rescale == 4.0
    assert of_tied["norm.weight"].rescale == 0.25  # so that the head is as it was


def test_json_round_trip(tmp_path):
    made = plan(make, base=16, target=64, sample=SAMPLE, roles={"head.bias": "finite"})
    assert Plan.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    path = made.save(tmp_path / "deep" / "plan.json")
    assert Plan.load(path) == made
    assert [p.name for p in path.parent.iterdir()] == ["plan.json"]


def test_files_that_are_no_plans_are_told(tmp_path):
    path = tmp_path / "plan.json"
    with pytest.raises(PlanError, match="cannot be read: No such file"):
        Plan.load(path)
    for text, says in (
        ("{", "is not a saved plan"),
        ("[]", "not a plan of format 2"),
        ('{"format": 2}', "incomplete"),
    ):
        path.write_text(text)
        with pytest.raises(PlanError, match=says):
            Plan.load(path)
    with pytest.raises(PlanError, match="cannot be written to"):
        plan(make, base=16, target=16, sample=SAMPLE).save(path / "below" / "a" / "file.json")


def test_text_and_table_hold_every_tensor():
    from rich.console import Console

    made = plan(lambda w: Scaled(w, head=-1.0), base=16, target=64, sample=TOKENS)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(made)
    for text in (str(made), console.export_text()):
        assert all(row.name[:20] in text for row in made.rows)
        assert "REFUSED out.weight" in text
        assert "x0.25" in text
    assert str(made).startswith("mup, AdamW, width 16 -> 64")


def test_a_sample_names_what_it_never_reaches():
    def two(width: int) -> nn.Module:
        return nn.ModuleDict({"used": nn.Linear(2, width), "idle": nn.Linear(width, 2)})

    class Net(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.parts = two(width)

        def forward(self, x, *, scale=1.0):
            return {"out": [self.parts["used"](x) * scale]}

    for sample in (torch.ones(3, 2), (torch.ones(3, 2),), {"x": torch.ones(3, 2), "scale": 2.0}):
        made = plan(Net, base=4, target=8, sample=sample)
        assert any(
            "never used by the sample: 'parts.idle.weight', 'parts.idle.bias'" in n for n in made.notes
        )
    assert not plan(make, base=16, target=64, sample=SAMPLE).notes
    with pytest.raises(
        PlanError, match=r"at width 4 the model cannot take the sample: RuntimeError: .*mat1 and mat2"
    ):
        plan(Net, base=4, target=8, sample=torch.ones(3, 5))


class Attention(nn.Module):
    """Attention with matrices of their own for queries, keys and values, and a given number of heads."""

    def __init__(
        self, width: int, heads: int, *, fused: bool = False, scale: float = -0.5, leak: bool = False
    ) -> None:
        super().__init__()
        self.fused, self.heads, self.power, self.leak, self.extra = fused, heads, scale, leak, 1.0
        if fused:
            self.qkv = nn.Linear(width, 3 * width)
        else:
            self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.qkv(x).chunk(3, -1) if self.fused else (self.q(x), self.k(x), self.v(x))
        q, k, v = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in parts)
        logits = q @ k.mT * q.shape[-1] ** self.power * self.extra
        read = (logits.softmax(-1) @ v).transpose(1, 2).flatten(2)
        return self.out(read) + (parts[2] if self.leak else 0)


def _rows(width: int) -> torch.Tensor:
    return torch.zeros(2, 3, width)


@pytest.mark.parametrize(("scale", "multiplier"), [(-0.5, 0.5), (-1.0, 1.0), (0.0, 0.25)])
def test_growing_heads_put_one_over_d_into_the_queries(scale, multiplier):
    made = plan(lambda w: Attention(w, 2, scale=scale), base=16, target=64, sample=_rows)
    rows = {row.name: row for row in made.rows}
    assert made.refused == ()
    for name in ("q.weight", "q.bias"):
        assert rows[name].multiplier == multiplier
    assert rows["q.weight"].lr == 0.25 * multiplier
    assert {rows[n].multiplier for n in rows if not n.startswith("q.")} == {1.0}


def test_fused_queries_share_one_over_d_and_the_values_are_undone():
    made = plan(lambda w: Attention(w, 2, fused=True), base=16, target=64, sample=_rows)
    multipliers = {row.name: row.multiplier for row in made.rows}
    assert made.refused == ()
    assert multipliers["qkv.weight"] == multipliers["qkv.bias"] == 0.5**0.5
    assert multipliers["out.weight"] == pytest.approx(2**0.5)
    assert multipliers["out.bias"] == 1.0
    heads_grow = plan(lambda w: Attention(w, w // 4, fused=True), base=16, target=64, sample=_rows)
    assert {row.multiplier for row in heads_grow.rows} == {1.0}


def test_fused_queries_whose_values_are_also_read_elsewhere_are_refused_with_the_remedy():
    def build(width: int) -> nn.Module:
        return Attention(width, 2, fused=True, leak=True)

    made = plan(build, base=16, target=64, sample=_rows)
    assert [r.name for r in made.refused] == ["qkv.weight"]
    assert "Keep the head size fixed" in made.refused[0].reason
    accepted = plan(build, base=16, target=64, sample=_rows, roles={"qkv.weight": "hidden"})
    assert accepted.refused == ()
    assert any("keep the scale of the forward pass" in note for note in accepted.notes)


def _losses(model: nn.Module, made: Plan, optimizer, explicit: bool) -> list[float]:
    """Train with the multipliers folded, or taken out of the plan again (they are then in the forward pass)."""
    power = 2 if made.family == "sgd" else 1
    rows = made.rows
    if explicit:
        rows = tuple(
            dataclasses.replace(
                r,
                rescale=r.rescale / r.multiplier,
                lr=r.lr / r.multiplier**power,
                eps=r.eps * r.multiplier,
                weight_decay=r.weight_decay * r.multiplier**power,
            )
            for r in rows
        )
    used = dataclasses.replace(made, rows=rows)
    used.apply_(model)
    stepper = optimizer(
        used.groups(model, lr=0.02, weight_decay=0.1, **({} if power == 2 else {"eps": 1e-3}))
    )
    generator, losses = torch.Generator().manual_seed(1), []
    for _ in range(20):
        x = torch.randn(4, 3, 64, generator=generator, dtype=torch.float64)
        loss = (model(x) - x.roll(1, -1)).square().mean()
        losses.append(float(loss))
        stepper.zero_grad()
        loss.backward()
        stepper.step()
    return losses


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    "optimizer", [torch.optim.SGD, functools.partial(torch.optim.SGD, momentum=0.9), torch.optim.AdamW]
)
def test_one_over_d_in_tensors_is_one_over_d_in_the_forward_pass(optimizer, fused):
    def build(width: int) -> nn.Module:
        return Attention(width, 2, fused=fused).double()

    made = plan(build, base=16, target=64, sample=lambda w: _rows(w).double(), optimizer=optimizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        folded, outright = build(64), build(64)
        outright.load_state_dict(folded.state_dict())
    outright.extra = 0.5
    a, b = _losses(folded, made, optimizer, explicit=False), _losses(outright, made, optimizer, explicit=True)
    assert max(abs(x - y) for x, y in zip(a, b, strict=True)) < 1e-12
    assert a[-1] != a[0]


def test_bottlenecks_are_noted():
    narrow = lambda w: nn.Sequential(nn.Linear(w, 4), nn.Linear(4, w), nn.Linear(w, 2))  # noqa: E731
    made = plan(narrow, base=8, target=32, sample=_rows)
    assert {r.name: r.role for r in made.rows}["0.weight"] == "bottleneck"
    assert any("grows more slowly: '0.weight'" in n for n in made.notes)


class Scaled(nn.Module):
    """A table, a hidden matrix and a head, with numbers in the forward pass that change with the width."""

    def __init__(self, width: int, *, table: float = 0.0, hidden: float = 0.0, head: float = 0.0) -> None:
        super().__init__()
        self.tokens, self.norm = nn.Embedding(7, width), nn.LayerNorm(width)
        self.hidden, self.out = nn.Linear(width, width), nn.Linear(width, 7, bias=False)
        self.numbers = [width**power for power in (table, hidden, head)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b, c = self.numbers
        x = self.norm(torch.relu(self.hidden(self.tokens(x) * a) * b))
        return self.out(x) * c


def test_a_table_scaled_by_the_root_of_the_width_is_undone_in_the_table():
    made = plan(lambda w: Scaled(w, table=0.5), base=16, target=64, sample=TOKENS)
    assert {r.name: (r.multiplier, r.role) for r in made.rows}["hidden.weight"] == (1.0, "hidden")
    (row,) = [r for r in made.rows if r.name == "tokens.weight"]
    assert (row.multiplier, row.rescale, row.lr) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("powers", "name"), [({"head": -1.0}, "out.weight"), ({"hidden": -0.5}, "hidden.weight")]
)
def test_a_model_that_is_parametrised_already_is_refused(powers, name):
    made = plan(lambda w: Scaled(w, **powers), base=16, target=64, sample=TOKENS)
    assert name in [r.name for r in made.refused]
    assert "the plan would apply the rule twice" in made.refused[-1].reason
    with pytest.raises(RoleError, match="apply the rule twice"):
        made.apply_(Scaled(64, **powers))


def test_a_tied_head_without_a_norm_gets_a_hook():
    def bare(width: int) -> nn.Module:
        model = nn.Sequential(nn.Embedding(7, width), nn.Tanh(), nn.Linear(width, 7, bias=False))
        model[2].weight = model[0].weight
        return model

    made = plan(bare, base=16, target=64, sample=TOKENS)
    (hook,) = made.hooks
    assert (hook.module, hook.factor) == ("2", 0.25)
    assert "no tensor makes what the head reads" in hook.reason
    model = made.apply_(bare(64))
    assert torch.allclose(model(TOKENS), 0.25 * torch.tanh(model[0](TOKENS)) @ model[0].weight.T)


def test_the_lengths_of_a_normalized_head_carry_its_scale():
    def build(width: int) -> nn.Module:
        torch.manual_seed(0)
        norm = nn.utils.parametrizations.weight_norm
        return nn.Sequential(
            nn.Linear(3, width), norm(nn.Linear(width, width)), nn.ReLU(), norm(nn.Linear(width, 2))
        )

    made = plan(build, base=64, target=256, sample=torch.zeros(2, 3), optimizer=torch.optim.Adam)
    rows = {row.name: row for row in made.rows}
    assert made.refused == ()
    lengths, directions = (rows[f"3.parametrizations.weight.original{i}"] for i in (0, 1))
    assert lengths.init == pytest.approx(0.5)
    assert (lengths.lr, directions.rescale, directions.lr) == (0.5, 1.0, 0.5)
    inner = rows["1.parametrizations.weight.original1"]
    assert (inner.rescale, inner.lr) == (1.0, 0.25)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"base": 0}, PlanError, "base=0 is not a width. Pass a positive integer"),
        ({"target": 8.5}, PlanError, "target=8.5 is not a width"),
        ({"rule": "mUP"}, PlanError, r"rule 'mUP' is unknown. Choose one of 'mup', 'sp', 'ntp'"),
        ({"optimizer": torch.optim.LBFGS}, PlanError, "LBFGS has no rule"),
        ({"knobs": {"hed": 2.0}}, PlanError, "knobs names 'hed', which is no role"),
        ({"roles": {"haed.weight": "output"}}, RoleError, r"Close names: 'head.weight'"),
        ({"make": lambda: None}, FactoryError, r"failed with TypeError"),
    ],
)
def test_wrong_use_is_told(arguments, error, text):
    full = {"make": make, "base": 16, "target": 64, "sample": SAMPLE} | arguments
    with pytest.raises(error, match=text):
        plan(full.pop("make"), **full)


def test_planning_leaves_global_state_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    plan(make, base=16, target=64, sample=SAMPLE)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.empty(0).device.type == "cpu"


def _change_slopes(rule: str, optimizer: type[torch.optim.Optimizer], lr: float) -> list[float]:
    """Slopes over width of how far four steps move every layer's output, three seeds."""
    widths = (64, 128, 256, 512)
    build = lambda w: models.MLP(12, 3, width=w, depth=3, zero_head=True)  # noqa: E731
    logs: list[list[float]] = []
    for width in widths:
        made = plan(build, base=64, target=width, optimizer=optimizer, rule=rule, sample=SAMPLE)
        squares = [0.0] * 4
        for seed in range(3):
            torch.manual_seed(seed)
            x, y = torch.randn(32, 12), torch.randint(0, 3, (32,))
            model = made.apply_(build(width))
            stepper = optimizer(made.groups(model, lr=lr))
            before = _layers(model, x)
            for _ in range(4):
                stepper.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                stepper.step()
            for i, (b, a) in enumerate(zip(before, _layers(model, x), strict=True)):
                squares[i] += float((a - b).square().mean())
        logs.append([math.log(s) / 2 for s in squares])
    return [oracle.slope(widths, list(layer)) for layer in zip(*logs, strict=True)]


def _layers(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    outputs: list[torch.Tensor] = []
    hooks = [
        m.register_forward_hook(lambda _m, _i, out: outputs.append(out.detach()))
        for m in model.modules()
        if isinstance(m, nn.Linear)
    ]
    model(x)
    for hook in hooks:
        hook.remove()
    return outputs


@pytest.mark.parametrize(("optimizer", "lr"), [(torch.optim.Adam, 0.003), (torch.optim.SGD, 0.3)])
def test_layers_move_alike_at_every_width_under_mup(optimizer, lr):
    with torch.random.fork_rng(devices=[]):
        assert max(map(abs, _change_slopes("mup", optimizer, lr))) <= 0.15


def test_layers_move_more_with_width_under_sp_with_adam():
    with torch.random.fork_rng(devices=[]):
        assert max(_change_slopes("sp", torch.optim.Adam, 0.003)) >= 0.5


@pytest.mark.parametrize("tied", [True, False])
def test_transformers_gpt2(tied):
    transformers = pytest.importorskip("transformers")

    def gpt2(width: int) -> nn.Module:
        config = transformers.GPT2Config(
            n_embd=width,
            n_head=width // 16,
            n_layer=1,
            vocab_size=50,
            n_positions=8,
            bos_token_id=0,
            eos_token_id=0,
            tie_word_embeddings=tied,
        )
        return transformers.GPT2LMHeadModel(config)

    made = plan(gpt2, base=32, target=64, sample={"input_ids": torch.zeros(1, 4, dtype=torch.long)})
    assert (made.refused, made.notes) == ((), ())
    roles = {row.name: row for row in made.rows}
    assert roles["transformer.h.0.mlp.c_fc.weight"].role == "hidden"
    assert roles["transformer.h.0.mlp.c_fc.weight"].rescale == 2**-0.5
    assert roles["transformer.wte.weight"].role == "lookup"
    assert roles["transformer.ln_f.weight"].multiplier == (0.5 if tied else 1.0)
    assert ("lm_head.weight" in roles) is not tied
    model = made.apply_(gpt2(64))
    assert sum(len(g["params"]) for g in made.groups(model, lr=0.1)) == len(list(model.parameters()))


def test_the_plan_cites_its_papers():
    assert sorted(c.paper.number for c in cite(plan)) == [1, 7, 13, 17]


def test_an_init_that_is_not_finite_is_refused_by_name():
    def make(width):
        model = nn.Linear(width, width)
        nn.init.constant_(model.weight, float("nan"))
        return model

    with pytest.raises(PlanError, match=r"'weight'.*not finite"):
        plan(make, base=8, target=16, sample=_rows)


def test_a_factory_that_exits_is_an_error_of_the_factory():
    def make(width):
        raise SystemExit(5)

    with pytest.raises(FactoryError, match="SystemExit"):
        plan(make, base=8, target=16, sample=_rows)


def test_a_folder_is_no_place_for_a_plan(tmp_path):
    made = plan(lambda width: nn.Linear(width, width), base=8, target=16, sample=_rows)
    with pytest.raises(PlanError, match="it is a folder"):
        made.save(tmp_path)


class Wired(nn.Module):
    """A table, two matrices and a head, wired by a function; `p` is a vector."""

    def __init__(self, width: int, run) -> None:
        super().__init__()
        self.width, self.run = width, run
        self.tokens, self.norm = nn.Embedding(7, width), nn.LayerNorm(width)
        self.a, self.b = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.p = nn.Parameter(torch.randn(4, width))
        self.register_buffer("root", torch.full((width,), float(width) ** 0.5))
        self.out = nn.Linear(width, 7, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.norm(self.run(self, self.tokens(x))))


def _multipliers(run) -> dict[str, float]:
    made = plan(lambda w: Wired(w, run), base=16, target=64, sample=TOKENS)
    assert made.refused == (), made.refused
    return {row.name: row.multiplier for row in made.rows if row.multiplier != 1.0}


@pytest.mark.parametrize(
    "run",
    [
        lambda m, x: x * m.width**0.5 + m.p,
        lambda m, x: m.p + x * m.width**0.5,
        lambda m, x: (x * m.width**0.5).add_(m.p),
        lambda m, x: torch.add(m.p, x, alpha=m.width**0.5),
        lambda m, x: x * m.root + m.p,
        lambda m, x: x * torch.tensor(m.width).sqrt() + m.p,
    ],
    ids=["after", "before", "in place", "alpha", "buffer", "tensor"],
)
def test_what_joins_after_a_number_is_not_multiplied_by_it(run):
    assert _multipliers(run) == {"tokens.weight": 0.5}


def test_what_joins_before_a_number_is():
    assert _multipliers(lambda m, x: (x + m.p) * m.width**0.5) == {"tokens.weight": 0.5, "p": 0.5}


@pytest.mark.parametrize(
    "run",
    [
        lambda m, x: m.b(torch.relu(m.a(x) / torch.tensor(m.width))),
        lambda m, x: torch.add(x, m.b(torch.relu(m.a(x))), alpha=1 / m.width),
        lambda m, x: torch.addmm(x[0], torch.relu(m.a(x[0])), m.b.weight.T, alpha=1 / m.width),
    ],
    ids=["integer tensor", "alpha of a sum", "alpha of a product"],
)
def test_numbers_in_tensors_and_keywords_are_seen(run):
    made = plan(lambda w: Wired(w, run), base=16, target=64, sample=TOKENS)
    assert any("apply the rule twice" in refusal.reason for refusal in made.refused)


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (
            lambda m, x: x + torch.tanh(m.a(x)).sum(-1, keepdim=True),
            "sums activations over a side that grows (16 -> 32",
        ),
        (lambda m, x: torch.lerp(x, torch.tanh(m.a(x)), 1 / m.width), "a number in the operation lerp"),
    ],
)
def test_what_no_tensor_answers_for_is_noted(run, says):
    made = plan(lambda w: Wired(w, run), base=16, target=64, sample=TOKENS)
    assert any(says in note for note in made.notes), made.notes


def test_baddbmm_scales_logits_as_attention_does():
    class Alibi(Attention):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = (
                p(x).unflatten(-1, (self.heads, -1)).transpose(1, 2).flatten(0, 1)
                for p in (self.q, self.k, self.v)
            )
            logits = torch.baddbmm(torch.zeros(1, 1, 1), q, k.mT, beta=1, alpha=q.shape[-1] ** -0.5)
            return self.out(
                (logits.softmax(-1) @ v).unflatten(0, (-1, self.heads)).transpose(1, 2).flatten(2)
            )

    made = plan(lambda w: Alibi(w, 2), base=16, target=64, sample=_rows)
    assert {r.name: r.multiplier for r in made.rows if r.multiplier != 1.0} == {
        "q.weight": 0.5,
        "q.bias": 0.5,
    }


def test_an_output_that_a_carrier_makes_is_noted():
    class Both(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.tokens, self.norm = nn.Embedding(7, width), nn.LayerNorm(width)

        def forward(self, x: torch.Tensor):
            h = self.norm(self.tokens(x))
            return h @ self.tokens.weight.T, h

    made = plan(Both, base=16, target=64, sample=TOKENS)
    assert any("also an output of the model, and is x0.25 there" in note for note in made.notes)


def test_a_matrix_that_narrows_slowly_follows_both_its_sides():
    def build(width: int) -> nn.Module:
        inner = round(width**0.5)
        return nn.Sequential(nn.Linear(width, inner), nn.Tanh(), nn.Linear(inner, width))

    made = plan(build, base=16, target=256, sample=_rows, optimizer=torch.optim.SGD)
    row = made.rows[0]
    assert (row.role, row.fan_in_ratio, row.fan_out_ratio) == ("bottleneck", 16.0, 4.0)
    assert (row.lr, row.init) == (0.25, 0.25)


def test_a_model_that_differentiates_itself_is_told_so():
    class Force(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.requires_grad_()
            return torch.autograd.grad(self.net(x).sum(), x)[0]

    with pytest.raises(PlanError, match="takes derivatives of itself"):
        plan(Force, base=8, target=16, sample=torch.zeros(2, 3))


def test_a_batch_by_vmap_is_traced():
    class Mapped(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.net = nn.Linear(3, width)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.vmap(self.net)(x)

    made = plan(Mapped, base=8, target=16, sample=torch.zeros(2, 3))
    assert [row.role for row in made.rows] == ["input", "vector"]


def test_a_matrix_divided_by_the_norm_of_its_entries_is_refused():
    class Unit(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(width, width))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ (self.w / self.w.norm())

    assert "norm of all entries" in plan(Unit, base=8, target=16, sample=_rows).refused[0].reason
