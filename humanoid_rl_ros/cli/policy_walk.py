"""A few simulated seconds of a policy on its robot, under the safety monitor, in one process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.behaviours.walk import pose_and_gains
from humanoid_rl_ros.cli.drill import Cast, Drill
from humanoid_rl_ros.core.command import AXES, CommandFilter
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import VelocityCommand
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.resources import safety_file
from humanoid_rl_ros.safety.limits import load_safety_limits
from humanoid_rl_ros.safety.status import ON_ITS_FEET, SafetyState

STAND_S = 2.0
"""How long it stands before it is told to walk [s]."""
SETTLE_S = 2.0
"""How long it may take to come to speed [s]."""
AT_LIMIT = 0.99


@dataclass(frozen=True)
class Walk:
    """What came of it.

    Attributes:
        seconds: asked for [s].
        upright: until it fell or the monitor stopped it [s].
        degraded: why the monitor kept it from following commands for a while; empty where it never did.
        ended_by: what the monitor or the physics said; empty where it stayed up.
        command: what it was told after `STAND_S`, within its ranges [m/s, m/s, rad/s].
        velocity: mean over the last part, in its own frame [m/s, m/s, rad/s].
        at_limit: share of efforts at their limit, over time and joints.
        worst_joint: the joint that is there most often.
        worst_share: how often.
    """

    seconds: float
    upright: float
    degraded: str
    ended_by: str
    command: tuple[float, float, float]
    velocity: tuple[float, float, float]
    at_limit: float
    worst_joint: str
    worst_share: float


def walk(bundle: PolicyBundle, robot: RobotSpec, *, command: VelocityCommand, seconds: float) -> Walk:
    """Let it stand, then walk.

    Args:
        bundle: fits the robot.
        robot: has a model.
        command: asked for after `STAND_S`; what is out of range is clipped.
        seconds: simulated time from the moment it is armed [s].

    Returns:
        What came of it.

    Raises:
        HumanoidError: the model or the network cannot be loaded, or the monitor does not let it begin.
    """
    drill = Drill(Cast(robot, bundle, None, load_safety_limits(safety_file())))
    _, gains = pose_and_gains(bundle, robot)
    asked = CommandFilter(bundle.command, bundle.control_period).apply(command)
    drill.arm()
    start, speeds, at_limit = drill.time, [], np.zeros(robot.n_joints)
    states, ended, degraded = 0, "", ""
    while drill.time - start < seconds and not ended:
        drill.command = VelocityCommand(*map(float, asked)) if drill.time - start >= STAND_S else VelocityCommand()
        try:
            drill.step()
        except HumanoidError as error:
            ended = str(error)
            break
        states += 1
        at_limit += np.abs(drill.effort) >= AT_LIMIT * gains.effort_limit
        if drill.safety not in ON_ITS_FEET:
            doing = "while it walked" if drill.time - start >= STAND_S else "while it stood, before it was told to walk"
            ended = f"{doing}: {drill.safety.value}: {drill.monitor.status.text}"
        elif drill.safety is SafetyState.DEGRADED:
            degraded = drill.monitor.status.text
        if drill.time - start >= STAND_S + SETTLE_S:
            truth = drill.backend.ground_truth()
            speeds.append((*truth.base_linear_velocity[:2], truth.base_angular_velocity[2]))
    share = at_limit / max(states, 1)
    worst = int(np.argmax(share))
    mean = np.mean(speeds, axis=0) if speeds else np.zeros(len(AXES))
    return Walk(
        seconds=seconds,
        upright=drill.time - start,
        degraded=degraded,
        ended_by=ended,
        command=(float(asked[0]), float(asked[1]), float(asked[2])),
        velocity=(float(mean[0]), float(mean[1]), float(mean[2])),
        at_limit=float(share.mean()),
        worst_joint=robot.joint_names[worst],
        worst_share=float(share[worst]),
    )
