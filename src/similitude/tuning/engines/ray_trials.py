"""The engine that runs the trials of a tuning study as tasks of Ray, killed once they pass their cap."""

from __future__ import annotations

import functools
import pickle
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import optuna

from similitude.runs.ray import RayEngine, pickled
from similitude.runs.ray_tasks import News, RayTasks
from similitude.tuning.arguments import whole
from similitude.tuning.engines.engine import Cap, Runner
from similitude.tuning.engines.forwarded import answer
from similitude.tuning.engines.ray_questions import BEGUN, Question, Questions, RayTrial
from similitude.tuning.trials.outcome import Objective, Outcome, evaluate, failed


@dataclass(frozen=True)
class RayTrials:
    """Run every trial as a task of Ray, on whichever machine of the cluster has room.

    The study stays with this process, which asks the search, stores what trials report, and kills the worker of one that
    passes its cap, whose clock starts once the objective is imported: no machine but this one needs the storage. A trial
    whose worker or machine is lost is a fault, which the study runs again. It can change between engines at any time.

    Attributes:
        workers: How many trials run at once, as far as the cluster has room.
        ray: Which cluster, and what one trial needs of it. With its `retries` a lost trial is begun again so often before
            that counts as a fault.

    Raises:
        TuningError: The number of workers is no whole number of at least 1.

    Example:
        `similitude.tune(objective, space, engine=RayTrials(8, RayEngine(num_gpus=1)), ...)`
    """

    workers: int = 1
    ray: RayEngine = field(default_factory=lambda: RayEngine(retries=0))

    def __post_init__(self) -> None:
        whole(self.workers, "workers", least=1, why="a number of trials that run at once")

    @contextmanager
    def open(self, objective: Objective, *, cap: Cap) -> Iterator[Runner]:
        """Connect to Ray and make ready for an objective; see `TrialEngine.open`.

        Raises:
            StudyError: The objective cannot be sent, there is no cluster, or no node of it has room for a trial.
            ImportError: Ray is not installed.
        """
        sent = pickled(objective, f"The objective {getattr(objective, '__qualname__', objective)!r}")
        with self.ray:
            self.ray.room()  # says so at once where no node has any
            questions = Questions()
            function = pickled(functools.partial(_run, questions.name, sent), "The objective")
            runner = _Tasks(self.ray, self.ray.tasks(function), questions, cap)
            try:
                yield runner
            finally:
                runner.end()


class _Tasks:
    def __init__(self, ray: RayEngine, tasks: RayTasks, questions: Questions, cap: Cap) -> None:
        self._ray, self._tasks, self._questions, self._cap = ray, tasks, questions, cap
        self._trials: dict[int, optuna.Trial] = {}  # by the key of their task
        self._began: dict[int, float] = {}
        self._keys = 0

    def ready(self) -> bool:
        # A trial that waited for room would be older news than its search could have had.
        return len(self._tasks) < self._ray.room()

    def start(self, trial: optuna.Trial) -> None:
        self._keys += 1
        self._trials[self._keys] = trial
        self._tasks.start(self._keys, pickled((self._keys, trial.number), f"Trial {trial.number}"))

    def wait(self, seconds: float) -> Sequence[tuple[optuna.Trial, Outcome]]:
        until = time.monotonic() + seconds
        ended: list[tuple[optuna.Trial, Outcome]] = []
        room = False
        while not (ended or room) and len(self._tasks) and time.monotonic() < until:
            left = min([until - time.monotonic(), *self._seconds_left()])
            for news in self._tasks.wait(max(0.0, left), also=self._questions.coming()):
                room = news.kind == "stopped"
                outcome = self._outcome(news)
                if outcome is not None:
                    ended.append((self._over(news.key), outcome))
            for question in self._questions.asked():
                self._answer(question)
            ended += self._over_cap()
        return ended

    def end(self) -> None:
        self._tasks.stop_all()
        self._questions.close()

    def _seconds_left(self) -> Iterator[float]:
        if self._cap.seconds is not None:
            now = time.monotonic()
            yield from (began + self._cap.seconds - now for began in self._began.values())

    def _over_cap(self) -> Iterator[tuple[optuna.Trial, Outcome]]:
        for key, began in list(self._began.items()):
            ran = time.monotonic() - began
            passed = self._cap.passed(ran, self._trials[key].user_attrs.get(self._cap.attribute))
            if passed is not None:
                self._tasks.stop(key)
                yield self._over(key), replace(failed("cap", passed), seconds=ran)

    def _over(self, key: int) -> optuna.Trial:
        self._began.pop(key, None)
        return self._trials.pop(key)

    def _answer(self, question: Question) -> None:
        trial = self._trials.get(question.key)
        if trial is None:  # of a trial that has been killed meanwhile
            return
        if question.name == BEGUN:
            self._began[question.key] = time.monotonic()
            self._questions.reply(question, (True, None))
            return
        try:
            reply = (True, answer(trial, question.name, question.args, question.kwargs))
        except Exception as error:  # it is the objective's own, and raised there
            reply = (False, f"trial.{question.name}: {type(error).__name__}: {error}")
        self._questions.reply(question, reply)

    def _outcome(self, news: News) -> Outcome | None:
        if news.kind == "retried":
            self._began.pop(news.key, None)
        if news.key not in self._trials or news.kind in ("started", "retried"):
            return None
        if news.kind == "done":
            return news.result
        reason = news.reason or "Ray was told from outside to cancel it"
        return Outcome("fault", reason=reason, traceback=news.traceback)


def _run(questions: str, objective: bytes, job: tuple[int, int]) -> Outcome:
    """Run one trial in a worker of Ray.

    Args:
        questions: Name of the actor that takes questions.
        objective: The pickled objective.
        job: Key of the task, and number of the trial.
    """
    trial, call = RayTrial(questions, *job), pickle.loads(objective)
    trial.begin()
    started = time.monotonic()
    outcome = evaluate(call, trial)
    return replace(outcome, seconds=time.monotonic() - started)
