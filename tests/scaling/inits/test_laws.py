"""Values of the laws that an init may follow, against formulas written out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from similitude.scaling.axes import compare
from similitude.scaling.dataflow.fans import Fan, Fans
from similitude.scaling.inits.laws import Law, LawBook

MATRIX = Fans(Fan((1,)), Fan((0,)))


class Net(nn.Module):
    """A feed-forward net whose inner size is affine in the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.empty(3 * width + 16, width))
        self.down = nn.Parameter(torch.empty(width, 3 * width + 16))
        self.norm = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(10))
        self.places = nn.Parameter(torch.empty(1, 7, width))


def book(*widths: int, base: int = 32, target: int = 512) -> LawBook:
    measured = [{n: tuple(p.shape) for n, p in Net(w).named_parameters()} for w in widths]
    return LawBook.of(compare(Net, base, target), measured)


def by_name(laws: list[Law]) -> dict[str, Law]:
    found: dict[str, Law] = {}
    for law in laws:
        assert law.name not in found
        found[law.name] = law
    return found


def test_laws_of_a_matrix():
    laws = by_name(book(16, 64).laws("up", MATRIX))
    inner = {w: 3 * w + 16 for w in (16, 32, 64, 512)}
    expected = {
        "constant": lambda w: 1.0,
        "fan_in^-1/2": lambda w: w**-0.5,
        "fan_out^-1/2": lambda w: inner[w] ** -0.5,
        "xavier": lambda w: (2 / (w + inner[w])) ** 0.5,
        "fan_in^-1": lambda w: 1 / w,
        "fan_out^-1": lambda w: 1 / inner[w],
        "(fan_in fan_out)^-1/2": lambda w: (w * inner[w]) ** -0.5,
        "width^-1/2": lambda w: w**-0.5,
        "width^-1": lambda w: 1 / w,
    }
    for name, value in expected.items():
        assert laws[name].ratio == pytest.approx(value(512) / value(32), rel=1e-12), name
        assert laws[name].growths == pytest.approx([value(512) / value(w) for w in (16, 64)], rel=1e-12), name
    assert laws["xavier"].unit == pytest.approx(expected["xavier"](512))
    assert {n.removesuffix(" as torch.nn.init counts") for n in laws} == set(expected)


def test_the_simplest_law_comes_first():
    names = [law.name for law in book(16, 64).laws("up", MATRIX)]
    assert names[:3] == ["constant", "fan_in^-1/2", "fan_out^-1/2"]
    assert [law.name for law in book(16, 64).laws("norm", None)] == [
        "constant",
        "width^-1/2",
        "width^-1",
        "length^-1/2",
        "length^-1",
    ]


@pytest.mark.parametrize("fans", [None, Fans(Fan(), Fan((2,)))])
def test_the_length_of_a_table_is_what_grows(fans):
    laws = by_name(book(16, 64).laws("places", fans))
    assert laws["length^-1/2"].ratio == 0.25
    assert laws["fan_in^-1/2 as torch.nn.init counts"].ratio == 0.25


def test_what_does_not_grow_has_exact_ratios():
    laws = by_name(book(16, 64).laws("bias", None))
    assert (laws["length^-1"].ratio, laws["length^-1"].growths) == (1.0, (1.0, 1.0))
    assert laws["width^-1/2"].ratio == 0.25


def test_torch_counts_the_kernel_of_a_convolution_on_both_sides():
    def make(width: int) -> nn.Module:
        return nn.Conv2d(8, width, 3, bias=False)

    shapes = [{"weight": (w, 8, 3, 3)} for w in (16, 64)]
    found = LawBook.of(compare(make, 32, 512), shapes)
    laws = by_name(found.laws("weight", Fans(Fan((1, 2, 3)), Fan((0,)))))
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(torch.empty(512, 8, 3, 3))
    assert laws["xavier as torch.nn.init counts"].unit == pytest.approx((2 / (fan_in + fan_out)) ** 0.5)
    assert laws["xavier as torch.nn.init counts"].ratio == pytest.approx((40 / 520) ** 0.5)


def test_the_width_is_the_commonest_growing_length():
    found = book(16, 64, base=32, target=512)
    assert (found.width.measured, found.width.base, found.width.target) == ((16.0, 64.0), 32.0, 512.0)
    assert found.widths_text == "16, 64"


def test_lengths_that_grow_otherwise_are_offered_once():
    laws = book(16, 64).other_sides()
    assert [law.name for law in laws] == ["(dimension 0 of 'up')^-1/2", "(dimension 0 of 'up')^-1"]
    assert laws[1].ratio == pytest.approx(112 / 1552)
