"""Looks at a batch of simulated robots at the end of a control step."""

from __future__ import annotations

import math

import numpy as np

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import BoolArray, FloatArray
from humanoid_rl_ros.core.gait import is_standing
from humanoid_rl_ros.envs.step import TaskStep
from humanoid_rl_ros.envs.task_spec import EpisodeSpec
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation


class Truth:
    """Makes a `TaskStep` of what the simulation knows, and keeps the mean velocity.

    Args:
        simulation: the robots.
        episode: what a fall is.
        start_position: pose [rad; Shape (j,)].
        effort_limit: [N·m; Shape (j,)].
        period: of control [s].
        averaging: time constant of the mean velocity; 0 for none [s].
        stand_threshold: commands below it ask to stand [m/s, rad/s].

    Attributes:
        mean_velocity: (forward, left, turn rate) [m/s, m/s, rad/s; Shape (n, 3)].
        nominal_height: of the base in the start pose [m].
    """

    def __init__(
        self,
        simulation: BatchSimulation,
        episode: EpisodeSpec,
        start_position: FloatArray,
        effort_limit: FloatArray,
        *,
        period: float,
        averaging: float,
        stand_threshold: float,
    ) -> None:
        self._simulation, self._episode = simulation, episode
        self._start_position, self._effort_limit = start_position, effort_limit
        self._period, self._stand_threshold = period, stand_threshold
        # An exponential mean: what the newest value weighs in it.
        self._newest = 1.0 - math.exp(-period / averaging) if averaging > 0.0 else 1.0
        self.mean_velocity: FloatArray = np.zeros((simulation.n, 3))
        self.nominal_height = float(simulation.initial_qpos[simulation.layout.root_qpos + 2])

    def reset(self, which: BoolArray) -> None:
        """Forget how fast some robots were [Shape (n,)]."""
        self.mean_velocity = np.where(which[:, None], 0.0, self.mean_velocity)

    def look(
        self,
        command: FloatArray,
        action: FloatArray,
        last_action: FloatArray,
        phase: FloatArray,
        diverged: BoolArray,
        hand_target: FloatArray | None = None,
    ) -> TaskStep:
        """The step that ends now; call once a step, it advances the mean velocity.

        Args:
            command: followed in it [Shape (n, 3)].
            action, last_action: of it and of the one before [Shape (n, a)].
            phase: of the gait clock in it [rad; Shape (n, p)].
            diverged: robots whose physics left the finite in it [Shape (n,)].
            hand_target: followed in it [m; base frame; Shape (n, 2, 3)]; None in a task without.
        """
        simulation, sensors = self._simulation, self._simulation.sensors
        orientation = simulation.base_orientation
        w, x, y, z = orientation.T
        # Where the base's x axis points, on the floor.
        ahead_x, ahead_y = 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z)
        norm = np.maximum(np.hypot(ahead_x, ahead_y), 1e-9)
        cos, sin = ahead_x / norm, ahead_y / norm
        v = simulation.base_linear_velocity
        along_heading = np.stack([cos * v[:, 0] + sin * v[:, 1], cos * v[:, 1] - sin * v[:, 0], v[:, 2]], axis=1)
        moving = np.concatenate([along_heading[:, :2], simulation.base_angular_velocity[:, 2:]], axis=1)
        self.mean_velocity = self.mean_velocity + self._newest * (moving - self.mean_velocity)
        gravity = rotations.projected_gravity(orientation)
        feet = sensors.foot_position
        apart = feet[:, 0] - feet[:, -1]
        return TaskStep(
            command=command.copy(),
            standing=is_standing(command, self._stand_threshold),
            mean_velocity=self.mean_velocity,
            linear_velocity=along_heading,
            # Copies: what was looked at must not change when a robot is put back to its start.
            angular_velocity=simulation.base_angular_velocity.copy(),
            gravity=gravity,
            height=simulation.base_height,
            nominal_height=self.nominal_height,
            joint_position=simulation.joint_position,
            joint_velocity=simulation.joint_velocity,
            default_position=self._start_position,
            lower=simulation.robot.lower,
            upper=simulation.robot.upper,
            effort=sensors.effort.copy(),
            effort_limit=self._effort_limit,
            velocity_limit=simulation.robot.velocity_limit,
            action=action,
            last_action=last_action,
            foot_height=simulation.foot_height,
            foot_velocity=sensors.foot_velocity.copy(),
            foot_up=sensors.foot_up[:, :, 2].copy(),
            foot_force=sensors.foot_force,
            foot_distance=np.abs(cos * apart[:, 1] - sin * apart[:, 0]),
            phase=phase,
            fallen=self._fallen(gravity, diverged),
            period=self._period,
            hand_position=sensors.hand_position.copy(),
            hand_target=sensors.hand_position[:, :0] if hand_target is None else hand_target.copy(),
        )

    def _fallen(self, gravity: FloatArray, diverged: BoolArray) -> BoolArray:
        episode = self._episode
        fallen = diverged | (self._simulation.base_height < episode.height_limit * self.nominal_height)
        if math.isfinite(episode.tilt_limit):
            fallen |= gravity[:, 2] > -math.cos(episode.tilt_limit)
        return fallen
