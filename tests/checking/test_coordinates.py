"""Whole checks: right plans pass, and every published mistake is caught with its tensor named first."""

import dataclasses
import functools

import pytest
import torch
import torch.nn.functional as F
from check_cases import WIDTHS, batch, check, edited, plan
from torch import Tensor, nn

import similitude as sim
from similitude.core.errors import BadVerdictError, NotEnoughEvidenceError, PlanError
from similitude.models.gpt import GPT
from similitude.models.mlp import MLP

R = 4.0  # target over base of `plan()`
QUICK = (torch.optim.AdamW, torch.optim.SGD, torch.optim.Muon)
MATCHED = functools.partial(torch.optim.Muon, adjust_lr_fn="match_rms_adamw")


def _slope(found: sim.Check, name: str, quantity: str) -> float:
    return next(row.slope for row in found.rows if (row.name, row.quantity) == (name, quantity))


@pytest.mark.parametrize("optimizer", [*QUICK, pytest.param(MATCHED, marks=pytest.mark.slow)])
def test_mup_learns_alike_at_every_width(optimizer):
    # Torch's Muon multiplies in bfloat16, which many processors emulate: narrow networks take an eighth of the time.
    widths = (32, 64, 128) if optimizer is torch.optim.Muon else WIDTHS
    found = check("mup", optimizer=optimizer, widths=widths)
    held = [row for row in found.rows if row.expected is not None]
    assert found.verdict.outcome == "ok", str(found)
    assert sum(row.good for row in held) >= 0.9 * len(held)
    assert {row.expected for row in held} == {0.0}
    assert {row.quantity for row in held} == {
        "update",
        "change",
        "logits change",
        "init norm",
        "update norm",
        "evaluation",
    }
    found.raise_if_bad()


def test_a_plan_is_carried_to_every_width():
    assert check(plan(rule="spectral")).verdict.ok


def test_standard_parametrization_does_not_and_the_first_wrong_tensor_is_named():
    found = check("sp")
    assert found.verdict.outcome == "grows"
    assert found.verdict.causes[0].startswith("wrong learning rate of 'hidden.1.weight' (hidden)")
    assert "rule mup gives x0.25" in found.verdict.causes[0]
    assert _slope(found, "hidden.1.weight", "update") > 0.5
    assert _slope(found, "head.weight", "logits change") > 0.7
    assert all(row.expected in (0.0, None) for row in found.rows)
    with pytest.raises(BadVerdictError, match=r"hidden\.1\.weight"):
        found.raise_if_bad()


def test_a_plan_of_the_kernel_regime_promises_a_fall_and_its_name_does_not():
    made = plan(torch.optim.SGD, rule="ntp")
    found = check(made, optimizer=torch.optim.SGD, lr=0.1)
    assert found.verdict.ok, str(found)
    assert _slope(found, "hidden.1.weight", "change") == pytest.approx(-0.5, abs=0.15)
    assert next(r.expected for r in found.rows if r.quantity == "change") == -0.5
    by_name = check("ntp", optimizer=torch.optim.SGD, lr=0.1)
    assert by_name.verdict.outcome in ("shrinks", "grows")


