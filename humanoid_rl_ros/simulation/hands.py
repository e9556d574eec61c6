"""Where a robot's hands are for the angles of its joints."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ModelError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.simulation.batch_sensors import kind_of
from humanoid_rl_ros.simulation.layout import layout
from humanoid_rl_ros.simulation.model_file import mujoco
from humanoid_rl_ros.simulation.mujoco_model import prepare


def hand_positions(robot: RobotSpec, joint_position: FloatArray) -> FloatArray:
    """Forward kinematics of the hands.

    Args:
        robot: with a model that has its hands.
        joint_position: in the robot's order [rad; Shape (k, n)].

    Returns:
        Of the left and the right hand [m; root frame; Shape (k, 2, 3)].

    Raises:
        ConfigError, ModelError: the robot has no hands, or cannot be simulated.
    """
    if not robot.hands:
        raise ModelError(f"robot '{robot.name}' names no hands")
    model = prepare(robot, timestep=0.005, visual=False)
    place, data = layout(model, robot), mujoco.MjData(model)
    sites = [kind_of(model, hand) == mujoco.mjtObj.mjOBJ_SITE for hand in robot.hands]
    found = np.empty((len(joint_position), len(robot.hands), 3))
    for k, position in enumerate(joint_position):
        data.qpos[place.qpos] = position
        mujoco.mj_kinematics(model, data)
        root = data.xmat[place.root_body].reshape(3, 3)
        for h, (hand, is_site) in enumerate(zip(robot.hands, sites, strict=True)):
            there = data.site(hand).xpos if is_site else data.body(hand).xpos
            found[k, h] = root.T @ (there - data.xpos[place.root_body])
    return found
