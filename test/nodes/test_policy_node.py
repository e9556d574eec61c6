"""policy_node: what it makes of good and bad messages, seen at the joint commands behind the safety monitor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.exceptions import ParameterException
from rclpy.parameter import Parameter
from ros_graph import OK, FakeRobot, Graph
from sensor_msgs.msg import Imu, JointState
from std_srvs.srv import Trigger
from tiny_policy import VELOCITY_COMMAND_AT, write_policy, write_robot

from humanoid_rl_ros.behaviours.conductor import Task
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.behaviours.warm_up import warm_up
from humanoid_rl_ros.core.robot import RobotSpec, load_robot
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import ns_to_stamp, stamp_to_ns
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes import policy_node
from humanoid_rl_ros.nodes.parameters import PolicyParameters, SafetyParameters, SimulationParameters
from humanoid_rl_ros.nodes.policy_node import PolicyNode
from humanoid_rl_ros.nodes.safety_monitor_node import SafetyMonitorNode
from humanoid_rl_ros.nodes.simulation_bridge_node import SimulationBridgeNode

pytestmark = pytest.mark.ros
MS = 1_000_000
NEWEST = 15  # the second of two frames of 15 numbers is the newest


class Rig:
    """A policy behind a safety monitor, and a robot made of words."""

    def __init__(self, folder: Path, graph: Graph, **parameters: Any) -> None:
        self.graph = graph
        robot_file = write_robot(folder)
        spec = load_robot(robot_file)
        bundle = write_policy(folder / "tiny", spec)
        self.parameters = {"robot": str(robot_file), "policy": str(bundle), "mode": "lockstep"} | parameters
        self.policy = graph.active(PolicyNode, **self.parameters)
        self.robot = FakeRobot(graph, spec)
        self.observations = graph.listen(topics.POLICY_OBSERVATION)

    def with_monitor(self, **parameters: Any) -> Rig:
        mine = {name: self.parameters[name] for name in ("robot", "mode", "use_sim_time") if name in self.parameters}
        self.graph.active(SafetyMonitorNode, command_type="joint_state", **mine, **parameters)
        self.robot.heard_by(2)
        return self

    def armed(self, stamp_ns: int = 0) -> Rig:
        """ACTIVE, having answered the state of that stamp."""
        self.with_monitor()
        self.robot.measure(stamp_ns)
        self.graph.until(lambda: self.robot.state == "READY", "READY")
        assert self.robot.arm().success
        self.graph.until(
            lambda: any(m.header.frame_id == "ACTIVE" for m in self.robot.answers(stamp_ns)), "the first command"
        )
        return self

    def refused(self) -> int:
        return int(values_of(self.policy.diagnose())["refused"])

    def wait_refused(self, count: int) -> None:
        self.graph.until(lambda: self.refused() >= count, "a refusal")

    def observation(self, index: int) -> list[float]:
        self.graph.until(lambda: len(self.observations) > index, "an observation")
        return list(self.observations[index].data)


@pytest.fixture
def rig(tmp_path: Path, graph: Graph) -> Callable[..., Rig]:
    return lambda **parameters: Rig(tmp_path, graph, **parameters)


def status(state: str, armings: int = 1) -> DiagnosticStatus:
    return DiagnosticStatus(values=[KeyValue(key="state", value=state), KeyValue(key="armings", value=str(armings))])


def lines_of(text: str, node: str, level: str = "ERROR") -> list[str]:
    return [line for line in text.splitlines() if f"[{level}]" in line and f"[{node}]" in line]


# Bad messages.


def _joints(**changes: Any) -> Callable[[FakeRobot, int], list[Any]]:
    return lambda robot, stamp: [robot.imu(stamp), robot.joint_state(stamp, **changes)]


def _imu(change: Callable[[Imu], None]) -> Callable[[FakeRobot, int], list[Any]]:
    def messages(robot: FakeRobot, stamp: int) -> list[Any]:
        message = robot.imu(stamp)
        change(message)
        return [robot.joint_state(stamp), message]

    return messages


def _set(path: str, value: float) -> Callable[[Imu], None]:
    def change(message: Imu) -> None:
        *parents, last = path.split(".")
        target: Any = message
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, last, value)

    return change


def _covariance(name: str) -> Callable[[Imu], None]:
    def change(message: Imu) -> None:
        getattr(message, name)[0] = -1.0

    return change


BAD = {
    "missing joint": (_joints(name=["hip"], position=[0.0], velocity=[0.0]), "joint 'knee' is missing"),
    "extra joint": (
        _joints(name=["hip", "knee", "tail"], position=[0.0] * 3, velocity=[0.0] * 3),
        "joint 'tail' is unknown",
    ),
    "renamed joint": (_joints(name=["hip", "nee"]), "joint 'knee' is missing and 'nee' is unknown"),
    "duplicate joint": (_joints(name=["hip", "hip"]), "joint 'hip' is listed twice"),
    "short position": (_joints(position=[0.0]), "2 names but 1 values of position"),
    "no velocity": (_joints(velocity=[]), "2 names but 0 values of velocity"),
    "position NaN": (_joints(position=[0.0, math.nan]), "position of joint 'knee' is nan"),
    "velocity Inf": (_joints(velocity=[math.inf, 0.0]), "velocity of joint 'hip' is inf"),
    "quaternion zero": (_imu(_set("orientation.w", 0.0)), "not a unit quaternion: norm 0"),
    "quaternion not unit": (_imu(_set("orientation.w", 0.9)), "not a unit quaternion: norm 0.9"),
    "quaternion NaN": (_imu(_set("orientation.x", math.nan)), "IMU orientation is not finite"),
    "gyro Inf": (_imu(_set("angular_velocity.z", math.inf)), "IMU angular_velocity is not finite"),
    "no orientation": (_imu(_covariance("orientation_covariance")), "the IMU gives no orientation"),
    "no gyro": (_imu(_covariance("angular_velocity_covariance")), "the IMU gives no angular velocity"),
    "stamp from nowhere": (
        lambda robot, stamp: [robot.imu(stamp), _with_nanoseconds(robot.joint_state(stamp), 4_000_000_000)],
        "stamp has 4000000000 nanoseconds",
    ),
    "stamp back": (
        lambda robot, stamp: [robot.imu(stamp), robot.joint_state(stamp - 50 * MS)],
        "stamp of the joint state went back from 0.100000 to 0.052000 s",
    ),
}


def _with_nanoseconds(message: JointState, nanoseconds: int) -> JointState:
    message.header.stamp.nanosec = nanoseconds
    return message


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_message_is_named_once_gets_no_effort_and_the_next_good_one_is_answered(
    rig: Callable[..., Rig], capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    make, text = BAD[kind]
    it = rig().armed(100 * MS)
    capfd.readouterr()
    efforts, commands = len(it.robot.efforts), len(it.robot.commands)
    it.robot.send(*make(it.robot, 102 * MS))
    it.wait_refused(1)
    it.robot.ask(104 * MS)
    answered = {stamp_to_ns(m.header.stamp) for m in it.robot.efforts[efforts:]}
    assert answered == {104 * MS}
    assert {stamp_to_ns(m.header.stamp) for m in it.robot.commands[commands:]} == {104 * MS}
    (line,) = lines_of(capfd.readouterr().err, "policy_node")
    assert text in line
    assert it.refused() == 1


@pytest.mark.parametrize(
    "raw", [b"", b"\x00\x01", b"\x00\x01\x00\x00\x07", b"\xff" * 64, b"\x00\x01\x00\x00" + b"\xff" * 60]
)
def test_bytes_that_are_no_message_are_refused_and_harm_nobody(
    rig: Callable[..., Rig], capfd: pytest.CaptureFixture[str], raw: bytes
) -> None:
    it = rig().armed()
    for k, speaker in enumerate((it.robot._joints, it.robot._imu), 1):
        speaker.publish(raw)
        it.wait_refused(k)
        it.robot.ask(2 * k * MS)
    joints, imu = lines_of(capfd.readouterr().err, "policy_node")
    assert "joint state refused: " in joints
    assert "IMU message refused: " in imu


def test_the_same_bad_message_again_and_again_is_one_line_a_second(
    rig: Callable[..., Rig], capfd: pytest.CaptureFixture[str]
) -> None:
    it = rig().armed()
    for i in range(1, 21):
        it.robot.measure(2 * i * MS, velocity=[])
        it.wait_refused(i)
    assert len(lines_of(capfd.readouterr().err, "policy_node")) == 1


def test_another_fault_within_the_same_second_is_named_too(
    rig: Callable[..., Rig], capfd: pytest.CaptureFixture[str]
) -> None:
    it = rig().armed()
    it.robot.measure(2 * MS, velocity=[])
    it.wait_refused(1)
    it.robot.measure(4 * MS, position=[0.0, math.nan])
    it.wait_refused(2)
    text = "\n".join(lines_of(capfd.readouterr().err, "policy_node"))
    assert "values of velocity" in text
    assert "joint 'knee' is nan" in text


def test_a_message_for_joints_to_be_ignored_is_good(rig: Callable[..., Rig]) -> None:
    it = rig().armed()
    it.robot.ask(2 * MS, name=["thumb", "hip", "knee"], position=[math.nan, 0.0, 0.0], velocity=[0.0, 0.0, 0.0])
    assert it.refused() == 0


# What the effort depends on.


def _run(it: Rig, order: list[int]) -> list[list[float]]:
    """Commands over 40 ms for joints listed in an order, moving by a fixed rule."""
    names = it.robot.robot.joint_names
    out = []
    for k in range(1, 21):
        position, velocity = [0.01 * k, -0.02 * k], [0.1 * k, -0.3]
        out.append(
            it.robot.ask(
                2 * k * MS,
                name=[names[i] for i in order],
                position=[position[i] for i in order],
                velocity=[velocity[i] for i in order],
            )
        )
    return out


def test_the_order_of_joints_in_a_message_changes_no_bit_and_a_reset_forgets_the_past(rig: Callable[..., Rig]) -> None:
    it = rig(use_sim_time=True).armed()
    straight = _run(it, [0, 1])
    it.robot.ask(0)  # time goes back: the simulation was reset
    swapped = _run(it, [1, 0])
    assert straight == swapped
    assert len({tuple(effort) for effort in straight}) > 10


def test_under_simulated_time_a_step_back_enters_the_policy_afresh(
    rig: Callable[..., Rig], capfd: pytest.CaptureFixture[str]
) -> None:
    it = rig(use_sim_time=True)
    it.robot.heard_by(1)
    speaker = it.graph.speak(topics.SAFETY_STATUS)
    it.graph.until(lambda: speaker.get_subscription_count() == 2, "subscribers")
    speaker.publish(status("ACTIVE"))
    it.graph.until(lambda: it.policy._control.conductor.goal.task is Task.POLICY, "armed")
    for k in range(4):
        it.robot.measure(20 * k * MS, position=[0.1 * k, 0.1], velocity=[1.0, 1.0])
        it.observation(k)
    it.robot.measure(0, position=[0.0, 0.1], velocity=[1.0, 1.0])
    assert it.observation(4) == it.observation(0)
    it.robot.measure(20 * MS, position=[0.1, 0.1], velocity=[1.0, 1.0])
    assert it.observation(5) == it.observation(1)
    assert it.observation(3) != it.observation(0)
    assert "simulation reset: time went back to 0.000 s" in capfd.readouterr().err


@pytest.mark.parametrize("kind", [TwistStamped, Twist])
def test_cmd_vel_is_followed_until_it_is_stale_and_bad_ones_are_refused(
    rig: Callable[..., Rig], kind: type[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    it = rig(command_timeout=0.3, command_type="twist" if kind is Twist else "twist_stamped")
    operator = it.graph.speak(topics.VELOCITY_COMMAND, kind=kind)
    it.robot.heard_by(1)
    it.graph.until(lambda: operator.get_subscription_count() == 1, "subscriber")

    def asked(index: int) -> list[float]:
        it.robot.measure(20 * index * MS)
        return it.observation(index)[NEWEST + VELOCITY_COMMAND_AT : NEWEST + VELOCITY_COMMAND_AT + 3]

    assert asked(0) == [0.0, 0.0, 0.0]
    message = kind()
    twist = message if kind is Twist else message.twist
    twist.linear.x, twist.linear.y, twist.angular.z = 0.5, -0.25, 1.0
    operator.publish(message)
    it.graph.until(lambda: it.policy._control._command_seen_ns is not None, "cmd_vel")
    assert asked(1) == [0.5, -0.25, 1.0]
    twist.linear.x = math.nan
    operator.publish(message)
    it.wait_refused(1)
    assert asked(2) == [0.5, -0.25, 1.0]
    assert "velocity command is not finite" in capfd.readouterr().err
    it.graph.spin(0.31)
    assert asked(3) == [0.0, 0.0, 0.0]


def test_a_fixed_velocity_is_followed_without_cmd_vel(rig: Callable[..., Rig]) -> None:
    it = rig(use_cmd_vel=False, velocity_command=[0.5, 0.0, -0.5])
    it.robot.heard_by(1)
    it.robot.measure(0)
    assert it.observation(0)[NEWEST + VELOCITY_COMMAND_AT :][:3] == [0.5, 0.0, -0.5]


def _estimating(tmp_path: Path, graph: Graph, mode: str = "lockstep") -> tuple[Rig, Any]:
    """A policy that observes the base's velocity, taking over as if armed, and the estimator's publisher."""
    robot_file = write_robot(tmp_path)
    spec = load_robot(robot_file)
    bundle = write_policy(tmp_path / "estimating", spec)
    text = (bundle / "policy.yaml").read_text().replace("base_ang_vel", "base_lin_vel") + "base_velocity: estimator\n"
    (bundle / "policy.yaml").write_text(text)
    it = Rig(tmp_path, graph, policy=str(bundle), base_velocity_topic="estimate", mode=mode)
    estimator = graph.speak(topics.ODOMETRY, name="estimate")
    monitor = graph.speak(topics.SAFETY_STATUS)
    it.robot.heard_by(1)
    graph.until(lambda: estimator.get_subscription_count() == 1, "subscriber")
    graph.until(lambda: monitor.get_subscription_count() == 2, "subscribers")
    monitor.publish(status("ACTIVE"))
    graph.until(lambda: it.policy._control.conductor.goal.task is Task.POLICY, "armed")
    return it, estimator


def _estimate(it: Rig, estimator: Any, velocity: float, stamp_ns: int = 0) -> None:
    message = Odometry()
    message.header.stamp = ns_to_stamp(stamp_ns)
    message.twist.twist.linear.x = velocity
    estimator.publish(message)

    def arrived() -> bool:
        known = it.policy._control.pairing.velocity
        return (
            known is not None
            and known.stamp_ns == stamp_ns
            and np.array_equal(known.linear[0], velocity, equal_nan=True)
        )

    it.graph.until(arrived, "the estimate")


def test_a_base_velocity_that_is_not_finite_gives_no_effort_and_the_policy_starts_afresh(
    tmp_path: Path, graph: Graph
) -> None:
    it, estimator = _estimating(tmp_path, graph)
    _estimate(it, estimator, 0.5)
    it.robot.measure(0)
    first = it.observation(0)
    it.robot.measure(20 * MS)  # in lock-step it waits for the velocity of the same moment
    it.graph.spin(0.05)
    assert len(it.robot.efforts) == 1
    _estimate(it, estimator, 0.5, 20 * MS)
    assert it.observation(1) != first  # the last action is in it
    _estimate(it, estimator, math.nan, 40 * MS)
    it.robot.measure(40 * MS)
    it.wait_refused(1)
    _estimate(it, estimator, 0.5, 60 * MS)
    it.robot.measure(60 * MS)
    assert it.observation(2) == first
    assert {stamp_to_ns(m.header.stamp) for m in it.robot.efforts} == {0, 20 * MS, 60 * MS}


def test_a_base_velocity_that_has_gone_silent_gives_no_effort(
    tmp_path: Path, graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    it, estimator = _estimating(tmp_path, graph, mode="realtime")
    _estimate(it, estimator, 0.5)
    it.robot.measure(0)  # its IMU may come too late for its joint state
    graph.spin(0.02)
    it.robot.measure(20 * MS)
    graph.until(lambda: it.robot.efforts, "an effort while the estimate is fresh")
    graph.spin(0.3)
    heard = len(it.robot.efforts)
    for stamp in (40, 60, 80):
        it.robot.measure(stamp * MS)
        graph.spin(0.03)
    assert len(it.robot.efforts) == heard
    assert "fallen silent" in capfd.readouterr().err


# Standing by.


def test_it_shows_itself_once_a_period_until_the_monitor_is_active(rig: Callable[..., Rig]) -> None:
    it = rig()
    it.robot.heard_by(1)
    for k in range(31):
        it.robot.measure(2 * k * MS)
        it.graph.until(
            lambda k=k: it.policy._control._state is not None and it.policy._control._state.stamp_ns == 2 * k * MS,
            "state",
        )
    it.graph.until(lambda: len(it.robot.efforts) == 4, "four standby efforts in 60 ms")
    assert {m.header.frame_id for m in it.robot.efforts} == {topics.STANDBY}
    speaker = it.graph.speak(topics.SAFETY_STATUS)
    it.graph.until(lambda: speaker.get_subscription_count() == 2, "subscribers")
    for state, frame in (("ACTIVE", "ACTIVE"), ("READY", topics.STANDBY), ("ACTIVE", "ACTIVE")):
        before = len(it.robot.efforts)
        speaker.publish(status(state))
        it.graph.until(lambda before=before: len(it.robot.efforts) > before, state)
        assert it.robot.efforts[-1].header.frame_id == frame


def test_disarmed_and_armed_again_between_two_statuses_is_a_new_entry(rig: Callable[..., Rig]) -> None:
    it = rig()
    it.robot.heard_by(1)
    speaker = it.graph.speak(topics.SAFETY_STATUS)
    it.graph.until(lambda: speaker.get_subscription_count() == 2, "subscribers")
    speaker.publish(status("ACTIVE", armings=1))
    it.graph.until(lambda: it.policy._control.conductor.goal.task is Task.POLICY, "armed")
    for index in (0, 1):
        it.robot.measure(20 * index * MS)
        it.observation(index)
    assert any(it.observation(1)[-2:])  # the last action, two joints
    speaker.publish(status("ACTIVE", armings=1))
    it.graph.spin(0.05)
    assert len(it.observations) == 2  # nothing new was said
    speaker.publish(status("ACTIVE", armings=2))
    assert it.observation(2)[-2:] == [0.0, 0.0]


def test_standby_efforts_never_become_commands(rig: Callable[..., Rig]) -> None:
    it = rig().with_monitor()
    it.robot.measure(0)
    it.graph.until(lambda: it.robot.state == "READY", "READY")
    for k in range(1, 4):
        assert it.robot.ask(20 * k * MS, frame="READY") == it.robot.damping
    assert {m.header.frame_id for m in it.robot.efforts} == {topics.STANDBY}
    assert all(list(m.effort) == it.robot.damping for m in it.robot.commands)


def test_far_from_its_pose_without_a_blend_it_cannot_be_armed_and_the_robot_stays_damped(
    rig: Callable[..., Rig],
) -> None:
    it = rig().with_monitor()

    def stand(hip: float, stamps: range) -> None:
        for stamp in stamps:
            it.robot.measure(stamp * MS, position=[hip, -0.2])
            it.graph.until(lambda stamp=stamp: it.robot.answers(stamp * MS), "a command")

    stand(0.7, range(0, 100, 20))  # 0.6 rad from the pose of 0.1
    it.graph.until(lambda: it.robot.reason == "start_pose", "the refusal")
    refused = it.robot.arm()
    assert not refused.success
    assert "hip is 0.60 rad from where 'tiny' starts (0.70, expected 0.10)" in refused.message
    assert "set entry_blend to 0.6 s or more" in refused.message  # 1.875 · 0.6 rad / 2 rad/s = 0.56 s
    stand(0.7, range(100, 200, 20))
    assert all(list(m.effort) == it.robot.damping for m in it.robot.commands)
    stand(0.15, range(200, 260, 20))
    it.graph.until(lambda: it.robot.state == "READY", "READY")
    assert it.robot.arm().success


def test_with_a_blend_long_enough_it_can_be_armed_from_there(rig: Callable[..., Rig]) -> None:
    it = rig(entry_blend=0.6).with_monitor()
    it.robot.measure(0, position=[0.7, -0.2])
    it.graph.until(lambda: it.robot.state == "READY", "READY")


def test_deactivated_it_says_nothing_and_activated_it_starts_afresh(rig: Callable[..., Rig]) -> None:
    it = rig()
    it.robot.heard_by(1)
    it.robot.measure(0)
    first = it.observation(0)
    assert it.policy.trigger_deactivate() == OK
    it.robot.measure(20 * MS)
    it.graph.spin(0.05)
    assert len(it.robot.efforts) == 1
    assert it.policy.trigger_activate() == OK
    it.robot.measure(40 * MS)
    assert it.observation(1) == first


def test_it_can_be_cleaned_up_and_configured_again(rig: Callable[..., Rig]) -> None:
    it = rig()
    for trigger in ("deactivate", "cleanup", "configure", "activate"):
        assert getattr(it.policy, f"trigger_{trigger}")() == OK
    it.robot.heard_by(1)
    it.robot.measure(0)
    it.observation(0)


def test_the_same_state_again_gets_the_same_answer_without_another_step(rig: Callable[..., Rig]) -> None:
    it = rig().armed()
    one = it.robot.ask(2 * MS)
    steps = values_of(it.policy.diagnose())["steps"]
    assert it.robot.ask(2 * MS) == one
    assert values_of(it.policy.diagnose())["steps"] == steps


# Configuration.


def _break(folder: Path, spec: RobotSpec) -> dict[str, tuple[dict[str, Any], str]]:
    robot, good = str(folder / "robot.yaml"), str(write_policy(folder / "good", spec))
    (folder / "bad.yaml").write_text("format: [1\n")
    broken = write_policy(folder / "broken", spec)
    (broken / "policy.yaml").write_text("format: 1\nname: {\n")
    other = write_policy(folder / "other", spec)
    (other / "policy.yaml").write_text((other / "policy.yaml").read_text().replace("knee", "elbow"))
    changed = write_policy(folder / "changed", spec, weights={"file": "policy.onnx", "sha256": "0" * 64})
    no_weights = write_policy(folder / "no_weights", spec)
    (no_weights / "policy.onnx").unlink()
    wide = write_policy(folder / "wide", spec, history=3)
    text = (wide / "policy.yaml").read_text()
    (wide / "policy.yaml").write_text(text.replace("length: 3", "length: 2"))
    velocity = write_policy(folder / "velocity", spec)
    (velocity / "policy.yaml").write_text(
        (velocity / "policy.yaml").read_text().replace("base_ang_vel", "base_lin_vel")
    )
    return {
        "no robot": ({"policy": good}, "no robot is given"),
        "unknown robot": ({"robot": "refrence", "policy": good}, "did you mean 'reference'?"),
        "robot not YAML": ({"robot": str(folder / "bad.yaml"), "policy": good}, "bad.yaml: not valid YAML"),
        "no policy": ({"robot": robot}, "no policy is given"),
        "no bundle": ({"robot": robot, "policy": str(folder / "nowhere")}, "no policy bundle at"),
        "bundle not YAML": ({"robot": robot, "policy": str(broken)}, "not valid YAML"),
        "wrong robot": ({"robot": robot, "policy": str(other)}, "driven joint 'elbow' is not a joint of the robot"),
        "weights changed": ({"robot": robot, "policy": str(changed)}, "the file was changed"),
        "weights missing": ({"robot": robot, "policy": str(no_weights)}, "No such file"),
        "wrong width": ({"robot": robot, "policy": str(wide)}, "takes 45 numbers, but the observation has 30"),
        "no estimator": ({"robot": robot, "policy": str(velocity)}, "base_lin_vel"),
        "bad mode": ({"robot": robot, "policy": good, "mode": "fast"}, "one of realtime, lockstep, found 'fast'"),
        "bad command": ({"robot": robot, "policy": good, "velocity_command": [1.0]}, "needs 3 numbers, found 1"),
    }


KINDS = (
    "no robot",
    "unknown robot",
    "robot not YAML",
    "no policy",
    "no bundle",
    "bundle not YAML",
    "wrong robot",
    "weights changed",
    "weights missing",
    "wrong width",
    "no estimator",
    "bad mode",
    "bad command",
)


def test_what_cannot_be_configured_stays_unconfigured_with_one_line(
    tmp_path: Path, graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    cases = _break(tmp_path, load_robot(write_robot(tmp_path)))
    assert set(cases) == set(KINDS)
    for i, (kind, (parameters, text)) in enumerate(cases.items()):
        name = f"policy_{i}"
        node = graph.node(PolicyNode, arguments=["--ros-args", "-r", f"__node:={name}"], **parameters)
        capfd.readouterr()
        assert node.trigger_configure() != OK, kind
        assert node._state_machine.current_state[1] == "unconfigured", kind
        error = capfd.readouterr().err
        (line,) = lines_of(error, name)
        assert text in line, kind
        assert "cannot configure" in line
        assert "Traceback" not in error
        assert node.count_publishers(topics.POLICY_EFFORT.name) == 0, kind


# Parameters of all three nodes.

NODES = [
    (PolicyNode, PolicyParameters),
    (SafetyMonitorNode, SafetyParameters),
    (SimulationBridgeNode, SimulationParameters),
]


@pytest.mark.parametrize(("make", "kind"), NODES)
def test_every_parameter_is_described_and_fixed_once_the_node_runs(
    graph: Graph, make: type[Any], kind: type[Any]
) -> None:
    node = graph.node(make)
    for item in fields(kind):
        descriptor = node.describe_parameter(item.name)
        assert descriptor.description.endswith((".", "]")), item.name
        assert descriptor.read_only == (item.name != "policies"), item.name
        if not descriptor.read_only:
            continue
        (result,) = node.set_parameters([Parameter(item.name, value=_other(item.name, kind))])
        assert not result.successful, item.name
        assert "read-only" in result.reason or "out of range" in result.reason, result.reason


def _other(name: str, kind: type[Any]) -> Any:
    value = getattr(kind(), name)
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return [0.5]
    return value + type(value)(1) if isinstance(value, int | float) else "other"


@pytest.mark.parametrize(("make", "kind"), NODES)
@pytest.mark.parametrize("value", ["below", "above", math.nan])
def test_every_range_is_enforced(graph: Graph, make: type[Any], kind: type[Any], value: Any) -> None:
    ranged = [item for item in fields(kind) if item.metadata["least"] is not None]
    assert ranged
    for item in ranged:
        least, most = item.metadata["least"], item.metadata["most"]
        given = least - 1 if value == "below" else 1.01 * most + 1 if value == "above" else value
        if isinstance(getattr(kind(), item.name), int):
            if value not in ("below", "above"):
                continue
            given = int(given)
        else:
            given = float(given)
        with pytest.raises(ParameterException, match=item.name):
            graph.node(make, **{item.name: given})


def test_every_number_has_a_range() -> None:
    for _, kind in NODES:
        for item in fields(kind):
            if isinstance(getattr(kind(), item.name), float):
                assert item.metadata["least"] is not None, item.name


def test_the_shown_vectors_are_those_of_the_network(rig: Callable[..., Rig]) -> None:
    it = rig()
    actions = it.graph.listen(topics.POLICY_ACTION)
    it.robot.heard_by(1)
    it.robot.measure(0)
    it.observation(0)
    it.graph.until(lambda: actions, "an action")
    assert np.array(it.observations[0].data).shape == (30,)
    assert np.array(actions[0].data).shape == (2,)
    # The hip stands at its default, the second joint of the network: no offset; upright: gravity straight down.
    assert it.observation(0)[NEWEST : NEWEST + 11] == [0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0]


# Changing the policy.


def _switch(it: Rig, name: str) -> Trigger.Response:
    return it.graph.call(Trigger, f"policy/switch_to/{name}", Trigger.Request())


def _rig_with_two(tmp_path: Path, graph: Graph, **parameters: Any) -> Rig:
    """The tiny policy, and one that stands still with twice its gains."""
    spec = load_robot(write_robot(tmp_path))
    gains = {j.name: {"default": j.default_position, "kp": 2 * j.kp, "kd": 2 * j.kd} for j in spec.joints[::-1]}
    stiff = write_policy(tmp_path / "stiff", spec, gain=0.0, name="stiff", joints=gains)
    return Rig(tmp_path, graph, policies=[str(stiff)], **parameters)


def test_a_service_changes_the_policy_while_it_stands_by(tmp_path: Path, graph: Graph) -> None:
    it = _rig_with_two(tmp_path, graph)
    assert values_of(it.policy.diagnose())["policies"] == "tiny stiff"
    assert _switch(it, "stiff").success
    assert values_of(it.policy.diagnose())["policy"] == "stiff"
    again = _switch(it, "stiff")
    assert (again.success, "chosen already" in again.message) == (False, True)


def test_a_service_changes_the_policy_that_runs_and_every_state_is_answered(tmp_path: Path, graph: Graph) -> None:
    it = _rig_with_two(tmp_path, graph, switch_blend=0.1).armed()
    robot = it.robot
    robot.measure(2 * MS)
    graph.until(lambda: robot.answers(2 * MS), "an answer")
    answer = _switch(it, "stiff")
    assert answer.success
    assert "'stiff' takes over from 'tiny' within 0.1 s" in answer.message
    for stamp in range(4, 124, 4):
        robot.measure(stamp * MS)
        graph.until(lambda stamp=stamp: robot.answers(stamp * MS), f"the answer at {stamp} ms")
    last = robot.efforts[-1]
    # Standing still with twice the gains: 2·(kp·(default − q) − kd·q̇), within the limits.
    spec, measured = robot.robot, robot.joint_state(0)
    position = dict(zip(measured.name, measured.position, strict=True))
    velocity = dict(zip(measured.name, measured.velocity, strict=True))
    for joint in spec.joints:
        wanted = 2 * (joint.kp * (joint.default_position - position[joint.name]) - joint.kd * velocity[joint.name])
        wanted = max(-joint.effort_limit, min(joint.effort_limit, wanted))
        assert dict(zip(last.name, last.effort, strict=True))[joint.name] == pytest.approx(wanted)


def test_a_policy_is_loaded_beside_the_running_one_and_a_bad_one_leaves_it_running(
    tmp_path: Path, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm: dict[str, int] = {}

    def counted(behaviour: PolicyBehaviour, inferences: int) -> None:
        warm[behaviour.bundle.name] = inferences
        warm_up(behaviour, inferences)

    monkeypatch.setattr(policy_node, "warm_up", counted)
    it = Rig(tmp_path, graph, switch_blend=0.1, warm_up=3).armed()
    spec = it.robot.robot
    late = write_policy(tmp_path / "late", spec, gain=0.0, name="late")
    broken = write_policy(tmp_path / "broken", spec)
    (broken / "policy.onnx").write_bytes(b"no network")
    stranger = write_policy(tmp_path / "stranger", spec)
    stranger_text = (stranger / "policy.yaml").read_text().replace("hip", "toe")
    (stranger / "policy.yaml").write_text(stranger_text)
    names = [str(late), str(broken), str(stranger), str(tmp_path / "absent")]
    (result,) = it.policy.set_parameters([Parameter("policies", value=names)])
    assert result.successful
    (clash,) = it.policy.set_parameters([Parameter("policies", value=[str(late), str(tmp_path / "x" / "late")])])
    assert not clash.successful
    assert "same name" in clash.reason
    for name, words in (("broken", "policy.onnx"), ("stranger", "'toe'"), ("absent", "absent")):
        graph.until(lambda name=name: "being loaded" not in _switch(it, name).message, f"{name} looked at")
        answer = _switch(it, name)
        assert not answer.success
        assert answer.message.startswith("'tiny' stays: ")
        assert words in answer.message
    it.robot.measure(2 * MS)
    graph.until(lambda: it.robot.answers(2 * MS), "the running policy's answer")
    assert values_of(it.policy.diagnose())["policy"] == "tiny"
    assert _switch(it, "late").success
    assert values_of(it.policy.diagnose())["policy"] == "late"
    assert warm == {"tiny": 3, "late": 3}


def test_a_further_policy_that_cannot_be_loaded_is_refused_at_configure(
    tmp_path: Path, graph: Graph, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = load_robot(write_robot(tmp_path))
    first = write_policy(tmp_path / "tiny", spec)
    node = graph.node(PolicyNode, robot=str(tmp_path / "robot.yaml"), policy=str(first), policies=["nowhere/at_all"])
    assert node.trigger_configure() != OK
    assert "nowhere/at_all" in capfd.readouterr().err
