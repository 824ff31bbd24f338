"""Numbers that depend on the depth: in the forward pass before a branch, and in the initial values."""

import math

import pytest
import torch
from depth_nets import IN, OUT
from torch import nn
from torch.nn import functional

import similitude as sim
from similitude.scaling.dataflow import branch_numbers as numbers
from similitude.scaling.dataflow.interpret import analyse
from similitude.scaling.dataflow.residual import residuals
from similitude.scaling.dataflow.trace import trace
from similitude.scaling.inits.depths import depth_inits
from similitude.scaling.patterns import name_patterns
from similitude.scaling.plan import for_optimizer

X = torch.randn(16, IN, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
BASE, DEEP = {"width": 8, "depth": 2}, {"width": 8, "depth": 8}


class Block(nn.Module):
    """A branch whose matrices have biases or not, and parameters for every way to multiply it."""

    def __init__(self, width, bias):
        super().__init__()
        self.norm, self.gain = nn.LayerNorm(width), nn.Parameter(torch.full((width,), 0.7))
        self.a, self.b = nn.Linear(width, 2 * width, bias=bias), nn.Linear(2 * width, width, bias=bias)

    def hidden(self, x):
        return torch.relu(self.a(self.norm(x)))


def root_mean_square(y, eps):
    return y * torch.rsqrt(y.square().mean(-1, keepdim=True) + eps)


# How a branch is added to the stream, and by which power of c the whole of it is multiplied.
WAYS = {
    "value": (lambda x, m, c: x + c * m.b(m.hidden(x)), 1),
    "alpha": (lambda x, m, c: torch.add(x, m.b(m.hidden(x)), alpha=c), 1),
    "alpha of sub": (lambda x, m, c: torch.sub(x, m.b(m.hidden(x)), alpha=c), 1),
    "in place": (lambda x, m, c: x + m.b(m.hidden(x)).mul_(c), 1),
    "before the matrix": (lambda x, m, c: x + functional.linear(c * m.hidden(x), m.b.weight), 1),
    "on the weight": (lambda x, m, c: x + functional.linear(m.hidden(x), m.b.weight * c), 1),
    "before the relu": (lambda x, m, c: x + m.b(torch.relu(c * m.a(m.norm(x)))), 1),
    "before the gain": (lambda x, m, c: x + m.gain * (c * m.b(m.hidden(x))), 1),
    "on the gain": (lambda x, m, c: x + (m.gain * c) * m.b(m.hidden(x)), 1),
    "twice": (lambda x, m, c: torch.add(x, m.b(m.hidden(x)) / c, alpha=c**2), 1),
    "product": (lambda x, m, c: x + m.b(c * m.hidden(x)) * torch.relu(c * m.gain * x), 2),
    "stream": (lambda x, m, c: x / c + m.b(m.hidden(x)), 1),
    "sum": (lambda x, m, c: x + c * (m.b(m.hidden(x)) + m.norm(x)), 1),
    "before a norm": (lambda x, m, c: x + m.norm(c * m.b(m.hidden(x))), 0),
    "before a norm of one's own": (lambda x, m, c: x + root_mean_square(c * m.b(m.hidden(x)), 1e-6), 0),
    "before a tanh": (lambda x, m, c: x + torch.tanh(c * m.b(m.hidden(x))), 0),
    "in a softmax": (lambda x, m, c: x + torch.softmax(c * m.b(m.hidden(x)), -1) @ m.gain.diag(), 0),
}


class Net(nn.Module):
    def __init__(self, width, depth, way, power=-0.5, bias=False):
        super().__init__()
        self.way, self.c = WAYS[way][0] if isinstance(way, str) else way, depth**power
        self.stem = nn.Linear(IN, width)
        self.blocks = nn.ModuleList(Block(width, bias) for _ in range(depth))
        self.last, self.head = nn.LayerNorm(width), nn.Linear(width, OUT)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = self.way(x, block, self.c)
        return self.head(self.last(x))


def number_of(way, depth, **more):
    torch.manual_seed(0)
    model = Net(8, depth, way, **more).double()
    flow = analyse(trace(model, lambda m: m(X), inputs=X))
    return [numbers.branch_numbers(flow, residual) for residual in residuals(flow)]


@pytest.mark.parametrize("way", WAYS)
def test_the_number_is_what_the_branch_is_proportional_to(way):
    """Oracle: the branch itself, run with c and with 1."""
    step, power = WAYS[way]
    torch.manual_seed(0)
    block, x = Block(8, bias=False).double(), torch.randn(5, 8, dtype=torch.float64)
    c = 4**-0.5
    with torch.no_grad():
        if way == "stream":  # which is divided, so that all of it is multiplied back
            branches = [number * (step(x, block, number) - x / number) for number in (c, 1.0)]
        else:
            branches = [step(x, block, number) - x for number in (c, 1.0)]
    if power:  # behind a norm or activation that forgets c, or bends it, nothing is counted
        torch.testing.assert_close(branches[0], branches[1] * c**power)
    found = [numbers.change(a, b) for a, b in zip(number_of(way, 4), number_of(way, 1), strict=False)]
    assert found == [pytest.approx(c**power)]


@pytest.mark.parametrize(
    "way", ["alpha", "before the matrix", "on the weight", "before the gain", "on the gain"]
)
@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_what_the_pass_multiplies_is_not_multiplied_again(way, alpha):
    """The planned network is the base's with each branch x 4^-alpha: what it computes, and its losses, agree."""

    def make(width, depth):
        return Net(width, depth, way).double()

    made = sim.plan(make, base=BASE, target=DEEP, sample=X, depth_rule=alpha)
    torch.manual_seed(1)
    model = make(**DEEP)
    oracle = make(**DEEP)
    oracle.load_state_dict(model.state_dict())
    oracle.c = 2**-0.5 * 4**-alpha  # the base's number, and the depth rule
    made.apply_(model)
    with torch.no_grad():
        torch.testing.assert_close(model(X), oracle(X), rtol=1e-12, atol=1e-12)
    sgd = for_optimizer(made, torch.optim.SGD)
    ends = {row.name for row in sgd.rows if row.multiplier != 1.0}
    assert bool(ends) == (alpha != 0.5)


def test_a_number_that_the_bias_does_not_have_is_refused():
    """c W h + b is not proportional to c, so that no single number says what the branch is multiplied by."""

    def before(x, block, c):
        return x + block.b(c * block.hidden(x))

    assert numbers.change(number_of(before, 4, bias=True)[0], number_of(before, 1, bias=True)[0]) is None
    made = sim.plan(
        lambda width, depth: Net(width, depth, before, bias=True).double(),
        base=BASE,
        target=DEEP,
        sample=X,
        depth_rule="complete_p",
    )
    assert {row.name for row in made.refused} >= {"blocks.0.b.weight", "blocks.7.b.bias"}
    same = sim.plan(
        lambda width, depth: Net(width, depth, before, bias=True, power=0.0).double(),
        base=BASE,
        target=DEEP,
        sample=X,
        depth_rule="complete_p",
    )
    assert same.refused == ()


def test_a_chain_inside_a_branch_has_its_own_numbers():
    """A branch with residual additions of its own, each multiplied by c, is not multiplied by c as a whole."""

    def nested(x, block, c):
        h = block.norm(x)
        for _ in range(3):
            h = h + c * torch.tanh(h) @ block.b.weight @ block.a.weight
        return x + block.gain * h

    torch.manual_seed(0)
    model = Net(8, 1, nested).double()
    model.c = 0.25
    flow = analyse(trace(model, lambda m: m(X), inputs=X))
    found = [numbers.branch_numbers(flow, residual) for residual in residuals(flow)]
    assert found == [(0.25,)] * 3 + [(1.0,)]


# -- initial values ---------------------------------------------------------------------------------------


class Sequenced(nn.Module):
    """Blocks that are `nn.Sequential`: only the last matrix of each starts smaller in a deeper network."""

    def __init__(self, width, depth, powers=(-0.5,)):
        super().__init__()
        self.stem = nn.Linear(IN, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
            )
            for _ in range(depth)
        )
        self.last, self.head = nn.LayerNorm(width), nn.Linear(width, OUT)
        for at, block in enumerate(self.blocks):
            first, last = (layer for layer in block.children() if isinstance(layer, nn.Linear))
            nn.init.normal_(first.weight, std=0.02)
            nn.init.normal_(last.weight, std=0.02 * depth ** powers[at % len(powers)])

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.last(x))


