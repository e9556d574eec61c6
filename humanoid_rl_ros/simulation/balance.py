"""A linear standing policy for any humanoid, worked out from its model: no training.

The robot with its PD law and its feet on the floor is linearised in MuJoCo, a linear-quadratic regulator is solved for
it, and the regulator is turned into a gain on what a robot measures (gyro, gravity, joints), with the feet at rest as
the only assumption. A bound on each action keeps the robot about as firm as its PD law once a foot leaves the floor,
where the linear model ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, frozen
from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.simulation.balance_plant import BalanceCost, MeasurementNoise, StandingPlant
from humanoid_rl_ros.simulation.gains import PD_PERIOD

# The order of the observation that the gain is for; widths 3, 3, n, n.
OBSERVATION = ("base_ang_vel", "projected_gravity", "joint_pos_rel", "joint_vel_rel")
# What the bound of an action may add to the effort of a joint, as a part of its limit.
EFFORT_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class BalancePolicy:
    """action = clip(−gain · (observation − rest), ±bound); joint target = pose + holding_offset + action.

    Attributes:
        pose: the robot's default pose, with the centre of mass moved over the middle of the soles [rad; Shape (n,)].
        holding_offset: target less pose at which the PD law carries the weight at rest [rad; Shape (n,)].
        gain: for the terms of `OBSERVATION` [rad per their units; Shape (n, 6 + 2n)].
        rest: the observation of the robot at rest [Shape (6 + 2n,)].
        bound: largest action of each joint [rad; Shape (n,)].
        period: time between two actions [s].
        spectral_radius: largest modulus of the linear closed loop's eigenvalues, drift on the floor left out; below 1.
    """

    pose: FloatArray
    holding_offset: FloatArray
    gain: FloatArray
    rest: FloatArray
    bound: FloatArray
    period: float
    spectral_radius: float

    def __post_init__(self) -> None:
        for name in ("pose", "holding_offset", "gain", "rest", "bound"):
            object.__setattr__(self, name, frozen(getattr(self, name)))


def balance_policy(
    robot: RobotSpec,
    *,
    period: float = 0.01,
    cost: BalanceCost | None = None,
    noise: MeasurementNoise | None = None,
    effort_share: float = EFFORT_SHARE,
) -> BalancePolicy:
    """Work out a standing policy.

    Args:
        robot: must have a model and gains.
        period: of the policy, a whole multiple of `PD_PERIOD` [s].
        cost: what the regulator trades off.
        noise: how far what is measured is trusted.
        effort_share: what an action may add to the effort of a joint, as a part of its limit.

    Returns:
        The policy.

    Raises:
        ConfigError: the period is no multiple of `PD_PERIOD`, or the model cannot be found.
        ModelError: the robot has no feet to stand on, a joint has no gain, or no gain stabilises it.
    """
    steps = round(period / PD_PERIOD)
    if steps < 1 or not math.isclose(steps * PD_PERIOD, period, rel_tol=1e-9):
        raise ConfigError(f"policy period {period:g} s is not a whole multiple of the PD law's {PD_PERIOD:g} s")
    weak = [joint.name for joint in robot.joints if joint.kp <= 0.0]
    if weak:
        raise ModelError(
            f"robot '{robot.name}': joint '{weak[0]}' has kp 0; standing moves PD targets, so give it a kp"
        )
    plant = StandingPlant(robot)
    a, b = plant.over(steps)
    gain = _regulator(a, b, *plant.weighted_outputs(a, b, period, cost or BalanceCost()), plant.relevant)
    measured = plant.measurement()
    gain = gain @ plant.estimator(measured, noise or MeasurementNoise())
    loop = (a - b @ gain @ measured)[np.ix_(plant.relevant, plant.relevant)]
    radius = float(np.abs(np.linalg.eigvals(loop)).max())
    if not radius < 1.0:
        raise ModelError(
            f"robot '{robot.name}': no linear law found that stands (spectral radius {radius:.4f}); "
            "check the masses, the gains and that the default pose rests on its soles"
        )
    rest = np.zeros(len(measured))
    rest[3:6] = plant.gravity_at_rest
    offset = plant.holding_effort / robot.kp
    bound = effort_share * robot.effort_limit / robot.kp
    return BalancePolicy(plant.pose, offset, gain, rest, bound, period, radius)


def _regulator(a: FloatArray, b: FloatArray, h: FloatArray, d: FloatArray, relevant: FloatArray) -> FloatArray:
    """The gain K of u = −K x that minimises Σ |H x + D u|² [Shape (n, 2nv)]; zero for states that are not relevant.

    The Riccati equation is solved by doubling (Chu, Fan, Lin and Wang 2004, Int. J. Control 77, 767), after the cross
    term HᵀD is removed by a first feedback.
    """
    full = np.zeros((b.shape[1], a.shape[0]))
    a, b, h = a[np.ix_(relevant, relevant)], b[relevant], h[:, relevant]
    weight = d.T @ d
    first = np.linalg.solve(weight, d.T @ h)
    transition, reach = a - b @ first, b @ np.linalg.solve(weight, b.T)
    value = h.T @ h - h.T @ d @ first
    for _ in range(50):
        inverse = np.linalg.inv(np.eye(len(a)) + reach @ value)
        step = transition.T @ value @ inverse @ transition
        reach = reach + transition @ inverse @ reach @ transition.T
        transition = transition @ inverse @ transition
        value = value + 0.5 * (step + step.T)
        if np.abs(step).max() <= 1e-10 * np.abs(value).max():
            break
    full[:, relevant] = np.linalg.solve(weight + b.T @ value @ b, b.T @ value @ a + d.T @ h)
    return full
