"""The client for people: keyboard and mouse as actions, scored episodes, and a page that only its owner can reach."""

import base64
import http.client
import io
import json
import math
import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from similitude.core.errors import EvaluationError, WorldError
from similitude.evaluation.rowfile import RowFile, read_rows
from similitude.worlds import make_world, oracle
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import HEAD_LOW, HEAD_TOP, HEAD_YAW, THROW_LIMIT
from similitude.worlds.kinds import KINDS
from similitude.worlds.protocol.normalising import normalise
from similitude.worlds.protocol.playing import play
from similitude.worlds.protocol.subjects import oracle_subject, random_subject
from similitude.worlds.protocol.suite import SUITE
from similitude.worlds.splits import WorldName
from similitude.worlds.viewing.controls import KEYS, TURN, Controls, Driver
from similitude.worlds.viewing.game import Game
from similitude.worlds.viewing.recording import Recording
from similitude.worlds.viewing.replay import Replay
from similitude.worlds.viewing.server import LARGEST, GameServer
from similitude.worlds.viewing.session import Session

EAT = [WorldName("eat", 0.0, seed) for seed in range(3)]


class Person:
    """Somebody at keyboard and mouse who knows where things are, and needs no eyes."""

    def __init__(self, world):
        self.session = Session(world, backend="numba")
        self.simulation, self.driver = self.session.simulation, Driver()
        self.body, self.hands = self.simulation.body[0], self.simulation.hands[0]

    def do(self, *keys, turn=(0.0, 0.0), times=1):
        for _ in range(times):
            if not self.session.over:
                controls = Controls(frozenset(keys), turn)
                self.session.step(self.driver.action(controls, self.simulation))

    def look_at(self, point, *keys, times=1):
        """Move the mouse as far as the point is from where the eyes will look."""
        for _ in range(times):
            x, y, z = self.body[c.BX], self.body[c.BY], self.body[c.BZ] + self.body[c.HEAD]
            flat = math.hypot(point[0] - x, point[1] - y)
            yaw = math.atan2(point[1] - y, point[0] - x) - self.body[c.YAW] - self.driver._yaw
            yaw = (yaw + math.pi) % (2 * math.pi) - math.pi
            pitch = math.atan2(point[2] - z, flat) - self.body[c.PITCH] - self.driver._pitch
            self.do(*keys, turn=(-yaw / TURN, -pitch / TURN))

    def walk_to(self, point, near, *keys):
        for _ in range(200):
            if math.dist(point[:2], self.body[[c.BX, c.BY]]) < near:
                return
            eye = self.body[c.BZ] + self.body[c.HEAD]
            self.look_at((*point[:2], eye), "KeyW", *keys)

    def place(self, k):
        return self.simulation.things[0, k, [c.TX, c.TY, c.TZ]]

    def take(self, k):
        self.walk_to(self.place(k), 0.5)
        low = ["KeyC"] if self.place(k)[2] - self.body[c.BZ] < 0.9 else []
        self.look_at(self.place(k), *low, times=8)
        self.look_at(self.place(k), "Mouse2", *low, times=8)

    def eat(self, k):
        self.take(k)
        self.do("KeyE", "KeyR", times=6)

    def food(self):
        return int(np.flatnonzero(self.simulation.things[0, :, c.ROLE] == c.FOOD)[0])


