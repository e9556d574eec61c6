"""The trainer around a learner that only draws numbers."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.learning import checkpoint as checkpoint_module
from humanoid_rl_ros.learning.actor_state import actor_from_state
from humanoid_rl_ros.learning.checkpoint import checkpoint_name, load_checkpoint
from humanoid_rl_ros.learning.networks import ActorNetwork, mlp
from humanoid_rl_ros.learning.run_checkpoints import BEST, RunCheckpoints
from humanoid_rl_ros.learning.run_folder import RunFolder, RunRecord
from humanoid_rl_ros.learning.trainer import Outcome, Progress, Schedule, Trainer

RECORD = RunRecord("ppo", "walk", "reference", 0, 8, 1, {"clip": 0.2}, {}, "t" * 64, "r" * 64, "0.1.0")
PER_ITERATION = 8


class Killed(Exception):
    """Stands for a kill: nothing of the trainer runs after it."""


class Drawing:
    """A learner whose weight is a random walk; a second passes per iteration."""

    def __init__(
        self,
        *,
        returns: dict[int, float] | None = None,
        episodes: float = 1000.0,
        breaks_at: int = -1,
        saving_seconds: float = 0.0,
    ) -> None:
        self.steps = 0
        self.weight = torch.zeros(3)
        self.now = 100.0
        self._generator = torch.Generator().manual_seed(1)
        self._returns, self._episodes = returns or {}, episodes
        self._breaks_at = breaks_at
        self._saving_seconds = saving_seconds

    def iterate(self) -> dict[str, float]:
        self.now += 1.0
        self.weight += torch.randn(3, generator=self._generator)
        if self.steps + PER_ITERATION == self._breaks_at:
            raise TrainingError("the loss is nan")
        self.steps += PER_ITERATION
        if self.steps not in self._returns:
            return {"kl": 0.01}
        return {"kl": 0.01, "episode/return": self._returns[self.steps], "episode/count": self._episodes}

    def actor(self) -> ActorNetwork:
        layers = mlp([2, 3], "elu", generator=torch.Generator(), last_gain=1.0)
        with torch.no_grad():
            layers[0].bias.copy_(self.weight)
        return ActorNetwork(layers, torch.zeros(2), torch.ones(2), clip=5.0)

    def state_dict(self) -> dict[str, Any]:
        self.now += self._saving_seconds
        return {"steps": self.steps, "weight": self.weight.clone(), "generator": self._generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps, self.weight = state["steps"], state["weight"].clone()
        self._generator.set_state(state["generator"])

    def clock(self) -> float:
        return self.now


def trainer(
    learner: Drawing, folder: Path, steps: int = 80, every: float = 0.0, *, record: RunRecord = RECORD, **more: Any
) -> Trainer:
    rank = more["others"].rank if "others" in more else 0
    more.setdefault("warn", pytest.fail)
    return Trainer(
        learner,
        RunCheckpoints(RunFolder(folder), record, rank),
        Schedule(steps, every, more.pop("evaluate_every", 0)),
        clock=learner.clock,
        **more,
    )


def ignore(progress: Progress) -> None:
    pass


def saved(folder: Path) -> list[int]:
    return sorted(int(path.stem.split("_")[1]) for path in (folder / "checkpoints").glob("checkpoint_*.pt"))


def bias_in(path: Path) -> Tensor:
    return actor_from_state(load_checkpoint(path)["policy"]).layers[0].bias.detach()


@pytest.mark.parametrize("killed_at", [8, 16, 40, 80])
def test_a_run_killed_and_resumed_ends_as_one_that_never_was(tmp_path: Path, killed_at: int) -> None:
    straight = Drawing()
    trainer(straight, tmp_path / "straight").run(ignore)

    def kill(progress: Progress) -> None:
        if progress.steps == killed_at:
            raise Killed

    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        trainer(Drawing(), folder).run(kill)
    again = Drawing()
    second = trainer(again, folder)
    assert second.resume() == killed_at - PER_ITERATION  # what the last iteration did was not saved yet
    outcome = second.run(ignore)
    assert (outcome.steps, outcome.stopped) == (80, False)
    assert torch.equal(again.weight, straight.weight)
    for name in (checkpoint_name(72), checkpoint_name(80)):
        one, other = (
            load_checkpoint(tmp_path / run / "checkpoints" / name)["learner"] for run in ("straight", "killed")
        )
        assert torch.equal(one["weight"], other["weight"])
        assert torch.equal(one["generator"], other["generator"])


def test_the_clock_says_when_to_save_and_three_stay(tmp_path: Path) -> None:
    kept: list[list[int]] = []
    outcome = trainer(Drawing(), tmp_path, 100, 3.0).run(lambda _: kept.append(saved(tmp_path)))
    # A second per iteration of 8 steps: after 3, 6, 9 and 12 of the 13 iterations, and at the end.
    assert kept[-1] == [48, 72, 96][-3:]
    assert kept[4] == [24]
    assert saved(tmp_path) == [72, 96, 104]
    assert outcome.checkpoint == tmp_path / "checkpoints" / checkpoint_name(104)
    assert outcome.session_seconds == 13.0


def test_saving_that_takes_long_is_done_less_often(tmp_path: Path) -> None:
    counts: list[int] = []
    # 2 s of saving in a twentieth of the time: not again before 40 s have passed.
    trainer(Drawing(saving_seconds=2.0), tmp_path, 50 * 8, 1.0).run(lambda _: counts.append(len(saved(tmp_path))))
    assert counts[:3] == [0, 1, 1]
    assert counts.index(2) == 41  # seen one iteration after 40


def test_the_best_checkpoint_is_kept(tmp_path: Path) -> None:
    learner = Drawing(returns={8: 1.0, 16: 5.0, 24: 3.0, 32: 4.0, 40: 2.0, 48: 2.0})
    trainer(learner, tmp_path, 48).run(ignore)
    assert saved(tmp_path) == [32, 40, 48]
    assert load_checkpoint(tmp_path / "checkpoints" / BEST)["steps"] == 16
    # Remembered by the next session, which is worse throughout.
    worse = Drawing(returns={56: 4.5, 64: 4.5})
    second = trainer(worse, tmp_path, 64)
    second.resume()
    second.run(ignore)
    assert load_checkpoint(tmp_path / "checkpoints" / BEST)["steps"] == 16


def test_few_episodes_move_the_return_little(tmp_path: Path) -> None:
    trainer(Drawing(returns={8: 1.0, 16: 100.0, 24: 3.0}, episodes=10.0), tmp_path, 24).run(ignore)
    kept = load_checkpoint(tmp_path / "checkpoints" / checkpoint_name(24))["trainer"]
    assert kept["score"] == pytest.approx(0.9 * (0.9 * 1.0 + 0.1 * 100.0) + 0.1 * 3.0)


def test_a_stop_is_heard_at_the_next_iteration(tmp_path: Path) -> None:
    learner = Drawing()
    running = trainer(learner, tmp_path, every=1000.0)
    outcome = running.run(lambda progress: running.stop() if progress.steps == 24 else None)
    assert outcome.stopped
    assert saved(tmp_path) == [24] == [outcome.steps]
    assert torch.equal(bias_in(tmp_path / "checkpoints" / checkpoint_name(24)), learner.weight)


def test_what_is_not_finite_ends_the_run_and_leaves_the_last_checkpoint(tmp_path: Path, refuses: Any) -> None:
    with refuses(TrainingError, "the loss is nan", str(tmp_path / "checkpoints" / checkpoint_name(32))):
        trainer(Drawing(breaks_at=40), tmp_path).run(ignore)
    assert saved(tmp_path) == [16, 24, 32]
    resumed = Drawing()
    assert trainer(resumed, tmp_path).resume() == 32
    with refuses(TrainingError, "the loss is nan", "none was saved yet"):
        trainer(Drawing(breaks_at=8), tmp_path / "other").run(ignore)


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, refuses: Any) -> None:
    trainer(Drawing(), tmp_path, 40).run(ignore)
    checkpoints = tmp_path / "checkpoints"
    whole = (checkpoints / checkpoint_name(40)).read_bytes()
    (checkpoints / checkpoint_name(40)).write_bytes(whole[: len(whole) // 2])
    said: list[str] = []
    learner = Drawing()
    assert trainer(learner, tmp_path, warn=said.append).resume() == 32
    assert learner.steps == 32
    (line,) = said
    assert checkpoint_name(40) in line
    assert "32 steps" in line
    for path in checkpoints.glob("checkpoint_*.pt"):
        path.write_bytes(b"")
    with refuses(TrainingError, checkpoint_name(40), "2 before it"):
        trainer(Drawing(), tmp_path).resume()


def test_without_a_checkpoint_it_begins(tmp_path: Path) -> None:
    assert trainer(Drawing(), tmp_path).resume() == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"robot": "g1"}, ("robot", "'reference'", "'g1'")),
        ({"task": "stand"}, ("task", "'walk'", "'stand'")),
        ({"algorithm": "sac"}, ("algorithm", "'ppo'", "'sac'")),
        ({"environments": 16}, ("environments", "'8'", "'16'")),
        ({"processes": 2}, ("processes", "'1'", "'2'")),
        ({"seed": 1}, ("seed", "'0'", "'1'")),
        ({"learner": {"clip": 0.3}}, ("learner key clip", "0.2", "0.3")),
        ({"learner": {"clip": 0.2, "epochs": 9}}, ("learner key epochs", "5", "9")),
        ({"overrides": {"rewards.alive": 2.0}}, ("task key rewards.alive", "its default", "2.0")),
        ({"task_digest": "u" * 64}, ("another task", "'walk'", "tttttttttttt", "uuuuuuuuuuuu")),
        ({"robot_digest": "u" * 64}, ("another robot", "'reference'", "rrrrrrrrrrrr", "uuuuuuuuuuuu")),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    tmp_path: Path, refuses: Any, change: dict[str, Any], words: tuple[str, ...]
) -> None:
    trainer(Drawing(), tmp_path, 16).run(ignore)
    with refuses(ConfigError, checkpoint_name(16), *words):
        trainer(Drawing(), tmp_path, record=replace(RECORD, **change)).resume()


def full_disk(monkeypatch: pytest.MonkeyPatch, full: Callable[[], bool]) -> None:
    """fsync, where a full disk is met at the latest, fails while it is full."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if full():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(checkpoint_module.os, "fsync", fsync)


