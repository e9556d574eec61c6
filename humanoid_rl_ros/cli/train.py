"""`humanoid_rl train`: a policy from nothing to a bundle, watched, saved, and resumed where it was stopped."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.learning_curve import draw_learning_curve
from humanoid_rl_ros.cli.navigation_export import export_navigation, leads
from humanoid_rl_ros.cli.train_settings import TrainOptions, resolve
from humanoid_rl_ros.cli.train_view import TrainView, count, duration
from humanoid_rl_ros.cli.training_ground import TrainingGround, training_ground
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.envs.gymnasium_task import crosses_floor
from humanoid_rl_ros.learning.distributed import Distributed, init_from_environment
from humanoid_rl_ros.learning.export import export_policy
from humanoid_rl_ros.learning.export_team import export_team
from humanoid_rl_ros.learning.learner import Learner
from humanoid_rl_ros.learning.learners import make_learner, require_algorithm, use_threads
from humanoid_rl_ros.learning.metrics_file import read_metrics
from humanoid_rl_ros.learning.run_checkpoints import RunCheckpoints
from humanoid_rl_ros.learning.run_folder import RunFolder, RunRecord
from humanoid_rl_ros.learning.run_log import RunLog
from humanoid_rl_ros.learning.trainer import Outcome, Progress, Schedule, Trainer

AGAIN_S = 0.5
"""A signal that is repeated sooner is torchrun passing on the same one; later, a person who does not wait [s]."""


def run_train(options: TrainOptions, console: Console) -> int:
    """Train, show it, and write what came of it.

    Returns:
        The exit code: 0 at the end of the run; 128 + the number of the signal that stopped it before.

    Raises:
        HumanoidError: something that was asked for is unknown, cannot be written, or cannot go on.
    """
    require_algorithm(options.algorithm)
    if options.json_file is not None and not options.json_file.absolute().parent.is_dir():
        raise HumanoidError(f"cannot write {options.json_file}: no folder {options.json_file.absolute().parent}")
    use_threads(options.torch_threads)
    others = init_from_environment()
    try:
        return _run(options, console, others)
    finally:
        if others is not None:
            others.close()


def _run(options: TrainOptions, console: Console, others: Distributed | None) -> int:
    rank, processes = (others.rank, others.world_size) if others is not None else (0, 1)
    folder = RunFolder(options.out)
    known = folder.record() if options.resume else None
    record, config = resolve(options, known, processes)
    if known is None and rank == 0:
        folder.require_new()
    over_ros = options.env == "ros"
    if over_ros and not options.namespaces:
        from humanoid_rl_ros.cli.processes import isolate

        isolate()
    ground = training_ground(record, rank, options.threads, over_ros=over_ros, namespaces=options.namespaces)
    try:
        learner = make_learner(record.algorithm, ground.env, config, record.seed, others)
        if known is None and rank == 0:
            folder.create(record)
        view = TrainView(console if rank == 0 else Console(quiet=True), ground.control_period)
        view.say(f"{ground.title}: {count(options.steps)} steps to {folder.path}")
        try:
            session = _Session(options, folder, record, view, learner, ground, others)
            outcome, stopped_by = session.train()
            if rank == 0:
                session.finish(outcome)
        finally:
            learner.close()
        return 128 + stopped_by if outcome.stopped else 0
    finally:
        ground.env.close()


class _Session:
    """One start of the command."""

    def __init__(
        self,
        options: TrainOptions,
        folder: RunFolder,
        record: RunRecord,
        view: TrainView,
        learner: Learner[Any],
        ground: TrainingGround,
        others: Distributed | None,
    ) -> None:
        self._options, self._folder, self._record, self._view = options, folder, record, view
        self._learner, self._ground = learner, ground
        self._rank = others.rank if others is not None else 0
        every = options.evaluate_every if options.evaluate_every is not None else ground.evaluate_every
        self._trainer = Trainer(
            learner,
            RunCheckpoints(folder, record, self._rank),
            Schedule(options.steps, options.checkpoint_seconds, every),
            warn=self._warn,
            evaluate=ground.evaluate if every else None,
            others=others,
        )
        self._began = 0
        self._latest: dict[str, float] = {}
        self._log: RunLog | None = None

    def train(self) -> tuple[Outcome, int]:
        """To the end, or to the first signal; how it ended, and the signal's number."""
        if self._options.resume:
            self._began = self._trainer.resume()
            self._view.say(f"going on from {count(self._began)} steps" if self._began else "no checkpoint yet")
        if self._rank == 0:
            self._log = RunLog(self._folder, self._began, self._warn)
        try:
            with self._view, _Signals(self._trainer.stop) as signals:
                return self._trainer.run(self._report), signals.number
        finally:
            if self._log is not None:
                self._log.close()

    def _warn(self, text: str) -> None:
        self._view.say(f"warning: {text}", "yellow")

    def _report(self, progress: Progress) -> None:
        self._latest.update(progress.metrics)
        self._view.show(progress)
        if self._log is not None:
            self._log.write(progress)

    def finish(self, outcome: Outcome) -> None:
        """The picture, the policy, the numbers, and what to do next."""
        out, ground = self._folder, self._ground
        pace = (outcome.steps - self._began) / outcome.session_seconds if outcome.session_seconds > 0.0 else 0.0
        self._view.say(f"{count(outcome.steps)} steps in {duration(outcome.seconds)}, {count(pace)} steps/s")
        self._view.say(f"checkpoint: {outcome.checkpoint}")
        # A run that was stopped at once has no metrics yet.
        metrics = read_metrics(out.metrics)
        if draw_learning_curve(metrics, ground.title, ground.control_period, out.learning_curve):
            self._view.say(f"learning curve: {out.learning_curve}")
        policy: Path | None = None
        if outcome.stopped:
            again = ["train", self._record.algorithm, "--resume", "--steps", self._options.steps, "--out", out.path]
            by = "by the same torchrun: " if self._record.processes > 1 else ""
            self._view.say(f"stopped before its end; go on with: {by}{_command(again)}")
            exports = ground.contract is not None or ground.team is not None or crosses_floor(self._record.task)
            if exports:
                self._view.say(f"the policy so far: {_command(['export', out.path, '-o', out.policy])}")
        elif crosses_floor(self._record.task):
            if self._options.export:
                policy = out.policy
                bundle = export_navigation(self._learner.actor(), self._record, outcome.steps, policy)
                self._view.say(leads(bundle))
                self._view.say(f"policy: {policy}; see it with: {_command(['navigate', policy])}")
        elif ground.team is not None:
            if self._options.export:
                policy = out.policy
                comment = trained_by(self._record, outcome.steps)
                export_team(self._learner.actor(), ground.team, policy, comment=comment)
                self._view.say(f"team policy: {policy}; measure it with: {_command(['evaluate', policy])}")
        elif ground.contract is None:
            measured = _command(["evaluate", out.path])
            self._view.say(f"no policy bundle: what is learned here drives no robot; measure it with: {measured}")
        elif self._options.export:
            policy = out.policy
            export_policy(
                self._learner.actor(), ground.contract, policy, comment=trained_by(self._record, outcome.steps)
            )
            demo = ["demo", "--policy", policy, "--robot", self._record.robot]
            self._view.say(f"policy: {policy}; see it with: {_command(demo)}")
        if self._options.json_file is not None:
            write_json(self._options.json_file, self._result(outcome, pace, policy))

    def _result(self, outcome: Outcome, pace: float, policy: Path | None) -> dict[str, Any]:
        return {
            **self._record.as_dict(),
            **asdict(outcome),
            "steps_per_second": pace,
            "metrics": self._latest,
            "checkpoint": str(outcome.checkpoint) if outcome.checkpoint else None,
            "policy": str(policy) if policy else None,
        }


def trained_by(record: RunRecord, steps: int) -> str:
    """What stands above the `policy.yaml` of a trained policy."""
    return (
        f"Trained by humanoid_rl_ros {record.version}: {record.algorithm} on {record.task} with {record.robot}, "
        f"{record.environments} robots, seed {record.seed}, {steps} steps."
    )


def _command(words: list[Any]) -> str:
    return shlex.join(["humanoid_rl", *map(str, words)])


class _Signals:
    """Turns the first SIGINT or SIGTERM into a request to stop, and a second one into the end at once."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._at = 0.0
        self._before: dict[int, Any] = {}
        self.number = int(signal.SIGINT)

    def __enter__(self) -> _Signals:
        self._before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._at:
            self.number, self._at = number, now
            self._stop()
            # Not through the console, whose own writing this may have interrupted.
            os.write(2, b"\nsaving and leaving after this iteration; once more to leave at once\n")
        elif number == self.number and now - self._at > AGAIN_S:
            raise KeyboardInterrupt