HEAD = lambda row: row.role == "output"  # noqa: E731
HIDDEN = lambda row: row.role == "hidden"  # noqa: E731
MISTAKES = {
    "head scaled twice": (lambda: edited(plan(), HEAD, lr=lambda r: r.lr / R), "head.weight", "shrinks"),
    "hidden unchanged": (lambda: edited(plan(), HIDDEN, lr=lambda r: 1.0), "hidden.1.weight", "grows"),
    "head with 1/sqrt": (lambda: edited(plan(), HEAD, lr=lambda r: R**-0.5), "head.weight", "grows"),
    "head unscaled": (
        lambda: edited(plan(), HEAD, lr=lambda r: 1.0, rescale=lambda r: 1.0),
        "head.weight",
        "grows",
    ),
    "Muon matched, fixed": (
        lambda: edited(plan(MATCHED), HIDDEN, lr=lambda r: 1.0),
        "hidden.1.weight",
        "grows",
    ),
    "weight decay": (
        lambda: edited(plan(), HIDDEN, weight_decay=lambda r: 1.0),
        "hidden.1.weight",
        "shrinks",
    ),
    "initial scale": (
        lambda: edited(plan(), lambda r: r.name == "hidden.2.weight", rescale=lambda r: r.rescale * 2),
        "hidden.2.weight",
        "grows",
    ),
    "initial scale, SGD": (
        lambda: edited(
            plan(torch.optim.SGD), lambda r: r.name == "hidden.2.weight", rescale=lambda r: r.rescale * 2
        ),
        "hidden.2.weight",
        "grows",
    ),
    "eps": (lambda: edited(plan(), HIDDEN, eps=lambda r: 1.0), "hidden.1.weight", "inconsistent"),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if "Muon" in n else n for n in MISTAKES]
)
def test_an_edited_plan_fails_and_names_its_tensor_first(name):
    make, tensor, outcome = MISTAKES[name]
    found = check(make())
    assert found.verdict.outcome == outcome, str(found)
    assert f"of {tensor!r}" in found.verdict.causes[0]
    assert "rule mup gives" in found.verdict.causes[0]
    assert found.verdict.summary.startswith(repr(tensor))


@pytest.mark.slow
def test_muon_on_the_head_is_measured_where_no_number_of_the_plan_is_wrong():
    found = check("mup", optimizer=torch.optim.Muon, roles={"head.weight": "hidden"})
    assert found.verdict.outcome == "grows"
    assert "'head.weight'" in found.verdict.causes[0]
    assert _slope(found, "head.weight", "update") == pytest.approx(0.47, abs=0.2)


class Divided(nn.Module):
    """A model that is parametrized already: its outputs are divided by the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net, self.width = MLP(16, 4, width=width, depth=2), width

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) * (64 / self.width)


def test_a_double_parametrization_is_refused_and_measured_where_roles_override():
    found = check("mup", make=Divided)
    assert found.verdict.outcome == "refused"
    assert "'net.head.weight'" in found.verdict.causes[0]
    assert "already parametrised" in found.verdict.summary
    assert found.rows == ()
    with pytest.raises(BadVerdictError):
        found.raise_if_bad()
    forced = check("mup", make=Divided, roles={"net.head.weight": "output"})
    assert forced.verdict.causes[0].startswith("the rule is applied twice to 'net.head.weight'")


class Forgetful(nn.Module):
    """Divides its outputs by the width where labels are given, and forgets it in evaluation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net, self.width = MLP(16, 4, width=width, depth=2), width

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        out = self.net(x)
        if labels is None:
            return out, None
        out = out * (64 / self.width)
        return out, F.cross_entropy(out, labels)


def test_a_multiplier_that_evaluation_lacks_is_named():
    def setup(plan: sim.Plan, model: nn.Module) -> torch.optim.Optimizer:
        matrices = [model.net.hidden[1].weight]  # type: ignore[union-attr]
        rest = [p for p in model.parameters() if p is not matrices[0]]
        rates = [{"params": matrices, "lr": 0.002 * 64 / plan.target["width"]}, {"params": rest, "lr": 0.002}]
        return torch.optim.AdamW(rates, weight_decay=0.0)

    found = check("sp", make=Forgetful, loss=None, setup=setup)
    assert [(row.name, row.quantity) for row in found.offenders if row.quantity == "evaluation"] == [
        ("net.head.weight", "evaluation")
    ]
    assert _slope(found, "net.head.weight", "evaluation") == pytest.approx(-1.0)
    assert any("is in one path alone" in cause for cause in found.verdict.causes)
    refused = check("mup", make=Forgetful, loss=None)
    assert any("missing in one path" in cause for cause in refused.verdict.causes)


def test_a_scheduler_that_flattens_the_ratios_is_seen():
    def setup(plan: sim.Plan, model: nn.Module):
        optimizer = torch.optim.AdamW(plan.groups(model, lr=0.002))
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=20)

    found = check(plan(), setup=setup)
    assert "changed the ratios of the plan" in found.verdict.causes[0]
    assert "'hidden.1.weight'" in found.verdict.causes[0]


