"""`humanoid_rl bench training`: learning, end to end, beside other PPOs in the same environment and in one run."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from humanoid_rl_ros.cli.bench_peers import AS_SHIPPED, PEERS
from humanoid_rl_ros.cli.bench_sides import OwnSide, PeerSide, ShippedSide, Side
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.train_settings import TrainOptions, resolve
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.envs.humanoid_env import HumanoidEnv
from humanoid_rl_ros.envs.tasks import make_batch
from humanoid_rl_ros.learning.learners import use_threads
from humanoid_rl_ros.learning.ppo_config import PPOConfig
from humanoid_rl_ros.learning.run_folder import RunRecord

OURS = "ours"
SIDES = (OURS, *PEERS)


@dataclass(frozen=True)
class BenchOptions:
    """What `humanoid_rl bench training` was asked.

    Attributes:
        only: which sides, of `SIDES`; empty for all that are installed.
        task, robot: as `humanoid_rl train` takes them.
        environments: robots of each side; None for what the learner's YAML says.
        held: what becomes of joints that the policy does not drive, ``welded`` or ``simulated``.
        settings: ``key=value`` of our learner or the task.
        seed: of everything.
        threads: of the physics; None for one per core.
        torch_threads: of the learners.
    """

    only: tuple[str, ...] = ()
    task: str = "walk"
    robot: str = "reference"
    environments: int | None = None
    held: str = "welded"
    settings: tuple[str, ...] = ()
    seed: int = 0
    threads: int | None = None
    torch_threads: int = 1

    def run(self) -> tuple[RunRecord, PPOConfig]:
        """What `humanoid_rl train ppo` would make of it.

        Raises:
            HumanoidError: a task, robot or key is unknown, or a value is malformed.
        """
        asked = TrainOptions(
            algorithm="ppo",
            steps=1,
            out=Path(),
            task=self.task,
            robot=self.robot,
            seed=self.seed,
            environments=self.environments,
            settings=(f"control.held_joints={self.held}", *self.settings),
        )
        return resolve(asked, None, 1)

    def robots(self, record: RunRecord) -> HumanoidBatch:
        """Robots to learn with."""
        return make_batch(
            record.task, record.robot, record.environments, overrides=record.overrides, threads=self.threads
        )


def run_training(
    options: BenchOptions, *, seconds: float, rounds: int, json_file: Path | None, console: Console
) -> None:
    """Let all sides learn in turns and print the tables.

    Args:
        options: who learns what.
        seconds: length of one turn [s].
        rounds: turns of each side.
        json_file: where the result goes, or None.
        console: where the tables go.

    Raises:
        HumanoidError: what was asked for is unknown, not installed or cannot be written.
    """
    names, missing = _chosen(options.only)
    record, config = options.run()
    use_threads(options.torch_threads)
    sides: dict[str, Side] = {}
    try:
        with console.status("making the robots") as status:
            for name in names:
                sides[name] = _side(name, options, record, config)
            for side in sides.values():
                # What is allocated or looked up once is no part of the measurement.
                side.iterate()
                side.settle()
            for turn in range(rounds):
                for side in list(sides.values())[:: 1 if turn % 2 == 0 else -1]:
                    status.update(f"round {turn + 1} of {rounds}: {side.title}")
                    side.turn(seconds)
    finally:
        for side in sides.values():
            side.close()
    own = sides.get(OURS)
    console.print(_sides_table(sides, record, config))
    if isinstance(own, OwnSide):
        console.print(_parts_table(own))
        bare, share = np.median(own.bare_physics), np.median(own.collecting_share)
        console.print(f"physics alone, from the same states: {bare:.0f} steps/s; collecting does {share:.0%} of it")
    for line in dict.fromkeys(f"{PEERS[name].title}: {PEERS[name].how_to_get}" for name in missing):
        console.print(line, markup=False, soft_wrap=True)
    if json_file is not None:
        run = {**record.as_dict(), "seconds": seconds, "rounds": rounds, "torch_threads": options.torch_threads}
        write_json(json_file, run | _as_json(sides, missing, options.threads))


def _chosen(only: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Which sides to measure, and for which others something is missing.

    Raises:
        ConfigError: there is no such side.
        MissingDependencyError: one that was asked for is not installed.
    """
    for name in only:
        if name not in SIDES:
            raise ConfigError(f"--only {name}: no such learner; {did_you_mean(name, SIDES)}")
        if name in PEERS:
            PEERS[name].require()
    missing = [] if only else [name for name, peer in PEERS.items() if peer.version is None]
    return [name for name in SIDES if name in (only or SIDES) and name not in missing], missing


