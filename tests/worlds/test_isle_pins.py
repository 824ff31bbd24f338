"""Pinned digests: what is checked, what is found to differ, broken files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from similitude.core.errors import WorldError
from similitude.worlds import make_world
from similitude.worlds.protocol.pins import PINS, check_pins, pinned, sample_worlds, write_pins
from similitude.worlds.splits import fixed_worlds


def test_the_sample_is_sixty_worlds() -> None:
    names = sample_worlds()
    assert len(set(names)) == 60
    assert {name.difficulty for name in names} == {0.0, 0.5, 1.0}


def test_worlds_are_checked_one_by_one(tmp_path: Path) -> None:
    digests = [make_world("eat", level, 0).digest[:16] for level in (0.0, 0.5, 1.0)]
    pins = pinned(write_pins({"sample": {"eat": digests}}, tmp_path / "pins.json"))
    assert check_pins(tasks=["eat"], pins=pins) == ()
    digests[1] = "0" * 16
    (wrong,) = check_pins(tasks=["eat"], pins={"sample": {"eat": digests}})
    assert wrong.world == ("eat", 0.5, 0)
    assert (wrong.pinned, wrong.made) == ("0" * 16, make_world("eat", 0.5, 0).digest[:16])
    tests = [make_world(*name).digest[:16] for name in fixed_worlds("test", tasks=["eat"])]
    assert check_pins("test", tasks=["eat"], pins={"test": {"eat": tests}}) == ()


def test_what_is_not_pinned_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="nothing is pinned for the split 'final'"):
        check_pins("final", pins={"sample": {}})
    for digests in ({}, {"eat": ["0" * 16]}):
        with pytest.raises(WorldError, match="digests are pinned for eat in the split 'sample', which has 3"):
            check_pins(tasks=["eat"], pins={"sample": digests})
    with pytest.raises(WorldError, match="no digests are pinned"):
        pinned(tmp_path / "nowhere.json")
    file = tmp_path / "pins.json"
    for text, said in (
        ("hello", "holds no pinned digests"),
        ("[]", "holds no pinned digests"),
        (json.dumps({"version": "isle-0", "digests": {}}), "is of 'isle-0'"),
    ):
        file.write_text(text)
        with pytest.raises(WorldError, match=said):
            pinned(file)


@pytest.mark.skipif(not PINS.is_file(), reason="no digests are pinned yet")
def test_the_sample_is_what_was_pinned() -> None:
    assert check_pins() == ()


@pytest.mark.slow
@pytest.mark.skipif(not PINS.is_file(), reason="no digests are pinned yet")
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_fixed_worlds_are_what_was_pinned(split: str) -> None:
    assert check_pins(split) == ()
