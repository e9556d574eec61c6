"""`humanoid_rl bench falls`: a walking robot is pushed over, again and again; how often it gets up by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from humanoid_rl_ros.cli.drill import Cast, Drill
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.core.state import VelocityCommand
from humanoid_rl_ros.resources import default_get_up, default_policy, find_policy, find_robot, safety_file
from humanoid_rl_ros.safety.limits import load_safety_limits
from humanoid_rl_ros.safety.status import SafetyState

DIRECTIONS = 8
HARDER = (1.5, 2.0, 2.5, 3.0, 3.5)
"""Pushes one after another until the robot falls [m/s]."""
FALLS_WITHIN_S = 1.5
LONGEST_S = 60.0
WALKS_ON_S = 5.0


@dataclass(frozen=True)
class FallResult:
    """One fall.

    Attributes:
        direction: of the push, from straight ahead, counter-clockwise [deg].
        push: the last one [m/s].
        warning: from the moment it was known to fall to the first touch of the floor by the base [s].
        side: on which it came to lie first, as the monitor says.
        tries: to get up.
        recovered: whether it was on its feet again.
        walked_on: whether it then walked for 5 s.
        seconds: from known to fall to on its feet [s].
        speed: joints while getting up, largest share of the velocity limit.
        end: the monitor's state at the end, and its reason.
    """

    direction: float
    push: float
    warning: float
    side: str
    tries: int
    recovered: bool
    walked_on: bool
    seconds: float
    speed: float
    end: str


@dataclass(frozen=True)
class FallOptions:
    """What `humanoid_rl bench falls` was asked.

    Attributes:
        robot, policy, get_up: names or paths; empty: what is shipped for the robot.
        count: falls.
        seed: of directions, times and commands.
        limits: safety YAML; empty for the shipped one.
    """

    robot: str = "reference"
    policy: str = ""
    get_up: str = ""
    count: int = 100
    seed: int = 0
    limits: str = ""


def run_falls(options: FallOptions, *, json_file: Path | None, console: Console) -> float:
    """Push it over, and print how often it got up.

    Args:
        options: who falls, and how often.
        json_file: where every fall goes, or None.
        console: where the table goes.

    Returns:
        Share of the falls after which it walked on.

    Raises:
        HumanoidError: somebody is not there, does not fit, or the robot cannot be pushed over.
    """
    robot = find_robot(options.robot)
    get_up = options.get_up or default_get_up(robot)
    if not get_up:
        raise ConfigError(f"nothing is shipped that gets robot '{robot.name}' up; name a bundle with --get-up")
    policy = find_policy(options.policy or default_policy(robot))
    cast = Cast(robot, policy, find_policy(get_up), load_safety_limits(safety_file(options.limits)))
    rng = np.random.default_rng(options.seed)
    falls = [
        _fall(cast, 360.0 / DIRECTIONS * (k % DIRECTIONS), rng)
        for k in track(range(options.count), "falling", console=console, transient=True)
    ]
    console.print(_table(falls, cast))
    if json_file is not None:
        write_json(json_file, [asdict(fall) for fall in falls])
    return float(np.mean([fall.walked_on for fall in falls]))


def _fall(cast: Cast, direction: float, rng: np.random.Generator) -> FallResult:
    drill = Drill(cast)
    drill.arm()
    drill.command = VelocityCommand(rng.uniform(0.0, 0.6), rng.uniform(-0.2, 0.2), rng.uniform(-0.4, 0.4))
    drill.run(2.0 + rng.uniform(0.0, 1.4))
    heading = np.radians(direction + rng.uniform(-22.5, 22.5)) + drill.heading()
    for push in HARDER:
        drill.push([push * np.cos(heading), push * np.sin(heading), 0.0])
        if drill.run(FALLS_WITHIN_S, until=SafetyState.FALLING):
            break
    else:
        raise HumanoidError(f"robot '{cast.robot.name}' does not fall, pushed by {HARDER[-1]:g} m/s")
    began = drill.time
    warning, side, speed = float("nan"), "", 0.0
    while drill.time < began + LONGEST_S and drill.safety not in (SafetyState.ACTIVE, SafetyState.ESTOP):
        state = drill.step()
        if np.isnan(warning) and drill.lies():
            warning = drill.time - began
        if not side and drill.monitor.status.direction is not None:
            side = drill.monitor.status.direction.value
        if drill.safety is SafetyState.RECOVERING:
            speed = max(speed, float((np.abs(state.joint_velocity) / cast.robot.velocity_limit).max()))
    seconds, tries = drill.time - began, drill.monitor.status.tries
    recovered = drill.safety is SafetyState.ACTIVE
    drill.run(WALKS_ON_S)
    status = drill.monitor.status
    walked_on = recovered and status.counters.recoveries == 1 and drill.safety is SafetyState.ACTIVE
    end = f"{status.state.value} {status.reason}".strip()
    return FallResult(direction, push, warning, side, tries, recovered, walked_on, seconds, speed, end)


def _table(falls: Sequence[FallResult], cast: Cast) -> Table:
    assert cast.get_up is not None
    table = Table(title=f"{cast.robot.name}, {cast.policy.name}, {cast.get_up.name}: {len(falls)} falls")
    for heading in ("came to lie", "falls", "1st try", "within all", "walked on", "median [s]", "longest [s]"):
        table.add_column(heading, justify="left" if heading == "came to lie" else "right")
    for side in [*sorted({fall.side for fall in falls}), "all"]:
        of = [fall for fall in falls if side in ("all", fall.side)]
        times = [fall.seconds for fall in of if fall.recovered] or [float("nan")]
        table.add_row(
            side or "never still",
            str(len(of)),
            str(sum(fall.recovered and fall.tries == 1 for fall in of)),
            str(sum(fall.recovered for fall in of)),
            str(sum(fall.walked_on for fall in of)),
            f"{np.median(times):.1f}",
            f"{max(times):.1f}",
        )
    warnings = [fall.warning for fall in falls if np.isfinite(fall.warning)] or [float("nan")]
    ends = sorted({fall.end for fall in falls if not fall.walked_on})
    table.caption = (
        f"damped {np.median(warnings) * 1e3:.0f} ms (least {min(warnings) * 1e3:.0f} ms) before the base was down; "
        f"joints up to {max(fall.speed for fall in falls):.2f} of their velocity limits while getting up"
        + (f"; what failed ended in {', '.join(ends)}" if ends else "")
    )
    return table
