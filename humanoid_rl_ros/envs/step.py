"""What the rewards, the ends of episodes and the statistics look at: one control step of all robots."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray, frozen

_NO_HANDS = frozen(np.zeros((0, 0, 3)))


@dataclass(frozen=True, eq=False)
class TaskStep:
    """The truth about n robots at the end of a control step.

    Joints are those of the simulated robot, in its order; f feet, a driven joints, p phases of the gait clock.

    Attributes:
        command: (linear_x, linear_y, angular_z) followed in this step [m/s, m/s, rad/s; Shape (n, 3)].
        standing: the command asks to stand [Shape (n,)].
        mean_velocity: (forward, left, turn rate) along its heading, averaged over the last strides: an exponential
            mean with the time constant that the task's commands name [m/s, m/s, rad/s; Shape (n, 3)].
        linear_velocity: of the base, along its heading (x forward, y left, z up) [m/s; Shape (n, 3)].
        angular_velocity: of the base [rad/s; base frame; Shape (n, 3)].
        gravity: unit vector of gravity [base frame; Shape (n, 3)].
        height: of the base above the floor [m; Shape (n,)].
        nominal_height: the same in the start pose [m].
        joint_position, joint_velocity: [rad], [rad/s; Shape (n, j)].
        default_position: the start pose [rad; Shape (j,)].
        lower, upper: position limits [rad; Shape (j,)].
        effort: as applied in the last physics step [N·m; Shape (n, j)].
        effort_limit: [N·m; Shape (j,)].
        velocity_limit: [rad/s; Shape (j,)]; inf where unknown.
        action, last_action: of this step and of the one before [Shape (n, a)].
        foot_height: above where the foot stands in the start pose [m; Shape (n, f)].
        foot_velocity: [m/s; world; Shape (n, f, 3)].
        foot_up: world z of the axis that is vertical while the foot stands: 1 while the sole is level [Shape (n, f)].
        foot_force: normal force [N; Shape (n, f)].
        foot_distance: between the first two feet, across the heading [m; Shape (n,)].
        hand_position: where the hands are [m; base frame; Shape (n, h, 3)]; h is 0 in a task without hand targets.
        hand_target: where they were to be in this step [m; base frame; Shape (n, h, 3)].
        phase: of the gait clock [rad; Shape (n, p)].
        fallen: the episode ends here by a fall [Shape (n,)].
        period: of control [s].
    """

    command: FloatArray
    standing: BoolArray
    mean_velocity: FloatArray
    linear_velocity: FloatArray
    angular_velocity: FloatArray
    gravity: FloatArray
    height: FloatArray
    nominal_height: float
    joint_position: FloatArray
    joint_velocity: FloatArray
    default_position: FloatArray
    lower: FloatArray
    upper: FloatArray
    effort: FloatArray
    effort_limit: FloatArray
    velocity_limit: FloatArray
    action: FloatArray
    last_action: FloatArray
    foot_height: FloatArray
    foot_velocity: FloatArray
    foot_up: FloatArray
    foot_force: FloatArray
    foot_distance: FloatArray
    phase: FloatArray
    fallen: BoolArray
    period: float
    hand_position: FloatArray = field(default_factory=lambda: _NO_HANDS)
    hand_target: FloatArray = field(default_factory=lambda: _NO_HANDS)
