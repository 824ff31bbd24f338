"""`similitude worlds map|show|play|replay`: worlds and episodes for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from similitude.cli.exits import BAD_VERDICT, GOOD
from similitude.cli.options import at_least
from similitude.cli.screen import Screen
from similitude.cli.whole import Whole

if TYPE_CHECKING:
    from PIL.Image import Image

    from similitude.worlds.viewing.replay import Replay
    from similitude.worlds.viewing.session import Session

Switch = Annotated[bool, Parameter(negative="")]


def map_(
    task: str,
    /,
    *,
    out: Path,
    difficulty: float = 0.0,
    seed: Whole = 0,
    scale: Whole = 6,
    bare: Switch = False,
    json: Switch = False,
) -> int:
    """Draw a world from above.

    Parameters
    ----------
    task:
        Name of the task.
    out:
        The picture to write, .png.
    difficulty:
        From 0 to 1.
    seed:
        Seed of the world.
    scale:
        Pixels per cell of 0.5 m.
    bare:
        Leave out the way of the solution.
    json:
        Print one JSON object on standard output: the file, and the world.
    """
    with Screen(as_json=json) as screen:
        from similitude.worlds.making import make_world
        from similitude.worlds.viewing.maps import world_map

        _picture_name(out)
        world = make_world(task, difficulty, seed)
        picture = world_map(world, scale=min(at_least(scale, 1, "--scale"), 16), solution=not bare)
        _save(picture, out)
        screen.say(f"{world.name}: {out.resolve()}")
        screen.result(
            {"file": str(out), "world": world.digest, "parameters": dict(world.parameters), "map": True}
        )
    return GOOD


def show(
    task: str,
    /,
    *,
    out: Path,
    difficulty: float = 0.0,
    seed: Whole = 0,
    policy: str | None = None,
    resolution: str | None = None,
    speed: Whole = 1,
    bare: Switch = False,
    record: Path | None = None,
    backend: str = "numba",
    json: Switch = False,
) -> int:
    """Show a world: as a picture, or as a film of an episode.

    Parameters
    ----------
    task:
        Name of the task.
    out:
        The file to write: .png, .gif or .mp4.
    difficulty:
        From 0 to 1.
    seed:
        Seed of the world.
    policy:
        Who plays: random, oracle, a TorchScript file, or file.py:factory; films are of the oracle if nothing is said. A
        picture shows the first sight of the world or, with a policy, three moments of its episode.
    resolution:
        Rows and columns of what the eyes see, such as 240x320. A policy that looks at images sees them at its own.
    speed:
        How many times faster than life a film is.
    bare:
        Leave out the map.
    record:
        Write the episode as a recording too, .npz.
    backend:
        numba, warp or plain.
    json:
        Print one JSON object on standard output: the file, the world, and how the episode ended.
    """
    with Screen(as_json=json) as screen:
        from similitude.cli.suite_worlds import named_subject
        from similitude.worlds.making import make_world
        from similitude.worlds.viewing.film import FORMATS, check_format
        from similitude.worlds.viewing.pictures import first_sight, strip
        from similitude.worlds.viewing.replay import Replay
        from similitude.worlds.viewing.session import Session, played

        film = out.suffix.lower() in FORMATS
        check_format(out) if film else _picture_name(out)
        at_least(speed, 1, "--speed")
        rows = (240, 320) if resolution is None else _resolution(resolution)
        world = make_world(task, difficulty, seed)
        if policy is None and not film and record is None:
            _save(first_sight(world, resolution=rows, backend=backend), out)
            screen.say(f"{world.name}: {out.resolve()}")
            screen.result({"file": str(out), "world": world.digest, "parameters": dict(world.parameters)})
            return GOOD
        subject = named_subject(policy or "oracle")
        player = subject.make(world.task, 0)
        session = Session(world, resolution=getattr(player, "resolution", (96, 96)), backend=backend)
        with screen.notes.status("playing") as status:
            for _ in played(session, player):
                if session.frame % 100 == 0:
                    status.update(f"frame {session.frame} of at most {session.limit}")
        recording = session.recording(subject.name)
        if record is not None:
            screen.say(f"Recording: {recording.save(record).resolve()}")
        if film:
            _film(
                Replay(recording, world=world, resolution=rows, backend=backend),
                out,
                speed,
                bare=bare,
                screen=screen,
            )
        else:
            small = (150, 200) if resolution is None else rows
            _save(strip(recording, world=world, resolution=small, backend=backend), out)
        screen.say(f"{world.name}, {_how(session)}: {out.resolve()}")
        screen.result({"file": str(out), "world": world.digest, **_outcome(session)})
    return GOOD


def replay(
    file: Path,
    /,
    *,
    out: Path | None = None,
    resolution: str = "240x320",
    speed: Whole = 1,
    bare: Switch = False,
    backend: str = "numba",
    json: Switch = False,
) -> int:
    """Play a recording again, say whether it ends as it did, and film it.

    The exit code is 1 where it ends otherwise.

    Parameters
    ----------
    file:
        The recording, as `worlds play` and `worlds show --record` write them.
    out:
        The film to write: .gif or .mp4.
    resolution:
        Rows and columns of what the eyes see.
    speed:
        How many times faster than life the film is.
    bare:
        Leave out the map.
    backend:
        numba, warp or plain.
    json:
        Print one JSON object on standard output: how the recording and its replay end.
    """
    with Screen(as_json=json) as screen:
        from similitude.worlds.viewing.film import check_format
        from similitude.worlds.viewing.recording import Recording
        from similitude.worlds.viewing.replay import Replay

        if out is not None:
            check_format(out)
        at_least(speed, 1, "--speed")
        recording = Recording.load(file)
        again = Replay(recording, resolution=_resolution(resolution), backend=backend)
        if out is not None:
            _film(again, out, speed, bare=bare, screen=screen)
            screen.say(f"Film: {out.resolve()}")
        ending = again.finish()
        said = {
            "exact": "the replay is exact, bit for bit",
            "same": "the replay ends with the same score; some last bits of its state are others, as on another machine",
            "other": "the replay ends otherwise",
        }[ending]
        played = f"played by {recording.subject}: score {recording.score:.4f} in {recording.frames} frames"
        screen.say(f"{again.session.world.name}, {played}; {said} ({_how(again.session)}).")
        screen.result(
            {
                "task": recording.task,
                "difficulty": recording.difficulty,
                "seed": recording.seed,
                "subject": recording.subject,
                "ending": ending,
                "recorded": {
                    "score": recording.score,
                    "success": recording.success,
                    "frames": recording.frames,
                },
                "replayed": _outcome(again.session),
                "file": None if out is None else str(out),
            }
        )
    return BAD_VERDICT if ending == "other" else GOOD


def play(
    *,
    task: str = "eat",
    difficulty: float = 0.0,
    seed: Whole = 0,
    worlds: Whole = 10,
    split: str | None = None,
    name: str = "",
    out: Path = Path("isle-human"),
    port: Whole = 0,
    resolution: str = "360x480",
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
    backend: str = "numba",
) -> int:
    """Play worlds yourself, in the browser, with keyboard and mouse; episodes are recorded and scored.

    The first episode of a person in a world is a row of results of the subject "human", which `similitude suite report`
    reads; later ones are practice. All are recorded. Only this machine can reach the page. Ctrl-C ends it.

    Parameters
    ----------
    task:
        Names of tasks or groups (easy, basic, compositional, all), separated by commas.
    difficulty:
        From 0 to 1.
    seed:
        Seed of the first world; those that follow have the next ones.
    worlds:
        Worlds of every task, one after the other.
    split:
        train, validation or test: play worlds of its fixed list instead.
    name:
        Who plays. People are told apart by it; results hold a number made from it.
    out:
        A folder for rows and recordings.
    port:
        Port of the page; 0 for any that is free.
    resolution:
        Rows and columns of the picture.
    browser:
        Open the page in the browser.
    backend:
        numba, warp or plain.
    """
    with Screen() as screen:
        import webbrowser

        from similitude.worlds.protocol.definition import tasks_of
        from similitude.worlds.splits import WorldName, fixed_worlds
        from similitude.worlds.viewing.game import Game
        from similitude.worlds.viewing.server import GameServer
        from similitude.worlds.world import checked_name

        tasks, count = tasks_of(task), at_least(worlds, 1, "--worlds")
        if split is None:
            first = WorldName("", *checked_name(difficulty, seed))
            names = [WorldName(one, first.difficulty, first.seed + i) for one in tasks for i in range(count)]
        else:
            names = list(fixed_worlds(split, tasks=tasks, count=count))
        with screen.notes.status("making the engine ready, which takes a minute the first time"):
            game = Game(names, out=out, name=name, resolution=_resolution(resolution), backend=backend)
            game.warm()
        server = GameServer(game, port=port)
        screen.say(f"Play at {server.url}\nCtrl-C, or the page's own button, ends it.")
        if browser:
            webbrowser.open(server.url)
        try:
            server.serve()
        except KeyboardInterrupt:
            pass
        finally:
            game.close()
        solved = sum(bool(row.success) for row in game.rows)
        screen.say(f"{len(game.rows)} episodes, {solved} solved. Kept in {out}.")
    return GOOD


def _film(replay: Replay, out: Path, speed: int, *, bare: bool, screen: Screen) -> None:
    """Film a replay at ten frames per second of its time, at most thirty of the film's."""
    from similitude.worlds.gym.environment import FRAMES_PER_SECOND
    from similitude.worlds.viewing.film import write_film
    from similitude.worlds.viewing.pictures import Panel

    panel = Panel(replay.session.world, rows=replay.session.simulation.resolution[0], with_map=not bare)
    every = max(1, -(-speed * FRAMES_PER_SECOND // 30))

    def pictures():
        for session in replay:
            panel.note(session)
            if session.frame % every == 0 or session.frame == replay.recording.frames:
                status.update(f"frame {session.frame} of {replay.recording.frames}")
                yield panel.draw(session)

    with screen.notes.status("filming") as status:
        write_film(out, pictures(), fps=FRAMES_PER_SECOND * speed / every)


def _outcome(session: Session) -> dict[str, float | bool | int]:
    return {"score": session.score, "success": session.success, "frames": session.frame}


def _how(session: Session) -> str:
    solved = "solved" if session.success else "not solved"
    return f"{solved}, score {session.score:.4f} in {session.frame} frames"


def _resolution(text: str) -> tuple[int, int]:
    from similitude.core.errors import GridError
    from similitude.worlds.gym.spaces import checked_resolution

    rows, times, columns = text.partition("x")
    if not (times and rows.isdecimal() and columns.isdecimal()):
        raise GridError(f"--resolution {text}: write rows and columns, such as 240x320.")
    return checked_resolution((int(rows), int(columns)))


def _picture_name(out: Path) -> None:
    """Find out whether a picture can be written here, before anything is made.

    Raises:
        GridError: The name ends in something else.
    """
    from similitude.core.errors import GridError

    if out.suffix.lower() != ".png":
        raise GridError(f"--out {out}: pictures end in .png, films in .gif or .mp4.")


def _save(picture: Image, out: Path) -> None:
    """Write a picture with 256 colours, small red fruit among them, which makes the file half as large."""
    from PIL import Image as pillow  # noqa: N813

    from similitude.report.files import replacing

    fewer = picture.quantize(256, pillow.Quantize.MAXCOVERAGE, dither=pillow.Dither.NONE)
    with replacing(out) as (target, temporary):
        fewer.save(temporary, "PNG", optimize=True)
        temporary.replace(target)
