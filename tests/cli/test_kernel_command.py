"""`similitude kernel`: what it prints and stores, that it says what the library says, exit codes, and wrong use."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import similitude as sim
from similitude.kernels.gram_store import read_grams

NETS = """
    import torch
    from torch import nn

    def make(width):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def alone():
        return make(64)

    class Softmax(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.first, self.last = nn.Linear(64, width), nn.Linear(width, 10)

        def forward(self, x):
            return self.last(self.first(x.flatten(1)).softmax(-1))

    class Tied(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.first, self.hidden, self.last = nn.Linear(64, width), nn.Linear(width, width), nn.Linear(width, 10)

        def forward(self, x):
            return self.last(self.hidden(self.first(x.flatten(1)).relu()).relu() @ self.hidden.weight)

    def columns(width):
        return nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1))
"""

GIVEN = {"--data": "digits", "--examples": "40", "--test": "30", "--seconds": "1"}


@pytest.fixture
def kernel(cli, tmp_path):
    """Run a tiny `similitude kernel`; options given to it win over the tiny ones."""
    import textwrap

    (tmp_path / "user_nets.py").write_text(textwrap.dedent(NETS))

    def run(*options, factory="user_nets.py:make", verify=False, drop=()):
        named = {option.partition("=")[0] for option in options} | set(drop)
        tiny = [f"{name}={value}" for name, value in GIVEN.items() if name not in named]
        return cli("kernel", factory, *tiny, *options, *([] if verify else ["--no-verify"]))

    return run


def test_it_prints_rules_spectra_and_predictions(kernel):
    ran = kernel()
    assert ran.code == 0, ran.message
    said = " ".join(ran.out.split())
    for part in (
        "addmm",
        "relu",
        "tangent kernel",
        "effective rank",
        "accuracy",
        "95 % interval",
        "leave-one-out",
    ):
        assert part in said, part
    assert "addmm" not in kernel("--no-explain").out


def test_its_numbers_are_those_of_the_library(kernel):
    data = kernel("--json", "--folder=grams").json
    grams = read_grams(data["folder"] + "/train")
    for s in data["spectra"]:
        values = torch.linalg.eigvalsh(grams[s["kernel"]]).flip(0)
        np.testing.assert_allclose(s["top"], values[:10], rtol=1e-9)
        assert 0 < s["alignment"] < 1
    assert data["explanation"]["exact"] is True
    for fit in data["fits"]:
        assert fit["interval"][0] < fit["score"] < fit["interval"][1]
    assert data["verdict"] is None


def test_matrices_on_disk_are_continued_or_refused(kernel):
    first = kernel("--folder=grams", "--json").json
    again = kernel("--folder=grams", "--json", "--time=3").json
    assert first["spectra"] == again["spectra"]
    assert "at time 3" in again["fits"][0]["what"]
    other = kernel("--folder=grams", "--seed=1")
    assert other.code == 2
    assert "holds Gram matrices of something else" in other.message


def test_wide_copies_decide_the_exit_code(kernel):
    ran = kernel("--json", "--seconds=3", verify=True)
    verdict = ran.json["verdict"]
    assert ran.code == {"ok": 0, "too_noisy": 3}[verdict["outcome"]], verdict
    assert verdict["evidence"]


def test_a_single_model_is_read_too(kernel):
    ran = kernel("--json", factory="user_nets.py:alone")
    assert ran.code == 0, ran.message
    assert "every hidden axis" in ran.json["explanation"]["limit"]


def test_a_table_of_values_is_predicted(kernel, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    rows = "".join(f"{a:.4f},{b:.4f},{c:.4f},{a - b * c:.4f}\n" for a, b, c in x)
    (tmp_path / "table.csv").write_text("a,b,c,target\n" + rows)
    data = kernel("--data=table.csv", "--json", factory="user_nets.py:columns").json
    assert (data["train"], data["test"]) == (40, 16)
    for fit in data["fits"]:
        assert fit["measure"] == "explained variance"
        assert fit["score"] > 0.3


def test_variances_and_the_ridge_are_the_users(kernel):
    x = torch.as_tensor(sim.data.load("digits").train_images[:5, None, :, :, 0].astype(float))

    def make(width):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    he = sim.kernel(make, sample=x, widths=(32, 48), weight_variance=2.0, bias_variance=0.0).ntk(x)
    plain = sim.kernel(make, sample=x, widths=(32, 48)).ntk(x)
    ratio = float(he.trace() / plain.trace())
    data = [
        kernel("--json", "--ridge=0.5", *more).json
        for more in ((), ("--weight-variance=2", "--bias-variance=0"))
    ]
    assert {fit["ridge"] for part in data for fit in part["fits"]} == {0.5}
    means = [part["spectra"][1]["mean"] for part in data]
    assert means[1] / means[0] == pytest.approx(ratio, rel=0.05)


@pytest.mark.slow
def test_processes_compute_the_same(kernel):
    one, two = (kernel("--json", *more).json for more in ((), ("--engine=process", "--workers=1")))
    np.testing.assert_allclose(one["spectra"][1]["top"], two["spectra"][1]["top"], rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ridge=small"], "--ridge small is neither"),
        (["--ridge=-1"], "--ridge -1 is neither"),
        (["--widths=32"], "two different widths"),
        (["--widths=a,b"], "'a' is not a whole number"),
        (["--examples=1"], "--examples 1 is too small"),
        (["--data=absent.npz"], "no such file"),
        (["--labels=y.npy"], "--labels has no effect"),
        (["--time=-1"], "time=-1"),
        (["--engine=inline", "--workers=3"], "this process alone"),
    ],
)
def test_wrong_use_leaves_with_2(kernel, options, said):
    ran = kernel(*options)
    assert ran.code == 2, ran.out
    assert said in ran.message


def test_a_model_without_a_kernel_leaves_with_2_and_names_the_operation(kernel):
    ran = kernel("--json", factory="user_nets.py:Softmax")
    assert ran.code == 2
    error = json.loads(ran.out)["error"]
    assert error["type"] == "KernelError"
    assert "softmax" in error["message"]


def test_kernels_without_a_rule_are_estimated_where_asked_for(kernel):
    refused = kernel(factory="user_nets.py:Tied")
    assert refused.code == 2
    assert "fallback='monte carlo'" in refused.message
    ran = kernel(
        "--json", "--fallback=monte carlo", "--copies=16", "--copy-widths=24,96", factory="user_nets.py:Tied"
    )
    assert ran.code == 0, ran.message
    explanation = ran.json["explanation"]
    assert explanation["exact"] is False
    assert "mean over 16 copies of width 96" in explanation["limit"]
    assert [row["exactness"] for row in explanation["rows"]] == ["estimated"]


def test_widths_of_a_model_without_a_width_are_in_vain(kernel):
    ran = kernel("--widths=32,48", factory="user_nets.py:alone")
    assert ran.code == 2
    assert "takes no width" in ran.message


def test_help_says_what_it_does(cli):
    said = " ".join(cli("kernel", "--help").out.split())
    assert "--weight-variance" in said
    assert "kernel" in cli("--help").out
