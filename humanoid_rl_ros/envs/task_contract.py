"""The policy bundle that a task promises: joints, gains, observation, action, clock; all but the weights."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from humanoid_rl_ros.core.action import ActionSpec
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.observation_spec import ObservationSpec
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.task_spec import ControlSpec, TaskSpec
from humanoid_rl_ros.policies.bundle import GROUND_TRUTH, DrivenJoint, HeldJoint, PolicyBundle, WeightsSpec
from humanoid_rl_ros.policies.bundle_observation import read_observation

WEIGHTS = "policy.onnx"


def task_contract(task: TaskSpec, robot: RobotSpec) -> PolicyBundle:
    """What a policy trained on a task must be run with.

    Args:
        task: the task.
        robot: the robot.

    Returns:
        A bundle whose weights are a placeholder.

    Raises:
        ConfigError: no joint is driven, or a driven joint has no gains.
    """
    driven = matching_joints(robot, task.control.driven, f"{task.source}: control", "the driven pattern")
    joints = {name: _driven(task.control, robot, name) for name in driven}
    held = {
        joint.name: HeldJoint(joint.default_position, joint.kp, joint.kd, joint.effort_limit)
        for joint in robot.joints
        if joint.name not in joints
    }
    n, clip = len(driven), task.control.clip
    free = (math.inf,) * n
    action = ActionSpec(
        joints=driven,
        kind="position_offset",
        scale=tuple(
            _effort_share(task.control, name) * joint.effort_limit / joint.kp for name, joint in joints.items()
        ),
        offset=tuple(joint.default_position for joint in joints.values()),
        clip_lower=(-clip,) * n,
        clip_upper=(clip,) * n,
        target_lower=tuple(-bound for bound in free),
        target_upper=free,
    )
    observation = observation_spec(task, robot, driven)
    return PolicyBundle(
        name=f"{robot.name}_{task.name}",
        robot=robot.name,
        weights=WeightsSpec(Path(WEIGHTS)),
        joints=joints,
        held=held,
        observation=observation,
        action=action,
        control_period=task.control.period,
        pd_rate=task.control.pd_rate,
        command=task.commands.full,
        hand_targets=task.hand_targets.full if task.hand_targets else None,
        gait=task.gait,
        soft_effort_limit=task.control.soft_effort_limit,
        base_velocity=GROUND_TRUTH if "base_lin_vel" in observation.term_names() else "",
    )


def matching_joints(robot: RobotSpec, patterns: Sequence[str], where: str, what: str) -> tuple[str, ...]:
    """The joints that match a pattern, in the robot's order.

    Args:
        robot: whose joints.
        patterns: of their names.
        where: the patterns stand, for the message.
        what: they are, for the message.

    Raises:
        ConfigError: a pattern matches none.
    """
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in robot.joint_names):
            raise ConfigError(
                f"{where}: no joint of robot '{robot.name}' matches {what} '{pattern}'; "
                f"its joints: {', '.join(robot.joint_names)}"
            )
    return tuple(name for name in robot.joint_names if any(fnmatch.fnmatchcase(name, p) for p in patterns))


def observation_spec(
    task: TaskSpec, robot: RobotSpec, driven: tuple[str, ...], *, critic: bool = False
) -> ObservationSpec:
    """The observation of the actor or of the critic.

    Raises:
        ConfigError: a key is unknown or malformed.
    """
    key = "critic_observation" if critic else "observation"
    mapping = task.critic_observation if critic else task.observation
    if not hasattr(mapping, "keys"):
        raise ConfigError(f"{task.source}: '{key}' must be a mapping, found {mapping!r}")
    default = {joint.name: joint.default_position for joint in robot.joints}
    section = Section(mapping, f"{task.source}: {key}")
    return read_observation(
        section, {name: default[name] for name in driven}, task.gait.stand_threshold if task.gait else None
    )


def _effort_share(control: ControlSpec, joint: str) -> float:
    shares = (share for pattern, share in control.joint_effort_share.items() if fnmatch.fnmatchcase(joint, pattern))
    return next(shares, control.effort_share)


def _driven(control: ControlSpec, robot: RobotSpec, name: str) -> DrivenJoint:
    joint = robot.joints[robot.joint_names.index(name)]
    if control.gains == "robot":
        kp, kd = joint.kp, joint.kd
    else:
        omega = 2.0 * np.pi * control.frequency
        kp, kd = joint.armature * omega**2, 2.0 * control.damping_ratio * joint.armature * omega
    if kp <= 0.0:
        what = "kp" if control.gains == "robot" else "armature"
        raise ConfigError(
            f"robot '{robot.name}': joint '{name}' has no {what}, which the task takes its gains from; "
            "give it one, or choose 'gains' in the task's control"
        )
    # Numbers a person can read and a file keeps exactly.
    return DrivenJoint(joint.default_position, round(float(kp), 4), round(float(kd), 5), joint.effort_limit)