def test_a_tied_transformer_passes_with_its_fold_expected():
    tokens = torch.randint(0, 32, (4, 17), generator=torch.Generator().manual_seed(0))
    pair = (tokens[:, :-1], tokens[:, 1:])

    def next_token(model: nn.Module, given: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(model(given[0]).flatten(0, 1), given[1].flatten())

    make = lambda width: GPT(32, 16, width=width, depth=1, tie=True)  # noqa: E731
    found = check("mup", make=make, sample=pair, loss=next_token)
    assert found.verdict.ok, str(found)
    gain = next(row for row in found.rows if (row.name, row.quantity) == ("norm.weight", "update"))
    assert (gain.expected, gain.unit) == (0.0, -1.0)  # by name 0 is asked, in units of what the gain carries
    assert gain.slope == pytest.approx(0.0, abs=0.25)
    assert {row.expected for row in found.rows} == {0.0}
    assert {row.expected for row in found.observed} == {None}
    made = sim.plan(make, base=32, target=128, sample=pair, loss=next_token)
    of_plan = check(made, make=make, sample=pair, loss=next_token)
    gain = next(row for row in of_plan.rows if (row.name, row.quantity) == ("norm.weight", "update"))
    assert gain.expected == pytest.approx(-1.0)
    assert gain.slope == pytest.approx(-1.0, abs=0.25)
    assert not any(row.name.endswith("key.bias") for row in found.rows)  # its gradient is rounding
    assert any("key.bias" in note for note in found.notes)


def test_checks_repeat_exactly_and_touch_no_global_state():
    state = torch.get_rng_state()
    first = check("mup", steps=2, max_seeds=3)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(7)
    assert check("mup", steps=2, max_seeds=3).rows == first.rows


def test_random_layers_and_a_missing_loss_touch_no_global_state_either():
    def make(width: int) -> nn.Module:
        return nn.Sequential(nn.Linear(16, width), nn.Dropout(0.3), nn.Linear(width, 4))

    state = torch.get_rng_state()
    check("mup", make=make, loss=None, sample=batch()[0], steps=1, max_seeds=3)
    assert torch.equal(state, torch.get_rng_state())


class Sometimes(nn.Module):
    """Has a side branch that the first batch does not reach."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net, self.side = MLP(16, 4, width=width, depth=1), nn.Linear(16, width)

    def forward(self, x: Tensor, *, more: bool) -> Tensor:
        return self.net(x) + (self.side(x).mean() if more else 0.0)


def test_tensors_that_are_trained_without_a_role_are_named():
    x = batch()[0]
    found = check("mup", make=Sometimes, sample=[{"x": x, "more": False}, {"x": x, "more": True}], loss=None)
    assert any("'side.weight'" in cause and "never reached" in cause for cause in found.verdict.causes)


def test_given_seeds_are_used_and_no_others():
    found = check("mup", seeds=(4, 9), steps=2, max_seeds=None)
    assert found.seeds == (4, 9)
    assert len(check("mup", seeds=1, max_seeds=2, steps=2).seeds) == 2


def test_one_seed_cannot_tell():
    found = check("mup", seeds=(0,), widths=(32, 40, 48), optimizer=torch.optim.SGD, max_seeds=None)
    assert found.verdict.outcome == "too_noisy"
    with pytest.raises(NotEnoughEvidenceError):
        found.raise_if_bad()


def test_without_a_loss_the_stand_in_is_said():
    found = check("mup", loss=None, sample=batch()[0], steps=2)
    assert found.verdict.ok
    assert "fixed random targets" in found.notes[0]


def test_a_run_that_diverges_is_said_with_its_width():
    found = check("sp", lr=1e30, optimizer=torch.optim.SGD)
    assert found.verdict.outcome == "diverged"
    assert "at width 64" in found.verdict.summary


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"widths": (64, 128)}, "at least 3 different widths"),
        ({"seeds": 0}, "pass at least 1"),
        ({"seeds": (1, 1)}, "every seed once"),
        ({"steps": 0}, "at least 1 optimizer step"),
        ({"setup": lambda plan, model: 3}, "returned a int"),
    ],
)
def test_wrong_use_is_told(options, text):
    with pytest.raises(PlanError, match=text):
        check("mup", **options)


def test_the_plan_of_an_optimizer_of_ones_own_needs_the_optimizer():
    class Mine(torch.optim.AdamW):
        pass

    made = plan(Mine)
    with pytest.raises(PlanError, match="made for Mine"):
        check(made)
    assert check(made, optimizer=Mine, steps=2).optimizer == "Mine"


def test_widths_are_sorted_and_the_smallest_is_the_base_unless_told():
    assert check("mup", widths=WIDTHS[::-1], steps=1, max_seeds=3).base == {"width": 64}
    assert check("mup", base=32, steps=1, max_seeds=3).base == {"width": 32}


def test_a_tensor_that_the_optimizer_leaves_out_is_named():
    def setup(plan: sim.Plan, model: nn.Module) -> torch.optim.Optimizer:
        groups = plan.groups(model, lr=0.002)
        for group in groups:
            group["params"] = [p for p in group["params"] if p is not model.get_parameter("head.weight")]
        return torch.optim.AdamW(groups)

    found = check(plan(), setup=setup)
    assert not found.ok
    assert (
        "'head.weight' receives a gradient but is not trained: it is in no group" in found.verdict.causes[0]
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lr": lambda r: float("nan")}, "lr"),
        ({"lr": lambda r: -0.25}, "lr"),
    ],
)
def test_plans_that_are_none_are_refused(change, says):
    with pytest.raises(PlanError, match=says):
        check(edited(plan(), HEAD, **change))


def test_a_zero_factor_is_a_deviation_at_every_width():
    found = check(edited(plan(), HEAD, rescale=lambda r: 0.0))
    assert not found.ok
    assert "the initial scale factor of 'head.weight' is 0 in the plan" in found.verdict.causes[0]
    assert "wrong at every width" in found.verdict.causes[0]


def test_a_plan_without_a_row_of_the_model_is_refused():
    made = plan()
    short = dataclasses.replace(made, rows=made.rows[:-1])
    with pytest.raises(PlanError, match=r"make\(\.\.\.\) builds 'head\.\w+', for which the plan has no row"):
        check(short)


def test_many_small_drifts_are_no_ok():
    def setup(plan: sim.Plan, model: nn.Module) -> torch.optim.Optimizer:
        optimizer = torch.optim.SGD(plan.groups(model, lr=0.3))

        def clip(*_: object) -> None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)

        optimizer.register_step_pre_hook(clip)
        return optimizer

    assert not check(plan(torch.optim.SGD), setup=setup).ok


def test_a_sample_with_nan_is_not_blamed_on_the_learning_rate():
    x, y = batch()
    found = check("mup", sample=(x * float("nan"), y), lr=0.001)
    assert str(found.verdict.outcome) == "diverged"
    assert "not finite before the first step" in found.verdict.summary
    assert not any("learning rate is too large" in cause for cause in found.verdict.causes)


class Ascent(torch.optim.SGD):
    """Goes up the gradient: its steps scale as those of SGD, and nothing is learned."""

    def step(self, closure=None):  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            group["lr"] = -group["lr"]
        found = super().step(closure)
        for group in self.param_groups:
            group["lr"] = -group["lr"]
        return found


@pytest.mark.parametrize("lr", [None, 0.01])
def test_a_network_that_does_not_learn_cannot_be_judged(lr):
    found = check("mup", optimizer=Ascent, lr=lr)
    assert found.verdict.outcome == "cannot_tell"
    assert all(after > before for before, after in found.losses)
    assert "does not learn: the loss fell in the last step of 0 of" in found.verdict.summary
    assert ("at no learning rate that was tried" in found.verdict.summary) == (lr is None)
    assert check("mup", optimizer=torch.optim.SGD, lr=lr).ok


@pytest.mark.parametrize("optimizer", [Ascent, torch.optim.SGD])
def test_causes_say_that_a_measured_optimizer_may_not_follow_its_measurement(optimizer):
    def doubled(row):
        return row.lr * 16.0

    wrong = edited(plan(optimizer), lambda row: row.role == "hidden", lr=doubled)
    found = check(wrong, optimizer=optimizer, lr=0.01)
    assert not found.ok
    said = [cause for cause in found.verdict.causes if "may not follow that measurement" in cause]
    assert bool(said) == (optimizer is Ascent)
    assert "may not follow" not in found.verdict.causes[0]  # what is known exactly comes first
