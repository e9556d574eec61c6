"""Runs a learner: reports, evaluates, saves, stops when asked, and goes on where it was."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from humanoid_rl_ros.core.errors import TrainingError
from humanoid_rl_ros.learning.actor_state import actor_state
from humanoid_rl_ros.learning.distributed import Distributed
from humanoid_rl_ros.learning.learner import Learner
from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.learning.run_checkpoints import RunCheckpoints

RATE_SECONDS = 30.0
"""Over which steps per second are counted [s]."""
SAVING_SHARE = 0.05
"""Largest share of the time that goes into checkpoints."""
SCORED_EPISODES = 100.0
"""Over about how many episodes the return is averaged that says which checkpoint is the best."""

Evaluate = Callable[[ActorNetwork], Mapping[str, float]]


@dataclass(frozen=True)
class Schedule:
    """When what is done.

    Attributes:
        steps: environment steps of the whole run, of all robots together.
        checkpoint_seconds: time between two checkpoints [s]; more where saving takes long. 0 for every iteration.
        evaluate_every: environment steps between two evaluations; 0 for none.
    """

    steps: int
    checkpoint_seconds: float = 120.0
    evaluate_every: int = 0


@dataclass(frozen=True)
class Progress:
    """Where a run stands after an iteration.

    Attributes:
        steps, total_steps: environment steps taken and wanted.
        session_seconds: since this session began [s].
        seconds: of all sessions together [s].
        steps_per_second: of late.
        metrics: of the learner, the environment and the evaluation, by name.
    """

    steps: int
    total_steps: int
    session_seconds: float
    seconds: float
    steps_per_second: float
    metrics: Mapping[str, float]

    @property
    def seconds_left(self) -> float:
        """At this pace [s]; inf before there is one."""
        return max(self.total_steps - self.steps, 0) / self.steps_per_second if self.steps_per_second else math.inf


@dataclass(frozen=True)
class Outcome:
    """How a session ended.

    Attributes:
        steps: environment steps of the run.
        session_seconds, seconds: of this session and of all [s].
        stopped: whether it was asked to stop before its end.
        checkpoint: the newest, or None where the run was already complete.
    """

    steps: int
    session_seconds: float
    seconds: float
    stopped: bool
    checkpoint: Path | None


@dataclass
class _Counters:
    """What the trainer itself remembers between sessions."""

    seconds: float = 0.0
    score: float = math.nan
    best: float = -math.inf


class Trainer:
    """Runs a learner until it has taken its steps.

    Nothing here touches the training itself: the clock decides when to save and nothing else, so that a run which was
    killed and resumed at any moment ends with the weights of one that never was.

    Args:
        learner: what learns.
        checkpoints: where they go.
        schedule: when what is done.
        warn: hears in one line of what went wrong without ending the training.
        evaluate: measures an actor, drawing on no randomness of the training; its numbers come back as
            ``evaluation/<name>``. Every evaluation is followed by a checkpoint, and ``score`` says which is the best;
            without an evaluation, the return of the training's own episodes does.
        others: the processes of the same run, or None. Each saves its own robots; the first decides when.
        clock: [s].
    """

    def __init__(
        self,
        learner: Learner[Any],
        checkpoints: RunCheckpoints,
        schedule: Schedule,
        *,
        warn: Callable[[str], None],
        evaluate: Evaluate | None = None,
        others: Distributed | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._learner = learner
        self._checkpoints = checkpoints
        self._schedule = schedule
        self._warn = warn
        self._evaluate = evaluate
        self._others = others
        self._clock = clock
        self._counters = _Counters()
        self._stopping = False
        self._checkpoint: Path | None = None
        self._saved_steps = 0
        self._began = self._next_save = clock()
        self._pace: deque[tuple[float, int]] = deque()

    def stop(self) -> None:
        """Ask for the end: at the next iteration the run is saved and left."""
        self._stopping = True

    def resume(self) -> int:
        """Go on from the newest checkpoint that can be read.

        Returns:
            Its steps; 0 where there is none.

        Raises:
            TrainingError: there are some, and none can be read.
            ConfigError: it is of another run.
        """
        unread: list[str] = []
        own = self._checkpoints.steps()
        # Every process goes through the list of the first, and takes what all of them can read.
        while (steps := self._first_says(own[len(unread)] if len(unread) < len(own) else -1)) >= 0:
            content, problem = None, ""
            try:
                content = self._checkpoints.load(steps)
            except TrainingError as error:
                problem = str(error)
            if not self._any(content is None):
                assert content is not None
                for text in unread:
                    self._warn(f"{text}; going on from the one of {steps} steps")
                self._restore(content, steps)
                return steps
            unread.append(problem or f"{self._checkpoints.path(steps)}: another process cannot read its own")
        if unread:
            raise TrainingError(unread[0] + (f", nor can the {len(unread) - 1} before it" if len(unread) > 1 else ""))
        return 0

    def run(self, report: Callable[[Progress], None]) -> Outcome:
        """Train to the end, or until asked to stop.

        Args:
            report: hears of every iteration.

        Raises:
            TrainingError: something is not finite, or the last checkpoint cannot be written; what was saved stays.
        """
        self._began = self._clock()
        self._next_save = self._began + self._schedule.checkpoint_seconds
        self._pace.append((self._began, self._learner.steps))
        stopped = evaluated = False
        while self._learner.steps < self._schedule.steps and not stopped:
            before = self._learner.steps
            metrics = self._learning(self._learner.iterate)
            evaluated = self._evaluation_due(before)
            if evaluated and self._first:
                measured = self._evaluate(self._learner.actor()) if self._evaluate is not None else {}
                metrics |= {f"evaluation/{name}": value for name, value in measured.items()}
            self._follow_score(metrics)
            report(self._progress(metrics))
            stopped = self._any(self._stopping)
            if not stopped and self._first_says(int(evaluated or self._clock() >= self._next_save)):
                self._save(evaluated, last=False)
        if self._learner.steps > self._saved_steps:
            self._save(evaluated, last=True)
        session = self._clock() - self._began
        return Outcome(
            steps=self._learner.steps,
            session_seconds=session,
            seconds=self._counters.seconds + session,
            stopped=stopped and self._learner.steps < self._schedule.steps,
            checkpoint=self._checkpoint,
        )

    @property
    def _first(self) -> bool:
        return self._others is None or self._others.rank == 0

    def _learning(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return call()
        except TrainingError as error:
            kept = f"the last good checkpoint is {self._checkpoint}" if self._checkpoint else "none was saved yet"
            raise TrainingError(f"{error}; {kept}") from None

    def _progress(self, metrics: Mapping[str, float]) -> Progress:
        now = self._clock()
        self._pace.append((now, self._learner.steps))
        while len(self._pace) > 2 and self._pace[1][0] <= now - RATE_SECONDS:
            self._pace.popleft()
        then, steps = self._pace[0]
        return Progress(
            steps=self._learner.steps,
            total_steps=self._schedule.steps,
            session_seconds=now - self._began,
            seconds=self._counters.seconds + now - self._began,
            steps_per_second=(self._learner.steps - steps) / (now - then) if now > then else 0.0,
            metrics=metrics,
        )

    def _evaluation_due(self, before: int) -> bool:
        """At the same steps in every session."""
        every = self._schedule.evaluate_every
        return self._evaluate is not None and every > 0 and self._learner.steps // every > before // every

    def _follow_score(self, metrics: Mapping[str, float]) -> None:
        """Remember how well it does."""
        kept = self._counters
        if self._evaluate is not None:
            kept.score = metrics.get("evaluation/score", kept.score)
        elif "episode/return" in metrics:
            found = metrics["episode/return"]
            share = min(metrics.get("episode/count", 1.0) / SCORED_EPISODES, 1.0)
            kept.score = found if math.isnan(kept.score) else (1.0 - share) * kept.score + share * found

    def _save(self, evaluated: bool, *, last: bool) -> None:
        began = self._clock()
        kept = self._counters
        best = self._first and kept.score > kept.best and (evaluated or self._evaluate is None)
        best_score = kept.score if best else kept.best
        content = {
            "steps": self._learner.steps,
            "policy": actor_state(self._learner.actor()),
            "trainer": {
                "seconds": kept.seconds + began - self._began,
                "score": kept.score,
                "best": best_score,
            },
            "learner": self._learning(self._learner.state_dict),
        }
        try:
            self._checkpoint = self._checkpoints.save(self._learner.steps, content, best=best)
            self._saved_steps = self._learner.steps
            kept.best = best_score
        except TrainingError as error:
            if last:
                raise
            self._warn(f"{error}; training goes on, and tries again later")
        now = self._clock()
        self._next_save = now + max(self._schedule.checkpoint_seconds, (now - began) / SAVING_SHARE)

    def _restore(self, content: dict[str, Any], steps: int) -> None:
        path = self._checkpoints.path(steps)
        try:
            kept, learner = content["trainer"], content["learner"]
            self._counters = _Counters(kept["seconds"], kept["score"], kept["best"])
        except KeyError as error:
            raise TrainingError(f"{path}: the checkpoint lacks {error}") from None
        self._learner.load_state_dict(learner)
        self._checkpoint, self._saved_steps = path, steps

    def _any(self, value: bool) -> bool:
        """Whether it is so in any process."""
        return self._sum(int(value)) > 0

    def _first_says(self, value: int) -> int:
        """What the first process says."""
        return self._sum(value if self._first else 0)

    def _sum(self, value: int) -> int:
        if self._others is None:
            return value
        return int(self._others.sum_(torch.tensor([value], dtype=torch.int64)).item())