class TestControls:
    @pytest.mark.parametrize(
        "data",
        [
            *([], "KeyW", None, {"keys": "KeyW"}, {"keys": ["KeyZ"]}, {"keys": [1]}, {"keys": [["KeyW"]]}),
            *({"turn": [1]}, {"turn": [1, "a"]}, {"turn": [0, float("nan")]}, {"wheel": float("inf")}),
            *({"wheel": True}, {"wheel": None}, {"jump": 1}),
        ],
    )
    def test_what_is_none_is_refused(self, data):
        with pytest.raises(WorldError):
            Controls.read(data)

    def test_reading(self):
        assert Controls.read({}) == Controls()
        found = Controls.read({"keys": ["KeyW", "Mouse0"], "turn": [3, -1.5], "wheel": 1})
        assert found == Controls(frozenset({"KeyW", "Mouse0"}), (3.0, -1.5), 1.0)

    def test_walking_jumping_and_crouching(self):
        person = Person(make_world("eat", 0.0, 0))
        action = person.driver.action(
            Controls(frozenset({"KeyW", "KeyA", "Space", "Mouse0"})), person.simulation
        )
        assert action[:3].tolist() == [-1.0, 0.0, 1.0]
        assert action[20] == 1
        person.do("KeyC", times=6)
        assert person.body[c.HEAD] == pytest.approx(HEAD_LOW)
        person.do(times=6)
        assert person.body[c.HEAD] == pytest.approx(HEAD_TOP)

    def test_the_eyes_turn_as_far_as_the_mouse_moved_however_fast(self):
        person = Person(make_world("eat", 0.0, 0))
        yaw = float(person.body[c.YAW])
        person.do(turn=(200.0, -100.0))
        turned = (float(person.body[c.YAW]) - yaw + math.pi) % (2 * math.pi) - math.pi
        assert abs(turned) <= HEAD_YAW, "as fast as a head turns"
        person.do(times=12)
        turned = (float(person.body[c.YAW]) - yaw + math.pi) % (2 * math.pi) - math.pi
        assert turned == pytest.approx(-200 * TURN), "to the right, which is negative"
        assert person.body[c.PITCH] == pytest.approx(100 * TURN), "upward"

    def test_whatever_is_done_gives_a_valid_action(self):
        random = np.random.default_rng(0)
        person = Person(make_world("stack", 0.0, 0))
        for _ in range(400):
            keys = [key for key in KEYS if random.random() < 0.3]
            turn = tuple((random.standard_normal(2) * 10.0 ** random.integers(-2, 300)).tolist())
            controls = Controls(frozenset(keys), turn, float(random.standard_normal() * 1e9))
            person.session.step(
                person.driver.action(controls, person.simulation)
            )  # refuses what is not valid
        assert np.isfinite(person.body).all()

    def test_hands_reach_where_the_eyes_look_and_come_back(self):
        person = Person(make_world("move", 0.0, 0))
        rest = [person.hands[0, i] - person.body[j] for i, j in ((c.HX, c.BX), (c.HY, c.BY), (c.HZ, c.BZ))]
        person.do("Mouse0", times=6)
        cos, sin = math.cos(person.body[c.YAW]), math.sin(person.body[c.YAW])
        ahead = (person.hands[0, c.HX] - person.body[c.BX]) * cos
        ahead += (person.hands[0, c.HY] - person.body[c.BY]) * sin
        assert ahead == pytest.approx(0.96, abs=0.03)
        assert person.hands[0, c.HZ] - person.body[c.BZ] == pytest.approx(HEAD_TOP, abs=0.02)
        assert person.hands[0, c.GRIP] == 1
        assert person.hands[1, c.GRIP] == 0
        person.do(times=8)
        back = [person.hands[0, i] - person.body[j] for i, j in ((c.HX, c.BX), (c.HY, c.BY), (c.HZ, c.BZ))]
        assert back == pytest.approx(rest, abs=0.02)

    @pytest.mark.parametrize("seed", range(4))
    def test_people_can_eat(self, seed):
        person = Person(make_world("eat", 0.0, seed))
        person.eat(person.food())
        assert person.session.success
        assert person.session.frame < 60

    def test_people_can_jump(self):
        world = make_world("jump", 0.2, 0)
        person = Person(world)
        for step in world.solution:
            if step.do in ("walk", "jump"):
                for point in step.at:
                    person.walk_to(point, 0.3, *(["Space"] if step.do == "jump" else []))
        person.eat(person.food())
        assert person.session.success

    @pytest.mark.parametrize("seed", range(2))
    def test_people_can_climb_hand_over_hand(self, seed):
        world = make_world("climb", 0.1, seed)
        person = Person(world)
        way = next(step.at for step in world.solution if step.do == "climb")
        person.walk_to(way[0], 0.2)
        keys, hand = ("Mouse0", "Mouse2"), 0

        def up():
            eye = person.body[c.BZ] + person.body[c.HEAD]
            return (*way[-1][:2], eye + 1.2 * math.dist(way[-1][:2], person.body[[c.BX, c.BY]]))

        def holding():
            return [keys[h] for h in (0, 1) if person.hands[h, c.GRIP] == 2]

        person.look_at(up(), times=10)
        for _ in range(60):
            if person.body[c.GROUNDED] and abs(person.body[c.BZ] - way[-1][2]) < 0.8:
                break
            for _ in range(4):
                person.look_at(up(), keys[hand], *holding())
            for _ in range(3):
                person.look_at(up(), "KeyW", *holding())
            hand = 1 - hand
            if len(holding()) == 2:
                person.look_at(up(), keys[1 - hand])  # the lower one lets go
        person.eat(person.food())
        assert person.session.success

    def test_people_can_throw(self):
        world = make_world("throw", 0.0, 0)
        person = Person(world)
        rock = next(
            k for k, row in enumerate(person.simulation.things[0]) if KINDS[int(row[c.KIND])].role == c.TOOL
        )
        person.take(rock)
        assert person.hands[1, c.HELD] == rock
        person.do("Mouse2", times=8, turn=(0.0, -60.0))
        person.do("Mouse2", "KeyF")
        person.do("Mouse2", times=2)
        assert person.hands[1, c.HELD] == -1
        speed = np.linalg.norm(person.simulation.things[0, rock, [c.TVX, c.TVY, c.TVZ]])
        assert speed == pytest.approx(THROW_LIMIT, rel=0.1)


