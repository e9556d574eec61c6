"""A robot made of numbers under a real monitor, which it answers every 10 ms."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import JointEffort, RobotState
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.monitor import SafetyMonitor
from humanoid_rl_ros.safety.status import PASSING, FallDirection, SafetyState

MS = 1_000_000
PERIOD_MS = 10
ROBOT = RobotSpec(
    "two",
    (
        JointSpec("hip", -1.8, 2.2, 10.0, 20.0, default_position=0.2, kd=2.0),
        JointSpec("knee", -1.8, 2.2, 5.0, 20.0, default_position=0.2, kd=0.5),
    ),
)
S = SafetyState
X, Y = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
SIDES = {
    FallDirection.PRONE: (Y, 1.5),
    FallDirection.SUPINE: (Y, -1.5),
    FallDirection.LEFT: (X, -1.5),
    FallDirection.RIGHT: (X, 1.5),
}


class MonitoredRobot:
    """A robot made of numbers, under a monitor that answers it every 10 ms."""

    def __init__(self, *, can_get_up: bool = True, **limits: float) -> None:
        self.monitor = SafetyMonitor(ROBOT, SafetyLimits(**limits))
        self.ms = 0
        self.axis, self.tilt, self.spin = Y, 0.0, 0.0
        self.position, self.velocity = 0.0, 0.0
        self.can_get_up, self.answers = can_get_up, True
        self.sent: list[float] = []
        self.last_state: RobotState | None = None
        self.efforts = [3.0, 1.5]
        self.target_offset = 0.0

    def measured(self, at_ms: int) -> RobotState:
        """What its sensors say now, stamped with that time."""
        noise = 1e-6 * (at_ms % 70)
        orientation = rotations.from_axis_angle(self.axis, self.tilt)
        return RobotState(
            at_ms * MS,
            ROBOT.default_position + self.position + noise,
            np.full(2, self.velocity + noise),
            orientation,
            self.spin * self.axis + noise,
        )

    def step(self) -> None:
        """One state, and the policy's answer."""
        self.ms += PERIOD_MS
        state = self.last_state = self.measured(self.ms)
        command = self.monitor.observe(self.ms * MS, state)
        if self.answers and self.monitor.state in PASSING:
            effort = JointEffort(self.ms * MS, np.array(self.efforts))
            target = ROBOT.default_position + self.position + self.target_offset
            command = self.monitor.judge(self.ms * MS, effort, meant_for=self.monitor.state, target=target) or command
        elif self.answers:
            self.monitor.heartbeat(self.ms * MS, can_get_up=self.can_get_up)
        if command is not None:
            self.sent = command.effort.tolist()

    def steps(self, seconds: float) -> MonitoredRobot:
        """So long."""
        for _ in range(round(seconds * 1e3 / PERIOD_MS)):
            self.step()
        return self

    def until(self, state: SafetyState, within: float = 5.0) -> float:
        """How long it took to get there [s]."""
        began = self.ms
        while self.monitor.state is not state:
            assert self.ms - began <= within * 1e3, f"still {self.monitor.state.value}: {self.monitor.status.text}"
            self.step()
        return (self.ms - began) * 1e-3

    def armed(self) -> MonitoredRobot:
        """ACTIVE."""
        self.until(S.READY)
        assert self.monitor.arm(self.ms * MS) == (True, "armed")
        return self.steps(0.05)

    def lie(self, side: FallDirection = FallDirection.PRONE) -> None:
        """On the floor, still."""
        self.axis, self.tilt = SIDES[side]
        self.spin = 0.0

    def stand(self) -> None:
        """Upright, still."""
        self.axis, self.tilt, self.spin = Y, 0.0, 0.0

    def fallen(self, side: FallDirection = FallDirection.PRONE) -> MonitoredRobot:
        """Until the monitor knows that it fell."""
        self.lie(side)
        self.until(S.FALLING)
        return self

    @property
    def where(self) -> tuple[SafetyState, str]:
        """State and reason."""
        return self.monitor.state, self.monitor.status.reason
