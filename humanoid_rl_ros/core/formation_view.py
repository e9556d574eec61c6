"""What a robot of a team knows when it decides how to walk, and what it makes of that.

The only place that assembles what a formation policy sees: training, evaluation and the robots' nodes all come here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import Float32Array, FloatArray, IndexArray
from humanoid_rl_ros.core.command import AXES, CommandSpec
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.formation import FormationFrame, formation_frame, turned, wrapped

NEIGHBOURS = 2
"""Robots with the nearest slots, of which a robot sees more than their part in the formation's frame."""
TERMS: dict[str, int] = {
    "own_velocity": 3,
    "slot_error": 2,
    "heading_error": 2,
    "slot_velocity": 3,
    "team_velocity_error": 3,
    "last_command": 3,
    "neighbours": 8 * NEIGHBOURS,
}
"""The observation, in this order: names and widths. docs/formation.md says what each is."""
OBSERVATION_SIZE = sum(TERMS.values())


@dataclass(frozen=True, eq=False)
class TeamView:
    """A team as odometry in a common frame tells it.

    Attributes:
        position: of the bases [m; common frame; Shape (..., n, 2)].
        heading: [rad; common frame; Shape (..., n)].
        velocity: (forward, left, turn rate), averaged over about a stride [m/s, m/s, rad/s; Shape (..., n, 3)].
        slot: where each belongs [m; formation frame; Shape (..., n, 2)].
        command: velocity of the formation's frame, along its axes [m/s, m/s, rad/s; Shape (..., 3)].
        last_command: what each robot was told last [m/s, m/s, rad/s; Shape (..., n, 3)].
    """

    position: FloatArray
    heading: FloatArray
    velocity: FloatArray
    slot: FloatArray
    command: FloatArray
    last_command: FloatArray

    @property
    def frame(self) -> FormationFrame:
        """The formation's frame."""
        return formation_frame(self.position, self.heading, self.slot)


def slot_error(view: TeamView) -> FloatArray:
    """From each robot to its slot [m; along the formation's axes; Shape (..., n, 2)]."""
    frame = view.frame
    place = turned(view.position - frame.centre[..., None, :], -frame.heading[..., None])
    return np.asarray(view.slot - place)


def heading_error(view: TeamView) -> FloatArray:
    """From each robot's heading to the formation's [rad; Shape (..., n)]."""
    return wrapped(np.asarray(view.frame.heading[..., None] - view.heading))


def slot_velocity(view: TeamView) -> FloatArray:
    """How fast each slot moves with the formation: v + ω × s, along the robot's heading [Shape (..., n, 3)]."""
    turn = view.command[..., None, 2]
    moving = view.command[..., None, :2] + turn[..., None] * np.stack([-view.slot[..., 1], view.slot[..., 0]], axis=-1)
    own = turned(moving, heading_error(view))
    return np.concatenate([own, np.broadcast_to(turn[..., None], (*own.shape[:-1], 1))], axis=-1)


def team_velocity(view: TeamView) -> FloatArray:
    """How fast the formation moves, along its own axes, and how fast it turns [m/s, m/s, rad/s; Shape (..., 3)]."""
    relative = -heading_error(view)
    moving = turned(view.velocity[..., :2], relative)
    return np.asarray(np.concatenate([moving, view.velocity[..., 2:]], axis=-1).mean(axis=-2))


def observe(view: TeamView) -> Float32Array:
    """What the policy of each robot sees, along its own heading [Shape (..., n, OBSERVATION_SIZE)]."""
    turn = heading_error(view)
    error = turned(slot_error(view), turn)
    missing = view.command - team_velocity(view)
    lag = turned(np.broadcast_to(missing[..., None, :2], error.shape), turn)
    turn_lag = np.broadcast_to(missing[..., None, 2:], (*turn.shape, 1))
    parts = [
        view.velocity,
        error,
        np.stack([np.sin(turn), np.cos(turn)], axis=-1),
        slot_velocity(view),
        np.concatenate([lag, turn_lag], axis=-1),
        view.last_command,
        _neighbours(view, turn),
    ]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def nearest_slots(slot: FloatArray) -> IndexArray:
    """Which robots have the slots nearest to each one's, the nearest first [Shape (..., n, 2) -> (..., n, k)]."""
    apart = np.linalg.norm(slot[..., :, None, :] - slot[..., None, :, :], axis=-1)
    n = slot.shape[-2]
    apart[..., np.arange(n), np.arange(n)] = np.inf
    # Rounded, so that of two slots that are equally far the first counts, whatever the last bit says.
    order = np.argsort(np.round(apart, 6), axis=-1, kind="stable")
    return np.asarray(order[..., : min(NEIGHBOURS, n - 1)], dtype=np.intp)


