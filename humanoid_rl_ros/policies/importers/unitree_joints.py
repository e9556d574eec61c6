"""Which joint is behind which motor of Unitree's humanoids, in the order of the motors in Unitree's SDK."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from humanoid_rl_ros.core.robot import RobotSpec

FOUR_LEGGED = (12, 16)
"""Numbers of motors of Unitree's four-legged robots, without and with wheels."""


@dataclass(frozen=True)
class MotorOrder:
    """The motors of one robot.

    Attributes:
        robot: short name.
        joints: the joint of each motor; empty where the SDK has a motor that the robot lacks.
        legs: motors of the legs, in the order in which unitree_rl_gym's policies drive them; empty where it has none.
        imu: site of the IMU in its base, by the name that Unitree's models give it; empty where they have none.
    """

    robot: str
    joints: tuple[str, ...]
    legs: tuple[int, ...] = ()
    imu: str = ""

    @property
    def family(self) -> str:
        """Short name without the number of joints."""
        return self.robot.partition("_")[0] if self.robot.endswith("dof") else self.robot

    @property
    def used(self) -> set[int]:
        """Motors that have a joint."""
        return {motor for motor, joint in enumerate(self.joints) if joint}

    def names(self, motors: Iterable[int]) -> tuple[str, ...]:
        """The joints of these motors."""
        return tuple(self.joints[motor] for motor in motors)


def _limbs(text: str) -> tuple[str, ...]:
    """The same limb on the left, then on the right; ``-`` is a motor without a joint."""
    return tuple("" if word == "-" else f"{side}_{word}_joint" for side in ("left", "right") for word in text.split())


def _middle(text: str) -> tuple[str, ...]:
    return tuple("" if word == "-" else f"{word}_joint" for word in text.split())


_LEGS = _limbs("hip_pitch hip_roll hip_yaw knee ankle_pitch ankle_roll")
_LEGS_AND_TORSO_H1_2 = (*_limbs("hip_yaw hip_pitch hip_roll knee ankle_pitch ankle_roll"), "torso_joint")
_ARMS = _limbs("shoulder_pitch shoulder_roll shoulder_yaw elbow wrist_roll wrist_pitch wrist_yaw")
_ARMS_WITH_HANDS = _limbs("shoulder_pitch shoulder_roll shoulder_yaw elbow_pitch elbow_roll wrist_pitch wrist_yaw")
# No motor is counted behind the last joint of the right arm, unlike behind the left one's.
_SHORT_ARMS = _limbs("shoulder_pitch shoulder_roll shoulder_yaw elbow wrist_roll - -")[:-2]
_H1 = (
    "right_hip_roll right_hip_pitch right_knee left_hip_roll left_hip_pitch left_knee torso left_hip_yaw right_hip_yaw "
    "- left_ankle right_ankle right_shoulder_pitch right_shoulder_roll right_shoulder_yaw right_elbow "
    "left_shoulder_pitch left_shoulder_roll left_shoulder_yaw left_elbow"
)

_TWELVE = tuple(range(12))

MOTOR_ORDERS = (
    MotorOrder("g1_29dof", (*_LEGS, *_middle("waist_yaw waist_roll waist_pitch"), *_ARMS), _TWELVE, "imu_in_pelvis"),
    MotorOrder("g1_23dof", (*_LEGS, *_middle("waist_yaw - -"), *_SHORT_ARMS), _TWELVE, "imu_in_pelvis"),
    MotorOrder("r1", (*_LEGS, *_middle("waist_roll waist_yaw -"), *_SHORT_ARMS), imu="imu"),
    MotorOrder("h1", _middle(_H1), (7, 3, 4, 5, 10, 8, 0, 1, 2, 11)),
    MotorOrder("h1_2", (*_LEGS_AND_TORSO_H1_2, *_ARMS), _TWELVE),
    MotorOrder("h1_2", (*_LEGS_AND_TORSO_H1_2, *_ARMS_WITH_HANDS), _TWELVE),
)


def possible_orders(
    motors: Sequence[int], *, slots: int | None = None, robot: RobotSpec | None = None
) -> list[MotorOrder]:
    """The robots that a policy with these motors can be of.

    Args:
        motors: numbers of motors that it knows.
        slots: number of motors that its origin counts, with those it does not use; None where unsaid.
        robot: must have their joints, where given.

    Returns:
        Those with just these motors; else those with so many slots, among them these. Each robot once.
    """
    known = set(motors)
    found = [order for order in MOTOR_ORDERS if order.used == known]
    found = found or [order for order in MOTOR_ORDERS if len(order.joints) == slots and known <= order.used]
    if robot is not None:
        found = [order for order in found if not lacking(order.names(motors), robot)]
    return list({order.robot: order for order in reversed(found)}.values())[::-1]


def lacking(joints: Iterable[str], robot: RobotSpec | None) -> list[str]:
    """The joints that a robot lacks; none where no robot is given."""
    return [] if robot is None else [joint for joint in joints if joint not in robot.joint_names]


def imu_in_base(order: MotorOrder, robot: RobotSpec | None) -> str:
    """Site of the IMU that a policy of this robot observes; empty where the root body is meant, or nothing is known."""
    return "" if robot is not None and not robot.imu.attachment else order.imu
