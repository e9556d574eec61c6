"""The named quantities an observation is made of.

Each term is one function from an `ObservationInput` and the `TermLayout` it was bound to, to an array with the term's
width on the last axis. Names follow Isaac Lab's where it has one. `register_term` adds more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from humanoid_rl_ros.core import hand_targets, rotations
from humanoid_rl_ros.core.arrays import FloatArray, IndexArray, frozen
from humanoid_rl_ros.core.errors import ConfigError, StateError, did_you_mean
from humanoid_rl_ros.core.gait import is_standing
from humanoid_rl_ros.core.state import RobotState

HAND_TARGETS = "hand_targets"
"""The term of a policy that brings its hands somewhere."""
_NO_TARGETS = frozen(np.zeros(0))


@dataclass(frozen=True, eq=False)
class ObservationInput:
    """Everything a term may look at in one control step.

    Attributes:
        state: the measured state, in the robot's joint order.
        command: (linear_x, linear_y, angular_z) [m/s, m/s, rad/s; Shape (..., 3)].
        last_action: what the network said last, in the order of the driven joints [Shape (..., a)].
        phase_sine, phase_cosine: the gait clock [Shape (..., phases)].
        hand_targets: x y z of the left hand, then of the right one [m; frame of the policy's hand targets;
            Shape (..., 6)]; without a number where the policy has none.
    """

    state: RobotState
    command: FloatArray
    last_action: FloatArray
    phase_sine: FloatArray
    phase_cosine: FloatArray
    hand_targets: FloatArray = field(default_factory=lambda: _NO_TARGETS)


@dataclass(frozen=True, eq=False)
class TermLayout:
    """What a term needs to know of the policy, fixed when the observation is bound to a robot.

    Attributes:
        joints: where the observed joints stand in the robot's order [Shape (m,)].
        default_position: reference pose of the observed joints [rad; Shape (m,)].
        n_actions: width of the last action.
        n_phases: phases of the gait clock.
        value: the numbers of a ``constant``.
        stand_threshold: see `humanoid_rl_ros.core.gait.is_standing`.
    """

    joints: IndexArray
    default_position: FloatArray
    n_actions: int
    n_phases: int
    value: FloatArray
    stand_threshold: float


TermFunction = Callable[[ObservationInput, TermLayout], FloatArray]
TermWidth = Callable[[TermLayout], int]


@dataclass(frozen=True)
class Term:
    """A registered term.

    Attributes:
        name: what a policy YAML calls it.
        width: numbers it gives for a layout.
        compute: the function that gives them.
        over: the joints it has one number each for: ``observed``, ``driven``, or empty.
    """

    name: str
    width: TermWidth
    compute: TermFunction
    over: str = ""


_REGISTRY: dict[str, Term] = {}


def register_term(name: str, width: int | TermWidth, *, over: str = "") -> Callable[[TermFunction], TermFunction]:
    """Make a term known under a name that a policy YAML can use.

    Args:
        name: the name; must be new.
        width: how many numbers it gives, or a function of the layout that says so.
        over: ``observed`` or ``driven`` when it has one number for each of those joints, so that scales and masks may
            be given by joint.

    Returns:
        A decorator for ``function(inputs, layout) -> array [Shape (..., width)]``.

    Raises:
        ConfigError: the name is taken.
    """

    def add(function: TermFunction) -> TermFunction:
        if name in _REGISTRY:
            raise ConfigError(f"observation term '{name}' is registered already")
        _REGISTRY[name] = Term(name, width if callable(width) else lambda _layout: width, function, over)
        return function

    return add


def find_term(name: str) -> Term:
    """The term of that name.

    Raises:
        ConfigError: there is none; names the nearest.
    """
    if name not in _REGISTRY:
        raise ConfigError(f"unknown observation term '{name}'; {did_you_mean(name, _REGISTRY)}")
    return _REGISTRY[name]


def term_names() -> tuple[str, ...]:
    """Every registered name."""
    return tuple(_REGISTRY)


def _n_joints(layout: TermLayout) -> int:
    return len(layout.joints)


@register_term("base_ang_vel", 3)
def base_ang_vel(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Gyro [rad/s; IMU frame]."""
    return inputs.state.angular_velocity


