"""Conformance kits for rules, operations and optimizers of one's own: subclass one in a test file, and get the tests.

Imported by tests alone; `docs/extending.md` has a complete example of each.
"""

from similitude.testing.operations import OperationTests
from similitude.testing.optimizers import OptimizerTests
from similitude.testing.rules import RuleTests

__all__ = ["OperationTests", "OptimizerTests", "RuleTests"]
