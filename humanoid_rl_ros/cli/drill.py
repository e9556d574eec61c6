"""A simulated robot under policy and safety monitor in one process: for what takes hours of simulated time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.behaviours.conductor import Conductor
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.control.loop import ControlLoop
from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.policies.bundle import GROUND_TRUTH, PolicyBundle
from humanoid_rl_ros.policies.contract import require_contract
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.monitor import SafetyMonitor
from humanoid_rl_ros.safety.status import SafetyState
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend

DOWN_SHARE = 1.0 / 3.0


@dataclass(frozen=True)
class Cast:
    """Who takes part.

    Attributes:
        robot: the robot.
        policy: what it walks by.
        get_up: what gets it up, or None.
        limits: thresholds of the monitor.
    """

    robot: RobotSpec
    policy: PolicyBundle
    get_up: PolicyBundle | None
    limits: SafetyLimits


class Drill:
    """One robot from arming on, in lock-step.

    Args:
        cast: who takes part.
    """

    def __init__(self, cast: Cast) -> None:
        robot = cast.robot
        policy = self._behaviour(cast.policy, robot)
        get_up = None if cast.get_up is None else self._behaviour(cast.get_up, robot)
        self.monitor = SafetyMonitor(robot, cast.limits.for_states_at(cast.policy.pd_rate))
        self.conductor = Conductor(policy, get_up)
        self._loop = ControlLoop(self.conductor, self.monitor)
        self.backend = MujocoBackend(
            robot, state_rate=float(cast.policy.pd_rate), initial_position=policy.start_position
        )
        self.command = VelocityCommand()
        self.state: RobotState = self.backend.read()
        self.effort: FloatArray = np.zeros(robot.n_joints)
        self._standing_height = self.backend.ground_truth().base_height

    @staticmethod
    def _behaviour(bundle: PolicyBundle, robot: RobotSpec) -> PolicyBehaviour:
        require_contract(bundle, robot, base_velocity=GROUND_TRUTH)
        return PolicyBehaviour(bundle, robot, bundle.load_network())

    @property
    def time(self) -> float:
        """Simulated time [s]."""
        return self.state.stamp_ns * 1e-9

    @property
    def safety(self) -> SafetyState:
        """Where the monitor is."""
        return self.monitor.state

    def arm(self) -> None:
        """Hold the robot until the monitor is ready, and arm it.

        Raises:
            HumanoidError: it does not become ready, and why.
        """
        for _ in range(10):
            self._loop.answer(self.state, self.command)
            self.state = self.backend.hold()
        done, text = self.monitor.arm(self.state.stamp_ns)
        if not done:
            raise HumanoidError(f"robot '{self.backend.robot.name}' cannot be armed: {text}")

    def step(self) -> RobotState:
        """One state on."""
        self.effort = self._loop.answer(self.state, self.command).effort
        self.state = self.backend.step(self.effort)
        return self.state

    def run(self, seconds: float, *, until: SafetyState | None = None) -> bool:
        """Go on for so long, or until the monitor is in a state; whether it came to be."""
        end_ns = self.state.stamp_ns + round(seconds * 1e9)
        while self.state.stamp_ns < end_ns:
            if until is not None and self.safety is until:
                return True
            self.step()
        return self.safety is until

    def heading(self) -> float:
        """Where the robot faces, about the vertical [rad]."""
        return float(rotations.roll_pitch_yaw(self.backend.ground_truth().base_orientation)[2])

    def lies(self) -> bool:
        """Whether the base is down: below a third of the height it stood at."""
        return self.backend.ground_truth().base_height < DOWN_SHARE * self._standing_height

    def push(self, velocity: FloatArray | list[float]) -> None:
        """Shove the base [m/s; world; Shape (3,)]."""
        self.backend.push(np.asarray(velocity, dtype=np.float64))
