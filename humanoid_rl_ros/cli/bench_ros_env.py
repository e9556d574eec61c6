"""`humanoid_rl bench ros-env`: steps a second of an environment over ROS beside the same in this process."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from humanoid_rl_ros.cli.bench_instruments import Stopwatch
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.processes import isolate
from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.envs.ros_simulation import RosSimulation
from humanoid_rl_ros.envs.ros_simulators import RosSimulators
from humanoid_rl_ros.envs.tasks import make_batch

WARM_UP = 50
ACTION_SPREAD = 0.3
PARTS = {
    "round trip": "follow",
    "sensors": "_read_sensors",
    "states taken over": "_take",
}
"""Methods of the physics over ROS, and of its fleet the first, by what they count as."""


@dataclass(frozen=True)
class RosEnvOptions:
    """What was asked.

    Attributes:
        task, robot: as `humanoid_rl_ros.envs.tasks.make_batch` takes them.
        robots: stepped together.
        steps: control steps of each turn.
        rounds: turns of each side.
        seed: of episodes and actions.
    """

    task: str
    robot: str
    robots: int
    steps: int
    rounds: int
    seed: int


@dataclass
class RosEnvResult:
    """What was measured.

    Attributes:
        in_process, over_ros: steps of all robots a second, of each round.
        parts: share of the time over ROS, by what it went to.
        round_trip_ms: median of one control period over ROS, the physics in it included [ms].
        steps_compared, steps_differing: control steps whose observations or rewards were compared, and were not the
            same to the bit.
    """

    in_process: list[float] = field(default_factory=list)
    over_ros: list[float] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=dict)
    round_trip_ms: float = 0.0
    steps_compared: int = 0
    steps_differing: int = 0


def run_ros_env(options: RosEnvOptions, *, json_file: Path | None, console: Console) -> RosEnvResult:
    """Step both sides in turns with the same actions, and show what came of it.

    Raises:
        HumanoidError: the task cannot be simulated over ROS, or a simulator fails.
    """
    isolate()
    result = RosEnvResult()
    clock = Stopwatch(*PARTS)
    trips: list[float] = []
    make = partial(make_batch, options.task, options.robot, options.robots)
    overrides = {"control.held_joints": "simulated"}
    with ExitStack() as stack:
        simulators = RosSimulators(options.robot, options.robots)
        there = stack.enter_context(
            closing(make(overrides=overrides, simulate=partial(RosSimulation, connect=simulators.connect)))
        )
        here = stack.enter_context(closing(make(overrides=overrides)))
        _watch(there.simulation, clock, trips)
        for turn in range(options.rounds):
            rng = np.random.default_rng(options.seed + turn)
            shape = (WARM_UP + options.steps, options.robots, here.action_low.size)
            actions = (ACTION_SPREAD * rng.standard_normal(shape)).astype(np.float32)
            pace, seen = _turn(here, actions, options.seed + turn)
            result.in_process.append(pace)
            clock.restart()
            trips.clear()
            pace, seen_there = _turn(there, actions, options.seed + turn)
            result.over_ros.append(pace)
            seconds = shape[0] * options.robots / pace
            shares = {name: spent / seconds for name, spent in clock.seconds.items()}
            for name, share in (shares | {"task": 1.0 - sum(shares.values())}).items():
                result.parts[name] = result.parts.get(name, 0.0) + share / options.rounds
            result.round_trip_ms += statistics.median(trips) * 1e3 / options.rounds
            result.steps_compared += shape[0]
            result.steps_differing += sum(a != b for a, b in zip(seen, seen_there, strict=True))
    _show(result, options, console)
    if json_file is not None:
        write_json(json_file, {**asdict(options), **asdict(result)})
    return result


def _watch(simulation: Any, clock: Stopwatch, trips: list[float]) -> None:
    fleet = simulation._fleet
    original = fleet.follow

    def timed(points: Any) -> None:
        began = time.perf_counter()
        original(points)
        trips.append(time.perf_counter() - began)

    fleet.follow = timed
    for label, method in PARTS.items():
        clock.attach(fleet if method == "follow" else simulation, method, label)


def _turn(batch: HumanoidBatch, actions: Float32Array, seed: int) -> tuple[float, list[bytes]]:
    """Steps a second, and what was seen and paid in each step."""
    batch.reset(seed)
    seen = []
    began = time.perf_counter()
    for action in actions:
        step = batch.step(action)
        seen.append(step.final.policy.tobytes() + step.reward.tobytes())
    return len(actions) * batch.n_envs / (time.perf_counter() - began), seen


def _show(result: RosEnvResult, options: RosEnvOptions, console: Console) -> None:
    here, there = statistics.median(result.in_process), statistics.median(result.over_ros)
    table = Table(title=f"{options.task}, {options.robots} x {options.robot}: control steps a second")
    for column in ("in this process", "over ROS", "ratio", "one round trip", "steps that differ"):
        table.add_column(column, justify="right")
    table.add_row(
        f"{here:.0f}",
        f"{there:.0f}",
        f"{there / here:.2f}",
        f"{result.round_trip_ms:.2f} ms",
        f"{result.steps_differing} of {result.steps_compared}",
    )
    console.print(table)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in result.parts.items())
    console.print(f"where the time over ROS goes: {shares}")
