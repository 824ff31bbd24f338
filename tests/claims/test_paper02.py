"""How the claims of paper 2 are measured and judged: tools against brute force, and made-up studies."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from similitude.claims import landscapes, linear_sharpness, paper02
from similitude.claims.registry import select
from similitude.core.verdict import Outcome, Verdict
from similitude.models import MLP
from similitude.studies.consistency_records import Growth, RuleConsistency, Spread
from similitude.studies.windows import Window
from similitude.training.losses import squared_error_of_classes

WINDOWS = (Window(0, 0), Window(20, 60), Window(100, 200), Window(200, 300))


def hessian(model: nn.Module, loss) -> np.ndarray:
    """The dense Hessian of loss() over the trainable parameters."""
    ps = [p for p in model.parameters() if p.requires_grad]
    g = torch.cat([x.reshape(-1) for x in torch.autograd.grad(loss(), ps, create_graph=True)])
    rows = [
        torch.cat(
            [x.reshape(-1) for x in torch.autograd.grad(v, ps, retain_graph=True, materialize_grads=True)]
        )
        for v in g
    ]
    return torch.stack(rows).detach().numpy()


def test_followed_measures_the_training_of_its_own_loop():
    torch.manual_seed(0)
    model = MLP(64, 10, width=2, depth=1, activation="tanh")
    twin = MLP(64, 10, width=2, depth=1, activation="tanh")
    twin.load_state_dict(model.state_dict())
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    batch = landscapes.digits(12)
    found = landscapes.followed(
        model, torch.optim.SGD(model.parameters(), lr=0.05), batch, steps=3, at=(0, 2)
    )

    def loss() -> torch.Tensor:  # the network less itself at the start
        first = torch.func.functional_call(twin, start, (batch[0],))
        return squared_error_of_classes(lambda x: twin(x) - first, batch)

    expected = []
    for step in range(3):
        if step != 1:
            expected.append(0.05 * np.linalg.eigvalsh(hessian(twin, loss))[-1])
        gradients = torch.autograd.grad(loss(), list(twin.parameters()))
        with torch.no_grad():
            for p, gradient in zip(twin.parameters(), gradients, strict=True):
                p -= 0.05 * gradient
    assert found == pytest.approx(expected, rel=2e-3)


def test_what_blows_up_is_nan():
    model = MLP(64, 10, width=4, depth=3, activation="linear")
    optimizer = torch.optim.SGD(model.parameters(), lr=100.0)
    found = landscapes.followed(model, optimizer, landscapes.digits(12), steps=40, at=(0, 20, 40))
    assert math.isfinite(found[0])
    assert all(map(math.isnan, found[1:]))


def test_adam_is_followed_in_its_own_geometry():
    make = functools.partial(MLP, 64, 10, width=4, depth=1, activation="tanh")
    adam = functools.partial(torch.optim.Adam, lr=1e-3)
    few = landscapes.edge(make, adam, images=12, steps=6, at=(2, 6), seed=0)
    torch_like = landscapes.edge(make, functools.partial(adam, lr=2e-3), images=12, steps=2, at=(2,), seed=0)
    assert len(few) == 2
    assert all(math.isfinite(v) and v > 0 for v in few)
    assert torch_like[0] != pytest.approx(few[0], rel=0.1)


@pytest.mark.slow
def test_residual_networks_train_their_branches_alone_and_have_scaled_ones():
    net = landscapes.make_residual(8, 3, block="two_layers")
    assert {name.split(".")[1] for name, p in net.named_parameters() if p.requires_grad} == {"blocks"}
    short = landscapes.over_depth(
        "act_last", "depth_mup", depth=8, lr=1.0, steps=1, at=(0,), seed=0, width=8, images=6
    )
    plain = landscapes.over_depth(
        "act_last", "sp", depth=8, lr=1.0, steps=1, at=(0,), seed=0, width=8, images=6
    )
    assert short == plain  # the base is the same under every rule
    deep = [
        landscapes.over_depth("act_last", rule, depth=64, lr=1.0, steps=1, at=(0,), seed=0, width=8, images=6)
        for rule in ("depth_mup", "sp")
    ]
    assert deep[1][0] > 3 * deep[0][0]


def test_linear_networks_are_those_of_the_theory():
    assert linear_sharpness.largest_difference(5, 0.5, steps=15, seed=3) < 1e-13
    X, y = linear_sharpness.task(whitened=True)
    assert (X.T @ X / len(X)).numpy() == pytest.approx(np.eye(linear_sharpness.FEATURES), abs=1e-12)
    net = linear_sharpness.LinearNet(3, 2.0, seed=1)
    dense = hessian(net, lambda: ((net(X) - y) ** 2).sum() / (2 * len(y)))
    before, after = linear_sharpness.sharpness_before_and_after(
        3, math.log(2.0, 3), eta=0.05, steps=2, seed=1
    )
    assert before == pytest.approx(4 * np.linalg.eigvalsh(dense)[-1], rel=1e-6)
    assert after != pytest.approx(before, rel=1e-3)


def test_a_recursion_that_is_off_fails(monkeypatch):
    monkeypatch.setattr(paper02, "largest_difference", lambda width, power, **_: 1e-9 * (width == 256))
    found = paper02.theorem()
    assert found.verdict.outcome is Outcome.INCONSISTENT
    assert found.value == 1e-9


def test_sharpening_is_judged_by_both_rules(monkeypatch):
    law = paper02.TwoLayerLinear.limit("mup", *linear_sharpness.task(whitened=True)).final_sharpness()

    def made_up(*, mup: float, ntp: float):
        def measured(width, power, **_):
            return (1.0, law * mup) if power else (1.0, 1.0 + ntp * 16 / width)

        monkeypatch.setattr(paper02, "sharpness_before_and_after", measured)
        return paper02.sharpening()

    assert made_up(mup=1.01, ntp=0.2).verdict.ok
    assert not made_up(mup=1.05, ntp=0.2).verdict.ok
    assert not made_up(mup=1.0, ntp=2.0).verdict.ok  # 3 % at width 1024


@pytest.mark.parametrize(
    ("claim", "good", "bad"),
    [(paper02.edge_of_stability, 1.9, 1.8), (paper02.adam_edge, 41.0, 43.0), (paper02.adam_edge, 33, 31)],
)
def test_edges_are_judged_seed_by_seed(monkeypatch, claim, good, bad):
    for value, holds in ((good, True), (bad, False), (math.nan, False)):

        def made_up(make, optimizer, *, at, seed, value=value, **_):
            return [0.5] + [value if seed == 1 else good] * (len(at) - 1)

        monkeypatch.setattr(paper02, "edge", made_up)
        assert claim().verdict.ok == holds


def made_up_study(*, mup=(0.05,) * 4, ntp=(0.1, 0.2, 0.3, 0.4), loss=3.0, sharpness=1.0) -> SimpleNamespace:
    rules = {}
    for name, values in (("mup", mup), ("ntp", ntp)):
        spreads = tuple(
            Spread(window, {256: 1.0, 1024: 1.0}, (256, 1024), value, None)
            for window, value in zip(WINDOWS, values, strict=True)
        )
        growths = (Growth("sharpness", sharpness, None), Growth("loss", loss, (1.0, 9.0)))
        verdict = Verdict(Outcome.CONSISTENT, "made up")
        rules[name] = RuleConsistency(name, "width", (), spreads, (), (), growths, {}, verdict)
    return SimpleNamespace(rules=rules)


def test_studies_of_widths_are_judged(monkeypatch):
    def judged(claim, study):
        monkeypatch.setattr(paper02, "mlp_study", lambda *, full: study)
        monkeypatch.setattr(paper02, "convnet_study", lambda: study)
        return claim()

    assert judged(paper02.consistency, made_up_study()).verdict.ok
    assert not judged(paper02.consistency, made_up_study(mup=(0.01, 0.01, 0.13, 0.01))).verdict.ok
    assert not judged(paper02.consistency, made_up_study(mup=(0.01, 0.01, None, 0.01))).verdict.ok
    assert judged(paper02.ntp_inconsistent, made_up_study()).verdict.ok
    assert judged(paper02.ntp_inconsistent, made_up_study()).value == 0.3  # windows from step 100 on
    assert not judged(paper02.ntp_inconsistent, made_up_study(ntp=(0.9, 0.9, 0.24, 0.9))).verdict.ok
    assert judged(paper02.loss_gap, made_up_study()).verdict.ok
    assert not judged(paper02.loss_gap, made_up_study(loss=1.2)).verdict.ok
    assert not judged(paper02.loss_gap, made_up_study(sharpness=2.0)).verdict.ok
    assert not judged(paper02.loss_gap, made_up_study(loss=None)).verdict.ok
    assert judged(paper02.convnet, made_up_study()).verdict.ok
    assert judged(paper02.convnet, made_up_study(mup=(0.5, 0.5, 0.1, 0.1))).verdict.ok  # from step 50 on
    assert not judged(paper02.convnet, made_up_study(mup=(0.5, 0.5, 0.1, 0.2))).verdict.ok
    assert not judged(paper02.convnet, made_up_study(ntp=(0.1, 0.1, 0.3, 0.24))).verdict.ok


def test_depths_are_judged_at_every_time(monkeypatch):
    def made_up(rise):
        def measured(block, rule, *, depth, at, **_):
            late = [step / paper02.DEPTH_STEPS for step in at] if rule == "depth_mup" else [1.0] * len(at)
            return [1.0 + rise[block, rule] * (depth - 8) / 40 * part for part in late]

        monkeypatch.setattr(paper02, "over_depth", measured)

    rises = {("act_last", "depth_mup"): 0.1, ("two_layers", "depth_mup"): 0.6, ("act_last", "sp"): 40.0}
    made_up(rises)
    for claim in (paper02.depth_one_layer, paper02.depth_two_layers, paper02.no_depth_rule):
        assert claim().verdict.ok
    made_up(dict.fromkeys(rises, 0.4))
    for claim in (paper02.depth_one_layer, paper02.no_depth_rule):
        assert claim().verdict.outcome is Outcome.INCONSISTENT
    made_up(dict.fromkeys(rises, 0.01))
    assert paper02.depth_two_layers().verdict.outcome is Outcome.INCONSISTENT


def test_the_claims_are_registered():
    names = {entry.name for entry in select(["2"])}
    assert names >= {
        "2.theorem", "2.sharpening", "2.edge_of_stability", "2.adam_edge", "2.depth_one_layer",
        "2.depth_two_layers", "2.no_depth_rule", "2.consistency", "2.ntp_inconsistent", "2.loss_gap", "2.convnet",
    }  # fmt: skip
