"""world_bridge_node: several simulated humanoids in one world, each behind the topics of a real one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.srv import SetParametersAtomically
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool, Trigger

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, StateError
from humanoid_rl_ros.interfaces import conversions, topics
from humanoid_rl_ros.interfaces.placement_messages import placement_values
from humanoid_rl_ros.interfaces.status import diagnostic
from humanoid_rl_ros.nodes.base import ManagedNode, run_node
from humanoid_rl_ros.nodes.parameters import WorldParameters
from humanoid_rl_ros.nodes.robot_port import RobotPort
from humanoid_rl_ros.nodes.team_members import initial_positions, members_of
from humanoid_rl_ros.nodes.transforms import transform_publisher
from humanoid_rl_ros.nodes.world_member import WorldMember
from humanoid_rl_ros.simulation.attendance import Attendance, Presence
from humanoid_rl_ros.simulation.pacing import Pacer
from humanoid_rl_ros.simulation.placement import placement_of
from humanoid_rl_ros.simulation.shared_world import SharedWorld

ASK_AGAIN_S = 0.1
WATCH_PERIOD_S = 0.02
CLOCK_RATE_HZ = 100.0


class WorldBridgeNode(ManagedNode):
    """Steps a `SharedWorld` and speaks for the motors and sensors of all its robots.

    Lock-step: publishes the states and waits for each robot's command with their stamp. Who does not answer in time
    counts as absent: its motors damp, and the others go on; its next answer brings it back. Real time: steps by the
    wall clock with the latest commands. Where commands stop, the motors damp by themselves.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("world_bridge", WorldParameters, **options)
        self._world: SharedWorld | None = None

    def setup(self, parameters: WorldParameters) -> None:
        """Load the models and stand the robots on the floor."""
        self._lockstep = parameters.mode == "lockstep"
        if self._lockstep and parameters.command_type != "joint_state":
            raise ConfigError("lock-step needs parameter command_type:=joint_state, whose messages carry stamps")
        members = members_of(parameters)
        self._world = SharedWorld(
            members,
            state_rate=parameters.state_rate,
            timestep=parameters.physics_timestep or None,
            initial_position=initial_positions(parameters, members),
        )
        self._p = parameters
        self._rng = np.random.default_rng(parameters.seed) if parameters.seed >= 0 else None
        self._odometry_every = max(1, round(parameters.state_rate / parameters.odometry_rate))
        self._clock_every = max(1, round(parameters.state_rate / CLOCK_RATE_HZ))
        self._pacer = Pacer(parameters.state_rate)
        self._attendance = Attendance(
            parameters.robots,
            timeout_ns=round(parameters.lockstep_timeout * 1e9),
            start_timeout_ns=round(parameters.start_timeout * 1e9),
            held=parameters.hold_until_armed,
        )
        self._clock_publisher = self.publish_on(topics.CLOCK) if parameters.publish_clock else None
        transform = transform_publisher(self.publish_on) if parameters.publish_tf else None
        self._members = {name: WorldMember(robot) for name, robot in self._world.robots.items()}
        for name, member in self._members.items():
            on_command = partial(self._on_command, member)
            member.port = RobotPort(self, member.simulated, parameters, on_command, transform=transform, name=name)
            self.serve(Trigger, f"{name}/{topics.SIMULATION_RESET}", partial(self._serve_robot_reset, member))
            self.serve(SetParametersAtomically, f"{name}/{topics.SIMULATION_PLACE}", partial(self._serve_place, member))
        self.serve(Trigger, topics.SIMULATION_RESET, self._serve_reset)
        self.serve(Trigger, topics.SIMULATION_STEP, self._serve_step)
        self.serve(SetBool, topics.SIMULATION_PAUSE, self._serve_pause)
        self.every(
            WATCH_PERIOD_S if self._lockstep else 1.0 / parameters.state_rate,
            self._watch if self._lockstep else self._run,
        )
        self.end_with(parameters.parent)
        self._asked_to_pause = False
        self._reset()

    @property
    def _paused(self) -> bool:
        """Whether time stands still: because somebody asked, or because the run or the physics has ended."""
        return self._stopped or self._asked_to_pause

    def _reset(self) -> None:
        assert self._world is not None
        self._world.reset(self._rng)
        now_ns = time.monotonic_ns()
        for member in self._members.values():
            member.reset(now_ns, held=self._p.hold_until_armed)
        self._attendance.reset(now_ns)
        self._pacer.begin(now_ns)
        self._finished = self._stopped = False
        self._released_ns: int | None = None if self._p.hold_until_armed else 0
        self._steps = 0
        self._published_ns = 0

    def start(self) -> None:
        """Publish the first states."""
        self._begin_waiting()
        self._publish()

    def stop(self) -> None:
        """The motors damp; time stands still."""
        if self._world is not None:
            for member in self._members.values():
                member.damp()
            self._publish()

    def release(self) -> None:
        """Forget the models."""
        self._world = None

    def finish(self) -> bool:
        """The last effort on the motors is damping."""
        if self.running:
            self.running = False
            self.stop()
        return True

    def _begin_waiting(self) -> None:
        """Commands and steps are due from now on."""
        now_ns = time.monotonic_ns()
        for member in self._members.values():
            member.command_ns = now_ns
        self._attendance.ask(now_ns)
        self._pacer.begin(now_ns)

    # Commands in.

    def _on_command(self, member: WorldMember, effort: FloatArray, armed: bool, stamp_ns: int | None) -> None:
        assert self._world is not None
        now_ns, name = time.monotonic_ns(), member.name
        if self._lockstep and stamp_ns != self._world.stamp_ns:
            self._hear_late_answer(member, armed, stamp_ns)
            return
        if member.held and (self._finished or not armed):
            return
        if member.held:
            member.let_go(self._world.stamp_ns)
            if self._released_ns is None:
                self._released_ns = self._world.stamp_ns
        if member.damps and not self._lockstep:
            self.get_logger().info(f"robot '{name}' is commanded again")
        member.obey(effort, now_ns)
        if not self._lockstep:
            return
        self._welcome_back(member)
        self._attendance.answer(name, now_ns)
        self._step_when_all_have_answered()

    def _hear_late_answer(self, member: WorldMember, armed: bool, stamp_ns: int | None) -> None:
        """An answer to a state that the others have left behind: of who is not waited for it is a sign of life."""
        assert self._world is not None
        if stamp_ns is None or stamp_ns > self._world.stamp_ns:
            return
        if stamp_ns > member.left_ns >= 0:
            self._welcome_back(member)
        elif member.held and armed and not self._finished:
            self._attendance.come_back(member.name)

    def _welcome_back(self, member: WorldMember) -> None:
        if self._attendance.presence(member.name) is Presence.ABSENT:
            self._attendance.come_back(member.name)
            member.left_ns = -1
            self.get_logger().info(f"robot '{member.name}' is back; the others wait for it again")
            self.send_diagnostics()

    # Time passing.

    def _step_when_all_have_answered(self) -> None:
        if self.running and not self._paused and self._attendance.may_pass():
            self._step()

    def _watch(self) -> None:
        """Lock-step: ask again for answers that do not come, and go on without those that never come."""
        if not self.running or self._paused:
            return
        now_ns = time.monotonic_ns()
        late = self._attendance.overdue(now_ns)
        for name in late:
            self._go_on_without(self._members[name])
        if late:
            self.send_diagnostics()
        if self._attendance.may_pass():
            self._step()
        elif now_ns - self._published_ns > ASK_AGAIN_S * 1e9:
            self._publish(self._attendance.missing())

    def _go_on_without(self, member: WorldMember) -> None:
        assert self._world is not None
        name = member.name
        if self._attendance.presence(name) is not Presence.ABSENT:
            self.get_logger().error(
                f"robot '{name}' is not armed {self._p.start_timeout:g} s of wall time after the first: it stays held, "
                "and the others begin without it"
            )
            return
        member.absences += 1
        member.left_ns = self._world.stamp_ns
        self.get_logger().error(
            f"robot '{name}' has not answered for {self._p.lockstep_timeout:g} s of wall time: its motors damp, and "
            "the others go on without it"
        )

    def _run(self) -> None:
        """Real time: step as often as the wall clock says."""
        if not self.running or self._paused:
            return
        now_ns = time.monotonic_ns()
        for _ in range(self._pacer.due(now_ns)):
            for name, member in self._members.items():
                silent = not member.held and now_ns - member.command_ns > self._p.command_timeout * 1e9
                if silent and member.damp_by_itself():
                    why = f"no command for {self._p.command_timeout:g} s"
                    self.get_logger().error(f"robot '{name}': {why}: its motors damp by themselves")
            self._pacer.made()
            self._step()
            if self._paused:
                return

    def _step(self) -> None:
        assert self._world is not None
        for name in self._attendance.absent():
            self._members[name].damp_by_itself()
        for member in self._members.values():
            member.drive()
        try:
            self._world.step()
        except HumanoidError as error:
            self.get_logger().error(f"simulation stopped: {error}; reset it with {topics.SIMULATION_RESET}")
            self._stopped = True
            return
        self._steps += 1
        self._attendance.pass_time(time.monotonic_ns())
        if self._released_ns is not None and self._p.stop_after > 0.0 and not self._finished:
            elapsed_ns = self._world.stamp_ns - self._released_ns
            if elapsed_ns >= round(self._p.stop_after * 1e9):
                self._finish_run()
        self._publish()

    def _finish_run(self) -> None:
        """The asked time has passed: stop the clock, or hold again in real time, where sensors must not fall silent."""
        self._finished = True
        self._stopped = self._lockstep
        for member in self._members.values():
            member.held = member.held or not self._lockstep
            member.port.publish_odometry()
        self.send_diagnostics()

    def _publish(self, names: Sequence[str] | None = None) -> None:
        """Say what the robots measure: all, or some whose answer is still missing."""
        assert self._world is not None
        self._published_ns = time.monotonic_ns()
        if self._clock_publisher is not None and self._steps % self._clock_every == 0:
            self._clock_publisher.publish(Clock(clock=conversions.ns_to_stamp(self._world.stamp_ns)))
        for name in self._members if names is None else names:
            member = self._members[name]
            member.publish()
            if self._steps % self._odometry_every == 0:
                member.port.publish_odometry()

    # Services.

    def _serve_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._reset()
        if self.running:
            self._publish()
        response.success, response.message = True, "all robots stand at their starts, time is 0"
        return response

    def _serve_robot_reset(
        self, member: WorldMember, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        member.simulated.stand(self._rng)
        member.reset(time.monotonic_ns(), held=True)
        self._attendance.hold(member.name)
        if self.running:
            member.publish()
        response.success, response.message = True, f"robot '{member.name}' stands at its start, held; time goes on"
        return response

    def _serve_place(
        self,
        member: WorldMember,
        request: SetParametersAtomically.Request,
        response: SetParametersAtomically.Response,
    ) -> SetParametersAtomically.Response:
        try:
            member.simulated.place(placement_of(placement_values(request)))
        except StateError as error:
            response.result.successful, response.result.reason = False, f"refused: {error}"
            return response
        if self.running:
            member.publish()
        response.result.successful, response.result.reason = True, "placed"
        return response

    def _serve_step(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        assert self._world is not None
        if not (self.running and self._paused):
            response.success, response.message = False, "refused: the simulation is not paused"
            return response
        self._step()
        response.success, response.message = True, f"time is {self._world.stamp_ns * 1e-9:.6f} s"
        return response

    def _serve_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._asked_to_pause, self._stopped = bool(request.data), False
        self._begin_waiting()
        if not self._paused and self.running:
            self._publish()
        response.success, response.message = True, "paused" if self._paused else "running"
        return response

    def diagnose(self) -> DiagnosticStatus | None:
        """Simulated time, steps, and what each robot does."""
        if self._world is None:
            return None
        activity = {name: m.activity(self._attendance.presence(name)) for name, m in self._members.items()}
        held = all(member.held for member in self._members.values())
        text = "held" if held else "running"
        text = "inactive" if not self.running else "finished" if self._finished else "paused" if self._paused else text
        values: dict[str, Any] = {
            "state": text,
            "time": self._world.stamp_ns * 1e-9,
            "released": -1.0 if self._released_ns is None else self._released_ns * 1e-9,
            "steps": self._steps,
            "late": self._pacer.late,
            "paused": self._paused,
            "finished": self._finished,
            "robots": " ".join(self._members),
        }
        for name, member in self._members.items():
            values[f"{name}/state"] = activity[name]
            values[f"{name}/own_damping"] = member.own_damping
            values[f"{name}/absences"] = member.absences
            values[f"{name}/refused"] = member.port.refused
        lost = [f"{name} is {word}" for name, word in activity.items() if word in ("absent", "damped")]
        level = DiagnosticStatus.WARN if lost else DiagnosticStatus.OK
        return diagnostic(self.get_fully_qualified_name(), "world", level, ", ".join([text, *lost]), values)


def main(args: list[str] | None = None) -> int:
    """Entry point of the executable `world_bridge_node`."""
    return run_node(WorldBridgeNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
