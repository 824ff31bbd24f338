"""Plans in depth: exact against explicit branch multipliers, by stage, and refused where no tensor can carry them."""

import copy
import functools
import math

import pytest
import torch
from depth_nets import IN, OUT, Net, Shared, family
from torch import nn

import similitude as sim
from similitude.core.errors import PlanError, RoleError
from similitude.models.gpt import GPT
from similitude.models.resnet import ResNet
from similitude.scaling.factors import for_optimizer

X = torch.randn(16, IN, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randint(0, OUT, (16,), generator=torch.Generator().manual_seed(1))
BASE, DEEP = {"width": 8, "depth": 2}, {"width": 8, "depth": 8}
KINDS = {"one": ("a.weight", "a.bias"), "two": ("b.weight", "b.bias"), "scaled": ("scale",)}
KINDS |= {"activation": ()}  # a hook on the activation, as no tensor can carry its branch
KINDS |= {"relu": ("a.weight", "a.bias"), "centred": ("a.weight", "a.bias"), "post": ("b.weight", "b.bias")}


@functools.cache
def of_kind(kind, rule):
    return planned(family(kind), rule=rule)


def planned(make, *, base=BASE, target=DEEP, rule="depth_mup", optimizer=torch.optim.AdamW, sample=X, **more):
    return sim.plan(
        make, base=base, target=target, sample=sample, depth_rule=rule, optimizer=optimizer, **more
    )


def train(model, groups, optimizer, steps=10):
    made, losses = optimizer(groups), []
    for _ in range(steps):
        made.zero_grad()
        loss = nn.functional.cross_entropy(model(X), Y)
        loss.backward()
        made.step()
        losses.append(float(loss.detach()))
    return losses


def seeded(make, **size):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return make(**size)


# Learning rate and eps of a tensor in a branch that is multiplied in the forward pass, in the ratio 4 of branches.
LAWS = {
    torch.optim.SGD: lambda a: (4 ** (2 * a - 1), None),
    torch.optim.AdamW: lambda a: (4 ** (a - 1), 4**-a),
    torch.optim.RMSprop: lambda a: (4 ** (a - 1), 4**-a),
}


CASES = [(kind, alpha, torch.optim.AdamW) for kind in KINDS for alpha in (0.5, 1.0)]
CASES += [(kind, 0.75, torch.optim.SGD) for kind in KINDS] + [("two", 0.5, torch.optim.RMSprop)]


@pytest.mark.parametrize(("kind", "alpha", "optimizer"), CASES)
def test_the_folded_network_trains_as_one_with_explicit_multipliers(kind, alpha, optimizer):
    """Same losses to 1e-12: the oracle multiplies its branches in the forward pass and knows no folding."""
    m, lr, eps, decay = 4**-alpha, 0.02, 1e-3, 0.1
    made = for_optimizer(of_kind(kind, alpha), optimizer)
    model = seeded(family(kind), **DEEP)
    oracle = Net(**DEEP, kind=kind, multiplier=m).double()
    oracle.load_state_dict(model.state_dict())
    made.apply_(model)
    options = {"weight_decay": decay} if optimizer is not torch.optim.RMSprop else {}
    options |= {"momentum": 0.9} if optimizer is torch.optim.SGD else {"eps": eps}
    more_lr, more_eps = LAWS[optimizer](alpha)
    inside = {"lr": lr * more_lr} | ({"eps": eps * more_eps} if more_eps else {})
    if "weight_decay" in options:
        inside["weight_decay"] = decay / more_lr
    groups = [
        {**options, "lr": lr, "params": [p for n, p in oracle.named_parameters() if "blocks" not in n]},
        {**options, **inside, "params": [p for n, p in oracle.named_parameters() if "blocks" in n]},
    ]
    if kind == "post":  # the norm behind the sum is no part of a branch
        norms = [p for n, p in oracle.named_parameters() if "blocks" in n and "norm" in n]
        groups[1]["params"] = [p for n, p in oracle.named_parameters() if "blocks" in n and "norm" not in n]
        groups.append({**options, "lr": lr, "params": norms})
    expected = train(oracle, groups, optimizer)
    assert train(model, made.groups(model, lr=lr, **options), optimizer) == pytest.approx(expected, rel=1e-12)
    as_is = seeded(family(kind), **DEEP)
    unplanned = train(as_is, [{**options, "lr": lr, "params": list(as_is.parameters())}], optimizer)
    assert unplanned != pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_who_carries_and_who_is_inside(kind):
    made = of_kind(kind, 1.0)
    carrying = {row.name for row in made.rows if row.multiplier != 1.0}
    assert carrying == {f"blocks.{i}.{end}" for i in range(8) for end in KINDS[kind]}
    hooks = [(f"blocks.{i}.act", 0.25, "output") for i in range(8 if kind == "activation" else 0)]
    assert [(hook.module, hook.factor, hook.side) for hook in made.hooks] == hooks
    inside = {row.name for row in made.rows if row.depth_ratio != 1.0}
    stream = ("norm",) if kind in ("post", "relu", "centred", "activation") else ("-",)
    unused = {row.name for row in made.rows if row.role == "unused"}
    assert inside == {
        name
        for name, _ in family(kind)(**DEEP).named_parameters()
        if "blocks" in name and not any(part in name for part in stream) and name not in unused
    }
    assert {row.depth_ratio for row in made.rows} == {1.0, 4.0}


def test_the_base_is_bit_identical_in_depth_too():
    make = family("two")
    made = planned(make, target=BASE, rule="complete_p")
    assert made.is_identity
    model = seeded(make, **BASE)
    before = copy.deepcopy(model.state_dict())
    made.apply_(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    (group,) = made.groups(model, lr=0.1)
    assert group["lr"] == 0.1
    assert group["eps"] == 1e-8


def test_width_and_depth_compose():
    """Each factor is that of the width alone times that of the depth alone."""
    wide = {"width": 32, "depth": 8}
    both = planned(family(), target=wide)
    depth = {row.name: row for row in of_kind("two", 0.5).rows}
    width = {row.name: row for row in planned(family(), base={"width": 8, "depth": 8}, target=wide).rows}
    for row in both.rows:
        for factor in ("lr", "eps", "weight_decay", "rescale", "multiplier"):
            product = getattr(depth[row.name], factor) * getattr(width[row.name], factor)
            assert getattr(row, factor) == pytest.approx(product), (row.name, factor)


def test_the_depth_rule_is_required_and_only_where_the_depth_differs():
    with pytest.raises(
        PlanError, match=r"the depth differs between base and target \(2 -> 8\), and depth_rule is not"
    ):
        planned(family(), rule=None)
    made = sim.plan(family(), base=BASE, target={"width": 16, "depth": 2}, sample=X)
    assert made.depth_rule is None
    assert planned(family(), rule="sp").is_identity  # at one width, muP changes nothing


def test_a_plain_stack_has_no_depth_rule():
    def make(width, depth):
        layers = [nn.Linear(width, width) for _ in range(depth)]
        return nn.Sequential(nn.Linear(IN, width), *layers, nn.Linear(width, OUT)).double()

    with pytest.raises(PlanError, match="no residual branch was found"):
        planned(make)
    assert planned(make, rule="sp").refused == ()


def test_a_depth_that_changes_nothing_is_said():
    with pytest.raises(PlanError, match="the depth that make receives changes nothing"):
        planned(lambda width, depth: Net(width, 3).double())


def test_a_branch_that_ends_in_a_curved_activation_is_refused_and_a_relu_is_warned_of():
    made = planned(family("gelu"))
    assert {refusal.name for refusal in made.refused} >= {f"blocks.{i}.a.weight" for i in range(8)}
    assert (
        "needs a multiplier of x0.5, and no tensor can carry it: it ends in an operation"
        in made.refused[0].reason
    )
    with pytest.raises(RoleError, match="residual branch needs a multiplier"):
        made.groups(family("gelu")(**DEEP), lr=0.1)
    assert any("end in a nonlinearity (relu)" in note for note in of_kind("relu", 0.5).notes)
    assert not any("end in a nonlinearity" in note for note in of_kind("relu", 1.0).notes)
    assert not any("end in a nonlinearity" in note for note in of_kind("centred", 0.5).notes)


def test_two_matrices_in_a_branch_are_warned_of_below_alpha_one():
    assert any("have 2 matrices in a row" in note for note in of_kind("two", 0.75).notes)
    assert not any("matrices in a row" in note for note in of_kind("two", 1.0).notes)
    assert not any("matrices in a row" in note for note in of_kind("one", 0.5).notes)


def test_shared_blocks_count_their_uses():
    """One block used eight times: SGD's gradient is a sum of four times as many terms as at the base."""
    adam = {row.name: row for row in planned(family(cls=Shared), rule="complete_p").rows}
    sgd = {
        row.name: row
        for row in planned(family(cls=Shared), rule="complete_p", optimizer=torch.optim.SGD).rows
    }
    inside = "blocks.0.a.weight"
    assert (adam[inside].depth_ratio, adam[inside].uses_ratio) == (4.0, 4.0)
    assert adam[inside].lr == 1.0
    assert adam[inside].eps == pytest.approx(1.0)  # 1/4 for the branch, 4 for the uses
    assert sgd[inside].lr == pytest.approx(1.0)  # 4^(2 alpha - 1) / 4
    assert sgd["blocks.0.b.weight"].lr == pytest.approx(1 / 16)  # with the carried multiplier 1/4, squared
    assert any("serve several branches" in note for note in planned(family(cls=Shared)).notes)


def test_stages_count_for_themselves():
    """Three stages; the projection that opens the second and the third is no residual branch."""

    def make(width, depth):
        return ResNet(3, 10, width=width, depth=depth)

    images = torch.randn(2, 3, 8, 8)
    made = planned(
        make, base={"width": 8, "depth": 2}, target={"width": 8, "depth": 4}, sample=images, rule=1.0
    )
    ratios = {row.name: row.depth_ratio for row in made.rows}
    assert ratios["stages.0.3.conv1.weight"] == 2.0  # 4 branches of 2
    assert ratios["stages.1.3.conv1.weight"] == 3.0  # 3 of 1
    assert ratios["stages.1.0.conv1.weight"] == ratios["stages.1.0.project.weight"] == 1.0
    assert {row.multiplier for row in made.rows if row.name.endswith("3.conv2.weight")} == {1 / 2, 1 / 3}
    alone = planned(
        make, base={"width": 8, "depth": 1}, target={"width": 8, "depth": 3}, sample=images, rule=1.0
    )
    assert any("has none at the base: they are counted from one" in note for note in alone.notes)
    assert {row.name: row.depth_ratio for row in alone.rows}["stages.2.2.conv1.weight"] == 2.0


class Deepened(Net):
    """The last matrix of every branch starts smaller the deeper the network is, as GPT-2's."""

    def __init__(self, width, depth, kind="two", power=-0.5, forward=0.0):
        super().__init__(width, depth, kind, multiplier=depth**forward)
        for block in self.blocks:
            nn.init.normal_(block.b.weight, std=(2 * depth) ** power / math.sqrt(width))


def test_an_init_that_depends_on_the_depth_is_recognized_and_replaced():
    made = planned(
        lambda width, depth: Deepened(width, depth).double(),
        base={"width": 32, "depth": 2},
        target={"width": 32, "depth": 8},
    )
    assert [note for note in made.notes if "depends on the depth" in note] == [
        "your own init depends on the depth: x0.5 (depth^-1/2), taken out, as the depth rule sets the scale of a branch "
        "itself: blocks.*.b.weight"
    ]
    row = next(row for row in made.rows if row.name == "blocks.7.b.weight")
    assert (row.multiplier, row.init, row.rescale) == pytest.approx((0.5, 0.5, 1.0))
    bias = next(row for row in made.rows if row.name == "blocks.7.b.bias")
    assert bias.rescale == 0.5
    kept = planned(
        lambda width, depth: Deepened(width, depth).double(),
        rule="sp",
        base={"width": 32, "depth": 2},
        target={"width": 32, "depth": 8},
    )
    assert kept.is_identity


def test_a_number_of_the_forward_pass_that_depends_on_the_depth_is_taken_into_account():
    """A network that multiplies its branches by 1/sqrt(L) itself needs nothing more of depth_mup but its rates."""

    def make(width, depth):
        return Deepened(width, depth, power=0.0, forward=-0.5).double()

    made = planned(make)
    assert {row.multiplier for row in made.rows} == {1.0}
    assert {row.lr for row in made.rows if "blocks" in row.name} == {0.5}
    more = planned(make, rule="complete_p")
    assert {row.multiplier for row in more.rows if row.name.endswith("b.weight")} == {0.5}
    assert any("itself multiplies branches by x0.5 more" in note for note in more.notes)


@pytest.mark.parametrize("tie", [False, True])
def test_a_language_model_of_the_reference_kind(tie):
    def make(width, depth):
        return GPT(50, 12, width=width, depth=depth, head_dim=8, tie=tie)

    tokens = torch.randint(0, 50, (2, 12), generator=torch.Generator().manual_seed(0))
    made = planned(
        make,
        base={"width": 16, "depth": 2},
        target={"width": 32, "depth": 6},
        sample=tokens,
        rule="complete_p",
    )
    assert made.refused == ()
    ends = {row.name for row in made.rows if any("residual branch" in sentence for sentence in row.carries)}
    branches = {name for branch in made.branches for name in branch.ends}
    assert ends == branches
    assert len(made.branches) == 12
    model = made.apply_(make(32, 6))
    sizes = {group["lr_factor"] for group in made.groups(model, lr=1.0)}
    assert sizes == {1.0, 1 / 2, 1 / 3, 1 / 6}


def test_a_plan_in_depth_is_saved_and_explained(tmp_path):
    made = planned(family(), gamma=2.0, sample=X)
    assert sim.Plan.load(made.save(tmp_path / "plan.json")) == made
    text = str(made.explain("blocks.5.b.weight"))
    assert "inside a residual branch (branches x4, alpha 0.5): lr x 0.5, eps x 0.5" in text
    assert "richness gamma 2 with" in text
    for row in made.rows:
        for derivation in made.explain(row.name).derivations:
            assert "by hand" not in str(derivation), (row.name, derivation)