def test_a_full_disk_does_not_end_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner, said = Drawing(), []
    full_disk(monkeypatch, lambda: 24 <= learner.steps < 56)
    outcome = trainer(learner, tmp_path, warn=said.append).run(
        lambda progress: None if progress.steps != 56 else said.append(saved(tmp_path))
    )
    assert said[-1] == [8, 16]  # what was there before the disk filled
    assert len(said) == 5  # 24, 32, 40 and 48 could not be saved
    assert all("No space left on device" in line and "goes on" in line for line in said[:-1])
    assert outcome.steps == 80
    assert saved(tmp_path) == [64, 72, 80]
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_a_disk_full_to_the_end_is_said_and_what_was_saved_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: Any
) -> None:
    learner = Drawing()
    full_disk(monkeypatch, lambda: learner.steps > 16)
    with refuses(TrainingError, checkpoint_name(80), "No space left on device"):
        trainer(learner, tmp_path, warn=lambda _: None).run(ignore)
    assert saved(tmp_path) == [8, 16]
    assert trainer(Drawing(), tmp_path).resume() == 16


def test_evaluation_comes_at_the_same_steps_and_draws_on_nothing(tmp_path: Path) -> None:
    straight = Drawing()
    trainer(straight, tmp_path / "straight", 96).run(ignore)
    learner, at = Drawing(returns={96: 1e9}), []
    score = {24: 1.0, 40: 3.0, 64: 3.0, 80: 2.0}

    def evaluate(actor: ActorNetwork) -> dict[str, float]:
        at.append(learner.steps)
        assert torch.equal(actor.layers[0].bias, learner.weight)
        return {"score": score[learner.steps], "survival": 0.5}

    seen: list[Progress] = []
    options: dict[str, Any] = {"evaluate": evaluate, "evaluate_every": 20}
    first = trainer(learner, tmp_path / "run", 96, 1000.0, **options)
    first.run(lambda progress: (seen.append(progress), first.stop() if progress.steps == 32 else None)[0])
    assert saved(tmp_path / "run") == [24, 32]
    second = trainer(learner, tmp_path / "run", 96, 1000.0, **options)
    second.resume()
    second.run(seen.append)
    assert at == [24, 40, 64, 80]  # the first iterations that end past 20, 40, 60 and 80
    assert [p.steps for p in seen if p.metrics.get("evaluation/survival") == 0.5] == at
    assert saved(tmp_path / "run") == [64, 80, 96]
    assert torch.equal(learner.weight, straight.weight)
    # Not the last one, which was not evaluated and whose own episodes did so well.
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / BEST)["steps"] == 40