def sequenced(powers=(-0.5,)):
    return lambda width, depth: Sequenced(width, depth, powers)


SMALL, TALL = {"width": 32, "depth": 2}, {"width": 32, "depth": 8}


def test_layers_of_a_sequential_are_kinds_of_their_own():
    found = depth_inits(sequenced(), SMALL, TALL, seed=0)
    assert {name: init.ratio for name, init in found.items()} == {
        f"blocks.{i}.3.weight": 0.5 for i in range(8)
    }
    assert {(init.law, init.kind) for init in found.values()} == {("depth^-1/2", "blocks.*.3.weight")}


def test_the_plan_takes_out_what_the_last_matrix_alone_has():
    made = sim.plan(sequenced(), base=SMALL, target=TALL, sample=X.float(), depth_rule="complete_p")
    rescale = {row.name: row.rescale for row in made.rows}
    # 1/4 for the branch over the 1/2 that the model's own init has; nothing else moves but the end's bias.
    want = {f"blocks.{i}.3.weight": 0.5 for i in range(8)} | {f"blocks.{i}.3.bias": 0.25 for i in range(8)}
    assert rescale == pytest.approx({name: want.get(name, 1.0) for name in rescale})
    assert [note for note in made.notes if "own init depends" in note] == [
        "your own init depends on the depth: x0.5 (depth^-1/2), taken out, as the depth rule sets the scale of a branch "
        "itself: blocks.*.3.weight"
    ]


