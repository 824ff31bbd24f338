"""The kit for operations over one operator per claim, and claims that it must catch."""

from __future__ import annotations

import pytest
import torch
from kit_operations import (
    CUBIC_ROOT,
    FLIPPED,
    GATED,
    LEAKY,
    NORMED,
    PRODUCT,
    SMOOTHED,
    cubic_root,
    flipped,
    gated,
    leaky,
    normed,
    product,
    shapeless,
    smoothed,
)
from torch import nn

import similitude as sim
from similitude.core.errors import PlanError
from similitude.scaling.dataflow.claims import Contracts, Elementwise, Homogeneous, Linear, Moves, Norm
from similitude.scaling.dataflow.operations import claim_of
from similitude.testing import OperationTests

KERNEL = Contracts("x", "kernel", over=(-1, 0), kept=1, bias="shift")


class Between(nn.Module):
    """input -> function(x, its own parameters) -> output."""

    def __init__(self, width, function, *shapes):
        super().__init__()
        self.first, self.last = nn.Linear(8, width), nn.Linear(width, 3)
        self.own = nn.ParameterList([torch.randn(shape) / shape[-1] ** 0.5 for shape in shapes])
        self.function = function

    def forward(self, x):
        return self.last(self.function(self.first(x), *self.own))


class Kit(OperationTests):
    """The kit with the registration of its class, taken back after each test."""

    claim = None

    @pytest.fixture(autouse=True)
    def registered(self):
        with sim.register_operation(self.operation, self.claim):
            yield

    def arguments(self, draw):
        return [draw(4, 16)]

    def network(self, width, function):
        return Between(width, function)


class TestMoves(Kit):
    operation, claim, plain = FLIPPED, Moves(), staticmethod(flipped)


class TestLinear(Kit):
    operation, claim, plain = SMOOTHED, Linear(), staticmethod(smoothed)


class TestHomogeneous(Kit):
    operation, claim, plain = LEAKY, Homogeneous(), staticmethod(leaky)


class TestElementwise(Kit):
    operation, claim, plain = "kit::cubic_root", Elementwise(), staticmethod(cubic_root)


class TestNorm(Kit):
    operation, claim, plain = NORMED, Norm(), staticmethod(normed)

    def arguments(self, draw):
        return draw(4, 16), draw(16), draw(16)

    def network(self, width, function):
        return Between(width, function, (width,), (width,))


class TestContracts(Kit):
    operation, claim, plain = PRODUCT, KERNEL, staticmethod(product)

    def arguments(self, draw):
        return draw(4, 16), draw(16, 12), draw(12)

    def network(self, width, function):
        return Between(width, function, (width, width), (width,))


class TestPlain(Kit):
    operation, claim, plain = GATED, staticmethod(gated), staticmethod(gated)

    def arguments(self, draw):
        return draw(4, 16), draw(24, 16)

    def network(self, width, function):
        return Between(width, function, (2 * width, width))


def caught(kit, operation, claim, test="test_does_what_is_claimed", **methods):
    """Return what a kit says about an operation under another claim than its own."""
    wrong = type("Wrong", (kit,), {"operation": operation, "claim": claim, **methods})()
    with sim.register_operation(operation, claim), pytest.raises(AssertionError) as error:
        getattr(wrong, test)()
    return str(error.value)


@pytest.mark.parametrize(
    ("kit", "operation", "claim", "text"),
    [
        (TestHomogeneous, LEAKY, Linear(), "is registered as Linear, but f(0.25 x - 3.0 y) is not 0.25 f(x) - 3.0 f(y)"),
        (TestElementwise, CUBIC_ROOT, Linear(), "is registered as Linear"),
        (TestElementwise, CUBIC_ROOT, Homogeneous(), "but f(0.25 x) is not 0.25 f(x)"),
        (TestElementwise, CUBIC_ROOT, Moves(), "f(tanh x) is not tanh f(x)"),
        (TestLinear, SMOOTHED, Moves(), "f(tanh x) is not tanh f(x)"),
        (TestLinear, SMOOTHED, Elementwise(), "moving 1 entry of its input changes 2 entries of its result"),
        (TestLinear, SMOOTHED, Norm(), "but f(3.0 x) is not f(x)"),
        (TestNorm, NORMED, Homogeneous(), "is registered as Homogeneous"),
        (TestContracts, PRODUCT, Contracts("x", "kernel", over=(-1, 1), kept=0, bias="shift"), "have 16 and 12 entries"),
        (TestContracts, PRODUCT, Contracts("x", "kernel", over=(-1, 0), kept=0, bias="shift"), "kept=0: without one of"),
        (TestContracts, PRODUCT, Contracts("x", "kernel", over=(-1, 0), kept=1), "not linear in 'x'"),
        (TestPlain, GATED, Contracts("x", "weight"), "not linear in 'x'"),
        (TestPlain, GATED, lambda x, weight: x, "shapes are [(4, 12)] and [(4, 16)]"),
    ],
)  # fmt: skip
def test_a_wrong_claim_is_caught(kit, operation, claim, text):
    assert text in caught(kit, operation, claim)


