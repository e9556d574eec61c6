"""A stand-in for teams of walking robots: each follows its velocity command with a lag and sways; no physics.

Its numbers were fitted to the walking policy in physics (docs/formation.md), and it is some thirty times as fast. What
is learned in it is measured in physics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray, IndexArray
from humanoid_rl_ros.core.command import CommandSpec
from humanoid_rl_ros.core.formation import turned
from humanoid_rl_ros.core.formation_view import bounded
from humanoid_rl_ros.simulation.carried_beam import BeamState
from humanoid_rl_ros.simulation.team_simulation import TeamPose

Axes = tuple[float, float, float]
_STATE = ("_position", "_heading", "_following", "_sway", "_gain")


@dataclass(frozen=True)
class StandInSpec:
    """How a stand-in follows (forward, left, turn rate).

    Attributes:
        gain: velocity as a share of the command.
        gain_spread: largest deviation of a robot's gain from that, as a share of it, drawn for each episode.
        lag: time constant [s].
        sway: standard deviation of what a stride adds to the velocity [m/s, m/s, rad/s].
        stride: time constant of the sway [s].
        contact: nearer to another than this, a robot counts as fallen [m].
    """

    gain: Axes = (0.97, 0.77, 0.91)
    gain_spread: float = 0.15
    lag: Axes = (0.52, 0.40, 0.05)
    sway: Axes = (0.09, 0.12, 0.20)
    stride: float = 0.12
    contact: float = 0.38


class TeamStandIn:
    """A `humanoid_rl_ros.envs.team_bodies.TeamBodies` without physics.

    Args:
        spec: how it follows.
        ranges: commands are brought into these.
        worlds, robots: how many.
        period: of a control step [s].
        height: of a base [m].

    Attributes:
        rng: of gains and sway; for whoever owns the worlds to set.
    """

    def __init__(
        self, spec: StandInSpec, ranges: CommandSpec, worlds: int, robots: int, *, period: float, height: float
    ) -> None:
        self._spec, self._ranges, self._period, self._height = spec, ranges, period, height
        self._shape = worlds, robots
        self._position, self._heading = np.zeros((worlds, robots, 2)), np.zeros((worlds, robots))
        self._following, self._sway = np.zeros((worlds, robots, 3)), np.zeros((worlds, robots, 3))
        self._gain = np.ones((worlds, robots, 3))
        self._newest = 1.0 - np.exp(-period / np.array(spec.lag))
        self._kept = float(np.exp(-period / spec.stride))
        self.rng = np.random.default_rng(0)

    @property
    def period(self) -> float:
        """See `TeamBodies.period`."""
        return self._period

    def place(self, worlds: BoolArray, position: FloatArray, heading: FloatArray) -> None:
        """See `TeamBodies.place`."""
        spread = self._spec.gain_spread * self.rng.uniform(-1.0, 1.0, (int(worlds.sum()), self._shape[1], 3))
        self._position[worlds], self._heading[worlds] = position, heading
        self._following[worlds] = self._sway[worlds] = 0.0
        self._gain[worlds] = np.array(self._spec.gain) * (1.0 + spread)

    def push(self, worlds: IndexArray, robots: IndexArray, velocity: FloatArray) -> None:
        """See `TeamBodies.push`; it wears off as a command does."""
        self._following[worlds, robots, :2] += turned(velocity, -self._heading[worlds, robots])

    def step(self, command: FloatArray) -> BoolArray:
        """See `TeamBodies.step`."""
        wanted = self._gain * bounded(command, self._ranges)
        self._following += self._newest * (wanted - self._following)
        # An Ornstein-Uhlenbeck process of constant variance.
        fresh = np.sqrt(1.0 - self._kept**2) * np.array(self._spec.sway) * self.rng.standard_normal((*self._shape, 3))
        self._sway = self._kept * self._sway + fresh
        velocity = self._velocity()
        self._position += self._period * turned(velocity[..., :2], self._heading)
        self._heading += self._period * velocity[..., 2]
        return np.zeros(self._shape[0], dtype=bool)

    def pose(self) -> TeamPose:
        """See `TeamBodies.pose`."""
        velocity, zero = self._velocity(), np.zeros(self._shape)
        place = np.concatenate([self._position, np.full((*self._shape, 1), self._height)], axis=-1)
        half = 0.5 * self._heading
        orientation = np.stack([np.cos(half), zero, zero, np.sin(half)], axis=-1)
        linear = np.concatenate([turned(velocity[..., :2], self._heading), zero[..., None]], axis=-1)
        return TeamPose(place, orientation, linear, np.stack([zero, zero, velocity[..., 2]], axis=-1))

    def load(self) -> BeamState | None:
        """See `TeamBodies.load`; a stand-in carries nothing."""
        return None

    def down(self, tilt_limit: float, height_limit: float) -> BoolArray:
        """See `TeamBodies.down`; a stand-in falls when it meets another."""
        apart = np.linalg.norm(self._position[:, :, None] - self._position[:, None], axis=-1)
        n = self._shape[1]
        apart[:, np.arange(n), np.arange(n)] = np.inf
        return np.asarray(apart.min(axis=-1) < self._spec.contact)

    def state_dict(self) -> dict[str, Any]:
        """See `TeamBodies.state_dict`."""
        return {"rng": self.rng.bit_generator.state, **{name: getattr(self, name).copy() for name in _STATE}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `TeamBodies.load_state_dict`."""
        self.rng.bit_generator.state = state["rng"]
        for name in _STATE:
            setattr(self, name, state[name].copy())

    def close(self) -> None:
        """See `TeamBodies.close`."""

    def _velocity(self) -> FloatArray:
        return self._following + self._sway
