"""Our own rules keep what the kit asks of everybody's; the check of every family is slow."""

import pytest

import similitude as sim
from similitude.testing import RuleTests


class Fast(RuleTests):
    """The kit, with the coordinate check for Adam alone."""

    def test_passes_the_coordinate_check(self):
        kit = type("One", (type(self),), {"families": ("entrywise",)})()
        RuleTests.test_passes_the_coordinate_check(kit)

    @pytest.mark.slow
    def test_passes_the_coordinate_check_of_every_family(self):
        kit = type("Wide", (type(self),), {"widths": (128, 256, 512)})()
        RuleTests.test_passes_the_coordinate_check(kit)


class TestMup(Fast):
    rule = "mup"


class TestSpectral(Fast):
    rule = "spectral"


class TestNtp(Fast):
    rule = "ntp"


class TestSp(Fast):
    rule, promises, outcome = "sp", False, "grows"


class TestMeanField(Fast):
    rule, layers, families = "mean_field", 1, ("sgd", "entrywise")


class TestUMup(Fast):
    rule = "u_mup"


class TestRegistered(Fast):
    """A rule of one's own: muP with the head in the kernel's units; registered for this class alone."""

    rule = "mine"

    @pytest.fixture(autouse=True)
    def registered(self):
        head = sim.Cell(
            sim.Power(-1, 0), sim.Power(-1, 0), sim.Power(-1, 0), sim.Power(-0.5, 0), eps=sim.Power()
        )
        with sim.register_rule("mine", {"output": head}, like="mup"):
            yield
