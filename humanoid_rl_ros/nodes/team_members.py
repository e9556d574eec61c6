"""The robots of a world as the parameters of its node name them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.nodes.parameters import WorldParameters
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.team_model import Member, StartPlace, in_a_row


def members_of(parameters: WorldParameters) -> list[Member]:
    """The robots that the parameters name.

    Raises:
        HumanoidError: a robot is not there, or the parameters do not fit each other.
    """
    names, n = parameters.robots, len(parameters.robots)
    if not names:
        raise ConfigError("parameter 'robots' names no robot; such as robots:=[left, right]")
    kinds = parameters.kinds or (parameters.robot,) * n
    if len(kinds) != n:
        raise ConfigError(f"parameter 'kinds' names {len(kinds)} robots, 'robots' names {n}")
    if parameters.poses and len(parameters.poses) != 3 * n:
        raise ConfigError(
            f"parameter 'poses' needs three numbers for each of {n} robots, x y yaw; found {len(parameters.poses)}"
        )
    places = (
        [StartPlace(*parameters.poses[i : i + 3]) for i in range(0, 3 * n, 3)]
        if parameters.poses
        else in_a_row(n, parameters.spacing)
    )
    robots = {kind: find_robot(kind) for kind in kinds}
    return [Member(name, robots[kind], place) for name, kind, place in zip(names, kinds, places, strict=True)]


def initial_positions(parameters: WorldParameters, members: list[Member]) -> dict[str, FloatArray]:
    """The poses at reset by name, of the parameter that holds them one after the other.

    Raises:
        ConfigError: there is not one number for each joint.
    """
    if not parameters.initial_position:
        return {}
    ends = np.cumsum([0, *(member.robot.n_joints for member in members)])
    if len(parameters.initial_position) != ends[-1]:
        raise ConfigError(
            f"parameter 'initial_position' has {len(parameters.initial_position)} numbers, the robots have "
            f"{ends[-1]} joints"
        )
    numbers = np.array(parameters.initial_position)
    return {member.name: numbers[i:j] for member, (i, j) in zip(members, pairwise(ends), strict=True)}
