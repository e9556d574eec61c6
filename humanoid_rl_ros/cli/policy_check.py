"""`humanoid_rl policy check`: does a bundle fit a robot, does its network behave, and does it stay up?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import VelocityCommand
from humanoid_rl_ros.policies.bundle import ESTIMATOR, GROUND_TRUTH, PolicyBundle
from humanoid_rl_ros.policies.contract import ERROR, NOTE, OK, WARNING, Finding, contract_lines
from humanoid_rl_ros.policies.probe import Probe
from humanoid_rl_ros.policies.trial import try_bundle
from humanoid_rl_ros.resources import find_policy, find_robot, robot_of

SECONDS = 10.0
SLOW_SHARE = 0.2
"""Of its period that an inference may take before it is a warning."""
OFTEN = 0.05
"""Share of actions at their clip, or efforts at their limit, from which on it is a warning."""
NEAR, SLACK = 0.3, 0.1
"""Of a velocity that is asked for: the share, and the amount [m/s, rad/s], that it may be missed by."""
_MARK = {OK: "[green]ok[/]", NOTE: "[cyan]note[/]", WARNING: "[yellow]warning[/]", ERROR: "[red]error[/]"}


@dataclass(frozen=True)
class CheckOptions:
    """What `humanoid_rl policy check` was asked.

    Attributes:
        bundle, robot: as `humanoid_rl_ros.resources` finds them; robot empty: the bundle's own.
        seconds: simulated time; 0 for none [s].
        command: velocity it is told to walk at [m/s, m/s, rad/s].
        json_file: where the lines go, or None.
    """

    bundle: str
    robot: str
    seconds: float = SECONDS
    command: tuple[float, float, float] = (0.5, 0.0, 0.0)
    json_file: Path | None = None


def check_policy(options: CheckOptions, console: Console) -> bool:
    """Print line by line what fits and what does not; run the network, and the robot in simulation.

    Args:
        options: what to check.
        console: where to print.

    Returns:
        Whether the policy may run on the robot; if not, the first reason is printed last.

    Raises:
        HumanoidError: the bundle or the robot cannot be read.
    """
    bundle = find_policy(options.bundle)
    robot = find_robot(options.robot or robot_of(bundle))
    lines = contract_lines(bundle, robot, base_velocity=_base_velocity(robot))
    lines += _network_lines(bundle)
    if any(line.level == ERROR for line in lines):
        lines.append(Finding(NOTE, "simulation", "not run: see the errors above"))
    else:
        lines += _simulation_lines(bundle, robot, options)
    console.print(_table(bundle, robot, lines))
    errors = [line for line in lines if line.level == ERROR]
    if options.json_file is not None:
        findings = [asdict(line) for line in lines]
        write_json(
            options.json_file,
            {"policy": bundle.name, "robot": robot.name, "fits": not errors, "lines": findings},
        )
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        text = f"'{bundle.name}' does not fit robot '{robot.name}': {errors[0].text}{more}"
        console.print(text, style="red", markup=False, soft_wrap=True)
    else:
        console.print(f"'{bundle.name}' fits robot '{robot.name}'", markup=False, soft_wrap=True)
    return not errors


def _base_velocity(robot: RobotSpec) -> str:
    if robot.base_velocity_topic:
        return ESTIMATOR
    return GROUND_TRUTH if robot.model is not None else ""


def _network_lines(bundle: PolicyBundle) -> Iterable[Finding]:
    try:
        found = try_bundle(bundle.folder)
    except HumanoidError as error:
        return [Finding(ERROR, "network", str(error))]
    return [_finite(found), *_range(bundle, found), _time(bundle, found)]


def _finite(found: Probe) -> Finding:
    if found.not_finite:
        return Finding(ERROR, "network", f"it gives NaN or Inf on {found.not_finite}")
    if not found.repeatable:
        return Finding(WARNING, "network", "after a reset it gives other actions than before: it hides a state")
    return Finding(
        OK, "network", f"finite on {found.calls} usual, extreme and wild observations; the same after a reset"
    )


def _range(bundle: PolicyBundle, found: Probe) -> Iterable[Finding]:
    unit = "N·m" if bundle.action.kind == "effort" else "rad"
    text = (
        f"largest {found.largest_action:.3g} on usual observations, {found.beyond_default:.2f} {unit} from the "
        f"default; {100.0 * found.at_clip:.1f} % at the clip"
    )
    yield Finding(WARNING if found.at_clip > OFTEN else OK, "actions", text)


def _time(bundle: PolicyBundle, found: Probe) -> Finding:
    p50, p99 = found.microseconds_p50 * 1e-3, found.microseconds_p99 * 1e-3
    period = bundle.control_period * 1e3
    text = f"p50 {p50:.3f} ms, p99 {p99:.3f} ms of a period of {period:g} ms"
    level = ERROR if p50 > period else WARNING if p99 > SLOW_SHARE * period else OK
    return Finding(level, "time per call", text)


def _simulation_lines(bundle: PolicyBundle, robot: RobotSpec, options: CheckOptions) -> Iterable[Finding]:
    if options.seconds <= 0.0:
        return [Finding(NOTE, "simulation", "not asked for")]
    if robot.model is None:
        return [Finding(NOTE, "simulation", "not run: the robot has no model")]
    from humanoid_rl_ros.cli.policy_walk import (  # needs mujoco, which a robot's computer may lack
        SETTLE_S,
        STAND_S,
        walk,
    )

    try:
        found = walk(bundle, robot, command=VelocityCommand(*options.command), seconds=options.seconds)
    except HumanoidError as error:
        return [Finding(ERROR, "simulation", str(error))]
    if found.ended_by:
        text = f"down after {found.upright:.2f} of {found.seconds:g} simulated seconds, {found.ended_by}"
        return [Finding(ERROR, "simulation", text)]
    asked, got = (" ".join(f"{value:+.2f}" for value in triple) for triple in (found.command, found.velocity))
    text = f"upright for {found.seconds:g} s; asked for ({asked}), moved at ({got}) m/s m/s rad/s"
    lines = [Finding(OK, "simulation", text)]
    off = max(abs(a - g) - NEAR * abs(a) for a, g in zip(found.command, found.velocity, strict=True))
    if off > SLACK and found.seconds > STAND_S + SETTLE_S:
        lines[0] = Finding(WARNING, "simulation", f"{text}: otherwise than asked; compare it with a recording")
    if found.degraded:
        lines.append(Finding(WARNING, "safety monitor", f"DEGRADED for a while: {found.degraded}"))
    share = f"{100.0 * found.at_limit:.1f} % of efforts at their limit"
    if found.worst_share > OFTEN:
        where = f"{100.0 * found.worst_share:.0f} % of the time"
        return [*lines, Finding(WARNING, "saturation", f"{share}; '{found.worst_joint}' is there {where}")]
    return [*lines, Finding(OK, "saturation", share)]


def _table(bundle: PolicyBundle, robot: RobotSpec, lines: Iterable[Finding]) -> Table:
    table = Table(title=f"{escape(bundle.name)} on {escape(robot.name)}", title_style="bold")
    for heading in ("", "what", "found"):
        table.add_column(heading, overflow="fold")
    for line in lines:
        table.add_row(_MARK[line.level], escape(line.item), escape(line.text))
    return table
