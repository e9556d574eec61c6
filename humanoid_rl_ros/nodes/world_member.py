"""One robot of a world that is simulated behind ROS topics: what its motors do, and since when."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.nodes.robot_port import RobotPort
from humanoid_rl_ros.simulation.attendance import Presence
from humanoid_rl_ros.simulation.shared_world import WorldRobot


class WorldMember:
    """What a world bridge knows of one robot beside its topics.

    Args:
        simulated: the robot.

    Attributes:
        port: its topics; made after this.
        effort: on its motors [N·m; Shape (n,)].
        held: whether it hangs where it was put.
        released_ns: simulated time at which it was let go; None: it is held yet [ns].
        command_ns: monotonic time of its last command [ns].
        damps: whether its motors damp by themselves, for nobody commands them.
        own_damping: steps for which they did.
        absences: how often the others went on without it.
    """

    port: RobotPort

    def __init__(self, simulated: WorldRobot) -> None:
        self.simulated = simulated
        self.name, self.robot = simulated.name, simulated.robot
        self.own_damping = self.absences = 0
        self.reset(0, held=True)

    def reset(self, now_ns: int, *, held: bool) -> None:
        """Begin anew [ns]."""
        self.effort: FloatArray = np.zeros(self.robot.n_joints)
        self.held = held
        self.released_ns: int | None = None
        self.command_ns = now_ns
        self.damps = False
        self.left_ns = -1

    def let_go(self, stamp_ns: int) -> None:
        """It moves from now on [ns]."""
        self.held = False
        self.released_ns = stamp_ns

    def obey(self, effort: FloatArray, now_ns: int) -> None:
        """Follow a command that came now [N·m; ns]."""
        self.effort = effort
        self.command_ns = now_ns
        self.damps = False

    def damp(self) -> None:
        """Let the motors damp for the next step."""
        limit, velocity = self.robot.effort_limit, self.simulated.read().joint_velocity
        self.effort = np.clip(-self.robot.kd * velocity, -limit, limit)

    def damp_by_itself(self) -> bool:
        """The same, because nobody commands them; whether that is new."""
        self.damp()
        self.own_damping += 1
        new, self.damps = not self.damps, True
        return new

    def drive(self) -> None:
        """Tell the world what the motors do in the next step."""
        if self.held:
            self.simulated.hold()
        else:
            self.simulated.give(self.effort)

    def publish(self) -> None:
        """Say what the robot measures."""
        self.port.publish(self.simulated.read(), self.effort)

    def activity(self, presence: Presence) -> str:
        """One word on what it does."""
        if self.held:
            return Presence.HELD.value
        if presence is Presence.ABSENT:
            return Presence.ABSENT.value
        return "damped" if self.damps else "running"
