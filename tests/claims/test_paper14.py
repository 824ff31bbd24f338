"""Claims of paper 14: the nets with explicit multipliers against plain torch, and the claims on a small scale."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import nn

from similitude.claims import paper14
from similitude.claims.abcd_nets import Task, Training, growth, some_digits, three_points, train
from similitude.claims.paper14 import between
from similitude.core.verdict import Outcome
from similitude.scaling import abcd as tables
from similitude.scaling.abcd import Layer, Parametrization, abcd, layer
from similitude.scaling.regime import classify

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)


def _plain(weights, width, task, training, hidden_layers):
    """Train the standard parametrization with torch's own layers, from given weights."""
    layers = [nn.Linear(w.shape[1], w.shape[0], bias=False, dtype=torch.float64) for w in weights]
    parts = [part for layer in layers[:-1] for part in (layer, nn.Tanh())]
    model = nn.Sequential(*parts, layers[-1])
    with torch.no_grad():
        for own, given in zip(layers, weights, strict=True):
            own.weight.copy_(given)
    if training.optimizer == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=training.rate)
    else:
        optimizer = torch.optim.Adam(
            model.parameters(), lr=training.rate, betas=(0.9, 0.95), eps=training.eps
        )
    outputs = []
    for _ in range(training.steps):
        out = model(task.inputs).squeeze(1)
        outputs.append(out.detach())
        optimizer.zero_grad()
        (0.5 * (out - task.targets).square().sum()).backward()
        optimizer.step()
    return torch.stack([*outputs, model(task.inputs).squeeze(1).detach()])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_standard_parametrization_is_torchs_own(optimizer):
    from similitude.core.seeding import torch_generator

    width, task, training = 16, some_digits(8), Training(optimizer, 0.02, 6)
    run = train(abcd("sp", training.family), width, task, training, hidden_layers=2, seed=3)
    draw = torch_generator(3, "abcd weights", width)
    shapes, scales = [(16, 64), (16, 16), (1, 16)], [1.0, 0.25, 0.25]
    weights = [
        s * torch.randn(shape, generator=draw, dtype=torch.float64)
        for shape, s in zip(shapes, scales, strict=True)
    ]
    assert torch.allclose(run.outputs, _plain(weights, width, task, training, 2), atol=1e-12)


