"""gamma divides what the model returns and nothing else, however the output is made; else the plan says what to do."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from similitude.core.errors import PlanError
from similitude.scaling.factors import for_optimizer
from similitude.scaling.outputs import Divided
from similitude.scaling.plan import plan
from similitude.scaling.richness import lr_scale

IN, OUT, GAMMA = 6, 3, 5.0
X = torch.randn(16, IN, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Net(nn.Module):
    """Everything that the outputs below are made of; unused tensors are left alone by every plan."""

    def __init__(self, width):
        super().__init__()
        self.a = nn.Linear(IN, width)
        self.h = nn.Linear(width, OUT)
        self.g = nn.Linear(width, OUT)
        self.r = nn.Linear(width, 2)
        self.skip = nn.Linear(IN, OUT)
        self.last = nn.Linear(OUT, OUT)
        self.ln = nn.LayerNorm(OUT)
        self.bn = nn.BatchNorm1d(OUT)
        self.bias = nn.Parameter(torch.linspace(-1, 1, OUT))
        self.scale = nn.Parameter(torch.linspace(0.5, 2, OUT))
        self.wn = nn.utils.parametrizations.weight_norm(nn.Linear(width, OUT))
        self.register_buffer("fixed", torch.linspace(-1, 1, OUT * OUT).view(OUT, OUT))
        self.double()

    def f(self, x):
        return torch.relu(self.a(x))

    def p(self, x):
        return self.r(self.f(x)).softmax(-1)


def cosine(m, x):
    return F.linear(F.normalize(m.f(x), dim=-1), F.normalize(m.h.weight, dim=-1))


def twice(m, y):
    return y + m.last(y)


EXACT = {
    "head": lambda m, x: m.h(m.f(x)),
    "mm_and_add": lambda m, x: m.h(m.f(x).view(4, 4, -1).transpose(0, 1)),
    "bias_apart": lambda m, x: m.f(x) @ m.h.weight.mT + m.bias,
    "affine": lambda m, x: m.h(m.f(x)) * m.scale + m.bias,
    "exponential_scale": lambda m, x: m.h(m.f(x)) * m.scale.exp(),
    "temperature": lambda m, x: m.h(m.f(x)) / m.scale,
    "wide_and_deep": lambda m, x: m.h(m.f(x)) + m.skip(x),
    "layer_norm": lambda m, x: m.ln(m.h(m.f(x))),
    "product": lambda m, x: m.g(m.f(x)) * m.h(m.f(x)),
    "mixture": lambda m, x: m.p(x)[:, :1] * m.h(m.f(x)) + m.p(x)[:, 1:] * m.g(m.f(x)),
    "gate": lambda m, x: torch.sigmoid(m.r(m.f(x))[:, :1]) * m.h(m.f(x)),
    "gate_of_the_same_shape": lambda m, x: torch.sigmoid(m.g(m.f(x))) * m.h(m.f(x)),
    "fixed_buffer": lambda m, x: m.h(m.f(x)) @ m.fixed,
    "finite_matrix": lambda m, x: m.last(m.h(m.f(x))),
    "parts": lambda m, x: torch.cat([m.h(m.f(x)), m.g(m.f(x))], -1),
    "weight_norm": lambda m, x: m.wn(m.f(x)),
    "cosine_with_a_scale": lambda m, x: cosine(m, x) * m.scale[0],
    "masked": lambda m, x: m.h(m.f(x)).masked_fill(x[:, :OUT] > 1, 0.0),
}
REFUSED = {
    "unit_length": (lambda m, x: F.normalize(m.h(m.f(x)), dim=-1), "own length"),
    "input_added": (lambda m, x: x[:, :OUT] + m.h(m.f(x)), "sum with an input"),
    "buffer_added": (lambda m, x: m.fixed[0] + m.h(m.f(x)), "sum with a constant"),
    "number_added": (lambda m, x: m.h(m.f(x)) + 1.0, "a number"),
    "tanh": (lambda m, x: torch.tanh(m.h(m.f(x))), "tanh"),
    "norm_without_gain": (lambda m, x: F.layer_norm(m.h(m.f(x)), (OUT,)), "norm without a gain"),
    "norm_with_a_bias_alone": (
        lambda m, x: F.layer_norm(m.h(m.f(x)), (OUT,), None, m.bias),
        "norm without a gain",
    ),
    "gain_of_one_plus": (lambda m, x: F.layer_norm(m.h(m.f(x)), (OUT,), 1 + m.scale, m.bias), "add"),
    "cosine": (cosine, "own length"),
    "read_twice": (lambda m, x: twice(m, m.skip(x)), "also read by"),
    "two_places": (lambda m, x: m.last(torch.relu(m.last(m.h(m.f(x))))), "another place"),
    "no_parameter": (lambda m, x: x, "no tensor"),
}


def family_of(forward):
    return type("Made", (Net,), {"forward": forward})


def planned(forward, sample=X, **more):
    return plan(family_of(forward), base=16, target=16, sample=sample, gamma=GAMMA, **more)


def losses(model, optimizer, steps=5):
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(steps):
        x = torch.randn(16, IN, generator=generator, dtype=torch.float64)
        out = model(x)
        loss = (out - x.sin().sum()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(
    ("optimizer", "family", "options"),
    [(torch.optim.SGD, "sgd", {"momentum": 0.9}), (torch.optim.Adam, "entrywise", {"eps": 1e-30})],
    ids=["sgd", "adam"],
)
def test_training_is_that_of_the_model_divided_by_gamma(name, optimizer, family, options):
    roles = {"h.weight": "output"} if name.startswith("cosine") else {}  # no plan tells that of a unit matrix
    made = planned(EXACT[name], optimizer=optimizer, roles=roles)
    torch.manual_seed(2)
    start = family_of(EXACT[name])(16)
    folded, plain = copy.deepcopy(start), copy.deepcopy(start)
    made.apply_(folded)
    rate = 1e-3
    rates = made.groups(folded, lr=rate, **options)
    one = losses(folded, optimizer(rates))
    scaled = rate * lr_scale(GAMMA, made.layers, family)
    other = losses(Divided(plain, GAMMA), optimizer(plain.parameters(), lr=scaled, **options))
    assert not made.refused
    assert one == pytest.approx(other, rel=1e-9)
    assert len(set(one)) == len(one)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_divided_is_refused_with_a_reason_and_a_remedy(name):
    forward, reason = REFUSED[name]
    with pytest.raises(PlanError, match=reason) as refusal:
        planned(forward)
    assert "Divided(model, 5)" in str(refusal.value)


def test_routers_and_gates_carry_nothing():
    for name in ("mixture", "gate", "gate_of_the_same_shape"):
        rows = {row.name: row.multiplier for row in planned(EXACT[name]).rows}
        gate = "g" if name == "gate_of_the_same_shape" else "r"
        assert rows[f"{gate}.weight"] == rows[f"{gate}.bias"] == 1.0
        assert rows["h.weight"] == rows["h.bias"] == 1 / GAMMA


def carriers(made):
    return {row.name for row in made.rows if row.multiplier != 1.0}


def head(m, x):
    return m.h(m.f(x))


def with_features(m, x):
    features = m.f(x)
    return features, m.h(features), m.bias.exp()


def with_router(m, x):
    features = m.f(x)
    p = m.r(features).softmax(-1)
    logits = m.h(features * p[:, :1])
    return F.cross_entropy(logits, x[:, 0].gt(0).long()) + 0.01 * p.mean(0).square().sum()


@pytest.mark.parametrize(
    ("forward", "loss"),
    [
        (head, lambda m, x: (m(x) - x[:, :OUT]).square().mean()),
        (head, lambda m, x: F.cross_entropy(m(x), x[:, 0].gt(0).long())),
        (lambda m, x: {"out": head(m, x)}, lambda m, x: F.mse_loss(m(x)["out"], x[:, :OUT])),
        (lambda m, x: F.cross_entropy(head(m, x), x[:, 0].gt(0).long()), None),
        (lambda m, x: (head(m, x) - x[:, :OUT].sin()).abs().mean(), None),
        (lambda m, x: (head(m, x), F.cross_entropy(head(m, x), x[:, 0].gt(0).long())), None),
        (with_router, None),
        (lambda m, x: F.log_softmax(head(m, x), -1), None),
        (with_features, None),
        (lambda m, x: m.f(x), lambda m, x: m.h(m(x)).square().mean()),
    ],
    ids=[
        "squares",
        "ce",
        "dict",
        "own_ce",
        "own_l1",
        "both",
        "router",
        "log_softmax",
        "tuple",
        "head_in_loss",
    ],
)
def test_the_output_is_found_before_a_loss(forward, loss):
    assert carriers(planned(forward, loss=loss)) == {"h.weight", "h.bias"}


def test_an_output_that_is_not_divided_is_named():
    made = planned(lambda m, x: (m.h(m.f(x)), torch.tanh(m.g(m.f(x)))))
    assert carriers(made) == {"h.weight", "h.bias"}
    assert any("1 of 2 outputs" in note and "tanh" in note for note in made.notes)


def test_a_named_head_carries_what_the_output_is_not_proportional_to():
    made = planned(lambda m, x: torch.tanh(m.h(m.f(x))), roles={"h.weight": "output"})
    assert carriers(made) == {"h.weight", "h.bias"}
    assert any("you named" in note for note in made.notes)


def test_naming_a_unit_matrix_does_not_help():
    with pytest.raises(PlanError, match="own length"):
        planned(cosine, roles={"h.weight": "output"})


class Recurrent(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.r = nn.LSTM(IN, width, batch_first=True)
        self.h = nn.Linear(width, OUT)

    def forward(self, x):
        return self.h(self.r(x)[0])


@pytest.mark.parametrize("steps", [2, 4, 8])
def test_layers_do_not_count_time_steps(steps):
    made = plan(Recurrent, base=8, target=8, sample=torch.randn(2, steps, IN), gamma=GAMMA)
    assert made.layers == 3
    assert carriers(made) == {"h.weight", "h.bias"}


def test_a_plan_for_another_optimizer_has_its_notes():
    def at(optimizer):
        return plan(family_of(head), base=16, target=32, sample=X, optimizer=optimizer)

    adam, muon = at(torch.optim.AdamW), at(torch.optim.Muon)
    assert any("similitude.split" in note for note in muon.notes)
    assert for_optimizer(adam, torch.optim.Muon).notes == muon.notes
    assert for_optimizer(muon, torch.optim.Muon).notes == muon.notes
    assert for_optimizer(muon, torch.optim.AdamW).notes == adam.notes
