"""The kit for optimizers over torch's own and over one that is registered, and optimizers that it must catch."""

from functools import partial

import pytest
import torch
from kit_optimizers import SignMomentum, sign_momentum

import similitude as sim
from similitude.core.errors import PlanError
from similitude.scaling.optimizers import OptimizerSpec, resolve
from similitude.scaling.shape_laws import WIDE
from similitude.testing import OptimizerTests
from similitude.testing.runs import Orthogonal


class TestAdamW(OptimizerTests):
    optimizer = torch.optim.AdamW


class TestSGD(OptimizerTests):
    optimizer, lr = partial(torch.optim.SGD, momentum=0.9), 0.05


class TestMuon(OptimizerTests):
    optimizer, lr = torch.optim.Muon, 0.02
    tolerance = 0.1  # it works in bfloat16


class TestOrthogonal(OptimizerTests):
    """An optimizer of matrices that was registered, with no rounding of its own."""

    optimizer, lr = Orthogonal, 0.02


class TestSignMomentum(OptimizerTests):
    """A Lion-like optimizer of one's own."""

    optimizer, lr = SignMomentum, 0.003

    @pytest.fixture(autouse=True)
    def registered(self):
        with sim.register_optimizer(SignMomentum, sign_momentum()):
            yield


def kit(cls, **attributes):
    return type("Kit", (OptimizerTests,), {"optimizer": cls, "lr": 0.003, **attributes})()


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (
            {"family": "sgd"},
            r"SignMomentum: family='sgd': measured is 'entrywise'. It decides .*register family='entry",
        ),
        ({"relative": True}, r"relative=True: measured is False"),
        ({"decay": "fixed"}, r"decay='fixed': measured is 'shrink'"),
    ],
)
def test_a_spec_that_lies_is_caught(said, text):
    with (
        sim.register_optimizer(SignMomentum, sign_momentum(**said)),
        pytest.raises(AssertionError, match=text),
    ):
        kit(SignMomentum).test_geometry_is_as_registered()


def test_a_wrong_family_fails_the_folding_and_the_check_too():
    with sim.register_optimizer(SignMomentum, sign_momentum(family="sgd")):
        with pytest.raises(
            AssertionError, match=r"folding a forward multiplier changes the run: losses differ by"
        ):
            kit(SignMomentum).test_folded_multipliers_train_as_explicit_ones()
        with pytest.raises(AssertionError, match=r"the check says grows, expected is ok"):
            kit(SignMomentum).test_passes_the_coordinate_check()


def test_a_wrong_law_of_the_shape_is_caught():
    class Theirs(Orthogonal):
        """Another class with the same steps."""

        def step(self, closure=None):
            return super().step(closure)

    with (
        sim.register_optimizer(Theirs, OptimizerSpec("a", "orthogonalized", "shrink", {}, law=WIDE)),
        pytest.raises(
            AssertionError, match=r"is registered as sqrt\(max\(fan_out, fan_in\)\): .* Measured is 1: "
        ),
    ):
        kit(Theirs).test_geometry_is_as_registered()


def test_a_wrong_power_of_eps_is_caught():
    class Theirs(torch.optim.RMSprop):
        """Another class with the same steps."""

    defaults = {"eps": 1e-8, "weight_decay": 0.0}
    with (
        sim.register_optimizer(Theirs, OptimizerSpec("a", "entrywise", "gradient", defaults, eps_power=2.0)),
        pytest.raises(
            AssertionError, match=r"eps_power=2: a gradient x0.001 with eps x0.001\^2 makes a step"
        ),
    ):
        kit(Theirs).test_eps_moves_with_the_gradient()


def test_an_optimizer_without_a_law_is_refused_with_the_measured_reason():
    class Clipped(torch.optim.SGD):
        """Gradients above a bound are cut: no power of the gradient."""

        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.grad.clamp_(-0.1, 0.1)
            return super().step(closure)

    spec = OptimizerSpec("Clipped", "sgd", "shrink", {})
    with sim.register_optimizer(Clipped, spec), pytest.raises(AssertionError, match="no rule fits it"):
        kit(Clipped).test_geometry_is_as_registered()


def test_defaults_that_are_not_the_class_s_own_change_the_base():
    spec = OptimizerSpec("a", "entrywise", "shrink", {"betas": (0.9, 0.99), "weight_decay": 0.3})
    with (
        sim.register_optimizer(SignMomentum, spec),
        pytest.raises(AssertionError, match="defaults that were"),
    ):
        kit(SignMomentum).test_base_is_the_reference()


def test_a_registration_is_taken_back_and_restores_what_was_said_before():
    before = resolve(SignMomentum).warnings
    with sim.register_optimizer(SignMomentum, sign_momentum()) as outer:
        with pytest.raises(PlanError, match=r"SignMomentum is registered already\. Pass replace=True"):
            sim.register_optimizer(SignMomentum, sign_momentum())
        with sim.register_optimizer(SignMomentum, sign_momentum(family="sgd"), replace=True):
            assert resolve(SignMomentum).family == "sgd"
        assert resolve(SignMomentum).family == "entrywise"
        assert resolve(SignMomentum).warnings == ()
        outer.remove()
        outer.remove()
    assert resolve(SignMomentum).warnings == before  # measured again
    assert "was measured" in before[0]