class TestGame:
    def game(self, folder, **changes):
        return Game(changes.pop("worlds", EAT), out=folder, resolution=(8, 8), **changes)

    def solve(self, game):
        policy = oracle("eat")
        while not game.session.over:
            game.step(policy.act_on(game.session.simulation, 0))

    def test_the_first_time_counts_and_all_are_recorded(self, tmp_path):
        game = self.game(tmp_path)
        assert game.status()["scored"]
        game.give_up()
        game.again()
        assert not game.status()["scored"]
        self.solve(game)
        game.next()
        self.solve(game)
        rows = RowFile(tmp_path).read()
        assert [(row.subject, row.params["world"], row.success) for row in rows] == [
            ("human", 0, False),
            ("human", 1, True),
        ]
        files = sorted((tmp_path / "recordings").iterdir())
        assert [file.name for file in files] == ["eat-0-0-1.npz", "eat-0-0-2.npz", "eat-0-1-1.npz"]
        assert [Replay(Recording.load(file), backend="plain").finish() for file in files] == ["exact"] * 3

    def test_who_gives_up_stands_still(self, tmp_path):
        game = self.game(tmp_path)
        game.give_up()
        still = Session(make_world(*EAT[0]), backend="plain")
        while not still.over:
            still.step(np.zeros(21))
        assert game.session.state() == still.state()
        (row,) = RowFile(tmp_path).read()
        assert (row.score, row.metrics["frames"]) == (still.score, 3000)
        assert game.status()["score"] == still.score

    def test_leaving_a_world_in_the_middle_gives_it_up(self, tmp_path):
        game = self.game(tmp_path)
        game.step(Controls(frozenset({"KeyW"})))
        game.next()
        assert [row.params["world"] for row in RowFile(tmp_path).read()] == [0]
        assert game.status()["level"] == [2, 3]
        game.next()  # nothing was done there
        assert len(RowFile(tmp_path).read()) == 1

    def test_quitting_in_the_middle_keeps_a_recording_but_no_row(self, tmp_path):
        game = self.game(tmp_path)
        game.step(Controls())
        game.close()
        game.close()
        assert RowFile(tmp_path).read() == []
        (file,) = (tmp_path / "recordings").iterdir()
        assert Recording.load(file).frames == 1

    def test_the_same_folder_goes_on_with_worlds_that_are_new_to_the_person(self, tmp_path):
        self.game(tmp_path, name="ada").give_up()
        assert self.game(tmp_path, name="ada").status()["seed"] == 1
        assert self.game(tmp_path, name="ben").status()["seed"] == 0
        assert self.game(tmp_path).status()["seed"] == 0
        (row,) = RowFile(tmp_path).read()
        assert row.subject == "human"
        assert row.seed
        assert row.seed < 2**31
        assert "ada" not in (tmp_path / "rows.jsonl").read_text(), "names stay in the recordings"

    def test_rows_of_people_are_the_ceiling_of_a_scale(self, tmp_path):
        game = self.game(tmp_path)
        self.solve(game)
        floor = play(random_subject(), EAT[:1], backend="plain").rows
        rows = play(oracle_subject(), EAT[:1], backend="plain").rows
        assert normalise(rows, floor, read_rows([tmp_path])).scores["eat"] == (pytest.approx(1.0),)

    def test_the_page_of_the_suite_shows_policies_beside_people(self, tmp_path):
        game = self.game(tmp_path)
        self.solve(game)
        floor, rows = (
            play(one, EAT[:2], backend="plain").rows for one in (random_subject(), oracle_subject())
        )
        people = read_rows([tmp_path])
        chart = next(one for one in SUITE.charts([*floor, *rows, *people]) if one.y == "0 random, 1 people")
        (series,) = chart.series
        assert (series.label, list(series.y)) == ("oracle", [pytest.approx(1.0)])
        assert "played (1)" in chart.look_for
        assert all(one.y != "0 random, 1 people" for one in SUITE.charts([*floor, *rows]))

    def test_without_a_folder_nothing_is_kept(self):
        game = Game(EAT, resolution=(8, 8), backend="plain")
        assert game.status()["keeps"] is None
        game.give_up()
        assert len(game.rows) == 1

    def test_wrong_worlds_and_folders(self, tmp_path):
        with pytest.raises(WorldError, match="no world to play"):
            self.game(tmp_path, worlds=[])
        (tmp_path / "rows.jsonl").write_text("{}\n")
        with pytest.raises(EvaluationError):
            self.game(tmp_path)


