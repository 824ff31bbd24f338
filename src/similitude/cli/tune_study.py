"""`similitude tune status|front|laws|export`: what a stored tuning study says; nothing is run."""

from __future__ import annotations

import json as jsons
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from similitude.cli.exits import GOOD, NOT_ENOUGH
from similitude.cli.screen import Screen
from similitude.core.errors import NotEnoughEvidenceError, ReportError, TuningError
from similitude.core.plain import finite

if TYPE_CHECKING:
    import optuna

    from similitude.tuning.laws.laws import ScalingLaws
    from similitude.tuning.laws.records import Prediction

Storage = Annotated[str, Parameter(help="Folder, or Optuna storage URL.")]
Json = Annotated[bool, Parameter(negative="", help="Print one JSON object on standard output.")]


def status(study: str, /, *, storage: Storage = "similitude-runs", json: Json = False) -> int:
    """Show where a study stands: trials, failures, what is spent, what runs.

    The exit code is 0 once a trial has given a value, else 3.

    Parameters
    ----------
    study:
        Its name.
    """
    with Screen(as_json=json) as screen:
        from similitude.report.tuning_table import status_table
        from similitude.tuning.study.status import status_of
        from similitude.tuning.study.stored import load_tuning

        stands = status_of(load_tuning(storage, study)[0])
        screen.say(status_table(stands))
        screen.result(stands.to_dict())
    return GOOD if stands.finished else NOT_ENOUGH


def front(
    study: str, /, *, cost: float | None = None, storage: Storage = "similitude-runs", json: Json = False
) -> int:
    """Show which configuration is believed to be best at which cost, with its interval and number of trials.

    The exit code is 0, or 3 where no trial has given a value, or none is as cheap as asked.

    Parameters
    ----------
    study:
        Its name.
    cost:
        Only what is best at this cost.
    """
    with Screen(as_json=json) as screen:
        from similitude.report.tuning_table import front_table
        from similitude.tuning.search.best import best, best_front
        from similitude.tuning.study.status import status_of
        from similitude.tuning.study.stored import load_tuning, stored_cost
        from similitude.tuning.trials.history import History

        found, _ = load_tuning(storage, study)
        history = History.from_study(found, cost=stored_cost(found))
        answers = best_front(history) if cost is None else (best(history, cost),)
        if not answers:
            screen.say(f"Study {study} has no trial with a value yet.")
        else:
            screen.say(front_table(answers, unit=status_of(found).unit))
        screen.result({"study": study, "front": [answer.to_dict() for answer in answers]})
    return GOOD if answers else NOT_ENOUGH


def laws(
    study: str,
    /,
    *,
    at: Annotated[list[float] | None, Parameter(negative="")] = None,
    out: Path | None = None,
    storage: Storage = "similitude-runs",
    json: Json = False,
) -> int:
    """Show how every hyperparameter goes with the cost, and whether those that should transfer do.

    The exit code is 0 where they do, 1 where one drifts, 3 where more trials are needed.

    Parameters
    ----------
    study:
        Its name.
    at:
        Further costs at which to predict the configuration and the value: --at 1000 --at 10000.
    out:
        Write the report, with figures, to this HTML file.
    """
    with Screen(as_json=json) as screen:
        from similitude.tuning.laws.data import LEAST_TRIALS, TooFewTrialsError
        from similitude.tuning.laws.laws import ScalingLaws
        from similitude.tuning.study.stored import load_tuning

        for cost in at or ():
            if not 0 < cost < math.inf:
                raise TuningError(
                    f"--at {cost:g}: give finite costs above 0, in the unit of the trials' costs."
                )
        if out is not None:
            _check_page(out)
        found, _ = load_tuning(storage, study)
        try:
            laws = ScalingLaws.from_study(found)
        except TooFewTrialsError as error:
            raise NotEnoughEvidenceError(
                f"{error} similitude tune resume {study} --storage {storage} --trials {LEAST_TRIALS}"
            ) from error
        screen.say(laws.table())
        predictions = [laws.predict(cost=cost) for cost in at or ()]
        for prediction in predictions:
            screen.say(_predicted(prediction))
        page = None if out is None else _write_laws(laws, out)
        if page is not None:
            screen.say(f"Report: {page}")
        predicted = [prediction.to_dict() for prediction in predictions]
        screen.result({**laws.to_dict(), "predictions": predicted, "report": page and str(page)})
    return laws.verdict.exit_code


def export(
    study: str, /, *, out: Path | None = None, storage: Storage = "similitude-runs", json: Json = False
) -> int:
    """Write the trials of a study: as CSV, as JSON, or its scaling laws as an HTML report, by the name of the file.

    Parameters
    ----------
    study:
        Its name.
    out:
        The file: .csv, .json or .html. STUDY.csv by default.
    """
    with Screen(as_json=json) as screen:
        from similitude.tuning.laws.laws import ScalingLaws
        from similitude.tuning.study.stored import load_tuning

        found, _ = load_tuning(storage, study)
        path = Path(f"{study}.csv") if out is None else out
        if path.suffix == ".html":
            path = _write_laws(ScalingLaws.from_study(found), path)
        else:
            _write(path, _as_text(found, path))
        screen.say(f"Written: {path.resolve()}")
        screen.result({"study": study, "written": str(path.resolve())})
    return GOOD


def _check_page(path: Path) -> None:
    if path.suffix not in (".html", ".htm"):
        raise TuningError(
            f"--out {path}: the report of scaling laws is a .html file. `similitude tune export` writes the trials, as "
            ".csv or .json."
        )


def _as_text(study: optuna.Study, path: Path) -> str:
    from similitude.tuning.study.export import study_csv, study_dict

    if path.suffix == ".csv":
        return study_csv(study)
    if path.suffix == ".json":
        return jsons.dumps(finite(study_dict(study)), indent=2, allow_nan=False) + "\n"
    raise TuningError(f"--out {path}: a study is written as .csv, .json or .html, by the name of the file.")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ReportError(
            f"{path} cannot be written: {error.strerror}. Choose another file: --out."
        ) from error


def _predicted(prediction: Prediction) -> str:
    from similitude.tuning.laws.text import value_text

    values = ", ".join(f"{name} {value_text(prediction, name)}" for name in prediction.values)
    return f"At cost {prediction.cost:.4g}: value {prediction.value}; {values}"


def _write_laws(laws: ScalingLaws, path: Path) -> Path:
    from similitude.report.laws_page import write_laws_page

    return write_laws_page(laws, path).resolve()
