"""What one simulated robot may have to bear: hills under its feet, a load on its back, a joint that is weak."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.simulation.layout import ModelLayout, layout
from humanoid_rl_ros.simulation.model_file import mujoco
from humanoid_rl_ros.simulation.mujoco_model import prepare
from humanoid_rl_ros.simulation.payload import add_payload, payload_body
from humanoid_rl_ros.simulation.terrain import LOWEST, TerrainShape, add_hills


@dataclass(frozen=True)
class Hardship:
    """As a task's `randomisation` draws it, but fixed.

    Attributes:
        terrain: height of the hills around the place where the robot starts [m]; 0 for even ground.
        seed: of the hills.
        payload: mass of a load as a share of the robot's own.
        payload_on: pattern of the name of the body that carries it, at its centre of mass; empty for the root.
        weak_joint: the joint that is weak; empty for none.
        weak_share: share of the effort it is asked for that it gives.

    Raises:
        ConfigError: a number is out of range.
    """

    terrain: float = 0.0
    seed: int = 0
    payload: float = 0.0
    payload_on: str = ""
    weak_joint: str = ""
    weak_share: float = 0.5

    def __post_init__(self) -> None:
        for name, most in (("terrain", 0.5), ("payload", 2.0), ("weak_share", 1.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0.0 <= value <= most):
                raise ConfigError(f"'{name}' must be from 0 to {most:g}, found {value:g}")


def ground(robot: RobotSpec, hardship: Hardship) -> Callable[[mujoco.MjSpec], None] | None:
    """What adds the hills to the robot's model, if there are any."""
    if hardship.terrain < LOWEST:
        return None
    plain = prepare(robot, timestep=0.002, visual=False)
    floor, shape = layout(plain, robot).floor, TerrainShape(seed=hardship.seed)
    return lambda spec: add_hills(spec, plain, floor, shape, hardship.terrain)


def burden(model: mujoco.MjModel, place: ModelLayout, robot: RobotSpec, hardship: Hardship) -> None:
    """Put the load on, and take the strength away.

    Args:
        model: changed in place.
        place: its layout.
        robot: of the model.
        hardship: what to bear.

    Raises:
        ConfigError: there is no such joint, or not one such body.
    """
    if hardship.payload > 0.0:
        body = payload_body(model, hardship.payload_on, place.root_body)
        load = hardship.payload * float(model.body_subtreemass[place.root_body])
        add_payload(model, body, load, np.zeros(3))
        mujoco.mj_setConst(model, mujoco.MjData(model))
    if hardship.weak_joint:
        if hardship.weak_joint not in robot.joint_names:
            raise ConfigError(
                f"'weak_joint': robot '{robot.name}' has no joint '{hardship.weak_joint}'; "
                f"{did_you_mean(hardship.weak_joint, robot.joint_names)}"
            )
        motor = np.arange(model.nu)[place.motors][robot.joint_names.index(hardship.weak_joint)]
        model.actuator_gear[motor, 0] *= hardship.weak_share
