"""simulation_bridge_node: what its motors do with commands good, bad and missing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParametersAtomically
from ros_graph import OK, Graph
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import ns_to_stamp, stamp_to_ns
from humanoid_rl_ros.interfaces.placement_messages import placement_request
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.simulation_bridge_node import SimulationBridgeNode
from humanoid_rl_ros.resources import find_robot

pytestmark = pytest.mark.ros
MS = 1_000_000
PERIOD = 2 * MS
TORSO = """<mujoco><worldbody><body name="torso" pos="0 0 1"><freejoint/><geom type="box" size="0.2 0.2 0.2"/>
<body name="arm" pos="0 0 0.5"><joint name="arm_joint" axis="0 1 0" range="-1 1"/><geom type="sphere" size="0.05"/>
</body></body></worldbody><actuator><motor joint="arm_joint" ctrlrange="-5 5"/></actuator></mujoco>"""


@pytest.fixture(scope="module")
def robot() -> RobotSpec:
    return find_robot("reference")


class Rig:
    """A bridge and a commander made of words."""

    def __init__(self, graph: Graph, robot: RobotSpec, **parameters: Any) -> None:
        self.graph, self.robot = graph, robot
        self.kind = JointState if parameters.get("command_type") == "joint_state" else Float64MultiArray
        self.states = graph.listen(topics.JOINT_STATES)
        self.imu = graph.listen(topics.IMU)
        self.commander = graph.speak(topics.JOINT_COMMAND, kind=self.kind, reliable=True)
        self.status = graph.speak(topics.SAFETY_STATUS)
        self.node = graph.active(SimulationBridgeNode, robot="reference", **parameters)
        graph.until(lambda: self.commander.get_subscription_count() == 1, "a subscriber")
        graph.until(lambda: self.status.get_subscription_count() == 1, "a subscriber")
        graph.until(lambda: self.states, "a state")

    def say(self, values: Any, stamp_ns: int = 0, frame: str = "ACTIVE") -> None:
        values = [float(v) for v in values]
        if self.kind is Float64MultiArray:
            self.commander.publish(Float64MultiArray(data=values))
            return
        message = JointState(name=list(self.robot.joint_names), effort=values)
        message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame
        self.commander.publish(message)

    def arm(self, state: str = "ACTIVE") -> None:
        self.status.publish(DiagnosticStatus(values=[KeyValue(key="state", value=state)]))

    def now(self) -> int:
        return stamp_to_ns(self.states[-1].header.stamp)

    def reaches(self, stamp_ns: int, within: float = 2.0) -> None:
        self.graph.until(lambda: self.now() == stamp_ns, f"the state of {stamp_ns} ns", within)

    def stands(self, seconds: float = 0.05) -> None:
        """Time does not pass in the simulation."""
        before = self.now()
        self.graph.spin(seconds)
        assert self.now() == before

    def refused(self) -> int:
        return int(values_of(self.node.diagnose())["refused"])

    def hold(self) -> np.ndarray:
        """An effort that differs for each joint."""
        return np.linspace(-1.0, 1.0, self.robot.n_joints)

    def call(self, name: str) -> Trigger.Response:
        return self.graph.call(Trigger, name, Trigger.Request())

    def pause(self, wanted: bool) -> None:
        assert self.graph.call(SetBool, topics.SIMULATION_PAUSE, SetBool.Request(data=wanted)).success


@pytest.fixture
def lockstep(graph: Graph, robot: RobotSpec) -> Callable[..., Rig]:
    return lambda **parameters: Rig(graph, robot, mode="lockstep", command_type="joint_state", **parameters)


# Lock-step.


def test_each_answer_is_one_step_and_the_state_tells_the_effort_of_its_motors(lockstep: Callable[..., Rig]) -> None:
    it = lockstep()
    assert it.now() == 0
    for k in range(3):
        it.say((k + 1) * it.hold(), stamp_ns=k * PERIOD)
        it.reaches((k + 1) * PERIOD)
        assert list(it.states[-1].effort) == ((k + 1) * it.hold()).tolist()
    stamps = {stamp_to_ns(m.header.stamp) for m in it.states}
    assert stamps == {0, PERIOD, 2 * PERIOD, 3 * PERIOD}


def test_joints_of_an_answer_are_matched_by_name(lockstep: Callable[..., Rig]) -> None:
    it = lockstep()
    message = JointState(name=list(it.robot.joint_names)[::-1], effort=it.hold()[::-1].tolist())
    message.header.frame_id = "ACTIVE"
    it.commander.publish(message)
    it.reaches(PERIOD)
    assert list(it.states[-1].effort) == it.hold().tolist()


def test_an_answer_to_another_state_is_no_answer_and_the_state_is_asked_again(lockstep: Callable[..., Rig]) -> None:
    it = lockstep()
    it.say(it.hold(), stamp_ns=0)
    it.reaches(PERIOD)
    asked = len(it.states)
    for wrong in (0, PERIOD - 1, PERIOD + 1, 2 * PERIOD, -PERIOD):
        it.say(9.0 * it.hold(), stamp_ns=wrong)
    it.stands()
    it.graph.until(lambda: len(it.states) >= asked + 2, "being asked again", 1.0)
    assert {stamp_to_ns(m.header.stamp) for m in it.states[asked:]} == {PERIOD}
    it.say(it.hold(), stamp_ns=PERIOD)
    it.reaches(2 * PERIOD)
    assert list(it.states[-1].effort) == it.hold().tolist()


def test_it_is_held_until_a_command_comes_from_an_active_monitor(lockstep: Callable[..., Rig]) -> None:
    it = lockstep()
    for frame in ("DISARMED", "READY", "", topics.STANDBY):
        it.say(it.hold(), frame=frame)
    it.stands()
    assert values_of(it.node.diagnose())["released"] == "-1"
    it.say(it.hold())
    it.reaches(PERIOD)
    it.say(it.hold(), stamp_ns=PERIOD, frame="DISARMED")  # damping after release counts
    it.reaches(2 * PERIOD)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_effort_that_is_not_finite_is_refused(lockstep: Callable[..., Rig], bad: float) -> None:
    it = lockstep()
    values = it.hold()
    values[3] = bad
    it.say(values)
    it.graph.until(lambda: it.refused() == 1, "a refusal")
    it.stands()
    it.say(it.hold())
    it.reaches(PERIOD)


@pytest.mark.parametrize("change", ["short", "long", "unknown", "twice", "nameless"])
def test_a_command_for_other_joints_is_refused(
    lockstep: Callable[..., Rig], capfd: pytest.CaptureFixture[str], change: str
) -> None:
    it = lockstep()
    names, values = list(it.robot.joint_names), it.hold().tolist()
    if change == "short":
        values = values[:-1]
    elif change == "long":
        values = [*values, 1.0]
    elif change == "unknown":
        names[0] = "tail"
    elif change == "twice":
        names[0] = names[1]
    else:
        names = []
    message = JointState(name=names, effort=values)
    message.header.frame_id = "ACTIVE"
    it.commander.publish(message)
    it.graph.until(lambda: it.refused() == 1, "a refusal")
    it.stands()
    assert "joint command refused: " in capfd.readouterr().err


def test_effort_over_the_limit_is_what_a_motor_would_give(lockstep: Callable[..., Rig]) -> None:
    one, other = lockstep(), np.sign(np.linspace(-1.0, 1.0, 21)) + (np.linspace(-1.0, 1.0, 21) == 0)
    runs = []
    for scale in (1.0, 1000.0):
        assert one.call(topics.SIMULATION_RESET).success
        one.reaches(0)
        one.say(scale * other * one.robot.effort_limit)
        one.reaches(PERIOD)
        runs.append(list(one.states[-1].velocity))
    assert runs[0] == runs[1]


def test_when_no_answer_comes_the_motors_damp_by_themselves(
    lockstep: Callable[..., Rig], capfd: pytest.CaptureFixture[str]
) -> None:
    it = lockstep(lockstep_timeout=0.3)
    for k in range(5):
        it.say(20.0 * it.hold(), stamp_ns=k * PERIOD)
        it.reaches((k + 1) * PERIOD)
    before = it.states[-1]
    it.graph.until(lambda: it.now() >= 7 * PERIOD, "steps of its own", 1.0)
    by_stamp = {stamp_to_ns(m.header.stamp): m for m in it.states}
    for stamp, previous in ((6 * PERIOD, before), (7 * PERIOD, by_stamp[6 * PERIOD])):
        assert list(by_stamp[stamp].effort) == damping(it.robot, previous)
    assert capfd.readouterr().err.count("the motors damp by themselves") == 1
    it.pause(True)
    it.graph.spin(0.03)
    now = it.now()
    it.pause(False)
    it.say(it.hold(), stamp_ns=now)
    it.reaches(now + PERIOD)


def damping(robot: RobotSpec, state: JointState) -> list[float]:
    effort = -robot.kd * np.array(state.velocity)
    return np.clip(effort, -robot.effort_limit, robot.effort_limit).tolist()


# Services.


def test_reset_gives_the_first_state_again_and_holds(lockstep: Callable[..., Rig]) -> None:
    it = lockstep()
    first = it.states[0]
    it.say(20.0 * it.hold())
    it.reaches(PERIOD)
    response = it.call(topics.SIMULATION_RESET)
    assert (response.success, response.message) == (True, "the robot stands at its initial pose, time is 0")
    it.reaches(0)
    assert list(it.states[-1].position) == list(first.position)
    it.say(it.hold(), frame="READY")
    it.stands()


def test_pause_holds_time_and_step_passes_one_period(lockstep: Callable[..., Rig]) -> None:
    it = lockstep()
    response = it.call(topics.SIMULATION_STEP)
    assert (response.success, response.message) == (False, "refused: the simulation is not paused")
    it.pause(True)
    it.say(it.hold())
    it.stands()
    assert it.call(topics.SIMULATION_STEP).message == "time is 0.002000 s"
    it.reaches(PERIOD)
    assert list(it.states[-1].effort) == it.hold().tolist()
    it.say(it.hold(), stamp_ns=PERIOD)
    it.stands()
    it.pause(False)
    it.say(it.hold(), stamp_ns=PERIOD)
    it.reaches(2 * PERIOD)


def test_it_pauses_after_the_time_asked_for(lockstep: Callable[..., Rig]) -> None:
    it = lockstep(stop_after=0.006)
    for k in range(3):
        it.say(it.hold(), stamp_ns=k * PERIOD)
        it.reaches((k + 1) * PERIOD)
    it.say(it.hold(), stamp_ns=3 * PERIOD)
    it.stands()
    assert values_of(it.node.diagnose())["paused"] == "True"


def test_deactivated_its_motors_damp_and_time_stands(lockstep: Callable[..., Rig]) -> None:
    it = lockstep()
    for k in range(3):
        it.say(20.0 * it.hold(), stamp_ns=k * PERIOD)
        it.reaches((k + 1) * PERIOD)
    assert it.node.trigger_deactivate() == OK
    it.graph.until(lambda: list(it.states[-1].effort) == damping(it.robot, it.states[-1]), "damping")
    it.say(it.hold(), stamp_ns=3 * PERIOD)
    it.stands()


# Real time.


def test_in_real_time_it_is_held_until_the_monitor_is_active_and_damps_when_commands_stop(
    graph: Graph, robot: RobotSpec
) -> None:
    it = Rig(graph, robot, command_timeout=0.15)
    pose = list(it.states[0].position)
    effort = 5.0 * it.hold()
    graph.spin(0.05, lambda: it.say(effort))
    assert it.now() > 0
    assert list(it.states[-1].position) == pose
    assert not any(it.states[-1].effort)
    it.arm()
    graph.until(lambda: list(it.states[-1].effort) == effort.tolist(), "release", 40.0, lambda: it.say(effort))
    began = time.monotonic()
    graph.until(lambda: list(it.states[-1].effort) != effort.tolist(), "damping", 40.0)
    assert time.monotonic() - began > 0.05
    end = len(it.states)
    graph.until(lambda: len(it.states) > end + 20, "states")
    pairs = [
        (a, b)
        for a, b in zip(it.states[end:], it.states[end + 1 :], strict=False)
        if stamp_to_ns(b.header.stamp) - stamp_to_ns(a.header.stamp) == PERIOD
    ]
    assert pairs
    assert all(list(b.effort) == damping(robot, a) for a, b in pairs)
    graph.until(lambda: list(it.states[-1].effort) == effort.tolist(), "commands again", 40.0, lambda: it.say(effort))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda v: v[:-1], "20 values for 21 joints"),
        (lambda v: [*v, 0.0], "22 values for 21 joints"),
        (lambda v: [], "0 values for 21 joints"),
        (lambda v: [*v[:-1], math.nan], "effort of joint 'right_elbow_joint' is not finite"),
    ],
)
def test_a_bad_array_is_refused_and_does_not_keep_the_motors_going(
    graph: Graph, robot: RobotSpec, capfd: pytest.CaptureFixture[str], change: Callable[[Any], Any], text: str
) -> None:
    it = Rig(graph, robot, command_timeout=0.15)
    effort = 5.0 * it.hold()
    it.arm()
    graph.until(lambda: list(it.states[-1].effort) == effort.tolist(), "release", 40.0, lambda: it.say(effort))
    bad = change(effort.tolist())
    graph.until(
        lambda: values_of(it.node.diagnose())["own_damping"] != "0", "its own damping", 40.0, lambda: it.say(bad)
    )
    assert it.refused() > 0
    assert text in capfd.readouterr().err
    for state in it.states:
        assert np.isfinite(state.effort).all()


# Configuration.


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({}, "no robot is given"),
        ({"robot": "reference", "mode": "lockstep"}, "lock-step needs parameter command_type:=joint_state"),
        ({"robot": "reference", "initial_position": [0.0]}, "has 1 numbers, the robot has 21 joints"),
        ({"robot": "reference", "initial_position": [math.nan] * 21}, "must be finite"),
        ({"robot": "reference", "physics_timestep": 0.0013}, "does not divide the state period"),
        ({"robot": "nothing.xml"}, "nothing.xml"),
        ({"robot": "reference", "weak_joint": "left_nee_joint"}, "did you mean 'left_knee_joint'?"),
        ({"robot": "reference", "payload": 0.1, "payload_on": "*hat*"}, "'payload_on': no body"),
    ],
)
def test_what_cannot_be_configured_stays_unconfigured_with_one_line(
    graph: Graph, capfd: pytest.CaptureFixture[str], parameters: dict[str, Any], text: str
) -> None:
    node = graph.node(SimulationBridgeNode, **parameters)
    assert node.trigger_configure() != OK
    assert node._state_machine.current_state[1] == "unconfigured"
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "[ERROR]" in line]
    assert text in line


def test_a_push_comes_at_its_time_after_the_release_and_after_every_reset(graph: Graph, robot: RobotSpec) -> None:
    it = Rig(graph, robot, command_type="joint_state", mode="lockstep", pushes=[0.01, 3.0, 0.0, 0.0])
    odometry = graph.listen(topics.ODOMETRY)

    def walk(until_ms: int) -> None:
        while (stamp := stamp_to_ns(it.states[-1].header.stamp)) < until_ms * MS:
            it.say(np.zeros(robot.n_joints), stamp)
            graph.until(lambda stamp=stamp: stamp_to_ns(it.states[-1].header.stamp) > stamp, "the next state")

    def fastest() -> float:
        return max((m.twist.twist.linear.x for m in odometry), default=0.0)

    for _ in range(2):
        odometry.clear()
        walk(8)
        graph.spin(0.05)
        assert fastest() < 1.0
        walk(60)
        graph.until(lambda: fastest() > 2.5, "the push")
        assert graph.call(Trigger, topics.SIMULATION_RESET, Trigger.Request()).success
        graph.until(lambda: stamp_to_ns(it.states[-1].header.stamp) == 0, "time 0")


def test_forces_of_the_feet_come_with_every_odometry_and_change_nothing(graph: Graph, robot: RobotSpec) -> None:
    """Standing on the PD law: the forces add up to the weight, 35 kg · 9.81 m/s²."""
    runs = []
    for wanted in (True, False):
        odometry = graph.listen(topics.ODOMETRY)
        contacts = graph.listen(topics.FOOT_CONTACTS)
        it = Rig(
            graph, robot, command_type="joint_state", mode="lockstep", odometry_rate=500.0, publish_foot_contacts=wanted
        )
        for k in range(250):
            state = it.states[-1]
            error = robot.default_position - np.array(state.position)
            it.say(robot.kp * error - robot.kd * np.array(state.velocity), k * PERIOD)
            it.reaches((k + 1) * PERIOD)
        graph.until(lambda heard=odometry: stamp_to_ns(heard[-1].header.stamp) == 250 * PERIOD, "the last odometry")
        if wanted:
            graph.until(lambda a=contacts, b=odometry: len(a) == len(b), "as many contacts")
            (dimension,) = contacts[-1].layout.dim
            assert dimension.label == "left_ankle_roll_link,right_ankle_roll_link"
            assert (dimension.size, len(contacts[-1].data)) == (2, 2)
            assert list(contacts[0].data) == [0.0, 0.0]
            assert sum(contacts[-1].data) == pytest.approx(35.0 * 9.81, rel=0.02)
        else:
            assert not contacts
        runs.append((list(it.states[-1].position), list(it.states[-1].velocity)))
        assert it.node.trigger_deactivate() == OK
        assert it.node.trigger_cleanup() == OK
    assert runs[0] == runs[1]


def test_a_robot_that_lies_on_its_root_says_once_that_it_has_no_feet(
    graph: Graph, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torso.xml").write_text(TORSO)
    graph.active(SimulationBridgeNode, robot=str(tmp_path / "torso.xml"))
    odometry = graph.listen(topics.ODOMETRY)
    graph.until(lambda: len(odometry) > 5, "odometry")
    assert graph.tester.count_publishers(topics.FOOT_CONTACTS.name) == 0
    assert capfd.readouterr().err.count("does not stand on the ends of limbs") == 1


def test_pushes_that_are_none_are_refused_by_name(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    node = graph.node(SimulationBridgeNode, robot="reference", pushes=[1.0, 2.0, 3.0])
    assert node.trigger_configure() != OK
    assert "'pushes' needs four numbers for each push, time x y z; found 3" in capfd.readouterr().err


def test_it_is_put_into_a_state_and_says_exactly_which(graph: Graph, robot: RobotSpec) -> None:
    rig = Rig(graph, robot, mode="lockstep", command_type="joint_state", publish_root_state=True)
    roots = graph.listen(topics.ROOT_STATE)
    pose = (robot.default_position + 0.1).tolist()
    asked = {
        "base_position": np.array([0.5, -0.25, 2.0]),
        "base_linear_velocity": np.array([0.1, 0.2, 0.3]),
        "base_angular_velocity": np.array([-0.1, 1 / 3, 0.7]),
        "joint_position": np.array(pose),
        "friction": np.array([np.nan]),
    }
    answer = graph.call(SetParametersAtomically, topics.SIMULATION_PLACE, placement_request(asked)).result
    assert (answer.successful, answer.reason) == (True, "placed")
    graph.until(lambda: rig.states[-1].position.tolist() == pose, "the new pose")
    graph.until(lambda: roots and roots[-1].transforms[0].translation.z == 2.0, "the root's state")
    twist = roots[-1].twist[0]
    assert [twist.linear.x, twist.linear.y, twist.linear.z] == [0.1, 0.2, 0.3]
    assert [twist.angular.x, twist.angular.y, twist.angular.z] == [-0.1, 1 / 3, 0.7]
    for wrong, words in (
        ({"bas_position": np.zeros(3)}, "did you mean 'base_position'?"),
        ({"joint_position": np.zeros(2)}, f"expected ({robot.n_joints},)"),
        ({"base_position": np.array([0.0, np.inf, 0.0])}, "finite"),
    ):
        answer = graph.call(SetParametersAtomically, topics.SIMULATION_PLACE, placement_request(wrong)).result
        assert not answer.successful
        assert words in answer.reason
    text = Parameter(name="mass", value=ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="much"))
    request = SetParametersAtomically.Request(parameters=[text])
    assert "'mass'" in graph.call(SetParametersAtomically, topics.SIMULATION_PLACE, request).result.reason
    assert rig.states[-1].position.tolist() == pose
    # A reset knows nothing of it.
    assert graph.call(Trigger, topics.SIMULATION_RESET, Trigger.Request()).success
    graph.until(lambda: rig.states[-1].position.tolist() == robot.default_position.tolist(), "the initial pose")


class Targets:
    """A robot that follows joint targets, and what it says of itself."""

    def __init__(self, graph: Graph, robot: RobotSpec, mode: str = "lockstep") -> None:
        options = {"publish_root_state": True, "hold_until_armed": False}
        self.rig = Rig(graph, robot, mode=mode, command_type="joint_state", **options)
        self.graph, self.robot = graph, robot
        self.roots = graph.listen(topics.ROOT_STATE)
        self.publisher = graph.speak(topics.JOINT_TARGET, reliable=True)
        graph.until(lambda: self.publisher.get_subscription_count() == 1, "a subscriber")

    def place(self, **values: np.ndarray) -> Any:
        gains = {"kp": self.robot.kp, "kd": self.robot.kd, "effort_limit": self.robot.effort_limit}
        request = placement_request(gains | values)
        return self.graph.call(SetParametersAtomically, topics.SIMULATION_PLACE, request).result

    def reach(self, *points: tuple[np.ndarray, int], stamp_ns: int = 0, names: Any = None) -> None:
        message = JointTrajectory(joint_names=list(names or self.robot.joint_names))
        message.header.stamp = ns_to_stamp(stamp_ns)
        for position, until_ns in points:
            time_from_start = Duration(nanosec=until_ns)
            message.points.append(JointTrajectoryPoint(positions=position.tolist(), time_from_start=time_from_start))
        self.publisher.publish(message)

    def stamps(self) -> list[int]:
        return [stamp_to_ns(message.header.stamp) for message in self.rig.states]


def test_targets_are_followed_to_their_end_as_by_the_efforts_of_the_law(graph: Graph, robot: RobotSpec) -> None:
    it = Targets(graph, robot)
    assert it.place().successful
    one, other = robot.default_position + 0.05, robot.default_position - 0.05
    it.reach((one, 2 * PERIOD), (other, 4 * PERIOD))
    it.rig.reaches(4 * PERIOD)
    assert sorted(set(it.stamps())) == [0, 3 * PERIOD, 4 * PERIOD]  # the last, the one before it, and none else
    graph.until(lambda: stamp_to_ns(it.roots[-1].header.stamp) == 4 * PERIOD, "the root's state")
    followed = [it.rig.states[it.stamps().index(stamp)] for stamp in (3 * PERIOD, 4 * PERIOD)]

    it.rig.states.clear()
    assert it.rig.call(topics.SIMULATION_RESET).success
    graph.until(lambda: it.stamps()[-1:] == [0], "the reset")
    for k, target in enumerate((one, one, other, other)):
        now = it.rig.states[-1]
        effort = robot.kp * target + (-robot.kp * np.array(now.position) - robot.kd * np.array(now.velocity))
        it.rig.say(np.clip(effort, -robot.effort_limit, robot.effort_limit), stamp_ns=k * PERIOD)
        it.rig.reaches((k + 1) * PERIOD)
    driven = [it.rig.states[it.stamps().index(stamp)] for stamp in (3 * PERIOD, 4 * PERIOD)]
    for a, b in zip(followed, driven, strict=True):
        assert (a.position, a.velocity) == (b.position, b.velocity)


def test_who_has_not_heard_is_told_both_states_again(graph: Graph, robot: RobotSpec) -> None:
    it = Targets(graph, robot)
    assert it.place().successful
    it.reach((robot.default_position, 3 * PERIOD))
    it.rig.reaches(3 * PERIOD)
    it.rig.states.clear()
    it.roots.clear()
    graph.until(lambda: it.stamps()[:2] == [2 * PERIOD, 3 * PERIOD], "both states", 2.0)
    told = {2 * PERIOD, 3 * PERIOD}
    graph.until(lambda: {stamp_to_ns(message.header.stamp) for message in it.roots} == told, "both roots", 2.0)


def test_targets_that_cannot_be_followed_are_refused_and_time_stands(
    graph: Graph, robot: RobotSpec, capfd: pytest.CaptureFixture[str]
) -> None:
    it = Targets(graph, robot)
    pose = robot.default_position
    it.reach((pose, PERIOD))
    graph.until(lambda: it.rig.refused() == 1, "a refusal")
    assert "no kp, kd, effort_limit are known" in capfd.readouterr().err
    assert "effort_limit has 2 numbers" in it.place(effort_limit=np.ones(2)).reason
    assert it.place().successful
    for k, (points, names) in enumerate(
        [
            ([(pose, PERIOD + 1000)], None),
            ([(pose[:2], PERIOD)], None),
            ([(pose, PERIOD)], ["a", *robot.joint_names[1:]]),
        ]
    ):
        it.reach(*points, names=names)
        graph.until(lambda k=k: it.rig.refused() == k + 2, "a refusal")
    it.reach((pose, PERIOD), stamp_ns=1)  # of another state: no answer
    it.rig.stands()
    it.reach((pose, PERIOD))
    it.rig.reaches(PERIOD)
    assert it.rig.call(topics.SIMULATION_RESET).success  # and knows no gains any more
    it.rig.reaches(0)
    it.reach((pose, PERIOD))
    graph.until(lambda: it.rig.refused() == 5, "a refusal")


def test_in_real_time_no_targets_are_followed(
    graph: Graph, robot: RobotSpec, capfd: pytest.CaptureFixture[str]
) -> None:
    it = Targets(graph, robot, mode="realtime")
    assert it.place().successful
    it.reach((robot.default_position, PERIOD))
    graph.until(lambda: it.rig.refused() == 1, "a refusal")
    assert "followed in lock-step alone" in capfd.readouterr().err
