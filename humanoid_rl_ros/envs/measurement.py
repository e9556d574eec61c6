"""What the sensors of many simulated robots say, and what is true."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import EVERYONE, FloatArray, IndexArray
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.envs.randomisation import EpisodeDraws, RandomisationSpec, tilted
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation


def true_state(simulation: BatchSimulation, rows: IndexArray | slice = EVERYONE) -> RobotState:
    """The state as ideal sensors would give it, base velocity included, of all robots or of some rows [Shape (k,)]."""
    imu = simulation.imu(rows)
    return RobotState(
        stamp_ns=0,
        joint_position=simulation.joint_position[rows],
        joint_velocity=simulation.joint_velocity[rows],
        orientation=imu.orientation,
        angular_velocity=imu.angular_velocity,
        linear_acceleration=simulation.accelerometer[rows],
        base_linear_velocity=imu.linear_velocity,
    )


def measured_state(
    truth: RobotState,
    draws: EpisodeDraws,
    level: float,
    rng: np.random.Generator,
    rows: IndexArray | slice = EVERYONE,
) -> RobotState:
    """The state as this episode's sensors give it: constant errors, and noise drawn anew.

    Args:
        truth: of these robots.
        draws: the constant errors of all robots.
        level: factor on the noise.
        rng: the source of chance, of which every robot takes its share; not touched where the task has no noise.
        rows: the robots [Shape (k,)].
    """
    spec = draws.spec
    tilt = draws.imu_tilt[rows]
    position = truth.joint_position + draws.encoder_offset[rows]
    velocity, gyro = truth.joint_velocity, truth.angular_velocity
    if spec.noisy:
        n, joints = draws.encoder_offset.shape
        noise = _uniform(rng, (n, 2 * joints + 5))[rows]
        position = position + level * spec.position_noise * noise[:, :joints]
        velocity = velocity + level * spec.velocity_noise * noise[:, joints : 2 * joints]
        gyro = gyro + level * spec.gyro_noise * noise[:, 2 * joints : 2 * joints + 3]
        tilt = tilt + level * spec.tilt_noise * noise[:, 2 * joints + 3 :]
    orientation = tilted(truth.orientation, tilt) if _tilts(spec) else truth.orientation
    return RobotState(0, position, velocity, orientation, gyro, truth.linear_acceleration, truth.base_linear_velocity)


def _tilts(spec: RandomisationSpec) -> bool:
    return max(spec.imu_tilt, spec.tilt_noise) > 0.0


def _uniform(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Between −1 and 1; single precision is twice as fast and enough for noise."""
    return 2.0 * rng.random(shape, dtype=np.float32).astype(np.float64) - 1.0
