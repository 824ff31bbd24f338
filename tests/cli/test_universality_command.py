"""`similitude universality`: tables, exit code, report, JSON, data of the user's, and what it says when used wrongly."""

import textwrap

import numpy as np
import pytest

NETS = """
    from torch import nn

    def make(width):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def columns(width):
        return nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1))

    def sorted_neurons(width):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Softmax(-1), nn.Linear(width, 10))

    def alone():
        return make(8)
"""

GIVEN = {
    "--widths": "16,64",
    "--steps": "5",
    "--seeds": "2",
    "--examples": "6",
    "--test": "3",
    "--workers": "1",
}


@pytest.fixture
def universality(cli, tmp_path):
    """Run a tiny `similitude universality`; options given to it win over the tiny ones."""
    (tmp_path / "user_nets.py").write_text(textwrap.dedent(NETS))

    def run(*options, factories=("user_nets.py:make",)):
        named = {option.partition("=")[0] for option in options}
        tiny = [f"{name}={value}" for name, value in GIVEN.items() if name not in named]
        return cli("universality", *factories, *tiny, *options)

    return run


def test_it_prints_deviations_and_leaves_a_page(universality, tmp_path):
    ran = universality()
    assert ran.code in (0, 1, 3), ran.message
    assert "make" in ran.out
    assert "deviation" in ran.out
    assert "change under" in " ".join(ran.out.split())
    page = (tmp_path / "universality.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    assert "make" in page


def test_json_has_every_net_and_the_exit_code_is_the_verdicts(universality):
    ran = universality("--json", "--contrast=none", "--report=here/page.html")
    data = ran.json
    assert data["contrast"] is None
    (found,) = data["architectures"].values()
    assert [width["width"] for width in found["widths"]] == [16, 64]
    assert all(len(width["deviations"]) == 2 and min(width["deviations"]) > 0 for width in found["widths"])
    assert data["settings"]["training examples"] == 6
    assert data["report"].endswith("page.html")
    codes = {"consistent": 0, "inconsistent": 1, "too_noisy": 3, "cannot_tell": 3, "diverged": 1}
    assert ran.code == codes[data["verdict"]]


def test_reference_networks_are_chosen_by_name(universality):
    data = universality("--json", "--nets=MLP", "--contrast=none", factories=()).json
    assert list(data["architectures"]) == ["MLP"]


def test_values_of_a_file_are_learned(universality, tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 3))
    np.savez(tmp_path / "own.npz", x=x, y=np.sin(x[:, 0]))
    ran = universality("--data=own.npz", "--contrast=none", "--json", factories=("user_nets.py:columns",))
    assert ran.json["settings"]["test examples"] == 2, ran.message


@pytest.mark.parametrize(
    ("options", "factories", "said"),
    [
        (("--widths=64",), ("user_nets.py:make",), "two different ones"),
        (("--step-size=2",), ("user_nets.py:make",), "step_size=2"),
        (("--nets=MLP",), ("user_nets.py:make",), "Drop one of them"),
        (("--nets=LSTM",), (), "--nets LSTM"),
        (("--seeds=0",), ("user_nets.py:make",), "--seeds"),
        (("--data=shakespeare",), ("user_nets.py:make",), "shakespeare"),
        ((), ("user_nets.py:alone",), "takes no width"),
        ((), ("user_nets.py:sorted_neurons",), "softmax"),
    ],
)
def test_wrong_use_says_what_to_do(universality, options, factories, said):
    ran = universality(*options, factories=factories)
    assert ran.code == 2
    assert said in ran.message
