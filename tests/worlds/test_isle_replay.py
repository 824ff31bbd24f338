"""Recordings, replays, films and pictures of episodes."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from similitude.core.errors import ReportError, WorldError
from similitude.worlds import make_world, oracle, random_policy
from similitude.worlds.engine import columns as c
from similitude.worlds.viewing.film import write_film
from similitude.worlds.viewing.livemap import LiveMap
from similitude.worlds.viewing.pictures import BAR, Panel, first_sight, strip
from similitude.worlds.viewing.recording import Recording
from similitude.worlds.viewing.replay import Replay
from similitude.worlds.viewing.session import Session, played

PICTURES = [np.full((9, 13, 3), 20 * i, np.uint8) for i in range(10)]
SMALL = {"backend": "plain", "resolution": (12, 16)}


@pytest.fixture(scope="module")
def world():
    return make_world("eat", 0.0, 0)


@pytest.fixture(scope="module")
def solved(world):
    """The oracle's episode."""
    session = Session(world, backend="plain")
    for _ in played(session, oracle("eat")):
        pass
    return session.recording("oracle")


def rewritten(path, target, **changes):
    """Copy a recording with some of its arrays replaced, as somebody who knows the format would."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    for name, array in changes.items():
        content.pop(f"{name}.npy", None)
        if array is not None:
            with open(target.with_suffix(".npy"), "wb") as file:
                np.lib.format.write_array(file, array, allow_pickle=True)
            content[f"{name}.npy"] = target.with_suffix(".npy").read_bytes()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return target


class TestRecording:
    def test_it_is_read_as_it_was_written_always_as_the_same_bytes(self, solved, tmp_path):
        assert solved.success
        assert solved.score > 0
        first = solved.save(tmp_path / "one")
        assert first == tmp_path / "one.npz"
        assert first.stat().st_size < 10_000
        found = Recording.load(first)
        assert np.array_equal(found.actions, solved.actions)
        assert found.digest == solved.digest
        assert (found.score, found.limit, found.subject) == (solved.score, 3000, "oracle")
        assert found.save(tmp_path / "two.npz").read_bytes() == first.read_bytes()

    @pytest.mark.parametrize("change", ["score", "actions", "subject"])
    def test_a_change_is_noticed(self, solved, tmp_path, change):
        path = solved.save(tmp_path / "a")
        if change == "actions":
            arrays = {"actions": np.abs(solved.actions)}
        else:
            text = json.loads(solved._text())
            text[change] = 9.0 if change == "score" else "somebody"
            arrays = {"text": np.frombuffer(json.dumps(text).encode(), np.uint8)}
        with pytest.raises(WorldError, match="was changed"):
            Recording.load(rewritten(path, tmp_path / "b.npz", **arrays))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"actions": np.full((2, 21), np.nan)}, r"\[-1, 1\]"),
            ({"actions": np.full((2, 21), 1.5)}, r"\[-1, 1\]"),
            ({"actions": np.zeros((2, 20))}, r"shape \(2, 20\)"),
            ({"task": "swim"}, "no task 'swim'"),
            ({"difficulty": 2.0}, "difficulty"),
            ({"seed": True}, "seed is True"),
            ({"seed": -1}, "seed"),
            ({"score": float("nan")}, "score"),
            ({"limit": -5}, "limit|frames"),
            ({"version": "isle-0"}, "isle-0"),
        ],
    )
    def test_what_makes_no_sense_is_refused_even_with_a_right_digest(
        self, solved, tmp_path, changes, message
    ):
        path = replace(solved, **changes).save(tmp_path / "a")
        with pytest.raises(WorldError, match=message):
            Recording.load(path)

    def test_other_files_are_refused(self, solved, tmp_path, world):
        with pytest.raises(WorldError, match="there is no recording"):
            Recording.load(tmp_path / "none.npz")
        with pytest.raises(WorldError, match="no whole recording"):
            Recording.load(tmp_path)
        with pytest.raises(WorldError, match="no whole recording"):
            Recording.load(world.save(tmp_path / "world"))
        path = solved.save(tmp_path / "a")
        objects = np.array([{"a": 1}], dtype=object)
        with pytest.raises(WorldError, match="no whole recording"):
            Recording.load(rewritten(path, tmp_path / "pickle.npz", actions=objects))
        with pytest.raises(WorldError, match="20000 frames"):
            Recording.load(rewritten(path, tmp_path / "long.npz", actions=np.zeros((30_000, 21))))
        whole = path.read_bytes()
        for end in range(0, len(whole), 97):
            path.write_bytes(whole[:end])
            with pytest.raises(WorldError):
                Recording.load(path)

    def test_every_flipped_byte_is_noticed_or_harmless(self, solved, tmp_path):
        path = solved.save(tmp_path / "a")
        whole, noticed = path.read_bytes(), 0
        for place in range(0, len(whole), 41):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
            try:
                found = Recording.load(path)
            except WorldError:
                noticed += 1
            else:  # a date in the archive
                assert found.digest == solved.digest
        assert noticed > 10


class TestReplay:
    def test_the_oracle_and_chance_are_replayed_bit_for_bit(self, solved, world):
        assert Replay(solved, backend="plain").finish() == "exact"
        session = Session(world, limit=40, backend="plain")
        for _ in played(session, random_policy(3)):
            pass
        recording = session.recording("random")
        assert (recording.frames, recording.success) == (40, False)
        assert Replay(recording, world=world, backend="plain").finish() == "exact"

    def test_numba_replays_what_plain_python_played(self, solved):
        assert Replay(solved).finish() == "exact"

    def test_other_bits_and_other_scores_are_told_apart(self, solved, world):
        other = {"world": world, "backend": "plain"}
        assert Replay(replace(solved, state="0" * 64), **other).finish() == "same"
        assert Replay(replace(solved, state="0" * 64, score=solved.score + 1), **other).finish() == "other"
        still = replace(solved, actions=np.zeros_like(solved.actions))
        assert Replay(still, **other).finish() == "other"
        longer = replace(solved, actions=np.concatenate([solved.actions, np.zeros((5, 21))]))
        assert Replay(longer, **other).finish() == "other", "the episode had ended before"

    def test_the_session_is_given_at_every_frame(self, solved, world):
        frames = [session.frame for session in Replay(solved, world=world, backend="plain")]
        assert frames == list(range(solved.frames + 1))

    def test_another_world_is_refused(self, solved):
        with pytest.raises(WorldError, match="digest"):
            Replay(replace(solved, seed=1))
        with pytest.raises(WorldError, match="digest"):
            Replay(solved, world=make_world("eat", 0.0, 1))


class TestSession:
    def test_an_episode_that_is_over_takes_no_more_actions(self, world):
        session = Session(world, limit=2, backend="plain")
        session.step(np.zeros(21))
        session.step({"real": np.zeros(18), "discrete": np.zeros(3)})
        assert session.over
        with pytest.raises(WorldError, match="ended after 2 frames"):
            session.step(np.zeros(21))

    @pytest.mark.parametrize("action", [np.full(21, np.nan), np.full(21, 1.01), np.zeros(20), "jump", None])
    def test_a_wrong_action_is_refused_and_not_written_down(self, world, action):
        session = Session(world, backend="plain")
        with pytest.raises(WorldError):
            session.step(action)
        assert session.recording("x").frames == session.frame == 0

    def test_policies_that_look_get_what_they_ask_for(self, world):
        class Looking:
            observation = "flat"
            seen = ()

            def reset(self):
                self.seen = []

            def __call__(self, observation, info=None):
                self.seen.append((observation["rgbd"].shape, observation["proprioception"].shape, info))
                return np.zeros(21)

        policy = Looking()
        frames = [s.frame for s in played(Session(world, limit=2, **SMALL), policy)]
        assert frames == [0, 1, 2]
        assert policy.seen[0] == ((12, 16, 4), (51,), {"task": "eat", "difficulty": 0.0, "seed": 0})
        assert len(policy.seen) == 2


class TestFilm:
    def test_gif(self, tmp_path):
        path = write_film(tmp_path / "new" / "a.gif", iter(PICTURES), fps=20)
        with Image.open(path) as film:
            assert (film.size, film.n_frames, film.info["duration"]) == ((13, 9), 10, 50)
            film.seek(7)
            assert np.abs(np.asarray(film.convert("RGB")).astype(int) - 140).max() <= 8

    def test_mp4(self, tmp_path):
        ffmpeg = pytest.importorskip("imageio_ffmpeg")
        path = write_film(tmp_path / "a.mp4", PICTURES, fps=5)
        frames, seconds = ffmpeg.count_frames_and_secs(str(path))
        assert frames == 10
        assert seconds == pytest.approx(2.0, abs=0.1)
        reader = ffmpeg.read_frames(str(path))
        assert next(reader)["size"] == (14, 10), "odd sizes grow by one"
        reader.close()

    @pytest.mark.parametrize("name", ["a.gif", "a.mp4"])
    def test_a_film_that_fails_leaves_the_old_file(self, tmp_path, name):
        def failing():
            yield PICTURES[0]
            raise RuntimeError("no more")

        (tmp_path / name).write_text("old")
        with pytest.raises(RuntimeError, match="no more"):
            write_film(tmp_path / name, failing())
        assert [file.name for file in tmp_path.iterdir()] == [name]
        assert (tmp_path / name).read_text() == "old"

    def test_wrong_names_and_empty_films(self, tmp_path):
        with pytest.raises(WorldError, match=r"\.gif or \.mp4"):
            write_film(tmp_path / "a.avi", PICTURES)
        with pytest.raises(WorldError, match="no pictures"):
            write_film(tmp_path / "a.gif", [])
        (tmp_path / "b.gif").mkdir()
        with pytest.raises(ReportError, match="folder"):
            write_film(tmp_path / "b.gif", PICTURES)


class TestPictures:
    def test_a_panel_holds_what_the_eyes_see_and_the_map(self, world):
        session = Session(world, **SMALL)
        bare = Panel(world, rows=12, with_map=False).draw(session)
        assert bare.shape == (12 + BAR, 16, 3)
        assert np.array_equal(bare[:12], session.look()[..., :3])
        both = Panel(world, rows=12).draw(session)
        assert both.shape == (12 + BAR, 16 + 12, 3)
        assert np.array_equal(both[:12, :16], bare[:12])

    def test_the_map_shows_the_agent_its_trail_and_what_is_left(self, world):
        session = Session(world, backend="plain")
        above = LiveMap(world, side=200)
        side = 200 * 1.0 / above._scale

        def pixel(picture, x, y):
            column, row = (x - above.left) / side * 200, (above.bottom + side - y) / side * 200
            return picture[int(row), int(column)].astype(int)

        body, things = session.simulation.body[0], session.simulation.things[0]
        before = above.draw(session.simulation)
        x, y = body[c.BX], body[c.BY]
        assert pixel(before, x, y).min() > 240, "the white arrow"
        food = things[0, [c.TX, c.TY]] + [0.4, 0.0]
        assert np.abs(pixel(before, *food) - (230, 40, 40)).max() < 60, "its red ring"
        things[0, c.ROLE] = c.GONE
        for step in range(9):
            above.note(session.simulation)
            body[c.BX] -= 0.5 if step < 8 else 0.0
        after = above.draw(session.simulation)
        assert np.abs(pixel(after, *food) - (230, 40, 40)).max() > 60
        assert pixel(after, x - 1.5, y).min() > pixel(before, x - 1.5, y).min() + 50, "the trail"
        assert len(above.trail) == 9

    def test_the_map_shows_all_that_matters(self):
        for task in ("navigate", "survive", "bridge"):
            world = make_world(task, 0.3, 1)
            above = LiveMap(world, side=100)
            side = 100 / above._scale
            for x, y in [world.spawn[:2], *((row[1], row[2]) for row in world.things)]:
                assert above.left <= x <= above.left + side
                assert above.bottom <= y <= above.bottom + side

    def test_first_sight_and_strips(self, world, solved):
        assert first_sight(world, resolution=(12, 16), backend="plain").size == (28, 12 + BAR)
        image = strip(solved, world=world, resolution=(12, 16), backend="plain")
        assert image.size == (12 + 3 * 16, 12)
        start = Session(world, **SMALL).look()[..., :3]
        assert np.array_equal(np.asarray(image)[:, 12:28], start)
        assert not np.array_equal(np.asarray(image)[:, -16:], start)
