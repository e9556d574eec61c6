"""`humanoid_rl bench training --time-to-walk`: how long our PPO takes from nothing to a robot that walks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from humanoid_rl_ros.cli.bench_training import BenchOptions
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.train_view import count
from humanoid_rl_ros.core.command import AXES, CommandSpec
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.evaluation import CommandResult, EvaluationSpec, evaluate
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.learning.actor_state import act_with
from humanoid_rl_ros.learning.learners import use_threads
from humanoid_rl_ros.learning.ppo import PPO
from humanoid_rl_ros.learning.ppo_config import PPOConfig
from humanoid_rl_ros.resources import find_robot

EPISODE_S, VELOCITY_ERROR = 15.0, 0.2
"""What counts as walking: so long on its feet, so near to what was commanded [s], [m/s]."""
SURVIVAL = 0.95
COMMANDS = ((0.5, 0.0, 0.0), (0.3, 0.0, 0.0), (0.4, 0.0, 0.2))
"""Of an evaluation; a robot that stands still follows none of them within `VELOCITY_ERROR`."""
REPEATS = 8
EVALUATE_EVERY_S = 20.0


@dataclass(frozen=True)
class Look:
    """Where a training stood at one moment.

    Attributes:
        minutes: of training, evaluations not counted.
        steps: of all robots together.
        episode_seconds, velocity_error: of the training's own episodes since the last look, exploration, noise and
            pushes included; NaN where none ended [s], [m/s].
        survival: share of the evaluated robots on their feet after `EPISODE_S`, without exploration or pushes.
        worst_error: velocity error under the command that was followed worst [m/s].
    """

    minutes: float
    steps: int
    episode_seconds: float
    velocity_error: float
    survival: float
    worst_error: float

    @property
    def trains_walking(self) -> bool:
        """Whether the training's own robots walk."""
        return self.episode_seconds > EPISODE_S and self.velocity_error < VELOCITY_ERROR

    @property
    def walks(self) -> bool:
        """Whether the evaluated robots walk."""
        return self.survival >= SURVIVAL and self.worst_error < VELOCITY_ERROR


def run_time_to_walk(
    options: BenchOptions, *, minutes: float, seeds: int, json_file: Path | None, console: Console
) -> None:
    """Train from nothing, once for each seed, until both readings say that it walks, and print when they did.

    Args:
        options: what is learnt; its seed is the first.
        minutes: after which a training is given up [min].
        seeds: how many.
        json_file: where everything that was seen goes, or None.
        console: where the table goes.

    Raises:
        HumanoidError: what was asked for is unknown, is no walking, or cannot be written.
    """
    record, config = options.run()
    use_threads(options.torch_threads)
    found: dict[int, list[Look]] = {}
    for seed in range(options.seed, options.seed + seeds):
        env = options.robots(record)
        try:
            _require_walking(env.task.commands.full, env.task.name)
            with console.status(f"seed {seed}") as status:

                def say(look: Look, seed: int = seed) -> None:
                    status.update(
                        f"seed {seed}: {look.minutes:.1f} min, {count(look.steps)} steps, "
                        f"episode {look.episode_seconds:.1f} s, {look.velocity_error:.2f} m/s off; "
                        f"evaluated: {look.survival:.0%} stay up, {look.worst_error:.2f} m/s off"
                    )

                found[seed] = time_to_walk(env, config, record.task, record.robot, seed, minutes, options.threads, say)
        finally:
            env.close()
    console.print(_table(found, minutes))
    if json_file is not None:
        looks = {str(seed): [_as_json(look) for look in seen] for seed, seen in found.items()}
        write_json(json_file, record.as_dict() | {"minutes": minutes, "looks": looks})


def time_to_walk(
    env: HumanoidBatch,
    config: PPOConfig,
    task: str,
    robot: str,
    seed: int,
    minutes: float,
    threads: int | None,
    report: Callable[[Look], None],
) -> list[Look]:
    """One training from nothing.

    Args:
        env: what is learnt in.
        config: how.
        task, robot: what is evaluated, with all joints simulated.
        seed: of everything.
        minutes: after which it is given up [min].
        threads: of the evaluation's physics.
        report: hears of every look.

    Returns:
        What was seen, up to the first look that found it walking either way after the other had.
    """
    learner = PPO(env, config, seed)
    spec = EvaluationSpec(COMMANDS, repeats=REPEATS, seconds=EPISODE_S, seed=seed)
    trained = 0.0
    looks: list[Look] = []
    try:
        while trained < 60.0 * minutes and not (_first(looks, "trains_walking") and _first(looks, "walks")):
            seen: list[dict[str, float]] = []
            began = time.perf_counter()
            while time.perf_counter() - began < EVALUATE_EVERY_S:
                seen.append(learner.iterate())
            # Waits for the critic, which would go on learning during the evaluation.
            learner.state_dict()
            trained += time.perf_counter() - began
            results = evaluate(
                find_robot(robot), task, act_with(learner.actor()), spec, contract=env.contract, threads=threads
            )
            looks.append(_look(trained, learner.steps, seen, results, env.control_period))
            report(looks[-1])
    finally:
        learner.close()
    return looks


def _look(
    trained: float, steps: int, seen: Sequence[dict[str, float]], results: Sequence[CommandResult], period: float
) -> Look:
    ended = [metrics for metrics in seen if "episode/count" in metrics]
    weights = [metrics["episode/count"] for metrics in ended]
    length = float(np.average([metrics["episode/length"] for metrics in ended], weights=weights)) if ended else np.nan
    return Look(
        minutes=trained / 60.0,
        steps=steps,
        episode_seconds=length * period,
        velocity_error=float(np.mean([metrics["task/velocity_error"] for metrics in seen])),
        survival=float(np.mean([result.survival for result in results])),
        # NaN, where nobody stood long enough to be measured, is the largest to `max` of NumPy.
        worst_error=float(np.max([result.velocity_error for result in results])),
    )


def _first(looks: Sequence[Look], reading: str) -> Look | None:
    return next((look for look in looks if getattr(look, reading)), None)


def _require_walking(ranges: CommandSpec, task: str) -> None:
    for command in COMMANDS:
        for value, axis in zip(command, AXES, strict=True):
            low, high = getattr(ranges, axis)
            if not low <= value <= high:
                raise ConfigError(
                    f"task '{task}' has no commands to walk at: {axis} is within [{low:g}, {high:g}], "
                    f"--time-to-walk needs {value:g}"
                )


def _as_json(look: Look) -> dict[str, float | bool | None]:
    """JSON knows no NaN."""
    numbers = {name: value if np.isfinite(value) else None for name, value in asdict(look).items()}
    return numbers | {"trains_walking": look.trains_walking, "walks": look.walks}


def _table(found: dict[int, list[Look]], minutes: float) -> Table:
    table = Table(
        title=f"on its feet for {EPISODE_S:g} s, velocity error under {VELOCITY_ERROR:g} m/s",
        caption="training: its own robots, exploring and pushed; evaluated: the policy alone; evaluations not counted",
    )
    for heading in ("seed", "training", "steps", "evaluated", "steps"):
        table.add_column(heading, justify="right")
    for seed, looks in found.items():
        cells = []
        for reading in ("trains_walking", "walks"):
            look = _first(looks, reading)
            cells += [f"{look.minutes:.1f} min", count(look.steps)] if look else [f"not in {minutes:g} min", "–"]
        table.add_row(str(seed), *cells)
    return table
