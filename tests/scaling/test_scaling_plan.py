"""The plan as a whole: rows, JSON, texts, samples, how layers move when it is followed, transformers."""

from __future__ import annotations

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


def make(width: int) -> nn.Module:
    return models.MLP(12, 3, width=width, depth=2, zero_head=True)


def test_rows_say_everything():
    made = plan(make, base=16, target=64)
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
    assert "no spread" in head.reason
    assert rows["hidden.1.bias"].rescale == 2.0


@pytest.mark.parametrize("rule", ["mup", "sp", "ntp"])
def test_at_the_base_every_number_is_exactly_one_and_roles_are_known(rule):
    made = plan(make, base=16, target=16, rule=rule)
    assert made.is_identity
    for row in made.rows:
        assert (row.init, row.rescale, row.lr, row.eps, row.weight_decay) == (1.0,) * 5
    assert {row.role for row in made.rows} == {"input", "vector", "hidden", "output", "finite"}


def test_sp_shows_the_users_own_init_and_needs_no_roles():
    def tied(width: int) -> nn.Module:
        return models.GPT(7, 4, width=width, depth=1, head_dim=8, tie=True)

    made = plan(tied, base=16, target=64, rule="sp")
    assert made.is_identity
    rows = {row.name: row for row in made.rows}
    assert rows["tokens.weight"].role == "undecided"
    assert rows["tokens.weight"].aliases == ("head.weight",)
    assert rows["blocks.0.up.weight"].init == 0.5
    assert made.groups(made.apply_(tied(64)), lr=0.1)[0]["lr"] == 0.1
    assert plan(tied, base=16, target=16).is_identity


def test_json_round_trip(tmp_path):
    made = plan(make, base=16, target=64, sample=torch.zeros(2, 12), roles={"head.bias": "finite"})
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
        ("[]", "not a plan of format 1"),
        ('{"format": 1}', "incomplete"),
    ):
        path.write_text(text)
        with pytest.raises(PlanError, match=says):
            Plan.load(path)
    with pytest.raises(PlanError, match="cannot be written to"):
        plan(make, base=16, target=16).save(path / "below" / "a" / "file.json")


def test_text_and_table_hold_every_tensor():
    from rich.console import Console

    made = plan(lambda w: models.GPT(7, 4, width=w, depth=1, head_dim=8, tie=True), base=16, target=64)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(made)
    for text in (str(made), console.export_text()):
        assert all(row.name[:20] in text for row in made.rows)
        assert "REFUSED tokens.weight" in text
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
    assert not plan(make, base=16, target=64, sample=torch.zeros(2, 12)).notes
    with pytest.raises(PlanError, match=r"make\(4\) cannot take the sample: RuntimeError: .*mat1 and mat2"):
        plan(Net, base=4, target=8, sample=torch.ones(3, 5))


def test_notes_on_fixed_heads_and_possible_bottlenecks():
    made = plan(lambda w: nn.MultiheadAttention(w, 2), base=8, target=32)
    assert any(
        "number of attention heads stays 2" in note and "head size grows" in note for note in made.notes
    )
    assert not plan(lambda w: nn.MultiheadAttention(w, w // 4), base=8, target=32).notes
    made = plan(lambda w: nn.Sequential(nn.Linear(w, 4), nn.Linear(4, w), nn.Linear(w, 2)), base=8, target=32)
    assert any(
        "2 matrices lead from a growing side to a fixed one: '0.weight', '2.weight'" in n for n in made.notes
    )


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"base": 0}, PlanError, "base=0 is not a width. Pass a positive integer"),
        ({"target": 8.5}, PlanError, "target=8.5 is not a width"),
        ({"rule": "mUP"}, PlanError, r"rule 'mUP' is unknown. Choose one of 'mup', 'sp', 'ntp'"),
        ({"optimizer": torch.optim.RMSprop}, PlanError, "RMSprop has no rule yet"),
        ({"roles": {"haed.weight": "output"}}, RoleError, r"Close names: 'head.weight'"),
        ({"make": lambda: None}, FactoryError, r"make\(16\) failed with TypeError"),
    ],
)
def test_wrong_use_is_told(arguments, error, text):
    full = {"make": make, "base": 16, "target": 64} | arguments
    with pytest.raises(error, match=text):
        plan(full.pop("make"), **full)


def test_planning_leaves_global_state_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    plan(make, base=16, target=64, sample=torch.zeros(2, 12))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.empty(0).device.type == "cpu"


def _change_slopes(rule: str, optimizer: type[torch.optim.Optimizer], lr: float) -> list[float]:
    """Slopes over width of how far four steps move every layer's output, three seeds."""
    widths = (64, 128, 256, 512)
    build = lambda w: models.MLP(12, 3, width=w, depth=3, zero_head=True)  # noqa: E731
    logs: list[list[float]] = []
    for width in widths:
        made = plan(build, base=64, target=width, optimizer=optimizer, rule=rule)
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
    if tied:
        assert [r.name for r in made.refused] == ["transformer.wte.weight"]
        with pytest.raises(RoleError, match="tie_word_embeddings=False"):
            made.apply_(gpt2(64))
        return
    assert (made.refused, made.notes) == ((), ())
    roles = {row.name: row for row in made.rows}
    assert roles["transformer.h.0.mlp.c_fc.weight"].role == "hidden"
    assert roles["transformer.h.0.mlp.c_fc.weight"].rescale == 2**-0.5
    assert roles["transformer.wte.weight"].role == "lookup"
    assert roles["lm_head.weight"].role == "output"
    model = made.apply_(gpt2(64))
    assert sum(len(g["params"]) for g in made.groups(model, lr=0.1)) == len(list(model.parameters()))


def test_the_plan_cites_its_paper():
    assert [c.paper.number for c in cite(plan)] == [17]


def test_an_init_that_is_not_finite_is_refused_by_name():
    def make(width):
        model = nn.Linear(width, width)
        nn.init.constant_(model.weight, float("nan"))
        return model

    with pytest.raises(PlanError, match=r"'weight'.*not finite"):
        plan(make, base=8, target=16)


def test_a_factory_that_exits_is_an_error_of_the_factory():
    def make(width):
        raise SystemExit(5)

    with pytest.raises(FactoryError, match="SystemExit"):
        plan(make, base=8, target=16)


def test_a_folder_is_no_place_for_a_plan(tmp_path):
    made = plan(lambda width: nn.Linear(width, width), base=8, target=16)
    with pytest.raises(PlanError, match="it is a folder"):
        made.save(tmp_path)
