"""What a trained agent is worth: rows are kept, and those of another policy are not taken for its own."""

from pathlib import Path

import pytest

from similitude.core.errors import EvaluationError
from similitude.worlds.learning.building import build
from similitude.worlds.learning.judging import judge
from similitude.worlds.learning.policies import PortablePolicy, save_policy


def saved(path: Path, seed: int) -> Path:
    network, _ = build("state", width=8, base=8, rule="mup", learning_rate=1e-3, seed=seed)
    return save_policy(PortablePolicy(network, "state", seed=0), path)


@pytest.fixture(autouse=True)
def _short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("similitude.worlds.gym.runner.frame_limit", lambda *_, **__: 20)


def test_rows_are_kept_for_the_same_policy_and_refused_for_another(tmp_path: Path) -> None:
    policy, out = saved(tmp_path / "policy.pt", 0), tmp_path / "rows"
    tests, rows = judge(policy, ["eat"], 2, highest=0.3, out=out)
    assert [row.subject for row in rows] == ["agent"] * 2 + ["random"] * 2
    assert tests[0].agent.count == tests[0].chance.count == 2
    # The same agent, saved again, is the same policy: nothing is played anew.
    _, again = judge(saved(policy, 0), ["eat"], 2, highest=0.3, out=out)
    assert [row.seconds for row in again] == [row.seconds for row in rows]
    with pytest.raises(EvaluationError, match=r"played by another policy\.pt"):
        judge(saved(policy, 1), ["eat"], 2, highest=0.3, out=out)


def test_a_policy_has_the_same_bytes_wherever_it_is_saved(tmp_path: Path) -> None:
    one, two = saved(tmp_path / "a" / "one.pt", 0), saved(tmp_path / "two.pt", 0)
    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes() != saved(tmp_path / "two.pt", 1).read_bytes()
