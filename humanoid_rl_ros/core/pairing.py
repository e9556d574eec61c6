"""Joint states, IMU messages and estimates of the base's velocity come apart; this makes states of them."""

from __future__ import annotations

from dataclasses import dataclass

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.state import RobotState


@dataclass(frozen=True, eq=False)
class JointSample:
    """Positions and velocities of all joints, in the robot's order [rad], [rad/s]."""

    stamp_ns: int
    position: FloatArray
    velocity: FloatArray


@dataclass(frozen=True, eq=False)
class ImuSample:
    """Orientation [wxyz], rates [rad/s] and specific force [m/s²] in the IMU frame."""

    stamp_ns: int
    orientation: FloatArray
    angular_velocity: FloatArray
    linear_acceleration: FloatArray


@dataclass(frozen=True, eq=False)
class VelocitySample:
    """Linear velocity of the base, of an estimator or of the simulation [m/s; IMU frame]."""

    stamp_ns: int
    linear: FloatArray


class StatePairing:
    """Makes a `RobotState` for each joint sample.

    Args:
        exact: wait for the IMU sample of the same stamp (lock-step), instead of taking the latest (a real robot,
            whose sensors have stamps of their own).
        clock_may_reset: whether stamps that go back mean that the simulation was reset, instead of a fault.
    """

    def __init__(self, *, exact: bool, clock_may_reset: bool) -> None:
        self._exact = exact
        self._clock_may_reset = clock_may_reset
        self.with_velocity = False
        """Whether, where pairs are exact, a state waits for the velocity of the base of the same stamp too."""
        self._joints: JointSample | None = None
        self._imu: ImuSample | None = None
        self._velocity: VelocitySample | None = None
        self._last_stamp_ns: int | None = None

    def add_joints(self, sample: JointSample) -> RobotState | None:
        """A joint sample came; the state it completes, if any.

        Raises:
            StateError: its stamp is older than the one before, and the clock may not be reset.
        """
        if self._last_stamp_ns is not None and sample.stamp_ns < self._last_stamp_ns and not self._clock_may_reset:
            raise StateError(
                f"stamp of the joint state went back from {self._last_stamp_ns * 1e-9:.6f} "
                f"to {sample.stamp_ns * 1e-9:.6f} s",
                "clock_jump",
            )
        self._joints = sample
        return self._pair()

    def add_imu(self, sample: ImuSample) -> RobotState | None:
        """An IMU sample came; the state it completes, if any.

        Raises:
            StateError: its stamp is older than the one before, and the clock may not be reset.
        """
        if self._imu is not None and sample.stamp_ns < self._imu.stamp_ns and not self._clock_may_reset:
            raise StateError(
                f"stamp of the IMU went back from {self._imu.stamp_ns * 1e-9:.6f} to {sample.stamp_ns * 1e-9:.6f} s",
                "clock_jump",
            )
        self._imu = sample
        return self._pair() if self._exact else None

    def add_velocity(self, sample: VelocitySample) -> RobotState | None:
        """A velocity of the base came; the state it completes, if any."""
        self._velocity = sample
        return self._pair() if self._exact else None

    @property
    def velocity(self) -> VelocitySample | None:
        """The last velocity of the base."""
        return self._velocity

    def forget_velocity(self) -> None:
        """States carry none until the next comes."""
        self._velocity = None

    def reset(self) -> None:
        """Forget all samples."""
        self._joints = self._imu = self._velocity = self._last_stamp_ns = None

    def _pair(self) -> RobotState | None:
        joints, imu, velocity = self._joints, self._imu, self._velocity
        if joints is None or imu is None or (self._exact and joints.stamp_ns != imu.stamp_ns):
            return None
        if self._exact and self.with_velocity and (velocity is None or velocity.stamp_ns != joints.stamp_ns):
            return None
        self._joints = None
        self._last_stamp_ns = joints.stamp_ns
        return RobotState(
            joints.stamp_ns,
            joints.position,
            joints.velocity,
            imu.orientation,
            imu.angular_velocity,
            imu.linear_acceleration,
            None if velocity is None else velocity.linear,
        )