def test_a_score_belongs_to_the_checkpoint_that_was_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = Drawing()
    full_disk(monkeypatch, lambda: learner.steps == 24)  # the best could not be saved; what came after it is not it
    trainer(
        learner,
        tmp_path,
        48,
        warn=lambda _: None,
        evaluate=lambda _: {"score": {24: 9.0, 40: 1.0}[learner.steps]},
        evaluate_every=20,
    ).run(ignore)
    assert load_checkpoint(tmp_path / "checkpoints" / BEST)["steps"] == 40


def test_progress_counts_both_sessions(tmp_path: Path) -> None:
    seen: list[Progress] = []
    first = trainer(Drawing(), tmp_path, 80, 1000.0)
    first.run(lambda progress: (seen.append(progress), first.stop() if progress.steps == 24 else None)[0])
    assert [(p.session_seconds, p.seconds, p.steps_per_second, p.seconds_left) for p in seen] == [
        (1.0, 1.0, 8.0, 9.0),
        (2.0, 2.0, 8.0, 8.0),
        (3.0, 3.0, 8.0, 7.0),
    ]
    second = trainer(Drawing(), tmp_path, 80, 1000.0)
    second.resume()
    seen.clear()
    outcome = second.run(seen.append)
    assert (seen[0].session_seconds, seen[0].seconds, seen[0].steps_per_second) == (1.0, 4.0, 8.0)
    assert (outcome.session_seconds, outcome.seconds) == (7.0, 10.0)