def test_tensors_of_a_kind_that_change_differently_have_their_own_ratios():
    found = depth_inits(sequenced((-0.5, 0.0)), SMALL, TALL, seed=0)
    assert (found["blocks.0.3.weight"].ratio, found["blocks.0.3.weight"].law) == (0.5, "depth^-1/2")
    assert "blocks.1.3.weight" not in found
    new = found["blocks.2.3.weight"]
    assert new.mixed
    assert not found["blocks.0.3.weight"].mixed
    assert new.ratio == pytest.approx(math.sqrt(0.5 * 1.0), rel=0.02)
    made = sim.plan(
        sequenced((-0.5, 0.0)), base=SMALL, target=TALL, sample=X.float(), depth_rule="complete_p"
    )
    notes = [note for note in made.notes if "own init depends" in note]
    assert len(notes) == 2
    assert notes[0].endswith(": blocks.0.3.weight")
    assert "the mean of the base's blocks, which differ, for those that it lacks" in notes[1]


def test_outside_of_branches_the_base_s_init_is_kept_and_said_to_be():
    def make(width, depth):
        model = sequenced((0.0,))(width, depth)
        nn.init.normal_(model.head.weight, std=0.1 * depth**-0.5)
        nn.init.constant_(model.last.weight, depth**-0.5)
        return model

    made = sim.plan(make, base=SMALL, target=TALL, sample=X.float(), depth_rule="complete_p")
    rows = {row.name: row for row in made.rows}
    assert rows["head.weight"].rescale == 2.0
    assert rows["head.weight"].init == rows["stem.weight"].init == 1.0
    assert (rows["last.weight"].rescale, rows["last.weight"].init) == pytest.approx((1.0, 0.5))
    assert [note for note in made.notes if "own init depends" in note] == [
        "your own init depends on the depth: x0.5 (depth^-1/2), kept: last.weight",
        "your own init depends on the depth: x0.5 (depth^-1/2), taken out, as outside of residual branches the depth "
        "rule keeps the init of the base: head.weight",
    ]


def test_numbers_that_the_depth_does_not_change_stay_in_a_pattern():
    stages = [
        [f"stages.{s}.{b}.{i}.weight" for s, n in enumerate(counts) for b in range(n) for i in (0, 3)]
        for counts in ((2, 2), (2, 6))
    ]
    found = name_patterns(stages)
    assert found["stages.0.1.3.weight"] == "stages.0.1.3.weight"
    assert {found[f"stages.1.{b}.3.weight"] for b in range(6)} == {"stages.1.*.3.weight"}


# -- cost -------------------------------------------------------------------------------------------------


def test_where_the_width_stays_few_models_are_built():
    built = []

    def make(width, depth):
        model = Net(width, depth, "value").double()
        if depth == 8 and not model.stem.weight.is_meta:
            built.append(width)
        return model

    made = sim.plan(make, base=BASE, target=DEEP, sample=X, depth_rule="complete_p")
    assert len(built) <= 16
    tensors = {row.name: row for row in made.rows}
    bound = tensors["blocks.3.b.weight"].own_rms
    assert bound == pytest.approx(1 / math.sqrt(3 * 16), rel=0.1)  # torch's uniform init of 16 inputs
    torch.manual_seed(5)
    made.apply_(make(**DEEP))
    wider = sim.plan(make, base=BASE, target={"width": 16, "depth": 8}, sample=X, depth_rule="complete_p")
    inits = [row.init for row in wider.rows if row.name.endswith("a.weight")]
    assert inits == [pytest.approx(2**-0.5)] * 8
