"""`humanoid_rl robot describe|check`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from humanoid_rl_ros.cli.files import write_text
from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.controller import PDController, PDGains
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.robot import RobotSpec, dump_robot
from humanoid_rl_ros.core.state import JointTarget
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.describe import describe
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend

CHECK_SECONDS = 2.0
FALLEN_TILT_RAD = 1.0


def describe_robot(
    model: Path, output: Path | None, name: str, imu: str, console: Console, notes: Console, *, overwrite: bool = False
) -> None:
    """Write the robot YAML of a model to a file, or to the terminal.

    Args:
        model: MJCF or URDF.
        output: file, or None for the terminal.
        name: robot name; empty for the model's.
        imu: site or body of the IMU; empty to find it.
        console: where the YAML goes without a file.
        notes: where the inferences are listed.
        overwrite: whether a file that is there is replaced.

    Raises:
        HumanoidError: the model is not usable.
    """
    if output is not None and output.exists() and not overwrite:
        raise ConfigError(f"{output} is there already; give another name, or --overwrite to replace it")
    described = describe(model.resolve(), name=name or None, imu=imu or None)
    comment = "\n".join(
        ["Written by `humanoid_rl robot describe`; what was inferred:", *(f"- {n}" for n in described.notes)]
    )
    text = dump_robot(described.robot, comment=comment)
    if output is None:
        console.print(text, markup=False, soft_wrap=True, end="")
        return
    write_text(output, text)
    for note in described.notes:
        notes.print(f"- {note}", markup=False)
    console.print(f"wrote {output}: {described.robot.n_joints} joints")


def check_robot(name: str, console: Console) -> bool:
    """Show a robot and hold its default pose in simulation for a while.

    Args:
        name: as `humanoid_rl_ros.resources.find_robot` takes it.
        console: where to show it.

    Returns:
        Whether the simulation went through; falling over is reported, not refused, for a pose is no balance.

    Raises:
        HumanoidError: the robot or its model is not usable.
    """
    robot = find_robot(name)
    console.print(_joint_table(robot))
    if robot.model is None:
        console.print("no model: not simulated")
        return True
    backend = MujocoBackend(robot)
    controller = PDController(PDGains(robot.kp, robot.kd, robot.effort_limit))
    target = JointTarget(robot.default_position, np.zeros(robot.n_joints))
    state = backend.reset()
    height = backend.ground_truth().base_height
    fell_at: float | None = None
    while state.stamp_ns < CHECK_SECONDS * 1e9:
        state = backend.step(controller.effort(target, state))
        if fell_at is None and float(rotations.tilt(backend.ground_truth().base_orientation)) > FALLEN_TILT_RAD:
            fell_at = state.stamp_ns * 1e-9
    truth = backend.ground_truth()
    console.print(
        f"model {robot.model.locate()}: stands at {height:.3f} m; after {CHECK_SECONDS:g} s of holding its pose at "
        f"{truth.base_height:.3f} m, tilt {np.degrees(float(rotations.tilt(truth.base_orientation))):.1f}°"
        + (f"; fell at {fell_at:.2f} s, which a policy must prevent" if fell_at is not None else "")
    )
    return True


def _joint_table(robot: RobotSpec) -> Table:
    table = Table(title=f"{robot.name}: {robot.n_joints} joints, IMU at {robot.imu.attachment or 'the root body'}")
    for heading in ("joint", "limits [rad]", "effort [N·m]", "velocity [rad/s]", "default [rad]", "kp", "kd"):
        table.add_column(heading, justify="left" if heading == "joint" else "right")
    for joint in robot.joints:
        limits = f"{joint.lower:.2f} … {joint.upper:.2f}"
        numbers = (joint.effort_limit, joint.velocity_limit, joint.default_position, joint.kp, joint.kd)
        table.add_row(joint.name, limits, *(f"{number:g}" for number in numbers))
    return table