@contextmanager
def serving(folder):
    server = GameServer(Game(EAT, out=folder, name="ada", resolution=(12, 16), backend="plain"))
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server
    server.close()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def server(tmp_path):
    with serving(tmp_path) as server:
        yield server


@pytest.fixture(scope="class")
def untouched(tmp_path_factory):
    """A server that nobody gets anything from; in the end its game is where it began."""
    with serving(tmp_path_factory.mktemp("untouched")) as server:
        yield server
        assert server.game.session.frame == 0


class Page:
    """Requests as a page sends them."""

    def __init__(self, server):
        self.server = server
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

    def ask(self, method, place, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body
        if body is not None and not isinstance(body, (bytes, str)):
            data = json.dumps(body)
        if method == "POST":
            headers.setdefault("Content-Type", "application/json")
        path = place if place.startswith("/") else f"/{self.server.token}/{place}"
        self.connection.request(method, path, data, {k: v for k, v in headers.items() if v})
        reply = self.connection.getresponse()
        content = reply.read()
        self.headers = reply.headers
        is_json = reply.headers.get("Content-Type") == "application/json"
        return reply.status, json.loads(content) if is_json else content.decode()


class TestServer:
    def test_an_episode_of_requests(self, server, tmp_path):
        page, policy = Page(server), oracle("eat")
        code, state = page.ask("GET", "state")
        assert (code, state["frame"], state["food_left"], state["over"]) == (200, 0, 1, False)
        kind, data = state["picture"].split(",")
        assert kind == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (16, 12)
        while not state["over"]:
            action = policy.act_on(server.game.session.simulation, 0).tolist()
            code, state = page.ask("POST", "step", {"frame": state["frame"], "action": action})
            assert code == 200
        assert state["success"]
        row = RowFile(tmp_path).read()[0]
        assert state["score"] == row.score > 0
        alone = play(oracle_subject(), EAT[:1], backend="plain").rows[0]
        assert (row.score, row.item) == (alone.score, alone.item), "as through Gymnasium"
        assert page.ask("POST", "step", {"frame": state["frame"], "controls": {}})[0] == 400, "it is over"
        assert page.ask("POST", "next", {})[1]["seed"] == 1
        assert page.ask("POST", "give-up")[1]["over"]
        assert page.ask("POST", "again", {})[1]["scored"] is False

    def test_a_request_counts_once(self, server):
        page = Page(server)
        step = {"frame": 0, "controls": {"keys": ["KeyW"]}}
        assert page.ask("POST", "step", step)[1]["frame"] == 1
        code, reply = page.ask("POST", "step", step)
        assert (code, server.game.session.frame) == (409, 1)
        assert "frame 1" in reply["error"]

    def test_foreign_pages_are_refused(self, server):
        step = {"frame": 0, "controls": {}}
        assert Page(server).ask("GET", "state", Host="evil.example")[0] == 403
        assert Page(server).ask("POST", "step", step, Origin="https://evil.example")[0] == 403
        assert Page(server).ask("POST", "step", step, Content_Type="text/plain")[0] == 415
        assert Page(server).ask("POST", "step", step, Origin=f"http://127.0.0.1:{server.port}")[0] == 200
        assert Page(server).ask("GET", "state", Host=f"localhost:{server.port}")[0] == 200

    def test_it_listens_to_this_machine_only(self, server):
        assert server._http.server_address[0] == "127.0.0.1"
        name = socket.gethostbyname(socket.gethostname())
        if not name.startswith("127."):
            with pytest.raises((ConnectionError, TimeoutError)):
                socket.create_connection((name, server.port), timeout=2)

    def test_the_page_runs_only_its_own_script(self, server):
        page = Page(server)
        code, text = page.ask("GET", "")
        assert code == 200
        policy = page.headers["Content-Security-Policy"]
        nonce = policy.split("script-src 'nonce-")[1].split("'")[0]
        assert f'<script nonce="{nonce}">' in text
        assert "default-src 'none'" in policy
        assert "NONCE" not in text
        assert page.headers["X-Frame-Options"] == "DENY"
        again = Page(server)
        assert nonce not in again.ask("GET", "")[1]
        for key in KEYS:
            assert f'"{key}"' in text, "the page knows every key"

    def test_quitting(self, tmp_path):
        server = GameServer(Game(EAT, out=tmp_path, resolution=(8, 8), backend="plain"))
        thread = threading.Thread(target=server.serve)
        thread.start()
        page = Page(server)
        page.ask("POST", "step", {"frame": 0, "controls": {}})
        assert page.ask("POST", "quit", {})[0] == 200
        thread.join(10)
        assert not thread.is_alive()
        assert len(list((tmp_path / "recordings").iterdir())) == 1

    def test_a_port_that_is_taken(self, server):
        with pytest.raises(WorldError, match=f"port {server.port}"):
            GameServer(server.game, port=server.port)
        with pytest.raises(WorldError, match="port 99999"):
            GameServer(server.game, port=99999)


class TestRefusals:
    @pytest.mark.parametrize(
        "body",
        [
            *(b"", b"[]", b"{", b"\xff", b"[" * 5000, {"frame": 0}, {"controls": {}}),
            {"frame": 0, "controls": {}, "action": []},
            {"frame": 0, "controls": {"keys": ["rm"]}},
            {"frame": 0, "action": [0.0] * 20},
            {"frame": 0, "action": [2.0] * 21},
            {"frame": 0, "action": "jump"},
            {"frame": 0, "action": None},
            b'{"frame": 0, "action": [' + b"NaN," * 20 + b"0]}",
            b'{"frame": 0, "action": [1' + b"0" * 400 + b"," + b"0," * 19 + b"0]}",
            b'{"frame": 0, "controls": {"wheel": 1' + b"0" * 400 + b"}}",
        ],
    )
    def test_wrong_requests_do_nothing(self, untouched, body):
        code, reply = Page(untouched).ask("POST", "step", body)
        assert code == 400
        assert reply["error"]
        assert untouched.game.session.frame == 0
        assert Page(untouched).ask("GET", "state")[0] == 200, "it goes on"

    def test_only_who_knows_the_secret_is_answered(self, untouched):
        for path in ("/", "/state", "/wrong/state", f"/{untouched.token}", f"/{untouched.token}x/", "//"):
            code, reply = Page(untouched).ask("GET", path)
            assert code == 403, path
            assert "picture" not in reply
            assert untouched.token not in str(reply)
        assert Page(untouched).ask("POST", "/step", {"frame": 0, "controls": {}})[0] == 403

    @pytest.mark.parametrize(
        "line", [b"GET /\xff/ HTTP/1.1", b"GET /", b"\x16\x03\x01", b"GET http://a/b HTTP/1.1"]
    )
    def test_what_is_no_request_gets_no_picture(self, untouched, line):
        with socket.create_connection(("127.0.0.1", untouched.port), timeout=10) as raw:
            raw.sendall(line + b"\r\nHost: 127.0.0.1:%d\r\n\r\n" % untouched.port)
            raw.shutdown(socket.SHUT_WR)
            reply = b"".join(iter(lambda: raw.recv(65536), b""))
        assert b"error" in reply.lower()
        assert b"image" not in reply

    @pytest.mark.parametrize(
        "place",
        ["../../etc/passwd", "..%2f..%2fetc/passwd", "/page.html", "page.html", "state?", "%00", "step"],
    )
    def test_no_file_is_reached(self, untouched, place):
        code, reply = Page(untouched).ask("GET", place)
        assert code in (403, 404, 405)
        assert set(reply) == {"error"}

    def test_other_methods_and_large_requests(self, untouched):
        assert Page(untouched).ask("PUT", "step", b"{}")[0] == 501
        assert Page(untouched).ask("POST", "save", {})[0] == 404
        assert Page(untouched).ask("POST", "next", {"world": 3})[0] == 400
        assert Page(untouched).ask("POST", "step", b" " * (LARGEST + 1))[0] == 413
        assert Page(untouched).ask("POST", "step", b"{}", Content_Length="-5")[0] == 411
        assert Page(untouched).ask("POST", "step", b"{}", Content_Length="9" * 5000)[0] == 413


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_real_browser_shows_the_world(server, tmp_path):
    folder = tmp_path / "profile"
    ran = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *("--no-first-run", f"--user-data-dir={folder}", "--virtual-time-budget=4000", "--dump-dom"),
            server.url,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert 'src="data:image/jpeg;base64,' in ran.stdout
    assert '<h2 id="task">eat</h2>' in ran.stdout
    assert '<b id="clock">5:00</b>' in ran.stdout
