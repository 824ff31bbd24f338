"""Reading the values of options."""

import pytest

from similitude.cli.factories import did_you_mean, load_object
from similitude.cli.options import at_least, depth_rule_of, rate, schedule_of, whole_numbers
from similitude.core.errors import FactoryError, GridError
from similitude.training.schedule import constant


@pytest.mark.parametrize(
    ("text", "value"), [("2^-11", 2**-11), ("10^-2.5", 10**-2.5), ("1e-3", 1e-3), (" 3 ", 3.0)]
)
def test_rates(text, value):
    assert rate(text, "--lr-min") == value


@pytest.mark.parametrize(
    "text", ["", "^", "2^", "^2", "2^x", "0", "-1", "inf", "nan", "-2^0.5", "2**-3", "9^999"]
)
def test_no_rates(text):
    with pytest.raises(GridError, match=r"--lr-min .* is not a positive learning rate\. Write"):
        rate(text, "--lr-min")


def test_whole_numbers():
    assert whole_numbers("64, 128,-3", "--widths") == (64, 128, -3)
    for text in ("64,,128", "64,1.5", ""):
        with pytest.raises(GridError, match=f"--widths {text}: '.*' is not a whole number"):
            whole_numbers(text, "--widths")


def test_at_least():
    assert at_least(1, 1, "--seeds") == 1
    with pytest.raises(GridError, match="--seeds 0 is too small: give at least 1"):
        at_least(0, 1, "--seeds")


def test_schedules():
    assert schedule_of("constant", steps=10, warmup=0) is constant
    warm = schedule_of("constant", steps=10, warmup=2)
    assert [warm(t) for t in (0, 1, 5, 9)] == [0.5, 1.0, 1.0, 1.0]
    assert schedule_of("linear", steps=10, warmup=0)(10) == 0
    assert schedule_of("cosine", steps=10, warmup=0)(5) == pytest.approx(0.5)
    with pytest.raises(GridError, match="--warmup 11 does not fit into --steps 10"):
        schedule_of("cosine", steps=10, warmup=11)


def test_did_you_mean():
    assert did_you_mean("digit", ["digits", "photos"]) == "Did you mean digits?"
    assert did_you_mean("mak", ["make"], form="m:{}") == "Did you mean m:make?"
    assert did_you_mean("x", ["digits"]) == ""


def test_names_inside_classes_and_packages():
    import torch

    assert load_object("torch:nn.Linear") is torch.nn.Linear
    with pytest.raises(FactoryError, match=r"'torch.nn' has no 'Linaer'.*Did you mean torch.nn:Linear"):
        load_object("torch.nn:Linaer")


def test_depth_rules_are_names_or_numbers():
    assert [depth_rule_of(text) for text in (None, "sp", "0.75", "1")] == [None, "sp", 0.75, 1.0]
