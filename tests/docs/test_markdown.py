"""Every Python block that a page marks with `<!-- run -->` runs as it stands; every relative link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"<!-- run -->\n```python\n(.*?)```", re.DOTALL)
BLOCKS = [(page.name, i, code) for page in PAGES for i, code in enumerate(BLOCK.findall(page.read_text()))]


def test_the_readme_has_code_that_runs():
    assert any(name == "README.md" for name, _, _ in BLOCKS)


# Blocks that train for seconds.
LONG = {
    ("signal.md", 0),
    ("worlds_learning.md", 0),
    ("consistency.md", 0),
    ("richness.md", 2),
    ("scaling_laws.md", 0),
}


def test_long_blocks_are_there():
    assert {(page, number) for page, number, _ in BLOCKS} >= LONG


@pytest.mark.parametrize(
    ("page", "number", "code"),
    [pytest.param(n, i, c, id=f"{n}-{i}", marks=[pytest.mark.slow] * ((n, i) in LONG)) for n, i, c in BLOCKS],
)
def test_code_runs(page, number, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, f"{page} block {number}", "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    for target in targets:
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_commands_of_the_readme_exist():
    """Every `similitude <command>` that the README shows is a command of the application."""
    from similitude.cli.app import app

    shown = set(re.findall(r"^\$ similitude (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert shown
    assert shown <= set(app)