@register_term("projected_gravity", 3)
def projected_gravity(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Unit vector of gravity [IMU frame]; (0, 0, −1) upright."""
    return rotations.projected_gravity(inputs.state.orientation)


@register_term("base_lin_vel", 3)
def base_lin_vel(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Linear velocity [m/s; IMU frame]: from simulation or an estimator, never from a sensor."""
    velocity = inputs.state.base_linear_velocity
    if velocity is None:
        raise StateError("the policy observes base_lin_vel, and this robot has no source of it")
    return velocity


@register_term("base_lin_acc", 3)
def base_lin_acc(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Accelerometer [m/s²; IMU frame]."""
    return inputs.state.linear_acceleration


@register_term("base_orientation", 4)
def base_orientation(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Orientation of the IMU in the world [wxyz]."""
    return inputs.state.orientation


@register_term("base_roll_pitch", 2)
def base_roll_pitch(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Roll and pitch [rad]."""
    return rotations.roll_pitch_yaw(inputs.state.orientation)[..., :2]


@register_term("base_roll_pitch_yaw", 3)
def base_roll_pitch_yaw(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Roll, pitch and absolute yaw [rad]."""
    return rotations.roll_pitch_yaw(inputs.state.orientation)


@register_term("velocity_commands", 3)
def velocity_commands(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """(linear_x, linear_y, angular_z) [m/s, m/s, rad/s]."""
    return inputs.command


@register_term("velocity_commands_linear", 2)
def velocity_commands_linear(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """(linear_x, linear_y) [m/s]."""
    return inputs.command[..., :2]


@register_term("velocity_commands_angular", 1)
def velocity_commands_angular(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """angular_z [rad/s]."""
    return inputs.command[..., 2:]


@register_term(HAND_TARGETS, hand_targets.SIZE)
def hand_targets_term(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Where the hands are to be: x y z of the left one, then of the right one [m; frame of the hand targets]."""
    if inputs.hand_targets.shape[-1] != hand_targets.SIZE:
        raise StateError(f"the policy observes {HAND_TARGETS}, and nothing says their ranges")
    return inputs.hand_targets


@register_term("joint_pos_rel", _n_joints, over="observed")
def joint_pos_rel(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Position of the observed joints less their default [rad]."""
    return inputs.state.joint_position[..., layout.joints] - layout.default_position


@register_term("joint_pos", _n_joints, over="observed")
def joint_pos(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Position of the observed joints [rad]."""
    return inputs.state.joint_position[..., layout.joints]


@register_term("joint_vel_rel", _n_joints, over="observed")
def joint_vel_rel(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Velocity of the observed joints; the default velocity is zero [rad/s]."""
    return inputs.state.joint_velocity[..., layout.joints]


@register_term("last_action", lambda layout: layout.n_actions, over="driven")
def last_action(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """The action of the step before; zeros after a reset."""
    return inputs.last_action


@register_term("gait_phase_sin", lambda layout: layout.n_phases)
def gait_phase_sin(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Sine of every phase of the gait clock."""
    return inputs.phase_sine


@register_term("gait_phase_cos", lambda layout: layout.n_phases)
def gait_phase_cos(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """Cosine of every phase of the gait clock."""
    return inputs.phase_cosine


@register_term("constant", lambda layout: len(layout.value))
def constant(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """The numbers written in the policy's YAML."""
    return np.broadcast_to(layout.value, (*inputs.command.shape[:-1], len(layout.value)))


@register_term("standing", 1)
def standing_flag(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """1 when the command asks to stand, else 0."""
    return is_standing(inputs.command, layout.stand_threshold)[..., None].astype(np.float64)


@register_term("moving", 1)
def moving_flag(inputs: ObservationInput, layout: TermLayout) -> FloatArray:
    """1 when the command asks to move, else 0."""
    return 1.0 - standing_flag(inputs, layout)
