"""`similitude worlds map|show|replay|play`."""

import json
import re
import threading
import urllib.request

import pytest
from PIL import Image

PLAIN = ("--backend", "plain")


@pytest.fixture
def short(monkeypatch):
    """Episodes of 30 frames."""
    monkeypatch.setattr("similitude.worlds.viewing.session.frame_limit", lambda *_, **__: 30)


def test_map(cli, tmp_path):
    ran = cli(
        "worlds", "map", "jump", "--seed", "4", "--scale", "2", "--out", str(tmp_path / "a.png"), "--json"
    )
    assert ran.code == 0
    assert Image.open(ran.json["file"]).size == (256, 256)
    assert "distance" in ran.json["parameters"]


def test_first_sight(cli, tmp_path):
    ran = cli(
        *("worlds", "show", "eat", "--out", str(tmp_path / "new" / "a.png"), "--resolution", "12x16"), *PLAIN
    )
    assert ran.code == 0
    assert Image.open(tmp_path / "new" / "a.png").size == (28, 30)


@pytest.mark.usefixtures("short")
def test_films_recordings_and_replays(cli, tmp_path):
    film, record = tmp_path / "a.gif", tmp_path / "a.npz"
    small = ("--resolution", "12x16", *PLAIN)
    ran = cli(
        *("worlds", "show", "eat", "--policy", "random", "--out", str(film), "--record", str(record)),
        *("--speed", "6", *small, "--json"),
    )
    assert (ran.code, ran.json["frames"], ran.json["success"]) == (0, 30, False)
    with Image.open(film) as pictures:
        assert (pictures.n_frames, pictures.size, pictures.info["duration"]) == (16, (28, 30), 30)
    again = cli("worlds", "replay", str(record), "--out", str(tmp_path / "b.gif"), "--bare", *small, "--json")
    assert (again.code, again.json["ending"]) == (0, "exact")
    assert again.json["recorded"] == again.json["replayed"] == {"score": 0.0, "success": False, "frames": 30}
    with Image.open(tmp_path / "b.gif") as pictures:
        assert pictures.size == (16, 30)


@pytest.mark.usefixtures("short")
def test_a_replay_that_ends_otherwise_is_a_bad_verdict(cli, tmp_path):
    from dataclasses import replace

    from similitude.worlds.viewing.recording import Recording

    path = tmp_path / "a.npz"
    cli(
        "worlds",
        "show",
        "eat",
        "--policy",
        "oracle",
        "--out",
        str(tmp_path / "a.png"),
        "--record",
        str(path),
        *PLAIN,
    )
    recording = Recording.load(path)
    replace(recording, score=recording.score + 0.5, state="0" * 64).save(path)
    ran = cli("worlds", "replay", str(path), *PLAIN)
    assert ran.code == 1
    assert "ends otherwise" in ran.out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("map", "jmp", "--out", "a.png"), "Did you mean 'jump'"),
        (("map", "jump", "--out", "a.jpg"), "pictures end in .png"),
        (("map", "jump", "--out", "a.png", "--scale", "0"), "--scale"),
        (("show", "jump", "--out", "a.txt"), "films in .gif or .mp4"),
        (("show", "jump", "--out", "a.png", "--resolution", "12"), "such as 240x320"),
        (("show", "jump", "--out", "a.png", "--resolution", "4x4"), "from 8 to 1024"),
        (("show", "jump", "--out", "a.png", "--difficulty", "2"), "[0, 1]"),
        (("show", "jump", "--out", "a.gif", "--speed", "0"), "--speed"),
        (("show", "jump", "--out", "a.gif", "--policy", "nobody.pt"), "no policy at nobody.pt"),
        (("replay", "none.npz"), "no recording"),
        (("replay", "none.npz", "--out", "a.webm"), ".gif or .mp4"),
        (("play", "--task", "swim"), "no task 'swim'"),
        (("play", "--split", "all"), "no split 'all'"),
        (("play", "--worlds", "0"), "--worlds"),
        (("play", "--port", "99999", "--backend", "plain", "--no-browser"), "port 99999"),
    ],
)
def test_wrong_use(cli, tmp_path, monkeypatch, command, message):
    monkeypatch.chdir(tmp_path)
    ran = cli("worlds", *command)
    assert ran.code not in (0, 70)
    assert message in ran.message
    left = {file.name for file in tmp_path.rglob("*") if file.is_file() and file.stat().st_size}
    assert left <= {"user_models.py"}


def test_playing_and_quitting(cli, tmp_path, monkeypatch):
    """The page's own requests come from a thread, which begins where a browser would be opened."""
    out, answers, players = tmp_path / "me", [], []

    def play(url):
        def ask(what, body=None):
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(url + what, data, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as reply:
                return json.load(reply)

        try:
            answers.append(ask("state"))
            answers.append(ask("step", {"frame": 0, "controls": {"keys": ["KeyW"]}}))
        finally:
            ask("quit", {})

    def opened(url):
        players.append(threading.Thread(target=play, args=(url,)))
        players[0].start()

    monkeypatch.setattr("webbrowser.open", opened)
    ran = cli(
        *("worlds", "play", "--seed", "3", "--worlds", "2", "--out", str(out), "--name", "ada"),
        *("--resolution", "8x8", *PLAIN),
    )
    players[0].join(60)
    assert ran.code == 0
    assert re.search(r"http://127.0.0.1:\d+/\S+/", ran.out)
    assert "0 episodes, 0 solved" in ran.out
    state, step = answers
    assert (state["seed"], state["level"]) == (3, [1, 2])
    assert step["frame"] == 1
    assert [file.name for file in (out / "recordings").iterdir()] == ["eat-0-3-1.npz"]