def test_the_sign_update_forgets_what_was():
    task = Task(torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    layers = (layer("input", "entrywise", b=None), layer("output", "entrywise", b=0))
    parametrization = Parametrization("", layers)
    run = train(parametrization, 4, task, Training("sign", 0.5, 1, eps=1e-12), hidden_layers=1, seed=0)
    # The output starts at zero, which is the target: nothing moves.
    assert run.moved == 0.0
    away = Task(task.inputs, torch.ones(1, dtype=torch.float64))
    run = train(parametrization, 4, away, Training("sign", 0.5, 1, eps=1e-12), hidden_layers=1, seed=0)
    assert run.features[0] == pytest.approx(0.5)  # every entry of the first layer moves by the rate


@pytest.mark.parametrize("family", ["sgd", "entrywise"])
@pytest.mark.parametrize("r", [Fraction(0), Fraction(1, 8), HALF])
def test_the_family_between_mup_and_ntp_is_stable_with_its_r(family, r):
    found = classify(between(r, family, hidden_layers=3))
    assert (found.r, found.stable, found.slowdown, found.carried) == (r, True, 0, 0)
    assert set(found.faithful) == {0}
    assert found.kind == ("feature learning" if r == 0 else "kernel")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", ["mup", "ntp"])
def test_its_ends_train_as_the_named_ones_do(optimizer, name):
    training = Training(optimizer, 0.02, 5)
    r = Fraction(0) if name == "mup" else HALF
    one, other = (
        train(p, 32, three_points(), training, hidden_layers=2, seed=0).outputs
        for p in (abcd(name, training.family), between(r, training.family, hidden_layers=2))
    )
    assert torch.allclose(one, other, atol=1e-12)


def test_the_kernel_of_a_shallow_net_freezes_in_ntp_alone():
    found = {}
    for name in ("mup", "ntp"):
        found[name] = growth(
            (256, 1024, 4096),
            range(4),
            lambda width, seed, name=name: train(
                abcd(name, "entrywise", hidden_layers=1),
                width,
                three_points(),
                Training("adam", 0.05, 5),
                hidden_layers=1,
                seed=seed,
            ),
            lambda run: {"kernel": run.kernel, "outputs": run.moved},
        )
    assert found["mup"]["kernel"].value == pytest.approx(0, abs=0.1)
    assert found["ntp"]["kernel"].value < -0.7
    assert found["ntp"]["outputs"].value == pytest.approx(0, abs=0.15)


def test_a_failed_training_has_no_slope():
    with pytest.raises(ValueError, match="moved is zero or not finite"):
        growth(
            (8, 16),
            (0,),
            lambda width, seed: train(
                abcd("mup", "sgd"),
                width,
                three_points(),
                Training("sgd", 1e80, 9),
                hidden_layers=2,
                seed=seed,
            ),
            lambda run: {"moved": run.moved},
        )


@pytest.mark.parametrize("right", [True, False])
def test_features_stop_where_eps_has_won_and_not_as_without_it(monkeypatch, right):
    monkeypatch.setattr(paper14, "DEEP", (128, 256, 512))
    if not right:
        monkeypatch.setattr(paper14, "where_eps_wins", lambda parametrization: parametrization)
    outcome = paper14.eps_limit().verdict.outcome
    assert outcome is (Outcome.OK if right else Outcome.INCONSISTENT)


def smaller(monkeypatch, *, seeds: int, **widths: tuple[int, ...]) -> None:
    """Let claims fit fewer widths, and fewer networks of each."""
    right = paper14._growth
    monkeypatch.setattr(paper14, "_growth", lambda p, n, given, *rest: right(p, n, given[:seeds], *rest))
    for name, listed in widths.items():
        monkeypatch.setattr(paper14, name, listed)


def in_table(family: str, name: str, role: str, **by: Fraction) -> Callable:
    """Return what adds to exponents of one layer in the table of parametrizations."""

    def mutate(monkeypatch) -> None:
        table = {"sgd": tables._SGD, "entrywise": tables._ENTRYWISE}[family]
        rows, place = list(table[name]), ("input", "hidden", "output").index(role)
        rows[place] = tuple(x + by.get(key, 0) for key, x in zip("abcd", rows[place], strict=True))
        monkeypatch.setitem(table, name, tuple(rows))

    return mutate


def in_between(role: str, **by: Fraction) -> Callable:
    """Return what adds to exponents of one layer in the family between muP and NTP."""

    def moved(x: Layer) -> Layer:
        changed: Mapping[str, Any] = {key: getattr(x, key) + step for key, step in by.items()}
        return replace(x, **changed) if x.role == role else x

    def mutate(monkeypatch) -> None:
        right = paper14.between

        def other(*given, **options) -> Parametrization:
            made = right(*given, **options)
            return replace(made, layers=tuple(map(moved, made.layers)))

        monkeypatch.setattr(paper14, "between", other)

    return mutate


def in_shift(**sign: int) -> Callable:
    """Return what lets the symmetry move one exponent by another multiple of theta."""

    def mutate(monkeypatch) -> None:
        right = Parametrization.shift

        def other(self: Parametrization, theta, *, roles) -> Parametrization:
            made = right(self, theta, roles=roles)
            pairs = zip(self.layers, made.layers, strict=True)
            return replace(
                made, layers=tuple(_by(sign, theta, x, y) if x.role in roles else x for x, y in pairs)
            )

        monkeypatch.setattr(Parametrization, "shift", other)

    return mutate


def _by(sign: Mapping[str, int], theta: Fraction, before: Layer, after: Layer) -> Layer:
    changed: Mapping[str, Any] = {key: getattr(before, key) + times * theta for key, times in sign.items()}
    return replace(after, **changed)


THREE, SHALLOW = (128, 256, 512), (512, 2048, 8192)
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("claim", "mutations", "small"),
    [
        pytest.param(
            paper14.dichotomy,
            (in_between("input", c=QUARTER), in_between("output", b=-QUARTER)),
            {"seeds": 3, "SHALLOW": SHALLOW},
            marks=SLOW,
        ),
        pytest.param(
            paper14.feature_exponent,
            (in_between("hidden", c=-QUARTER),),
            {"seeds": 6, "DEEP": THREE},
            marks=SLOW,
        ),
        pytest.param(
            paper14.kernel_change,
            (
                in_table("entrywise", "ntp", "input", c=-HALF),
                in_table("entrywise", "mup", "input", c=QUARTER),
                in_table("sgd", "ntp", "output", a=HALF),
                in_table("sgd", "mup", "input", c=QUARTER),
            ),
            {"seeds": 4, "SHALLOW": SHALLOW},
            marks=SLOW,
        ),
        (paper14.symmetry, (in_shift(c=1), in_shift(b=1), in_shift(d=0), in_shift(c=0)), {"seeds": 1}),
        pytest.param(
            paper14.wrong_exponent,
            (in_table("entrywise", "ntp", "hidden", c=-HALF), in_table("entrywise", "ntp", "hidden", c=HALF)),
            {"seeds": 16, "WIDE": THREE},
            marks=SLOW,
        ),
        pytest.param(
            paper14.standard_adam,
            (
                in_table("entrywise", "sp", "hidden", c=-HALF),
                in_table("sgd", "sp", "hidden", c=-HALF),
                in_table("sgd", "sp", "output", b=-HALF),
            ),
            {"seeds": 8, "DEEP": THREE},
            marks=SLOW,
        ),
        (
            paper14.faithful_eps,
            (
                in_between("input", d=-HALF),
                in_between("input", d=Fraction(-1)),
                in_between("input", c=QUARTER),
            ),
            {"seeds": 4, "DEEP": (64, 128, 256)},
        ),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_another_exponent_turns_claims_red(monkeypatch, claim, mutations, small):
    smaller(monkeypatch, **small)
    assert claim().verdict.ok
    for mutate in mutations:
        with monkeypatch.context() as mutated:
            mutate(mutated)
            assert claim().verdict.outcome is Outcome.INCONSISTENT
