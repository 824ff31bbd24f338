import pytest
import torch

from similitude.checking.slopes import fit
from similitude.claims import paper21, wide_nets
from similitude.claims.registry import select
from similitude.core.verdict import Outcome
from similitude.runs.engine import InProcess
from similitude.studies.universality_nets import digits_task
from similitude.studies.universality_records import UniversalityWidth
from similitude.studies.universality_verdict import architecture

CLAIMS = {
    "deviations": (paper21.universal, paper21.sgd),
    "kernel_errors": (paper21.kernel_at_start,),
    "kernel_changes": (paper21.frozen,),
    "contrast_changes": (paper21.feature_learning,),
}


def made_up(monkeypatch, **powers: float) -> None:
    """Put nets in the place of the trained ones, whose quantities go with given powers; those of one can be others."""
    usual = {"deviations": -0.5, "kernel_errors": -0.5, "kernel_changes": -0.8, "contrast_changes": 0.0}

    def compared(name, batch_size, full):
        mine = usual | (powers if name == "transformer" else {})
        widths = []
        for width in (64, 256, 1024):
            values = {
                q: tuple(width**power * (1 + 0.01 * seed) for seed in range(2)) for q, power in mine.items()
            }
            widths.append(UniversalityWidth(width, train_deviations=values["deviations"], **values))
        return architecture(name, widths, lr=1.0)

    monkeypatch.setattr(paper21, "compared", compared)


def test_what_the_theorem_says_passes(monkeypatch):
    made_up(monkeypatch)
    for claims in CLAIMS.values():
        for claim in claims:
            got = claim()
            assert got.verdict.ok
            assert got.unit == "exponent of width"


@pytest.mark.parametrize(
    ("quantity", "power"),
    [
        ("deviations", -0.2),
        ("deviations", -0.9),
        ("kernel_errors", 0.0),
        ("kernel_changes", -0.1),
        ("contrast_changes", -0.6),
    ],
)
def test_one_architecture_that_differs_fails_its_claim_alone(monkeypatch, quantity, power):
    made_up(monkeypatch, **{quantity: power})
    for name, claims in CLAIMS.items():
        for claim in claims:
            got = claim()
            assert got.verdict.ok == (name != quantity)
            if name == quantity:
                assert got.verdict.outcome is Outcome.INCONSISTENT
                assert got.value == pytest.approx(power)


def test_an_exponent_that_cannot_be_fitted_fails(monkeypatch):
    assert fit([64, 128], [[0.0], [1.0]]) is None
    made_up(monkeypatch, deviations=float("nan"))
    assert not paper21.universal().verdict.ok


@pytest.mark.parametrize(("factor", "holds"), [(1.0, True), (2.5, False)])
def test_a_limit_that_is_off_by_a_factor_turns_the_claim_red(monkeypatch, factor, holds):
    """Nets are trained here: few steps of the MLP alone, beside the kernel as it is and beside a wrong one."""
    monkeypatch.setattr(wide_nets, "WIDTHS", {"MLP": (64, 256)})
    monkeypatch.setattr(wide_nets, "SEEDS", 3)
    monkeypatch.setattr(wide_nets, "digits_task", lambda: digits_task(train=10, test=10))
    monkeypatch.setattr(wide_nets, "engine_here", InProcess)
    from similitude.studies import universality

    real = universality.kernel

    class Off:
        def __init__(self, *args, **kwargs):
            self.kernel = real(*args, **kwargs)

        def ntk(self, x: torch.Tensor) -> torch.Tensor:
            return factor * self.kernel.ntk(x)

    monkeypatch.setattr(universality, "kernel", Off)
    wide_nets.compared.cache_clear()
    got = paper21._powers("kernel_errors", "the error", paper21._in_band, names=("MLP",))
    wide_nets.compared.cache_clear()
    assert got.verdict.ok is holds


def test_the_claims_are_registered():
    names = {entry.name for entry in select(["21"])}
    assert names == {
        "21.universality", "21.sgd", "21.kernel_at_start", "21.frozen", "21.feature_learning",
    }  # fmt: skip
