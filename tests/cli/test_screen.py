"""What commands print: one strict JSON object, progress, nothing of the user's on standard output."""

import io
import json
import math
import subprocess
import sys

import pytest
from rich.console import Console

from similitude.cli.screen import ProgressBar, Screen
from similitude.core.errors import StudyError
from similitude.core.plain import finite
from similitude.studies.jobs import Progress


def test_numbers_that_json_lacks_become_null():
    data = {"a": [1.0, math.nan, (math.inf, "x")], "b": {"c": -math.inf, "d": True, "e": None}}
    assert finite(data) == {"a": [1.0, None, [None, "x"]], "b": {"c": None, "d": True, "e": None}}


def test_json_is_alone_on_standard_output(capsys):
    with Screen(as_json=True) as screen:
        print("the user's code talks")
        screen.say("and so do we")
        screen.result({"loss": math.nan})
        assert capsys.readouterr().out == ""
    ran = capsys.readouterr()
    assert json.loads(ran.out) == {"loss": None}
    print("restored")
    assert capsys.readouterr().out == "restored\n"


def test_an_error_is_the_object_then(capsys):
    with pytest.raises(StudyError), Screen(as_json=True):
        raise StudyError("no folder")
    assert json.loads(capsys.readouterr().out) == {"error": {"type": "StudyError", "message": "no folder"}}


@pytest.mark.parametrize(
    ("kept", "message"), [("", "interrupted"), ("Runs are kept.", "interrupted. Runs are kept.")]
)
def test_an_interruption_says_what_is_kept(capsys, kept, message):
    with pytest.raises(KeyboardInterrupt), Screen(as_json=True, kept=kept):
        raise KeyboardInterrupt
    ran = capsys.readouterr()
    assert json.loads(ran.out) == {"error": {"type": "KeyboardInterrupt", "message": message}}
    assert kept in ran.err


def test_text_goes_to_standard_output_without_markup(capsys):
    with Screen() as screen:
        screen.say("a path [bold]x[/bold]/y")
        screen.result({"not": "asked for"})
    out = capsys.readouterr().out
    assert out == "a path [bold]x[/bold]/y\n"


def test_descriptor_1_is_diverted_too():
    program = (
        "import os, subprocess\nfrom similitude.cli.screen import Screen\n"
        "with Screen(as_json=True) as screen:\n"
        "    subprocess.run(['echo', 'a worker talks'])\n    os.write(1, b'and C code')\n"
        "    screen.result({'a': 1})\n"
        "os.write(1, b'after')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == '{\n  "a": 1\n}\nafter'
    assert "a worker talks" in ran.stderr
    assert "and C code" in ran.stderr


def progress(done: int, label: str = "sp width 8") -> Progress:
    return Progress("mlp", label, done, 10, done / 10)


def test_progress_without_a_terminal_is_one_line_per_part():
    out = io.StringIO()
    bar = ProgressBar(Console(file=out))
    for update in (progress(0), progress(5), progress(5, "mup width 8"), progress(10, "mup width 8")):
        bar(update)
    lines = out.getvalue().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["mlp: sp width 8", "mlp: mup width 8"]
    assert "5 of 10 runs done" in lines[1]


def test_progress_on_a_terminal_says_how_long_it_takes():
    out = io.StringIO()
    bar = ProgressBar(Console(file=out, force_terminal=True, width=120))
    with bar.bar:
        bar(progress(0))
        bar(progress(5))
        bar.bar.refresh()
    assert "s left" in out.getvalue()
    assert "5/10" in out.getvalue()