def _neighbours(view: TeamView, turn: FloatArray) -> FloatArray:
    """Of each neighbour: there or not, place, how far that is from where it belongs, heading, velocity."""
    near = nearest_slots(view.slot)
    n, k = near.shape[-2:]
    seen = np.zeros((*turn.shape, NEIGHBOURS, 8))

    def of(values: FloatArray) -> FloatArray:
        """Their values, for every robot [Shape (..., n, w) -> (..., n, k, w)]."""
        everyone = np.broadcast_to(values[..., None, :, :], (*values.shape[:-2], n, n, values.shape[-1]))
        return np.take_along_axis(everyone, near[..., None], axis=-2)

    back = -view.heading[..., None]
    place = turned(of(view.position) - view.position[..., None, :], back)
    wanted = turned(of(view.slot) - view.slot[..., None, :], turn[..., None])
    relative = wrapped(of(view.heading[..., None])[..., 0] - view.heading[..., None])
    velocity = of(view.velocity)
    seen[..., :k, 0] = 1.0
    seen[..., :k, 1:3] = place
    seen[..., :k, 3:5] = wanted - place
    seen[..., :k, 5] = np.sin(relative)
    seen[..., :k, 6:8] = turned(velocity[..., :2], relative) - view.velocity[..., None, :2]
    return seen.reshape(*turn.shape, -1)


def bounded(command: FloatArray, ranges: CommandSpec) -> FloatArray:
    """Commands within what the walking policy was trained on [Shape (..., 3)]."""
    low, high = np.array([getattr(ranges, axis) for axis in AXES]).T
    return np.asarray(np.clip(command, low, high))


def corrected(view: TeamView, action: FloatArray | Float32Array, scale: FloatArray, ranges: CommandSpec) -> FloatArray:
    """The commands of a policy's actions: the velocity of the slot, and a correction of it.

    Args:
        view: the team.
        action: within −1 and 1, else clipped [Shape (..., n, 3)].
        scale: what 1 is worth [m/s, m/s, rad/s; Shape (3,)].
        ranges: of the walking policy.

    Returns:
        [m/s, m/s, rad/s; Shape (..., n, 3)].
    """
    return bounded(slot_velocity(view) + scale * np.clip(action, -1.0, 1.0), ranges)


@dataclass(frozen=True)
class ProportionalGains:
    """The hand-written law that a learned one is compared with: v = v_slot + k e, each robot for itself.

    Attributes:
        position: of the slot error [1/s].
        heading: of the heading error [1/s].
        reach: largest correction of the velocity [m/s].
    """

    position: float = 2.0
    heading: float = 1.5
    reach: float = 0.5

    def __post_init__(self) -> None:
        if min(self.position, self.heading) < 0.0 or self.reach <= 0.0:
            raise ConfigError("gains of a formation must be at least 0, and their reach above 0")


def proportional(view: TeamView, gains: ProportionalGains, ranges: CommandSpec) -> FloatArray:
    """The commands of the hand-written law [m/s, m/s, rad/s; Shape (..., n, 3)]."""
    turn = heading_error(view)
    pull = gains.position * turned(slot_error(view), turn)
    length = np.linalg.norm(pull, axis=-1, keepdims=True)
    pull = pull * np.minimum(1.0, gains.reach / np.maximum(length, 1e-9))
    return bounded(slot_velocity(view) + np.concatenate([pull, gains.heading * turn[..., None]], axis=-1), ranges)