def _side(name: str, options: BenchOptions, record: RunRecord, config: PPOConfig) -> Side:
    if name == AS_SHIPPED:
        make = functools.partial(HumanoidEnv, record.task, record.robot, overrides=record.overrides)
        with contextlib.closing(make()) as sample:
            period = sample.batch.control_period
        return ShippedSide(make, period, options.seed)
    env = options.robots(record)
    return OwnSide(env, config, options.seed) if name == OURS else PeerSide(name, env, config, options.seed)


def _ratios(sides: Mapping[str, Side], side: Side) -> list[float]:
    """How many times as fast ours was, round by round; empty where it did not take part."""
    own = sides.get(OURS)
    if own is None:
        return []
    return [ours / theirs for ours, theirs in zip(own.steps_per_second, side.steps_per_second, strict=True)]


def _sides_table(sides: Mapping[str, Side], record: RunRecord, config: PPOConfig) -> Table:
    table = Table(
        title=(
            f"{Path(record.task).stem} · {Path(record.robot).stem} · {record.environments} robots × "
            f"{config.steps_per_iteration} steps, {config.epochs} epochs × {config.minibatches} minibatches"
        )
    )
    # In parentheses, because rich takes [s] for a style.
    for heading in ("PPO of", "version", "how", "steps/s", "range", "ours ÷ it", "CPU µs a step", "episode (s)"):
        table.add_column(heading, justify="left" if heading in ("PPO of", "version", "how") else "right")
    for side in sides.values():
        pace, ratios = side.steps_per_second, _ratios(sides, side)
        table.add_row(
            side.title,
            side.version,
            side.how,
            f"{np.median(pace):.0f}",
            f"{min(pace):.0f}–{max(pace):.0f}",
            f"{np.median(ratios):.2f}" if ratios else "–",
            f"{1e6 * np.median(side.cpu_per_step):.0f}" if np.isfinite(side.cpu_per_step).all() else "–",
            f"{np.median(side.episode_seconds):.1f}",
        )
    return table


def _parts_table(own: OwnSide) -> Table:
    table = Table(title="where our time goes")
    for heading in ("part", "µs a step", "share"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for part, seconds in own.seconds_per_step.items():
        share = np.median(np.divide(seconds, own.seconds_per_step["all"]))
        table.add_row(part, f"{1e6 * np.median(seconds):.1f}", f"{share:.0%}")
    return table


def _as_json(sides: Mapping[str, Side], missing: list[str], threads: int | None) -> dict[str, Any]:
    own = sides.get(OURS)
    found: dict[str, Any] = {
        "threads": threads if threads is not None else len(os.sched_getaffinity(0)),
        "libraries": {name: importlib.metadata.version(name) for name in ("torch", "mujoco", "numpy")},
        "missing": missing,
        "sides": {
            name: {
                "title": side.title,
                "version": side.version,
                "how": side.how,
                "steps_per_second": side.steps_per_second,
                "median": float(np.median(side.steps_per_second)),
                "ours_over_it": _ratios(sides, side),
                # JSON knows no NaN, which processes of its own and a turn without an end of an episode have.
                "cpu_per_step": [cpu if np.isfinite(cpu) else None for cpu in side.cpu_per_step],
                "episode_seconds": [length if np.isfinite(length) else None for length in side.episode_seconds],
            }
            for name, side in sides.items()
        },
    }
    if isinstance(own, OwnSide):
        found["parts"] = own.seconds_per_step
        found["bare_physics"] = own.bare_physics
        found["collecting_share"] = own.collecting_share
    return found
