"""`similitude learning-curve`: table, exit code, report, JSON, and what it says when it is used wrongly."""

import numpy as np
import pytest

TINY = {"--data": "digits", "--examples": "200", "--sizes": "10,20", "--features": "5,40", "--draws": "3"}


@pytest.fixture
def learning_curve(cli):
    """Run a tiny `similitude learning-curve`; options given to it win over the tiny ones."""

    def run(*options, factory="user_models.py:make"):
        named = {option.partition("=")[0] for option in options}
        tiny = [f"{name}={value}" for name, value in TINY.items() if name not in named]
        return cli("learning-curve", factory, *tiny, *options)

    return run


def test_it_prints_the_tables_and_leaves_a_report(learning_curve, tmp_path):
    ran = learning_curve()
    assert ran.code in (0, 3), ran.message
    for words in (
        "tangent kernel",
        "no ridge: predicted",
        "what buys how much",
        "recommended ridge at 20 samples",
    ):
        assert words in ran.out
    assert (tmp_path / "learning-curve.html").read_text().count("<svg") == 2


def test_json_is_one_object(learning_curve):
    data = learning_curve("--json", "--kernel=nngp", "--report=here.html", "--noise=0.5").json
    assert (data["kernel"], data["pool"]) == ("nngp", 200)
    assert data["noise"] == pytest.approx(0.5 * 0.9)  # ten classes as rows of 0.9 and -0.1
    assert data["features"] == "outputs of copies of the model with fresh weights"
    assert [p["n"] for p in data["samples"][0]["points"]] == [10, 20]
    assert [p["features"] for p in data["widths"][1]["points"]] == [5, 40]
    for curve in (*data["samples"], *data["widths"]):
        for point in curve["points"]:
            assert point["predicted"] == pytest.approx(point["mean"], rel=0.5)
    assert data["report"].endswith("here.html")


def test_the_user_s_own_table(learning_curve, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((150, 64))
    np.savez(tmp_path / "mine.npz", x=x, y=x[:, :2].sum(1))
    ran = learning_curve("--data=mine.npz", "--examples=100", "--features=none", "--json")
    assert ran.json["widths"] == []
    assert ran.json["pool"] == 100


@pytest.mark.parametrize(
    ("factory", "options", "words"),
    [
        ("make", ("--sizes=10,500",), "below the pool's 200"),
        ("make", ("--sizes=ten",), "'ten' is not a whole number"),
        ("make", ("--features=0",), "widths=(0,)"),
        ("make", ("--draws=1",), "--draws 1 is too small"),
        ("make", ("--data=text",), "has no targets"),
        ("no_argument", ("--widths=8,16",), "takes no width"),
    ],
)
def test_wrong_use(learning_curve, factory, options, words):
    ran = learning_curve(*options, factory=f"user_models.py:{factory}")
    assert ran.code == 2
    assert words in ran.message


def test_noise_is_refused_in_the_users_own_numbers(learning_curve):
    ran = learning_curve("--noise=-1")
    assert ran.code == 2
    assert "--noise -1 is no variance" in ran.message
