"""What every measured state is judged by, with what must be remembered of those before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.safety.checks import (
    Violation,
    check_clock,
    check_falling,
    check_flood,
    check_frozen,
    check_joint_speed,
    check_pose,
    check_predicted_position,
    check_tilt,
)
from humanoid_rl_ros.safety.fall import Attitude, MeanRate, attitude
from humanoid_rl_ros.safety.lasting import Lasting, RunEach
from humanoid_rl_ros.safety.limits import SafetyLimits

FLOOD_WINDOW_NS = 200_000_000
# How fast the expected difference between stamps and arrivals yields to a source that falls behind.
_FALLING_BEHIND = 0.1
# No message is so late: a source that is so far behind has had its clock set back.
_SET_BACK_NS = 2_000_000_000


class StampClock:
    """Finds stamps that jump ahead.

    A message may arrive late, and a simulation may be slower than real time: stamps less arrivals may fall. They do not
    rise by much above what they were, unless the source's clock was set.
    """

    def __init__(self) -> None:
        self._ahead_ns: float | None = None
        self._arrived_ns = 0

    def reset(self) -> None:
        """Any stamp is right again."""
        self._ahead_ns = None

    def jump(self, stamp_ns: int, now_ns: int) -> int:
        """By how much this stamp is ahead of what its arrival lets expect [ns]."""
        ahead_ns = float(stamp_ns - now_ns)
        expected_ns = ahead_ns
        if self._ahead_ns is not None:
            expected_ns = self._ahead_ns - _FALLING_BEHIND * max(now_ns - self._arrived_ns, 0)
        set_back = ahead_ns < expected_ns - _SET_BACK_NS
        self._ahead_ns, self._arrived_ns = ahead_ns if set_back else max(ahead_ns, expected_ns), now_ns
        return round(ahead_ns - expected_ns)


class RateCounter:
    """Counts messages in windows of 0.2 s."""

    def __init__(self) -> None:
        self._began_ns: int | None = None
        self._count = 0
        self.rate = 0.0

    def add(self, now_ns: int) -> float:
        """One came; the rate in the last whole window [Hz]."""
        if self._began_ns is None or now_ns < self._began_ns:
            self._began_ns, self._count = now_ns, 0
        elif now_ns - self._began_ns >= FLOOD_WINDOW_NS:
            self.rate = self._count / ((now_ns - self._began_ns) * 1e-9)
            self._began_ns, self._count = now_ns, 0
        self._count += 1
        return self.rate


class FrozenSensors:
    """Finds joints and an IMU that repeat themselves.

    A robot at rest may be measured the same again and again where sensors have no noise, as in a simulation that holds
    it. So one whose velocities are all zero counts as frozen only while a policy moves it.

    Args:
        n: number of joints.
    """

    def __init__(self, n: int) -> None:
        self._joints_ns: NDArray[np.int64] = np.zeros(n, dtype=np.int64)
        self._imu_ns = 0
        self._last: RobotState | None = None

    def reset(self) -> None:
        """Everything may be as it was from now on."""
        self._last = None

    def update(self, now_ns: int, state: RobotState, *, moving: bool) -> tuple[int, int]:
        """A state came.

        Args:
            now_ns: time [ns].
            state: the state.
            moving: whether a policy moves the robot.

        Returns:
            How long the joints and the IMU have been frozen [ns].
        """
        last, self._last = self._last, state
        if last is None:
            self._joints_ns[:] = now_ns
            self._imu_ns = now_ns
            return 0, 0
        position, velocity = state.joint_position, state.joint_velocity
        changed = (position != last.joint_position) | (velocity != last.joint_velocity)
        if changed.all():
            self._joints_ns[:] = now_ns
            joints = 0
        else:
            self._joints_ns[changed] = now_ns
            # One joint that turns and stays where it is, or all of them.
            joints = now_ns - int(self._joints_ns[velocity != 0.0].min(initial=now_ns))
            if moving:
                joints = max(joints, now_ns - int(self._joints_ns.max()))
        rates = state.angular_velocity
        if (
            (rates != last.angular_velocity).any()
            or (state.orientation != last.orientation).any()
            or (state.linear_acceleration != last.linear_acceleration).any()
            or not (moving or rates.any())
        ):
            self._imu_ns = now_ns
        return joints, now_ns - self._imu_ns


class StateRules:
    """Judges states.

    Args:
        robot: joint order and limits.
        limits: thresholds.

    Attributes:
        attitude: of the last state.
        base_rate: mean rate of the base [rad/s].
        sensors: what is wrong with the sensors now, or None.
        motion: what is wrong with how the joints move, or None.
        pose: what is wrong with where they are, or None.
        tilt: whether the base is tilted too far now.
        fall: whether it has been for too long, or is on its way.
    """

    def __init__(self, robot: RobotSpec, limits: SafetyLimits) -> None:
        self._robot, self._limits = robot, limits
        self._names = robot.joint_names
        self._slowness = 1.0 / robot.velocity_limit
        self._frozen = FrozenSensors(robot.n_joints)
        self._clocks = {"joint state": StampClock(), "IMU": StampClock()}
        self._counters = {"joint states": RateCounter(), "IMU messages": RateCounter()}
        self._fast, self._beyond = RunEach(robot.n_joints), RunEach(robot.n_joints)
        self._tilted, self._tipping = Lasting(), Lasting()
        self._mean_rate = MeanRate()
        self.attitude = Attitude(0.0, 0.0, (0.0, 0.0, -1.0))
        self.base_rate = 0.0
        self.sensors: Violation | None = None
        self.motion: Violation | None = None
        self.pose: Violation | None = None
        self.tilt: Violation | None = None
        self.fall: Violation | None = None
        self._floods: dict[str, Violation | None] = {}

    @property
    def flood(self) -> Violation | None:
        """A source that sends faster than any robot does, or None."""
        return next(filter(None, self._floods.values()), None)

    def reset(self) -> None:
        """What came before has no bearing on what comes."""
        self.arm()
        for clock in self._clocks.values():
            clock.reset()
        self._mean_rate.reset()
        self.sensors = self.motion = self.pose = self.tilt = self.fall = None

    def arm(self) -> None:
        """The robot stood, or was held, until now; from now on it moves."""
        self._frozen.reset()
        self._fast.reset()
        self._beyond.reset()
        self._tilted.reset()
        self._tipping.reset()

    def imu_came(self, now_ns: int, stamp_ns: int) -> Violation | None:
        """An IMU message came, whether a state follows from it or not; a clock that jumped, or None."""
        self._count(now_ns, "IMU messages")
        return check_clock("IMU", self._clocks["IMU"].jump(stamp_ns, now_ns), self._limits)

    def _count(self, now_ns: int, what: str) -> None:
        self._floods[what] = check_flood(what, self._counters[what].add(now_ns), self._limits)

    def judge(self, now_ns: int, state: RobotState, *, moving: bool) -> Violation | None:
        """A state came.

        Args:
            now_ns: monotonic time of its arrival [ns].
            state: the state.
            moving: whether a policy moves the robot.

        Returns:
            A clock that jumped, or None; everything else stands in the attributes.
        """
        limits = self._limits
        self._count(now_ns, "joint states")
        joints_ns, imu_ns = self._frozen.update(now_ns, state, moving=moving)
        self.sensors = check_frozen("joints_frozen", "the joint state", joints_ns, limits) or check_frozen(
            "imu_frozen", "the IMU", imu_ns, limits
        )
        self._judge_joints(state)
        self._judge_base(now_ns, state)
        return check_clock("joint state", self._clocks["joint state"].jump(state.stamp_ns, now_ns), limits)

    def _judge_joints(self, state: RobotState) -> None:
        robot, limits = self._robot, self._limits
        position, velocity = state.joint_position, state.joint_velocity
        with np.errstate(invalid="ignore", over="ignore"):
            speed = np.abs(velocity) * self._slowness
            ahead = position + limits.position_horizon * velocity
            will_be = np.maximum(ahead - robot.upper, robot.lower - ahead)
            outside = np.maximum(position - robot.upper, robot.lower - position)
        # What is no number is not within a limit.
        self.motion = self.pose = None
        if self._fast.update(~(speed <= limits.joint_speed)):
            self.motion = check_joint_speed(speed, self._fast.run, self._names, limits)
        if self._beyond.update(~(will_be <= limits.position_margin)) and self.motion is None:
            self.motion = check_predicted_position(will_be, self._beyond.run, self._names, limits)
        if not (outside <= limits.pose_margin).all():
            self.pose = check_pose(outside, self._names, limits)

    def _judge_base(self, now_ns: int, state: RobotState) -> None:
        limits = self._limits
        self.attitude = found = attitude(state)
        self.base_rate = self._mean_rate.update(now_ns, state.angular_velocity)
        self.tilt = check_tilt(found.tilt, limits)
        tipping = check_falling(found.tilt, found.tilt_rate, limits)
        tilted_ns = self._tilted.update(now_ns, self.tilt is not None)
        tipping_ns = self._tipping.update(now_ns, tipping is not None)
        self.fall = None
        if tilted_ns >= limits.tilt_time * 1e9:
            self.fall = self.tilt
        elif tipping_ns >= limits.falling_time * 1e9:
            self.fall = tipping
