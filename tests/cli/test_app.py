"""The command line as a whole: help without torch, exit codes, wrong words, errors of ours and of others."""

import subprocess
import sys
import time

import pytest

from similitude.cli import app as app_module
from similitude.core.errors import SimilitudeError

COMMANDS = [
    [], ["quickstart"], ["plan"], ["abc"], ["explain"], ["diff"], ["transfer"], ["report"], ["data"], ["data", "list"],
    ["claims"], ["claims", "list"], ["claims", "run"], ["claims", "report"],
]  # fmt: skip
HEAVY = ("torch", "numpy", "polars", "optuna", "matplotlib", "sklearn", "scipy", "jinja2")
PROGRAM = """
import sys
from similitude.cli.app import main
try:
    main(sys.argv[1:])
finally:
    print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_every_command(cli, command):
    ran = cli(*command, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: {' '.join(['similitude', *command])}")
    assert not ran.err


def test_help_imports_nothing_heavy_and_is_quick():
    slowest = 0.0
    for command in (
        [],
        ["transfer"],
        ["quickstart"],
        ["plan"],
        ["explain"],
        ["diff"],
        ["report"],
        ["claims", "run"],
        ["data", "list"],
    ):
        started = time.monotonic()
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(heavy=HEAVY), *command, "--help"],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        slowest = max(slowest, time.monotonic() - started)
        assert ran.stderr.strip() == "[]", command
    # Importing torch alone takes longer; the bar is loose because other tests share the cores.
    assert slowest < 5


def test_version(cli):
    import similitude

    assert cli("--version").out.strip() == similitude.__version__


def test_every_option_is_explained(cli):
    for command in COMMANDS[1:7]:
        for line in cli(*command, "--help").out.splitlines():
            words = line.strip("│ ").split()
            assert not words or not words[0].startswith("--") or len(words) > 1, line


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["transfr"], 'Unknown command "transfr"'),
        (["plan", "m:f", "--base", "8", "--target", "16", "--widht", "3"], "Unknown option: --widht"),
        (["plan", "m:f", "--base", "8"], "--target requires an argument"),
        (["plan", "m:f", "--base", "eight", "--target", "16"], "eight"),
        (
            [
                "plan",
                "torch.nn:ReLU",
                "--base",
                "8",
                "--target",
                "16",
                "--sample",
                "torch:zeros",
                "--rule",
                "mupp",
            ],
            "'mupp' is unknown",
        ),
        (["quickstart", "--only", "resnet"], "resnet"),
        (["transfer", "m:f", "--data", "digits", "--schedule", "sine"], "sine"),
        (["transfer", "m:f"], "--data requires an argument"),
        (["claims", "rum"], 'Unknown command "rum"'),
    ],
)
def test_wrong_words_leave_with_2_and_say_which(cli, arguments, text):
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert text in ran.message


class UndecidedError(SimilitudeError):
    exit_code = 3


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (SimilitudeError("that is wrong"), 2, "similitude: SimilitudeError: that is wrong"),
        (UndecidedError("more runs"), 3, "similitude: UndecidedError: more runs"),
        (KeyboardInterrupt(), 130, "similitude: interrupted"),
        (
            ZeroDivisionError("a bug"),
            70,
            "similitude: unexpected ZeroDivisionError: a bug. Finished runs are kept.",
        ),
        (MemoryError(), 70, "SIMILITUDE_DEBUG=1"),
    ],
)
def test_errors_become_one_line_and_a_code(cli, monkeypatch, error, code, text):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(app_module, "app", fail)
    ran = cli("data", "list")
    assert (ran.code, ran.out) == (code, "")
    assert text in ran.err


def test_debug_shows_where(monkeypatch):
    def fail(*arguments, **options):
        raise SimilitudeError("wrong")

    monkeypatch.setenv("SIMILITUDE_DEBUG", "1")
    monkeypatch.setattr(app_module, "app", fail)
    with pytest.raises(SimilitudeError):
        app_module.main(["data", "list"])


def test_a_reader_that_goes_away_is_no_error():
    command = (
        f"{sys.executable} -c 'from similitude.cli.app import main; main()' data list --json | head -c 1"
    )
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout == "{"
    assert "Error" not in ran.stderr
