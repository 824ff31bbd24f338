"""The bar of tiles: what a terminal shows of it, and that nothing is shown elsewhere."""

import io

from rich.console import Console

from similitude.kernels.gram_bar import GramBar
from similitude.kernels.grams import GramProgress, gram_matrices
from tests.kernels.gram_pairs import relu_pair, samples


def test_a_terminal_shows_tiles_and_the_time_left():
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120)
    with GramBar(console) as bar:
        bar(GramProgress(done=3, total=10, found=1, seconds=4.0))  # two tiles in four seconds: seven are left
        console.print("said")
    text = shown.getvalue()
    assert "3/10" in text
    assert "14 s left" in text


def test_nothing_is_shown_where_there_is_no_terminal():
    shown = io.StringIO()
    with GramBar(Console(file=shown, force_terminal=False)) as bar:
        gram_matrices(relu_pair, samples(9), side=3, progress=bar)
    assert shown.getvalue() == ""