def test_a_complete_run_is_left_as_it_is(tmp_path: Path) -> None:
    trainer(Drawing(), tmp_path, 16).run(ignore)
    again = trainer(Drawing(), tmp_path, 16)
    again.resume()
    outcome = again.run(lambda _: pytest.fail("an iteration"))
    assert (outcome.steps, outcome.stopped, outcome.checkpoint) == (
        16,
        False,
        tmp_path / "checkpoints" / checkpoint_name(16),
    )


class Meeting:
    """Two processes, as threads that meet at every sum."""

    def __init__(self, rank: int, barrier: threading.Barrier, board: list[Tensor]) -> None:
        self.rank, self.world_size = rank, 2
        self._barrier, self._board = barrier, board

    def sum_(self, tensor: Tensor) -> Tensor:
        self._board[self.rank] = tensor.clone()
        self._barrier.wait(10.0)
        total = self._board[0] + self._board[1]
        self._barrier.wait(10.0)
        return tensor.copy_(total)

    def mean_(self, tensor: Tensor) -> Tensor:
        return self.sum_(tensor).div_(2)


def both(work: Callable[[Meeting], Any]) -> list[Any]:
    barrier, board = threading.Barrier(2), [torch.zeros(1), torch.zeros(1)]
    found: list[Any] = [None, None]

    def one(rank: int) -> None:
        try:
            found[rank] = work(Meeting(rank, barrier, board))
        except BaseException as error:
            barrier.abort()
            found[rank] = error

    threads = [threading.Thread(target=one, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    return found


def test_two_processes_save_and_stop_together(tmp_path: Path) -> None:
    record = replace(RECORD, processes=2)

    def work(meeting: Meeting) -> Outcome:
        learner = Drawing()
        learner.now += 1000.0 * meeting.rank  # the clocks of two machines; the second's says to save always
        running = trainer(learner, tmp_path, 80, 2.0 if meeting.rank == 0 else 0.0, record=record, others=meeting)
        # Only the second is asked to stop.
        return running.run(lambda p: running.stop() if (p.steps, meeting.rank) == (40, 1) else None)

    one, other = both(work)
    assert (one.steps, other.steps) == (40, 40)
    assert one.stopped
    assert other.stopped
    assert one.checkpoint == tmp_path / "checkpoints" / checkpoint_name(40)
    assert other.checkpoint == tmp_path / "checkpoints" / "process_1" / checkpoint_name(40)
    assert saved(tmp_path) == [16, 32, 40]
    assert len(list((tmp_path / "checkpoints" / "process_1").glob("checkpoint_*"))) == 3

    # The second lost its newest: both go on from the one before.
    (tmp_path / "checkpoints" / "process_1" / checkpoint_name(40)).unlink()
    said: list[str] = []
    found = both(lambda m: trainer(Drawing(), tmp_path, record=record, others=m, warn=said.append).resume())
    assert found == [32, 32]
    assert len(said) == 2
