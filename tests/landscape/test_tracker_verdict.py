"""Where a run is, by curves of sharpness and loss that are given."""

import pytest

from similitude.landscape.tracker_records import SharpnessHistory, SharpnessRecord


def history(margins, losses):
    """A history of gradient descent at rate 0.1, its curve given as parts of the threshold 2."""
    return SharpnessHistory(
        tuple(
            SharpnessRecord(
                10 * i, loss, 20 * margin, 0.0, 3, units="gradient descent", eta=0.1, threshold=2.0
            )
            for i, (margin, loss) in enumerate(zip(margins, losses, strict=True))
        )
    )


def falling(count):
    return [2.3 * 0.7**i for i in range(count)]


@pytest.mark.parametrize(
    ("margins", "losses", "edge", "code"),
    [
        ([0.17, 1.09, 1.32, 1.32, 0.66], falling(5), "at the edge", 0),
        ([0.17, 0.23, 1.1, 2.2, 1.3, 1.3, 1.3, 1.7, 0.66], falling(9), "at the edge", 0),
        ([0.17, 0.23, 1.1, 2.2, 1.3, 1.3, 1.3, 1.7, 0.66], [1.0] * 8 + [1.1], "beyond the edge", 1),
        ([0.3, 0.8, 1.5, 2.0, 3.0], falling(5), "beyond the edge", 1),
        ([0.3, 0.5, 1.5, 2.0, 3.0, 3.0, 0.9], [1, 1, 1, 1, 1.1, 1.2, 1.5], "beyond the edge", 1),
        ([0.2, 0.4, 0.5, 0.6, 0.6], falling(5), "below the edge", 0),
        ([170, 0.01, 0, 0, 0], [2.3, 264, 276, 238, 152], "diverged", 1),
        ([0.5, 0.4, 0, 0, 0], [2.3, 2.0, 276, 238, 152], "diverged", 1),
        ([1.7, 245, 0.4, 0.4, 0.4, 0.4, 0.4], [2.3, 4.3, 2.3, 2.3, 2.3, 2.3, 2.3], "diverged", 1),
        ([1.7, 3.0, 0.4, 0.4, 0.4, 0.4, 0.4], [2.3, 4.3, 1.9, 1.0, 0.7, 0.5, 0.4], "below the edge", 0),
        ([2.5, 0.4, 0.4, 0.4, 0.4, 0.4], [0.05, 0.05, 0.05, 0.051, 0.05, 0.05], "below the edge", 0),
    ],
    ids=["returns", "swings", "swings, late rise", "rises", "rises with its loss", "below", "lost", "lost unseen",
         "thrown", "catapult", "fitted"],
)  # fmt: skip
def test_the_place_and_the_verdict_agree(margins, losses, edge, code):
    found = history(margins, losses)
    assert (found.edge, found.verdict().exit_code) == (edge, code), found.verdict().summary
    assert (found.verdict().outcome == "diverged") == (edge == "diverged")


def test_a_curve_that_swings_is_described():
    summary = history([0.17, 0.23, 1.1, 2.2, 1.3, 1.3, 1.3, 1.7, 0.66], falling(9)).verdict().summary
    assert "swings about it, from 66 to 170 %" in summary
    assert "so far the loss falls nonetheless" in history([0.3, 0.8, 1.5, 2, 3], falling(5)).verdict().summary


def test_a_loss_below_zero_tells_nothing():
    assert history([0.2] * 5, [-1.0, -3.0, -10.0, -20.0, -30.0]).edge == "below the edge"
