"""The `similitude` command: its list of commands, its exit codes, and errors without tracebacks."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from similitude import __version__
from similitude.cli.exits import FAULT, GOOD, INTERRUPTED, WRONG_USE
from similitude.core.errors import SimilitudeError

app = App(
    name="similitude",
    help="Tune the scale model, build the real thing: hyperparameters that transfer across width.\n\n"
    "Exit codes: 0 good, 1 a bad verdict, 2 wrong use, 3 not enough evidence, 70 a fault of ours, 130 "
    "interrupted. With SIMILITUDE_DEBUG=1 errors show their traceback.",
    version=__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)

# Commands are named by their place and imported when called, so that `similitude --help` stays instant.
_COMMANDS = {
    "quickstart": "Show hyperparameters transferring, on real data, in two minutes; leaves a report.",
    "plan": "Show how every tensor of your model scales from one width to another.",
    "check": "Train a few steps at several widths; say whether every tensor learns alike, or which does not.",
    "abc": "Say whether your model is unstable, a kernel, or learns features as its width grows, and why.",
    "explain": "Derive every factor of one tensor of a saved plan.",
    "diversity": "Measure whether the layers of your residual network learn different things, or the same.",
    "doctor": "Say which ways to second derivatives are right for your model, and which operation breaks the others.",
    "diff": "Show what differs between two saved plans.",
    "optimizer": "Measure how an optimizer's steps grow with a tensor's shape; show the factors that follow.",
    "transfer": "Sweep the learning rate at several widths or depths of your model; say whether the optimum transfers.",
    "gamma": "Sweep the richness of your model: which gamma is best, and do learning rates follow it?\n\n"
    "The exit code is 1 where rates do not follow the law, else 0 where the best gamma is bracketed, else 3.",
    "richness": "Map what training does at every gamma and learning rate of your model: the phase diagram.\n\n"
    "The exit code is 1 where rates do not follow the law, 3 where the grid or the best gamma is not bracketed, else 0.",
    "kernel": "Take the kernels of your model at infinite width: Gram matrices, spectra, predictions on data.",
    "universality": "Train nets beside their kernels; say how fast both come together as the width grows.",
    "sharpness": "Train your model, track its sharpness in the optimizer's units: is it at the edge of stability?",
    "consistency": "Train your model at several widths or depths; say whether its sharpness is the same at all.\n\n"
    "The exit code is that of the first rule's verdict: 0 consistent, 1 not, 3 not enough evidence.",
    "forecast": "Say what learning rate and loss a stored study expects at a larger size, and what to run to be sure.",
    "learning-curve": "Predict test errors of your model's kernel on your data, and measure them: what do more data, "
    "more width and the right ridge buy?",
    "regime": "Say whether your network is in the regime of infinite width, and its branches those of infinite depth.",
    "signal": "Measure how the signal and the gradients of your model change with depth, and say what to change.",
    "staircase": "Find the plateaus and drops of a loss curve in a file, and what was learned at each.",
    "steps": "Train your encoder on pairs of views; say when each dimension of its embedding switches on.",
    "valley": "Sweep the learning rate and the branches' multiplier of your residual network; say how both trade.\n\n"
    "The exit code is 0 where the slope is known and the same at every depth, 1 where not, 3 without enough evidence.",
    "report": "Write the report of stored studies again; nothing is trained.",
    "worker": "Join a tuning study of a shared storage: the body of a job array.",
}
for _name, _help in _COMMANDS.items():
    _place = _name.replace("-", "_")
    app.command(f"similitude.cli.{_place}:{_place}", name=_name, help=_help)

app.command(
    "similitude.cli.tune:tune",
    name="tune",
    help="Search the front of cost and quality of your own objective or program; status, front, laws, resume, export.",
)

data = App(name="data", help="The data sets that similitude knows, and where they are.")
data.command(
    "similitude.cli.data:list_",
    name="list",
    help="List data sets, whether they are here, and how to get them.",
)
data.command(
    "similitude.cli.data:get",
    name="get",
    help="Put a data set in place from a folder, zip or address, checked.",
)
app.command(data)

claims = App(name="claims", help="What the papers claim, measured here.")
claims.command(
    "similitude.cli.claims:list_", name="list", help="List the claims and the papers that make them."
)
claims.command(
    "similitude.cli.claims:run",
    name="run",
    help="Measure claims: claimed, measured, pass or fail.\n\n"
    "The exit code is 0 whenever all were measured, whatever was found; --strict leaves with that of the verdicts.",
)
claims.command(
    "similitude.cli.claims:report", name="report", help="Write the report of measured claims again."
)
app.command(claims)

suite = App(
    name="suite",
    help="What was scaled, evaluated: few-shot language understanding, generated worlds, rendered scenes.",
)
suite.command(
    "similitude.cli.suite:list_", name="list", help="List the suites and everything that their commands name."
)
suite.command(
    "similitude.cli.suite:report", name="report", help="Write the page of stored results of any suites."
)
suite_run = App(name="run", help="Evaluate a subject on a suite.")
suite_run.command(
    "similitude.cli.suite_fewshot:fewshot",
    name="fewshot",
    help="Fit a learner to every split of CLUES and score its answers to the tests.\n\n"
    "The exit code is 3 where the learner failed on a split, else 0.",
)
suite_run.command(
    "similitude.cli.suite_worlds:worlds",
    name="worlds",
    help="Play generated worlds with a policy and score it.\n\n"
    "The exit code is 3 where the policy raised in a world, else 0.",
)
suite_run.command(
    "similitude.cli.suite_scenes:scenes",
    name="scenes",
    help="Draw objects under controlled conditions, show them to models of vision, and say where they fail.\n\n"
    "The exit code is 3 where a scene could not be drawn or an answer could not be used, else 0.",
)
suite.command(suite_run)
app.command(suite)

fewshot = App(name="fewshot", help="CLUES, its data and files of predictions.")
fewshot.command(
    "similitude.cli.fewshot:audit", name="audit", help="Say every irregularity that the data has, as found."
)
fewshot.command(
    "similitude.cli.fewshot:verify",
    name="verify",
    help="Check and score predictions that were made elsewhere.",
)
fewshot.command(
    "similitude.cli.fewshot_compare:compare",
    name="compare",
    help="Compare two learners in pairs, from their files of predictions.",
)
fewshot.command(
    "similitude.cli.fewshot:leaderboard",
    name="leaderboard",
    help="Rank stored results beside published ones.",
)
fewshot.command(
    "similitude.cli.fewshot_widths:widths",
    name="widths",
    help="Pretrain encoders of several widths, fine-tune them, and say whether the learning rate transfers.",
)
app.command(fewshot)

worlds = App(
    name="worlds",
    help="Generated worlds for embodied learning: agents that train there, the digests of the fixed ones.",
)
worlds.command("similitude.cli.worlds:pin", name="pin", help="Make all fixed worlds and write their digests.")
worlds.command(
    "similitude.cli.worlds:check",
    name="check",
    help="Say whether worlds made here are, bit for bit, those that were pinned; the exit code is 1 where one is not.",
)
worlds.command(
    "similitude.cli.worlds_train:train",
    name="train",
    help="Train an agent: it clones oracles, goes on by PPO, and plays unseen worlds.",
)
worlds.command("similitude.cli.worlds_view:map_", name="map", help="Draw a world from above.")
worlds.command(
    "similitude.cli.worlds_view:show",
    name="show",
    help="Show a world as a picture, or an episode of a policy as a film.",
)
worlds.command(
    "similitude.cli.worlds_view:play",
    name="play",
    help="Play worlds yourself, in the browser; episodes are recorded and scored.",
)
worlds.command(
    "similitude.cli.worlds_view:replay",
    name="replay",
    help="Play a recording again, check that it ends as it did, and film it; the exit code is 1 where it does not.",
)
app.command(worlds)

scenes = App(name="scenes", help="Rendered scenes: single pictures, renderers, checks of objects and models.")
scenes.command("similitude.cli.scenes:render", name="render", help="Draw one scene.")
scenes.command(
    "similitude.cli.scenes:install",
    name="install",
    help="Install a renderer that needs an interpreter of its own: Blender's Cycles.",
)
scenes.command(
    "similitude.cli.scenes:import_",
    name="import",
    help="Turn a configuration of 3DB into a study of ours, and say what has no counterpart.",
)
scenes.command(
    "similitude.cli.scenes_check:admit",
    name="admit",
    help="Show everyday views of objects to a classifier. The exit code is 0 where 80 % of them are admitted (and at "
    "least 12, of 12 or more), 1 where not, 3 where that depends on what could not be drawn.",
)
scenes.command(
    "similitude.cli.scenes_check:catalogue",
    name="catalogue",
    help="Show a classifier Debian's furniture from three sides: top-1, and the worst pose of every object. The exit "
    "code is 0 where top-1 is at least 45 %, 1 where its whole interval is below, 3 where that is open: also where fewer "
    "than 12 objects could be drawn, or fewer than 80 % of those asked for.",
)
scenes.command(
    "similitude.cli.scenes_check:compare",
    name="compare",
    help="Compare two models on the scenes that both have seen: a paired test.",
)
scenes.command(
    "similitude.cli.scenes_widths:widths",
    name="widths",
    help="Train networks of several widths on rendered scenes: does the rate transfer, do small ones tell how robust?",
)
app.command(scenes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    try:
        code = app(
            sys.argv[1:] if arguments is None else list(arguments),
            exit_on_error=False,
            result_action="return_value",
        )
    except CycloptsError:
        sys.exit(WRONG_USE)  # cyclopts has printed the message
    except SimilitudeError as error:
        if os.environ.get("SIMILITUDE_DEBUG"):
            raise
        print(f"similitude: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("similitude: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has gone, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(GOOD)
    except Exception as error:
        if os.environ.get("SIMILITUDE_DEBUG"):
            raise
        text = " ".join(str(error).split())
        print(
            f"similitude: unexpected {type(error).__name__}: {text}. Finished runs are kept. Set "
            "SIMILITUDE_DEBUG=1 and run the same command again to see where it comes from; if that is not "
            "your own code, please report it.",
            file=sys.stderr,
        )
        sys.exit(FAULT)
    sys.exit(code if isinstance(code, int) else GOOD)