def test_a_square_weight_with_its_sides_exchanged_is_caught():
    """Equal sides hide it from the shapes; dropping an index does not."""
    sides = Contracts("x", "kernel", over=(-1, 1), kept=0, bias="shift")
    square = {"arguments": lambda self, draw: (draw(4, 16), draw(16, 16), draw(16))}
    assert "dropping an index of 'x' is not dropping it of 'kernel'" in caught(
        TestContracts, PRODUCT, sides, **square
    )


def test_operands_of_a_norm_in_another_order_are_caught():
    def exchanged(self, draw):
        return draw(4, 16), draw(16), draw(16)

    @torch.library.custom_op("kit::shifted_first", mutates_args=())
    def shifted_first(x: torch.Tensor, bias: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        return normed(x, gain, bias)

    said = caught(TestNorm, shifted_first, Norm(), arguments=exchanged)
    assert "its operand number 1 is no gain" in said
    assert "Operands stand in the order input, gain, bias" in said


def test_roles_that_differ_from_the_plain_form_are_caught():
    """Elementwise is what a product is not: its weight is hidden from the plan."""
    said = caught(TestContracts, PRODUCT, Elementwise(), "test_roles_stay_as_with_its_plain_form")
    assert "operation kit::product hides own.0: its role is 'hidden' with the plain form" in said


def test_an_operation_without_a_fake_and_other_numbers_are_caught():
    twice = staticmethod(lambda x: 2 * x)
    kit = {"plain": twice}
    said = caught(TestLinear, shapeless, Linear(), "test_works_without_values", **kit)
    assert "does not run on fake tensors" in said
    assert "register_fake" in said
    other = {"plain": staticmethod(lambda x: 3 * x)}
    assert "differs from plain(...)" in caught(
        TestLinear, shapeless, Linear(), "test_equals_its_plain_form", **other
    )


def test_without_a_registration_the_kit_and_the_plan_say_so():
    with pytest.raises(AssertionError, match=r"kit::product is not registered: .*register_operation"):
        TestContracts().test_is_registered()
    made = sim.plan(
        lambda n: TestContracts().network(n, PRODUCT), base=16, target=64, sample=torch.zeros(4, 8)
    )
    assert {refusal.name for refusal in made.refused} == {"own.0", "own.1"}
    assert "kit::product, which no rule covers (similitude.register_operation" in made.refused[0].reason
    unknown = sim.plan(lambda n: Between(n, LEAKY), base=16, target=64, sample=torch.zeros(4, 8))
    assert any("kit::leaky, of which nothing is known" in note for note in unknown.notes)
    with sim.register_operation(LEAKY, Homogeneous()):
        known = sim.plan(lambda n: Between(n, LEAKY), base=16, target=64, sample=torch.zeros(4, 8))
    assert not any("nothing is known" in note for note in known.notes)


def test_the_kit_asks_for_what_is_missing():
    class Bare(OperationTests):
        operation = LEAKY

    with pytest.raises(NotImplementedError, match=r"write arguments\(self, draw\) in Bare"):
        Bare().test_equals_its_plain_form()


@pytest.mark.parametrize(
    ("operation", "claim", "text"),
    [
        ("kit::nothing", Linear(), "'kit::nothing' is no operation of torch. Pass what torch.library.custom_op"),
        ("leaky", Linear(), "'leaky' is no operation of torch"),
        (3, Linear(), "3 is no operation of torch"),
        (LEAKY, "linear", "operation 'kit::leaky' cannot be registered with 'str', which is no claim"),
        (LEAKY, Linear, "cannot be registered with 'Linear', which is no claim"),
        ("aten::relu", Linear(), "operation 'aten::relu' is known to similitude. Pass replace=True"),
        (PRODUCT, Contracts(), "has no positional argument 'weight', which Contracts names as its weight. Its arguments"),
        (PRODUCT, Contracts(weight="kernel", bias="b"), "no positional argument 'b', which Contracts names as its bias"),
    ],
)  # fmt: skip
def test_what_cannot_be_registered_is_told(operation, claim, text):
    with pytest.raises(PlanError) as error:
        sim.register_operation(operation, claim)
    assert text in str(error.value)


def test_a_claim_is_taken_back_and_restores_the_one_before():
    with sim.register_operation(LEAKY, Homogeneous()):
        with pytest.raises(PlanError, match="operation 'kit::leaky' is registered already"):
            sim.register_operation(LEAKY, Linear())
        with sim.register_operation(LEAKY, Linear(), replace=True):
            assert claim_of(LEAKY) == Linear()
        assert claim_of("kit::leaky") == Homogeneous()
    assert claim_of(LEAKY) is None
    with sim.register_operation("aten::relu", Elementwise(), replace=True):
        assert claim_of(torch.ops.aten.relu) == Elementwise()
    assert claim_of(torch.ops.aten.relu.default) is None
    with pytest.raises(PlanError, match="is known to similitude"):
        sim.register_operation("aten::relu", Linear())
