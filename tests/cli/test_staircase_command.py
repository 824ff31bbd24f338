"""`similitude staircase`: files of every kind, exit codes, JSON, and what it says when it is used wrongly."""

import json

import numpy as np
import polars as pl
import pytest

STEPS = np.arange(600)
LOSSES = np.where(STEPS < 200, 3.0, np.where(STEPS < 350, 1.0, 0.1))
GAIN = (STEPS >= 350) * 0.9


def write(path, **columns):
    table = pl.DataFrame(columns)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_dicts()))
    else:
        getattr(table, f"write_{path.suffix[1:]}")(path)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_it_finds_the_drops_of_a_run(cli, tmp_path, kind):
    write(tmp_path / f"run.{kind}", step=10 * STEPS, loss=LOSSES, gain=GAIN)
    ran = cli("staircase", f"run.{kind}")
    assert ran.code == 0, ran.message
    assert "2 drops between plateaus" in ran.out
    assert "the run does not say" in ran.out
    assert [line.split()[0] for line in ran.out.splitlines() if "gain" in line] == ["3500"]


def test_json_is_one_object(cli, tmp_path):
    write(tmp_path / "run.csv", epoch=STEPS, **{"train/loss": LOSSES}, gain=GAIN)
    data = cli("staircase", "run.csv", "--columns=gain", "--json").json
    assert (data["loss"], data["time"]) == ("train/loss", "epoch")
    assert [(drop["time"], drop["learned"]) for drop in data["drops"]] == [(200.0, []), (350.0, ["gain"])]


def test_no_staircase_is_exit_code_1(cli, tmp_path):
    write(tmp_path / "run.csv", mine=1 / (1 + STEPS / 20))
    ran = cli("staircase", "run.csv", "--loss=mine")
    assert ran.code == 1
    assert "no staircase" in ran.out
    assert cli("staircase", "run.csv", "--loss=mine", "--shortest=0.7").code in (1, 2)


def test_rows_without_a_loss_are_left_out_and_said(cli, tmp_path):
    write(tmp_path / "run.jsonl", loss=[None, *LOSSES.tolist()], half=[None] * 300 + [1.0] * 301)
    ran = cli("staircase", "run.jsonl")
    assert ran.code == 0
    assert "1 rows without loss are left out" in ran.out
    assert "columns with gaps are left out: half" in ran.out


@pytest.mark.parametrize(
    ("file", "options", "words"),
    [
        ("none.csv", (), "none.csv is not there"),
        ("run.txt", (), "a run is a file that ends in .jsonl"),
        ("run.csv", ("--loss=accuracy",), "--loss accuracy: "),
        ("run.csv", ("--time=hour",), "--time hour: "),
        ("run.csv", ("--columns=a",), "--columns a: "),
        ("bare.csv", (), "has no column loss or train_loss or train/loss, but x"),
        ("torn.jsonl", (), "cannot be read"),
        ("run.csv", ("--smallest=2",), "smallest=2"),
    ],
)
def test_wrong_use_is_named(cli, tmp_path, file, options, words):
    write(tmp_path / "run.csv", step=STEPS, loss=LOSSES)
    write(tmp_path / "bare.csv", x=STEPS)
    (tmp_path / "torn.jsonl").write_text('{"loss": 1}\n{"lo')
    ran = cli("staircase", file, *options)
    assert ran.code == 2
    assert words in " ".join(ran.message.split())
