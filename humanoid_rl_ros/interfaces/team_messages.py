"""Odometry of a team's robots as core types."""

from __future__ import annotations

from humanoid_rl_ros.core.member_motion import MemberMotion, member_motion
from humanoid_rl_ros.interfaces.cdr_messages import RawOdometry
from humanoid_rl_ros.interfaces.measurements import WXYZ


def motion_of(message: RawOdometry) -> MemberMotion:
    """Where an odometry message puts a robot, and how it moves.

    Raises:
        StateError: a number is not finite or too large, or the quaternion is no rotation.
    """
    return member_motion(
        message.stamp_ns,
        message.frame_id,
        message.pose[:3],
        message.pose[3:][WXYZ],
        message.twist[:3],
        message.twist[3:],
    )
