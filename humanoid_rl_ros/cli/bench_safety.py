"""`humanoid_rl bench safety`: the envelope against wild inputs, what the monitor costs, and whether it cries wolf."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from humanoid_rl_ros.cli.drill import Cast, Drill
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.wild_inputs import broken_promises, play, robots, wild_inputs
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import JointEffort, RobotState, VelocityCommand
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.resources import benchmark_robot, default_policy, find_policy, find_robot, safety_file
from humanoid_rl_ros.safety.envelope import Envelope
from humanoid_rl_ros.safety.limits import SafetyLimits, load_safety_limits
from humanoid_rl_ros.safety.monitor import SafetyMonitor
from humanoid_rl_ros.safety.status import SafetyState

PUSH_EVERY_S, COMMAND_EVERY_S = 5.0, 7.0
PUSHES = (0.2, 0.5)
"""Smallest and largest [m/s]; the shipped walkers stand all but the worst of them."""
WALK_S, FALLS_WITHIN_S = 300.0, 3.0
SAMPLES = 5000
BATCH, RESET_EVERY = 5000, 1700


@dataclass(frozen=True)
class SafetyBench:
    """What came of it.

    Attributes:
        inputs: wild inputs that the envelope was given.
        broken: promises that it broke, and in how many batches; empty if none.
        clamp_us: time of one clamp of ordinary inputs, 29 joints [µs].
        wild_us: time of one clamp and one damping of wild inputs, robots of 1 to 29 joints [µs].
        observe_us, judge_us: time of the monitor for a state and for an effort [µs].
        walked: simulated time walked under pushes [s].
        pushes: how many.
        trips: when the monitor left ACTIVE meanwhile, and why, though the robot alone would not have fallen.
        fell: times it did fall, as the same walk without the monitor shows.
    """

    inputs: int
    broken: dict[str, int]
    clamp_us: float
    wild_us: float
    observe_us: float
    judge_us: float
    walked: float
    pushes: int
    trips: tuple[str, ...]
    fell: int


def run_safety(
    *, count: int, hours: float, robot: str, seed: int, json_file: Path | None, console: Console
) -> SafetyBench:
    """Measure all three.

    Args:
        count: wild inputs.
        hours: simulated time to walk [h].
        robot: who walks.
        seed: of everything random.
        json_file: where the result goes, or None.
        console: where the table goes.

    Raises:
        HumanoidError: the robot is not there or cannot be armed.
    """
    benchmark = find_robot(benchmark_robot())
    rng = np.random.default_rng(seed)
    with Progress(console=console, transient=True) as progress:
        given, broken, wild_us = _against_wild_inputs(benchmark, count, rng, progress)
        clamp_us, observe_us, judge_us = _cost(benchmark, rng)
        walked, pushes, trips, fell = _walk(robot, hours * 3600.0, rng, progress)
    result = SafetyBench(given, broken, clamp_us, wild_us, observe_us, judge_us, walked, pushes, trips, fell)
    console.print(_table(result))
    if json_file is not None:
        write_json(json_file, asdict(result))
    return result


def _against_wild_inputs(
    benchmark: RobotSpec, count: int, rng: np.random.Generator, progress: Progress
) -> tuple[int, dict[str, int], float]:
    """Inputs given, promises broken and in how many batches, and the time of one clamp with all around [µs]."""
    task = progress.add_task("wild inputs", total=count)
    given, broken, spent = 0, Counter[str](), 0.0
    everyone = [benchmark, *robots()]
    while given < count:
        for robot in everyone:
            limits = SafetyLimits(effort_rate=float(rng.choice([50.0, 2000.0])), power_limit=200.0)
            inputs = list(wild_inputs(rng, robot, BATCH))
            envelope = Envelope(robot, limits)
            began = time.perf_counter()
            with np.errstate(all="ignore"):
                calls = play(envelope, robot, inputs, reset_every=RESET_EVERY)
                spent += time.perf_counter() - began
                broken.update(broken_promises(robot, limits, calls))
            given += BATCH
            progress.update(task, completed=given)
    progress.remove_task(task)
    return given, dict(broken), spent * 1e6 / given


def _cost(robot: RobotSpec, rng: np.random.Generator) -> tuple[float, float, float]:
    """Medians over ordinary inputs [µs]."""
    n = robot.n_joints
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    monitor, envelope = SafetyMonitor(robot, SafetyLimits()), Envelope(robot, SafetyLimits())
    spent: dict[str, list[int]] = {"clamp": [], "observe": [], "judge": []}
    for k in range(SAMPLES):
        position = robot.default_position + 1e-3 * rng.standard_normal(n)
        velocity = 0.1 * rng.standard_normal(n)
        state = RobotState(k * 2_000_000, position, velocity, upright, 1e-2 * rng.standard_normal(3))
        effort = JointEffort(state.stamp_ns, 0.1 * robot.effort_limit * rng.standard_normal(n))
        if k == 1:
            monitor.heartbeat(0)
            monitor.arm(0)
        marks = [time.perf_counter_ns()]
        monitor.observe(state.stamp_ns, state)
        marks.append(time.perf_counter_ns())
        monitor.judge(state.stamp_ns, effort, meant_for=monitor.state, target=robot.default_position)
        marks.append(time.perf_counter_ns())
        envelope.clamp(effort.effort, state)
        marks.append(time.perf_counter_ns())
        for name, time_ns in zip(("observe", "judge", "clamp"), np.diff(marks), strict=True):
            spent[name].append(int(time_ns))
    if monitor.state is not SafetyState.ACTIVE:
        raise HumanoidError(f"the monitor is {monitor.state.value}: {monitor.status.text}")
    return tuple(float(np.median(spent[name])) * 1e-3 for name in ("clamp", "observe", "judge"))  # type: ignore[return-value]  # three


@dataclass(frozen=True)
class _Walk:
    """What happens to a robot that walks for five minutes.

    Attributes:
        cast: who takes part.
        events: at which time what happens: a velocity command, or a push [m/s; world; Shape (3,)].
    """

    cast: Cast
    events: tuple[tuple[float, VelocityCommand | FloatArray], ...]

    def run(self, seconds: float, *, guarded: bool = True) -> Drill:
        """The robot after so long, or when the monitor left ACTIVE; unguarded, no fall makes it leave."""
        limits = self.cast.limits
        if not guarded:
            limits = replace(limits, tilt_limit=1.6, tilt_time=2.0, falling_time=2.0)
        drill = Drill(replace(self.cast, limits=limits))
        drill.arm()
        left = list(self.events)
        while drill.time < seconds and drill.safety is SafetyState.ACTIVE:
            while left and left[0][0] <= drill.time:
                happening = left.pop(0)[1]
                if isinstance(happening, VelocityCommand):
                    drill.command = happening
                else:
                    drill.push(happening)
            drill.step()
        return drill


def _events(policy: PolicyBundle, rng: np.random.Generator) -> tuple[tuple[float, VelocityCommand | FloatArray], ...]:
    ranges = (policy.command.linear_x, policy.command.linear_y, policy.command.angular_z)
    events: list[tuple[float, VelocityCommand | FloatArray]] = []
    for at in np.arange(0.0, WALK_S, COMMAND_EVERY_S):
        events.append((float(at), VelocityCommand(*(float(rng.uniform(*r)) for r in ranges))))
    for at in np.arange(PUSH_EVERY_S, WALK_S, PUSH_EVERY_S):
        heading, speed = rng.uniform(-np.pi, np.pi), rng.uniform(*PUSHES)
        events.append((float(at), np.array([speed * np.cos(heading), speed * np.sin(heading), 0.0])))
    return tuple(sorted(events, key=lambda event: event[0]))


def _walk(
    name: str, seconds: float, rng: np.random.Generator, progress: Progress
) -> tuple[float, int, tuple[str, ...], int]:
    """Time walked [s], pushes, what the monitor said where the robot would not have fallen, and falls."""
    robot = find_robot(name)
    policy = find_policy(default_policy(robot))
    cast = Cast(robot, policy, None, load_safety_limits(safety_file()))
    task = progress.add_task("walking under pushes", total=seconds)
    walked, pushes, fell = 0.0, 0, 0
    trips: list[str] = []
    while walked < seconds:
        walk = _Walk(cast, _events(policy, rng))
        drill = walk.run(min(WALK_S, seconds - walked))
        if drill.safety is not SafetyState.ACTIVE:
            status = drill.monitor.status
            alone = walk.run(drill.time + FALLS_WITHIN_S, guarded=False)
            if alone.lies():
                fell += 1
            else:
                trips.append(f"{walked + drill.time:.1f} s: {status.state.value}, {status.text}")
        pushes += sum(at <= drill.time and not isinstance(what, VelocityCommand) for at, what in walk.events)
        walked += drill.time
        progress.update(task, completed=walked)
    return walked, pushes, tuple(trips), fell


def _table(result: SafetyBench) -> Table:
    table = Table(show_header=False)
    rows = {
        "wild inputs through the envelope": f"{result.inputs}; promises broken: {result.broken or 'none'}",
        "one clamp, 29 joints": f"{result.clamp_us:.1f} µs; wild, with a damping: {result.wild_us:.1f} µs",
        "the monitor, 29 joints": f"{result.observe_us:.1f} µs a state, {result.judge_us:.1f} µs an effort",
        "walked": f"{result.walked / 3600.0:.2f} h, {result.pushes} pushes of {PUSHES[0]:g} to {PUSHES[1]:g} m/s",
        "fell, and was caught falling": f"{result.fell} times",
        "cried wolf": f"{len(result.trips)} times",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    for trip in result.trips:
        table.add_row("", trip)
    return table
