"""safety_monitor_node: what it lets through to the joint commands, whatever policy, sensors and operators do."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")

from rcl_interfaces.srv import ListParameters, SetParameters
from rclpy.parameter import Parameter
from ros_graph import OK, FakeRobot, Graph
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from tiny_policy import write_robot

from humanoid_rl_ros.core.robot import load_robot
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import ns_to_stamp, stamp_to_ns
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.safety_monitor_node import SafetyMonitorNode

pytestmark = pytest.mark.ros
MS = 1_000_000
ASKED = [3.0, -2.0]
ZERO = [0.0, 0.0]
TIMEOUT = 0.15  # of what is to stop in a test [s]
WALL_TIMEOUT = 0.6  # of lock-step [s]
COMMAND = {"command_timeout": TIMEOUT}
STATE = {"state_timeout": TIMEOUT}
IMU = {"imu_timeout": TIMEOUT}
# Of limits that a test is not about: a busy machine stands still for longer than a robot may, and meanwhile a robot
# made of words repeats itself.
PATIENT = {
    "command_timeout": 2.0,
    "state_timeout": 2.0,
    "imu_timeout": 2.0,
    "frozen_time": 10.0,
    "fallen_time": 10.0,
    "tick_overrun": 1.0,
    "flood_rate": 1e5,
    "flood_efforts": 100.0,
    "ready_time": 0.01,
    "estop_damping_time": 0.3,
}


def write_limits(folder: Path, **limits: float) -> Path:
    """Patient limits but for those given."""
    file = folder / "safety.yaml"
    file.write_text(yaml.safe_dump({"format": 1, **PATIENT, **limits}))
    return file


class Rig:
    """A monitor between a robot and a policy made of words.

    Args:
        folder: for its files.
        graph: where.
        short: limits that the test is about.
        parameters: of the monitor.
    """

    def __init__(self, folder: Path, graph: Graph, short: dict[str, float] | None = None, **parameters: Any) -> None:
        self.graph = graph
        self._tries = 5 if short else 1
        self.file = write_robot(folder)
        limits = write_limits(folder, **(short or {}))
        given = {"robot": str(self.file), "limits": str(limits), "command_type": "joint_state"} | parameters
        self.node = graph.active(SafetyMonitorNode, **given)
        self.robot = FakeRobot(graph, load_robot(self.file), stamped=given["command_type"] == "joint_state")
        self.policy = graph.speak(topics.POLICY_EFFORT, reliable=True)
        self.robot.heard_by(1)
        graph.until(lambda: self.policy.get_subscription_count() >= 1, "subscriber")
        graph.until(lambda: self.robot.status, "the latched status")

    def say(
        self, values: list[float] = ASKED, frame: str = "ACTIVE", stamp_ns: int | None = None, **changes: Any
    ) -> None:
        """An effort from the policy."""
        stamp_ns = time.monotonic_ns() if stamp_ns is None else stamp_ns
        message = JointState(name=["hip", "knee"], effort=values)
        message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame
        for name, value in changes.items():
            setattr(message, name, value)
        self.policy.publish(message)

    def alive(self) -> None:
        """Sensors and policy as they should be."""
        self.robot.stream()
        self.say()

    def until_state(self, state: str, pump: Callable[[], None] | None = None) -> None:
        self.graph.until(lambda: self.robot.state == state, state, pump=pump)

    def armed(self) -> Rig:
        """ACTIVE, with commands flowing; where a time-out is short, a busy machine may need some tries."""
        for _ in range(self._tries):
            self.until_state("READY", self.alive)
            before = len(self.robot.status)
            response = self.robot.arm(pump=self.alive)
            if not response.success and self._tries > 1:
                continue
            assert (response.success, response.message) == (True, "armed")
            self.graph.until(lambda before=before: "ACTIVE" in self.states(before), "ACTIVE", pump=self.alive)
            self.graph.until(
                lambda: self.robot.state != "ACTIVE" or (self.sent() and self.sent()[-1] == ASKED),
                "a command",
                pump=self.alive,
            )
            if self.robot.state == "ACTIVE":
                return self
        pytest.fail(f"it does not stay armed: {self.robot.state} {self.robot.reason}")

    def states(self, since: int) -> list[str]:
        """Safety states told since then."""
        return [values_of(m)["state"] for m in self.robot.status[since:]]

    def reset(self) -> None:
        """Out of a latched state, once the fault has gone."""

        def done() -> bool:
            return bool(self.graph.call(Trigger, topics.SAFETY_RESET, Trigger.Request(), pump=self.alive).success)

        self.graph.until(done, "a reset", pump=self.alive)

    def sent(self) -> list[list[float]]:
        return [list(m.effort if isinstance(m, JointState) else m.data) for m in self.robot.commands]

    def next_is(self, effort: list[float], pump: Callable[[], None] | None = None, within: float = 20.0) -> None:
        """Wait for a command of that effort among those still to come."""
        before = len(self.robot.commands)
        self.graph.until(lambda: effort in self.sent()[before:], f"command {effort}", within, pump)

    def says(self, state: str, reason: str) -> None:
        """Wait for the status that goes with what was just sent."""
        self.graph.until(lambda: (self.robot.state, self.robot.reason) == (state, reason), f"{state} {reason}")

    def rejected(self) -> int:
        return int(values_of(self.node.diagnose())["rejected"])


@pytest.fixture
def rig(tmp_path: Path, graph: Graph) -> Callable[..., Rig]:
    return lambda short=None, **parameters: Rig(tmp_path, graph, short, **parameters)


# What a policy may say.


@pytest.mark.parametrize("command_type", ["joint_state", "float64_multi_array"])
def test_a_sound_effort_passes_as_it_is_and_in_the_robots_order(rig: Callable[..., Rig], command_type: str) -> None:
    it = rig(command_type=command_type).armed()
    it.graph.until(
        lambda: [1.25, -0.5] in it.sent(),
        "the effort",
        pump=lambda: (it.robot.stream(), it.say([-0.5, 1.25], name=["knee", "hip"])),
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([99.0, -99.0], [10.0, -5.0]),
        ([1e308, -1e308], [10.0, -5.0]),
        ([math.nan, 1.0], [-2.0, 1.0]),
        ([1.0, math.inf], [1.0, -1.0]),
        ([-math.inf, math.nan], [-2.0, -1.0]),
    ],
)
def test_a_wild_effort_is_clamped_or_damped(
    rig: Callable[..., Rig], values: list[float], expected: list[float]
) -> None:
    it = rig().armed()
    assert it.robot.damping == [-2.0, -1.0]

    def wild() -> None:
        it.robot.stream()
        it.say(values)

    it.next_is(expected, wild)
    if not np.isfinite(values).all():
        it.until_state("READY", wild)  # after three in a row, and no more efforts pass
        assert values_of(it.robot.status[-1])["last_fault"].startswith("non_finite")
        it.next_is(it.robot.damping, wild)
    for effort in it.sent():
        assert np.isfinite(effort).all()
        assert (np.abs(effort) <= [10.0, 5.0]).all()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": ["hip", "nee"]}, "joint 'knee' is missing and 'nee' is unknown"),
        ({"name": ["hip"], "effort": [1.0]}, "joint 'knee' is missing"),
        ({"name": ["hip", "knee", "thumb"], "effort": [9.0, 9.0, 9.0]}, "joint 'thumb' is unknown"),
        ({"name": ["hip", "hip"]}, "joint 'hip' is listed twice"),
        ({"effort": [9.0]}, "2 names but 1 values"),
        ({"effort": []}, "2 names but 0 values"),
        ({"effort": [9.0, 9.0, 9.0]}, "2 names but 3 values"),
    ],
)
def test_an_effort_it_cannot_read_is_no_effort(
    rig: Callable[..., Rig], capfd: pytest.CaptureFixture[str], changes: dict[str, Any], text: str
) -> None:
    it = rig(COMMAND).armed()
    before = it.rejected()
    commands = len(it.robot.commands)
    it.say([9.0, 9.0], **changes)
    it.graph.until(lambda: it.rejected() == before + 1, "a refusal", pump=it.robot.stream)
    assert all(9.0 not in effort for effort in it.sent()[commands:])
    it.next_is(it.robot.damping, it.robot.stream)  # nothing else comes: the time-out follows
    it.says("DISARMED", "command_timeout")
    lines = [line for line in capfd.readouterr().err.splitlines() if "policy effort refused" in line]
    assert len(lines) == 1
    assert text in lines[0]


# What stops coming.


def test_efforts_that_stop_are_followed_by_damping_after_the_time_out(rig: Callable[..., Rig]) -> None:
    it = rig(COMMAND).armed()
    it.alive()
    began = time.monotonic()
    it.next_is(it.robot.damping, it.robot.stream)
    assert time.monotonic() - began > TIMEOUT * 0.5
    it.says("DISARMED", "command_timeout")
    assert it.sent()[-1] == it.robot.damping


def test_a_heartbeat_does_not_stand_in_for_efforts(rig: Callable[..., Rig]) -> None:
    it = rig(COMMAND).armed()

    def idle() -> None:
        it.robot.stream()
        it.say([9.0, 9.0], frame=topics.STANDBY)

    it.next_is(it.robot.damping, idle)
    assert all(9.0 not in effort for effort in it.sent())


def test_states_that_stop_are_followed_by_zero_and_damping_once_they_come_again(rig: Callable[..., Rig]) -> None:
    it = rig(STATE).armed()
    it.next_is(ZERO, it.say)
    it.says("DISARMED", "state_timeout")
    it.next_is(it.robot.damping, it.robot.stream)


@pytest.mark.parametrize("how", ["silent", "frozen"])
def test_an_imu_that_is_silent_or_repeats_one_measurement_ends_active(rig: Callable[..., Rig], how: str) -> None:
    it = rig(IMU).armed()
    frozen = it.robot.imu(time.monotonic_ns())

    def without() -> None:
        it.robot.send(*([frozen] if how == "frozen" else []), it.robot.joint_state(time.monotonic_ns()))
        it.say()

    it.next_is(it.robot.damping, without)
    it.says("DISARMED", "imu_frozen" if how == "frozen" else "imu_timeout")


def test_joint_states_that_repeat_one_stamp_count_as_stopped(rig: Callable[..., Rig]) -> None:
    it = rig(STATE).armed()
    frozen = it.robot.joint_state(time.monotonic_ns())

    def repeat() -> None:
        it.robot.send(it.robot.imu(time.monotonic_ns()), frozen)
        it.say()

    it.next_is(ZERO, repeat)
    it.says("DISARMED", "joints_frozen")


def test_states_that_cannot_be_read_end_active_by_name_and_are_followed_by_damping_and_zero(
    rig: Callable[..., Rig],
) -> None:
    it = rig({"state_timeout": 0.5}).armed()

    def broken() -> None:
        it.robot.measure(time.monotonic_ns(), velocity=[math.nan, 0.0])
        it.say()

    it.next_is(it.robot.damping, broken)
    it.says("DISARMED", "non_finite")
    it.next_is(ZERO, broken)
    assert it.rejected() >= 3


def test_stamps_that_go_back_are_refused_on_a_robot(rig: Callable[..., Rig]) -> None:
    it = rig().armed()
    before = it.rejected()
    it.robot.measure(time.monotonic_ns() - 10**9)
    it.graph.until(lambda: it.rejected() == before + 2, "two refusals")
    it.next_is([1.0, 1.0], lambda: (it.robot.stream(), it.say([1.0, 1.0])))
    assert it.robot.state == "ACTIVE"


def test_a_fall_is_damped_latched_and_reset_upright(rig: Callable[..., Rig]) -> None:
    it = rig().armed()

    def fallen() -> None:
        it.robot.measure(time.monotonic_ns(), tilt=1.3)
        it.say()

    it.next_is(it.robot.damping, fallen)
    it.says("FALLING", "tilt")
    assert not it.robot.arm().success
    it.robot.measure(time.monotonic_ns(), tilt=1.3)
    refused = it.graph.call(Trigger, topics.SAFETY_RESET, Trigger.Request())
    assert not refused.success
    assert refused.message.startswith("refused, the fault stands: ")
    it.graph.spin(0.05, it.alive)
    assert it.robot.state == "FALLING"
    it.reset()
    it.armed()


# Operators.


def test_arming_is_refused_with_what_is_missing(rig: Callable[..., Rig]) -> None:
    it = rig()
    response = it.robot.arm()
    assert not response.success
    assert response.message == "refused in DISARMED: no joint state with IMU has arrived"
    it.until_state("READY", it.alive)
    assert it.node.trigger_deactivate() == OK
    response = it.robot.arm()
    assert (response.success, response.message) == (False, "refused: the node is not activated")


def test_emergency_stop_damps_at_once_then_zero_and_stays(rig: Callable[..., Rig]) -> None:
    it = rig({"state_timeout": 0.5}).armed()
    before = len(it.robot.commands)
    assert it.graph.call(Trigger, topics.SAFETY_EMERGENCY_STOP, Trigger.Request()).success
    it.graph.until(lambda: it.robot.damping in it.sent()[before:], "damping without a new state")
    before = len(it.robot.commands)
    it.next_is(ZERO, it.alive)
    it.says("ESTOP", "operator")
    assert ASKED not in it.sent()[before:]
    it.graph.spin(0.55)
    refused = it.graph.call(Trigger, topics.SAFETY_RESET, Trigger.Request())
    assert not refused.success
    assert "the fault stands: no joint state" in refused.message
    it.reset()
    it.armed()


def test_disarming_is_damping_at_the_next_state(rig: Callable[..., Rig]) -> None:
    it = rig().armed()
    assert it.robot.arm(False).message == "disarmed"
    it.next_is(it.robot.damping, it.alive)
    it.until_state("READY", it.alive)
    it.graph.spin(0.05, it.alive)
    assert it.robot.state == "READY"
    assert it.sent()[-1] == it.robot.damping


def test_a_late_subscriber_gets_the_status(rig: Callable[..., Rig]) -> None:
    it = rig().armed()
    late = it.graph.listen(topics.SAFETY_STATUS)
    it.graph.until(lambda: late, "the latched status", pump=it.alive)
    assert values_of(late[0])["state"] == "ACTIVE"
    assert late[0].hardware_id == "two"


def test_all_must_be_well_for_a_while_before_it_can_be_armed(rig: Callable[..., Rig]) -> None:
    it = rig(short={"ready_time": 5.0})
    it.graph.until(lambda: it.robot.reason == "settling", "all well", pump=it.alive)
    answer = it.robot.arm(pump=it.alive)
    text = "refused in DISARMED: all must be well for 5 s before the robot may be armed"
    assert (answer.success, answer.message) == (False, text)
    assert set(it.states(0)) == {"DISARMED"}


def test_auto_arm_arms_once(rig: Callable[..., Rig]) -> None:
    it = rig(auto_arm=True)
    it.until_state("ACTIVE", it.alive)
    it.robot.arm(False)
    it.until_state("READY", it.alive)
    it.graph.spin(0.05, it.alive)
    assert it.robot.state == "READY"


# Others on its topics.


@pytest.mark.parametrize("topic", [topics.POLICY_EFFORT, topics.JOINT_COMMAND], ids=lambda topic: topic.name)
def test_a_second_publisher_ends_active_and_keeps_it_from_being_armed(rig: Callable[..., Rig], topic: Any) -> None:
    it = rig().armed()
    other = it.graph.speak(topic, kind=JointState)
    it.next_is(it.robot.damping, it.alive)
    reason = "second_policy" if topic is topics.POLICY_EFFORT else "second_commander"
    it.says("DISARMED", reason)
    it.alive()
    assert it.robot.arm().message == f"refused in DISARMED: 2 publishers on /{topic.name}, expected 1"
    it.graph.tester.destroy_publisher(other)
    it.armed()


@pytest.mark.parametrize("kind", [Float64MultiArray, String], ids=["the type of the topic", "another type"])
def test_who_is_there_before_it_is_armed_keeps_it_from_being_armed(rig: Callable[..., Rig], kind: Any) -> None:
    it = rig(command_type="float64_multi_array")
    it.until_state("READY", it.alive)
    it.graph.stranger().create_publisher(kind, topics.JOINT_COMMAND.name, 1)
    it.graph.until(lambda: it.robot.reason == "second_commander", "a reason", pump=it.alive)
    answer = it.robot.arm()
    assert (answer.success, answer.message) == (
        False,
        "refused in DISARMED: 2 publishers on /joint_effort_controller/commands, expected 1",
    )


def test_who_came_a_moment_ago_is_counted_before_it_is_armed(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = rig()
    it.until_state("READY", it.alive)
    # The next look by itself would come too late.
    monkeypatch.setattr("humanoid_rl_ros.nodes.safety_monitor_node.GRAPH_PERIOD_NS", 10**18)
    it.graph.speak(topics.JOINT_COMMAND, kind=JointState)
    it.graph.until(lambda: it.node.count_publishers(topics.JOINT_COMMAND.name) == 2, "two publishers", pump=it.alive)
    assert it.robot.state == "READY"
    assert "2 publishers on" in it.robot.arm().message


def test_a_second_publisher_on_a_remapped_topic_is_seen_too(tmp_path: Path, graph: Graph) -> None:
    arguments = ["--ros-args", "-r", "policy/joint_effort:=efforts"]
    node = graph.active(SafetyMonitorNode, arguments=arguments, robot=str(write_robot(tmp_path)))
    for _ in range(2):
        graph.speak(topics.POLICY_EFFORT, name="efforts")
    robot = FakeRobot(graph, load_robot(tmp_path / "robot.yaml"), stamped=False)
    graph.until(lambda: node.count_publishers("efforts") == 2, "two publishers")
    robot.heard_by(1)
    graph.until(lambda: robot.reason == "second_policy", "a reason", pump=robot.stream)


# Its parameters.


def test_no_parameter_can_be_set_while_it_is_armed(rig: Callable[..., Rig]) -> None:
    it = rig()
    listed = it.graph.call(ListParameters, "safety_monitor/list_parameters", ListParameters.Request()).result.names
    assert {"limits", "robot", "auto_arm", "use_sim_time"} < set(listed)
    before = [it.node.get_parameter_or(name, Parameter(name)) for name in listed]  # some are empty lists, and unset
    others = [Parameter(p.name, value=_other(p.value)).to_parameter_msg() for p in before]
    it.armed()
    answers = it.graph.call(
        SetParameters, "safety_monitor/set_parameters", SetParameters.Request(parameters=others)
    ).results
    reasons = {name: answer.reason for name, answer in zip(listed, answers, strict=True)}
    assert not any(answer.successful for answer in answers)
    assert (
        reasons.pop("use_sim_time")
        == "use_sim_time is read when the node is configured and stays until it is cleaned up"
    )
    assert all("read-only" in reason or "out of range" in reason for reason in reasons.values()), reasons
    after = [it.node.get_parameter_or(name, Parameter(name)) for name in listed]
    assert [p.value for p in after] == [p.value for p in before]
    assert not it.node.get_clock().ros_time_is_active
    it.next_is(ASKED, it.alive)


def _other(value: Any) -> Any:
    if value is None:
        return [1]
    if isinstance(value, bool):
        return not value
    return value * 0.5 + 1.0 if isinstance(value, float) else "other"


# The end.


def test_deactivated_it_disarms_and_goes_on_damping_and_cleaned_up_its_last_word_is_zero(
    rig: Callable[..., Rig],
) -> None:
    it = rig().armed()
    assert it.node.trigger_deactivate() == OK
    it.graph.until(lambda: it.sent()[-1] == it.robot.damping, "an answer without a new state")
    it.next_is(it.robot.damping, it.alive)
    assert it.node.trigger_cleanup() == OK
    it.graph.until(lambda: it.sent()[-1] == ZERO, "zero")


# Lock-step, whose clock is the stamps.


def lockstep(rig: Callable[..., Rig]) -> Rig:
    it = rig(COMMAND | STATE | IMU, mode="lockstep", lockstep_timeout=WALL_TIMEOUT, use_sim_time=True)
    it.robot.measure(0)
    it.say(frame=topics.STANDBY, stamp_ns=0)
    it.until_state("READY")
    assert it.robot.arm().success
    return it


def answer(it: Rig, stamp_ns: int, values: list[float]) -> list[float]:
    it.robot.measure(stamp_ns)
    it.say(values, stamp_ns=stamp_ns)
    it.graph.until(lambda: it.robot.answers(stamp_ns), f"the answer to {stamp_ns}")
    return list(it.robot.answers(stamp_ns)[-1].effort)


def test_in_lockstep_each_state_is_answered_with_its_stamp_whichever_message_comes_first(
    rig: Callable[..., Rig],
) -> None:
    it = lockstep(rig)
    assert answer(it, 2 * MS, [1.0, 1.0]) == [1.0, 1.0]
    it.say([2.0, 2.0], stamp_ns=4 * MS)
    it.graph.spin(0.03)
    assert it.robot.answers(4 * MS) == []
    it.robot.measure(4 * MS)
    it.graph.until(lambda: it.robot.answers(4 * MS), "the answer")
    assert list(it.robot.answers(4 * MS)[0].effort) == [2.0, 2.0]
    assert {m.header.frame_id for m in it.robot.answers(4 * MS)} == {"ACTIVE"}


def test_in_lockstep_wall_time_does_not_count_until_its_own_time_out(rig: Callable[..., Rig]) -> None:
    it = lockstep(rig)
    answer(it, 2 * MS, ASKED)
    it.robot.measure(4 * MS)
    it.graph.spin(TIMEOUT + 0.05)
    assert it.robot.state == "ACTIVE"
    it.graph.until(lambda: list(it.robot.commands[-1].effort) == it.robot.damping, "damping")
    assert stamp_to_ns(it.robot.commands[-1].header.stamp) == 4 * MS
    assert values_of(it.node.diagnose())["last_fault"].startswith("command_timeout: no policy effort for 0.6 s")


def test_in_lockstep_arming_after_a_long_stand_does_not_blame_the_policy_for_it(rig: Callable[..., Rig]) -> None:
    it = rig(COMMAND | STATE | IMU, mode="lockstep", lockstep_timeout=WALL_TIMEOUT, use_sim_time=True)
    it.robot.measure(0)
    it.say(frame=topics.STANDBY, stamp_ns=0)
    it.until_state("READY")
    it.graph.spin(WALL_TIMEOUT + 0.1)
    assert it.robot.arm().success
    it.until_state("ACTIVE")
    it.graph.spin(0.1)
    assert it.robot.state == "ACTIVE"


def test_in_lockstep_a_pause_is_no_time_out(rig: Callable[..., Rig]) -> None:
    it = lockstep(rig)
    answer(it, 2 * MS, ASKED)
    it.graph.spin(WALL_TIMEOUT + 0.1)  # the simulation asks nothing
    assert it.robot.state == "ACTIVE"


def test_in_lockstep_an_effort_from_before_a_reset_is_not_sent_after_it(rig: Callable[..., Rig]) -> None:
    it = lockstep(rig)
    answer(it, 2 * MS, ASKED)
    it.say([9.0, 4.0], stamp_ns=6 * MS)  # its state never comes
    it.graph.spin(0.03)
    for stamp_ns in (0, 2 * MS, 4 * MS):
        it.robot.measure(stamp_ns)
        it.graph.until(lambda stamp_ns=stamp_ns: it.node._control._state.stamp_ns == stamp_ns, "the state")
        it.say(ASKED, stamp_ns=stamp_ns)
        it.graph.spin(0.02)
    it.robot.measure(6 * MS)
    it.graph.spin(0.05)
    assert [9.0, 4.0] not in it.sent()


def test_in_lockstep_a_reset_of_the_simulation_leaves_the_robot_armed_or_not_whenever_it_comes(
    rig: Callable[..., Rig],
) -> None:
    it = lockstep(rig)
    states = []
    for last_ms in (50, 500):
        for stamp in range(2, last_ms, 48):
            answer(it, stamp * MS, ASKED)
        assert it.robot.state == "ACTIVE"
        it.robot.measure(0)
        it.graph.until(lambda: it.node._control._state.stamp_ns == 0, "the reset")
        it.graph.spin(0.03)
        states.append(it.robot.state)
    assert states[0] == states[1]


def test_in_lockstep_commands_must_carry_stamps(
    tmp_path: Path, graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    node = graph.node(SafetyMonitorNode, robot=str(write_robot(tmp_path)), mode="lockstep")
    assert node.trigger_configure() != OK
    assert "lock-step needs parameter command_type:=joint_state" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({}, "no robot is given"),
        ({"robot": "reference", "limits": "none.yaml"}, "none.yaml: no such file"),
        ({"robot": "reference", "command_type": "float"}, "one of float64_multi_array, joint_state, found 'float'"),
    ],
)
def test_what_cannot_be_configured_stays_unconfigured_with_one_line(
    graph: Graph, capfd: pytest.CaptureFixture[str], parameters: dict[str, str], text: str
) -> None:
    node = graph.node(SafetyMonitorNode, **parameters)
    assert node.trigger_configure() != OK
    assert node._state_machine.current_state[1] == "unconfigured"
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "[ERROR]" in line]
    assert text in line


def test_an_unstamped_clock_is_a_stopped_robot(rig: Callable[..., Rig]) -> None:
    # A driver that never fills in its stamps sends one measurement for ever, as far as anybody can tell.
    it = rig(STATE)

    def unstamped() -> None:
        message = it.robot.joint_state(0)
        message.header.stamp = ns_to_stamp(0)
        it.robot.send(it.robot.imu(0), message)
        it.say(frame=topics.STANDBY)

    it.graph.until(lambda: (it.robot.state, it.robot.reason) == ("DISARMED", "state_timeout"), "it", pump=unstamped)


# What is kept.


def test_a_fault_and_a_reset_leave_what_led_to_them_in_a_file(rig: Callable[..., Rig], tmp_path: Path) -> None:
    folder = tmp_path / "records"
    it = rig(COMMAND, records=str(folder)).armed()
    it.next_is(it.robot.damping, it.robot.stream)

    def kept(why: str) -> list[Path]:
        return list(folder.glob(f"*_{why}.json"))

    it.graph.until(lambda: kept("command_timeout"), "the record")
    record = json.loads(kept("command_timeout")[0].read_text())
    assert record["robot"] == it.robot.robot.name
    assert record["status"]["last_fault"].startswith("command_timeout: no policy effort for 0.")
    told = [(event["kind"], event["state"], event["code"]) for event in record["events"]]
    assert ("transition", "ACTIVE", "") in told
    assert told[-1] == ("transition", "DISARMED", "command_timeout")
    assert it.graph.call(Trigger, topics.SAFETY_RESET, Trigger.Request()).success
    it.graph.until(lambda: kept("reset"), "the record")


# When it fails itself.


def test_a_monitor_whose_callback_raises_says_so_lets_go_and_ends(tmp_path: Path, graph: Graph) -> None:
    file = write_robot(tmp_path)
    monitor = graph.process(
        "cli.raising_monitor",
        robot=file,
        limits=write_limits(tmp_path),
        command_type="joint_state",
        autostart=True,
        records=tmp_path,
    )
    robot = FakeRobot(graph, load_robot(file))
    policy = graph.speak(topics.POLICY_EFFORT, reliable=True)
    robot.heard_by(1)
    noise = np.random.default_rng(0)

    def alive() -> None:
        robot.velocity = noise.uniform(1.0, 2.0, 2)
        robot.measure(time.monotonic_ns(), tilt=float(noise.uniform(0.0, 1e-3)))
        time.sleep(0.002)
        message = JointState(name=["hip", "knee"], effort=ASKED)
        message.header.stamp, message.header.frame_id = ns_to_stamp(time.monotonic_ns()), "ACTIVE"
        policy.publish(message)

    graph.until(lambda: robot.state == "READY", "READY", 20.0, pump=alive)
    assert robot.arm().success
    graph.until(lambda: monitor.process.poll() is not None, "its end", 40.0, pump=alive)
    assert monitor.process.returncode == 1
    assert "ended by RuntimeError: made to raise" in monitor.output
    assert [m.header.frame_id for m in robot.commands].count("ACTIVE") > 10
    graph.until(lambda: list(robot.commands[-1].effort) == ZERO, "zero")
    heard = len(robot.commands)
    graph.spin(0.3)
    assert len(robot.commands) == heard
