"""simulation_bridge_node: a simulated humanoid behind the topics of a real one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.srv import SetParametersAtomically
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool, Trigger

from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, StateError
from humanoid_rl_ros.interfaces import conversions, topics
from humanoid_rl_ros.interfaces.cdr_joint_targets import read_joint_targets
from humanoid_rl_ros.interfaces.floor_messages import occupancy_message
from humanoid_rl_ros.interfaces.placement_messages import placement_values
from humanoid_rl_ros.interfaces.status import diagnostic
from humanoid_rl_ros.nodes.base import ManagedNode, run_node
from humanoid_rl_ros.nodes.parameters import SimulationParameters, planar_parameter
from humanoid_rl_ros.nodes.robot_port import RobotPort
from humanoid_rl_ros.nodes.transforms import transform_publisher
from humanoid_rl_ros.resources import find_map, find_robot
from humanoid_rl_ros.safety.status import PASSING_NAMES
from humanoid_rl_ros.simulation.hardship import Hardship
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend
from humanoid_rl_ros.simulation.obstacles import boxes_of
from humanoid_rl_ros.simulation.pacing import Pacer
from humanoid_rl_ros.simulation.placement import placement_of
from humanoid_rl_ros.simulation.target_follower import TargetFollower
from humanoid_rl_ros.simulation.team_model import StartPlace

ASK_AGAIN_S = 0.1
WATCH_PERIOD_S = 0.02
CLOCK_RATE_HZ = 100.0


class SimulationBridgeNode(ManagedNode):
    """Steps a `SimulationBackend` and speaks for its motors and sensors.

    Lock-step: publishes a state and waits for the command with its stamp; asks again when none comes, since sensor
    topics are best effort. Real time: steps by the wall clock with the latest command, and counts what came late.
    When commands stop, the motors damp by themselves.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("simulation_bridge", SimulationParameters, **options)
        self._backend: MujocoBackend | None = None

    def setup(self, parameters: SimulationParameters) -> None:
        """Load the model and stand the robot on the floor."""
        self._lockstep = parameters.mode == "lockstep"
        if self._lockstep and parameters.command_type != "joint_state":
            raise ConfigError("lock-step needs parameter command_type:=joint_state, whose messages carry stamps")
        robot = find_robot(parameters.robot)
        pose = np.array(parameters.initial_position) if parameters.initial_position else None
        if pose is not None and pose.shape != (robot.n_joints,):
            raise ConfigError(
                f"parameter 'initial_position' has {pose.size} numbers, the robot has {robot.n_joints} joints"
            )
        if len(parameters.pushes) % 4 != 0:
            raise ConfigError(
                f"parameter 'pushes' needs four numbers for each push, time x y z; found {len(parameters.pushes)}"
            )
        self._pushes = [tuple(parameters.pushes[i : i + 4]) for i in range(0, len(parameters.pushes), 4)]
        place = planar_parameter("start", parameters.start)
        floor = find_map(parameters.map) if parameters.map else None
        self._backend = MujocoBackend(
            robot,
            state_rate=parameters.state_rate,
            timestep=parameters.physics_timestep or None,
            initial_position=pose,
            start=StartPlace(place.x, place.y, place.yaw),
            obstacles=() if floor is None else boxes_of(floor.rectangles(), floor.origin),
            hardship=Hardship(
                terrain=parameters.terrain,
                payload=parameters.payload,
                payload_on=parameters.payload_on,
                weak_joint=parameters.weak_joint,
                weak_share=parameters.weak_share,
            ),
        )
        self._robot = robot
        self._p = parameters
        self._rng = np.random.default_rng(parameters.seed) if parameters.seed >= 0 else None
        self._odometry_every = max(1, round(parameters.state_rate / parameters.odometry_rate))
        self._pacer = Pacer(parameters.state_rate)
        self._clock_every = max(1, round(parameters.state_rate / CLOCK_RATE_HZ))
        self._clock_publisher = self.publish_on(topics.CLOCK) if parameters.publish_clock else None
        self._port = RobotPort(
            self,
            self._backend,
            parameters,
            self._on_command,
            transform=transform_publisher(self.publish_on) if parameters.publish_tf else None,
            root_state=parameters.publish_root_state,
        )
        if floor is not None:
            self.publish_on(topics.MAP).publish(occupancy_message(floor, 0, parameters.odometry_frame))
        self._follower = TargetFollower(robot.joint_names, parameters.state_rate)
        if parameters.publish_root_state:
            self.subscribe_to(topics.JOINT_TARGET, self._on_joint_target, raw=True)
        self.serve(Trigger, topics.SIMULATION_RESET, self._serve_reset)
        self.serve(SetParametersAtomically, topics.SIMULATION_PLACE, self._serve_place)
        self.serve(Trigger, topics.SIMULATION_STEP, self._serve_step)
        self.serve(SetBool, topics.SIMULATION_PAUSE, self._serve_pause)
        self.every(
            WATCH_PERIOD_S if self._lockstep else 1.0 / parameters.state_rate,
            self._watch if self._lockstep else self._run,
        )
        self.end_with(parameters.parent)
        self._own_damping = 0
        self._asked_to_pause = False
        self._reset()

    @property
    def _paused(self) -> bool:
        """Whether time stands still: because somebody asked, or because the run or the physics has ended."""
        return self._stopped or self._asked_to_pause

    def _reset(self) -> None:
        assert self._backend is not None
        self._state = self._backend.reset(self._rng)
        self._follower.forget()
        self._told_before: list[tuple[Any, bytes]] = []
        self._effort = np.zeros(self._robot.n_joints)
        self._held = self._p.hold_until_armed
        self._finished = False
        self._stopped = False
        self._steps = 0
        self._released_ns: int | None = None
        self._pushes_left = sorted(self._pushes)
        self._command_ns = time.monotonic_ns()
        self._published_ns = 0
        self._pacer.begin(self._command_ns)
        self._timed_out = False

    def start(self) -> None:
        """Publish the first state."""
        self._command_ns = time.monotonic_ns()
        self._pacer.begin(self._command_ns)
        self._publish()

    def stop(self) -> None:
        """The motors damp; time stands still."""
        if self._backend is not None:
            self._effort = self._damping()
            self._publish()

    def release(self) -> None:
        """Forget the model."""
        self._backend = None

    def finish(self) -> bool:
        """The last effort on the motors is damping."""
        if self.running:
            self.running = False
            self.stop()
        return True

    # Commands in.

    def _on_command(self, effort: np.ndarray, armed: bool, stamp_ns: int | None) -> None:
        if not self._is_due(armed, stamp_ns):
            return
        self._effort = effort
        if self._lockstep and self.running and not self._paused:
            self._step()

    def _is_due(self, armed: bool, stamp_ns: int | None) -> bool:
        """Whether a command answers the last state and may move the robot."""
        if self._lockstep and stamp_ns != self._state.stamp_ns:
            return False  # an answer to a question that was answered already
        if self._held and (self._finished or not armed):
            return False
        if self._held:
            self._held = False
            self._released_ns = self._state.stamp_ns
        self._command_ns = time.monotonic_ns()
        self._timed_out = False
        self._told_before = []
        return True

    def _on_joint_target(self, message: bytes) -> None:
        """Follow targets; of the states on the way the last before the end is told, and at the end everything."""
        try:
            if not self._lockstep:
                raise StateError("they are followed in lock-step alone, and this simulation runs in real time")
            received = read_joint_targets(message)
            order = self._port.matcher.permutation(received.name)
            if any(position.size != len(received.name) for position, _ in received.points):
                raise StateError(f"a point has not one position for each of {len(received.name)} names")
            plan = self._follower.plan([(position[order], until_ns) for position, until_ns in received.points])
        except StateError as error:
            self._port.refuse(f"joint targets refused: {error}")
            return
        if not self.running or self._paused or not self._is_due(received.frame_id in PASSING_NAMES, received.stamp_ns):
            return
        for left, target in zip(range(len(plan) - 1, -1, -1), plan, strict=True):
            self._effort = self._follower.effort(target, self._state)
            self._step(tell=left == 0)
            if self._paused:
                return
            if left == 1:
                # Who computes what contacts do needs the state before the one to come too.
                self._told_before = self._port.publish_motion(self._state, self._effort)

    # Time passing.

    def _watch(self) -> None:
        """Lock-step: ask again for an answer that does not come, and damp when it never comes."""
        if not self.running or self._paused:
            return
        now_ns = time.monotonic_ns()
        if not self._held and now_ns - self._command_ns > self._p.lockstep_timeout * 1e9:
            self._damp_by_itself(f"no command for {self._p.lockstep_timeout:g} s of wall time")
            self._step()
        elif now_ns - self._published_ns > ASK_AGAIN_S * 1e9:
            for publisher, message in self._told_before:
                publisher.publish(message)
            self._publish()

    def _run(self) -> None:
        """Real time: step as often as the wall clock says."""
        if not self.running or self._paused:
            return
        now_ns = time.monotonic_ns()
        for _ in range(self._pacer.due(now_ns)):
            if not self._held and now_ns - self._command_ns > self._p.command_timeout * 1e9:
                self._damp_by_itself(f"no command for {self._p.command_timeout:g} s")
            self._pacer.made()
            self._step()
            if self._paused:
                return

    def _damp_by_itself(self, why: str) -> None:
        self._effort = self._damping()
        self._own_damping += 1
        if not self._timed_out:
            self._timed_out = True
            self.get_logger().error(f"{why}: the motors damp by themselves")

    def _damping(self) -> np.ndarray:
        limit = self._robot.effort_limit
        return np.clip(-self._robot.kd * self._state.joint_velocity, -limit, limit)

    def _step(self, *, tell: bool = True) -> None:
        assert self._backend is not None
        try:
            self._state = self._backend.hold() if self._held else self._backend.step(self._effort)
        except HumanoidError as error:
            self.get_logger().error(f"simulation stopped: {error}; reset it with {topics.SIMULATION_RESET}")
            self._stopped = True
            self._port.publish_divergence(self._state.stamp_ns + self._backend.period_ns)
            return
        self._steps += 1
        if self._released_ns is not None:
            elapsed_ns = self._state.stamp_ns - self._released_ns
            self._push(elapsed_ns)
            if self._p.stop_after > 0.0 and not self._finished and elapsed_ns >= round(self._p.stop_after * 1e9):
                self._finish_run()
        if tell or self._paused:
            self._publish()

    def _push(self, elapsed_ns: int) -> None:
        assert self._backend is not None
        while self._pushes_left and elapsed_ns >= round(self._pushes_left[0][0] * 1e9):
            velocity = self._pushes_left.pop(0)[1:]
            self._backend.push(np.array(velocity))
            self.get_logger().info(f"pushed by {velocity} m/s at {self._state.stamp_ns * 1e-9:.3f} s")

    def _finish_run(self) -> None:
        """The asked time has passed: stop the clock, or hold again in real time, where sensors must not fall silent."""
        self._finished = True
        self._stopped = self._lockstep
        self._held = not self._lockstep
        self._port.publish_odometry()
        self.send_diagnostics()

    # Messages out.

    def _publish(self) -> None:
        state = self._state
        self._published_ns = time.monotonic_ns()
        if self._clock_publisher is not None and self._steps % self._clock_every == 0:
            self._clock_publisher.publish(Clock(clock=conversions.ns_to_stamp(state.stamp_ns)))
        self._port.publish(state, self._effort)
        if self._steps % self._odometry_every == 0:
            self._port.publish_odometry()

    # Services.

    def _serve_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._reset()
        if self.running:
            self._publish()
        response.success, response.message = True, "the robot stands at its initial pose, time is 0"
        return response

    def _serve_place(
        self, request: SetParametersAtomically.Request, response: SetParametersAtomically.Response
    ) -> SetParametersAtomically.Response:
        assert self._backend is not None
        try:
            placement = placement_of(placement_values(request))
            gains = self._follower.gains_of(placement)
            self._state = self._backend.place(placement)
        except StateError as error:
            response.result.successful, response.result.reason = False, f"refused: {error}"
            return response
        if gains is not None:
            self._follower.use(gains)
        self._told_before = []
        if self.running:
            self._publish()
        response.result.successful, response.result.reason = True, "placed"
        return response

    def _serve_step(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if not (self.running and self._paused):
            response.success, response.message = False, "refused: the simulation is not paused"
            return response
        self._step()
        response.success, response.message = True, f"time is {self._state.stamp_ns * 1e-9:.6f} s"
        return response

    def _serve_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._asked_to_pause, self._stopped = bool(request.data), False
        self._command_ns = time.monotonic_ns()
        self._pacer.begin(self._command_ns)
        if not self._paused and self.running:
            self._publish()
        response.success, response.message = True, "paused" if self._paused else "running"
        return response

    def _activity(self) -> str:
        if not self.running:
            return "inactive"
        if self._finished:
            return "finished"
        return "paused" if self._paused else "held" if self._held else "running"

    def diagnose(self) -> DiagnosticStatus | None:
        """Simulated time, steps, late steps."""
        if self._backend is None:
            return None
        text = self._activity()
        released_ns = self._released_ns
        values = {
            "state": text,
            "time": self._state.stamp_ns * 1e-9,
            "released": -1.0 if released_ns is None else released_ns * 1e-9,
            "steps": self._steps,
            "late": self._pacer.late,
            "own_damping": self._own_damping,
            "refused": self._port.refused,
            "paused": self._paused,
            "finished": self._finished,
        }
        level = DiagnosticStatus.WARN if self._timed_out else DiagnosticStatus.OK
        return diagnostic(self.get_fully_qualified_name(), self._robot.name, level, text, values)


def main(args: list[str] | None = None) -> int:
    """Entry point of the executable `simulation_bridge_node`."""
    return run_node(SimulationBridgeNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
