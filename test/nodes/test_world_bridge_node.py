"""world_bridge_node: each robot behind its own topics, and none that can stop the others for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Refuses

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rcl_interfaces.srv import SetParametersAtomically
from ros_graph import OK, Graph
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool, Trigger

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import ns_to_stamp, stamp_to_ns
from humanoid_rl_ros.interfaces.placement_messages import placement_request
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.parameters import WorldParameters
from humanoid_rl_ros.nodes.team_members import initial_positions, members_of
from humanoid_rl_ros.nodes.world_bridge_node import WorldBridgeNode
from humanoid_rl_ros.resources import find_robot

pytestmark = pytest.mark.ros
PERIOD = 2_000_000
NAMES = ("left", "right")


@pytest.fixture(scope="module")
def robot() -> RobotSpec:
    return find_robot("reference")


class Rig:
    """A world of two, and for each a commander made of words."""

    def __init__(self, graph: Graph, robot: RobotSpec, **parameters: Any) -> None:
        self.graph, self.robot = graph, robot
        self.kind = JointState if parameters.get("command_type") == "joint_state" else Float64MultiArray
        self.states, self.imu, self.odometry, self.commander, self.status = {}, {}, {}, {}, {}
        for name in NAMES:
            self.states[name] = graph.listen(topics.JOINT_STATES, name=f"{name}/{topics.JOINT_STATES.name}")
            self.imu[name] = graph.listen(topics.IMU, name=f"{name}/{topics.IMU.name}")
            self.odometry[name] = graph.listen(topics.ODOMETRY, name=f"{name}/{topics.ODOMETRY.name}")
            self.commander[name] = graph.speak(
                topics.JOINT_COMMAND, name=f"{name}/{topics.JOINT_COMMAND.name}", kind=self.kind, reliable=True
            )
            self.status[name] = graph.speak(topics.SAFETY_STATUS, name=f"{name}/{topics.SAFETY_STATUS.name}")
        self.clock = graph.listen(topics.CLOCK)
        self.node = graph.active(WorldBridgeNode, robot="reference", robots=list(NAMES), **parameters)
        speakers = [*self.commander.values(), *self.status.values()]
        graph.until(lambda: all(s.get_subscription_count() == 1 for s in speakers), "subscribers")
        graph.until(lambda: all(self.states.values()), "states")

    def say(self, name: str, values: Any, stamp_ns: int = 0, frame: str = "ACTIVE") -> None:
        values = [float(v) for v in values]
        if self.kind is Float64MultiArray:
            self.commander[name].publish(Float64MultiArray(data=values))
            return
        message = JointState(name=list(self.robot.joint_names), effort=values)
        message.header.stamp, message.header.frame_id = ns_to_stamp(stamp_ns), frame
        self.commander[name].publish(message)

    def now(self, name: str = "right") -> int:
        return stamp_to_ns(self.states[name][-1].header.stamp)

    def reaches(self, stamp_ns: int, name: str = "right", within: float = 20.0) -> None:
        self.graph.until(lambda: self.now(name) >= stamp_ns, f"the state of {stamp_ns} ns", within)

    def stands(self, seconds: float = 0.1) -> None:
        before = self.now()
        self.graph.spin(seconds)
        assert self.now() == before

    def effort(self, scale: float = 1.0) -> np.ndarray:
        return scale * np.linspace(-1.0, 1.0, self.robot.n_joints)

    def both(self, stamp_ns: int) -> None:
        """One period."""
        for name in NAMES:
            self.say(name, self.effort(), stamp_ns)
        self.reaches(stamp_ns + PERIOD)

    def told(self) -> dict[str, str]:
        """What its diagnostics say."""
        return values_of(self.node.diagnose())

    def call(self, name: str) -> Trigger.Response:
        return self.graph.call(Trigger, name, Trigger.Request())


@pytest.fixture
def lockstep(graph: Graph, robot: RobotSpec) -> Callable[..., Rig]:
    return lambda **parameters: Rig(graph, robot, mode="lockstep", command_type="joint_state", **parameters)


def test_each_robot_is_told_apart_and_time_passes_for_all_together(lockstep: Callable[..., Rig]) -> None:
    it = lockstep()
    it.say("left", it.effort())
    it.stands()
    it.say("left", it.effort(9.0))  # a second thought before the others have answered
    it.graph.spin(0.05)
    it.say("right", it.effort(2.0))
    for name, scale in (("left", 9.0), ("right", 2.0)):
        it.reaches(PERIOD, name)
        assert list(it.states[name][-1].effort) == it.effort(scale).tolist()
    it.graph.until(lambda: it.imu["left"][-1].header.stamp == it.states["left"][-1].header.stamp, "the IMU")
    assert it.imu["left"][-1].header.frame_id == f"left/{it.robot.imu.frame}"
    it.graph.until(lambda: all(it.odometry.values()), "odometry")
    left, right = (it.odometry[name][0] for name in NAMES)
    assert (left.header.frame_id, left.child_frame_id) == ("odom", "left/base_link")
    assert right.child_frame_id == "right/base_link"
    assert left.pose.pose.position.y - right.pose.pose.position.y == pytest.approx(1.5)
    assert {stamp_to_ns(message.clock) for message in it.clock} <= {0}  # one clock, at 100 Hz of simulated time


def test_one_that_falls_silent_is_left_out_damped_and_its_next_answer_brings_it_back(
    lockstep: Callable[..., Rig],
) -> None:
    it = lockstep(lockstep_timeout=0.5)
    it.both(0)
    it.both(PERIOD)
    at = 2 * PERIOD
    it.say("right", it.effort(), at)
    it.stands()  # the world waits
    it.reaches(at + PERIOD)  # and then no longer
    assert it.told()["left/state"] == "absent"
    assert it.told()["left/absences"] == "1"
    line = it.node.diagnose()
    assert (line.level, line.message) == (DiagnosticStatus.WARN, "running, left is absent")
    it.graph.until(lambda: it.now("left") == at + PERIOD, "its state")
    before = next(m for m in it.states["left"] if stamp_to_ns(m.header.stamp) == at)
    expected = np.clip(-it.robot.kd * np.array(before.velocity), -it.robot.effort_limit, it.robot.effort_limit)
    np.testing.assert_allclose(it.states["left"][-1].effort, expected)
    for k in range(3, 6):  # the others go on without waiting
        it.say("right", it.effort(), k * PERIOD)
        it.reaches((k + 1) * PERIOD)
    it.say("left", it.effort(), at)  # what it had said too late is no sign of life
    it.graph.spin(0.1)
    assert it.told()["left/state"] == "absent"
    it.say("left", it.effort(), 4 * PERIOD)  # and this is one, though too late for that state
    it.graph.until(lambda: it.told()["left/state"] != "absent", "its return")
    it.say("right", it.effort(), 6 * PERIOD)
    it.stands()  # it is waited for
    it.say("left", it.effort(3.0), 6 * PERIOD)
    it.reaches(7 * PERIOD, "left")
    assert list(it.states["left"][-1].effort) == it.effort(3.0).tolist()
    assert it.node.diagnose().level == DiagnosticStatus.OK


def test_one_that_never_comes_stays_on_its_gantry_until_it_does(lockstep: Callable[..., Rig]) -> None:
    it = lockstep(start_timeout=0.5)
    it.say("left", it.effort(), frame="READY")  # not armed
    it.say("right", it.effort())
    it.stands()
    it.reaches(PERIOD)
    assert it.told()["left/state"] == "held"
    for k in range(1, 4):
        it.say("right", it.effort(), k * PERIOD)
        it.reaches((k + 1) * PERIOD)
    assert not np.any(it.states["left"][-1].velocity)
    it.say("left", it.effort(), 2 * PERIOD)  # armed now, but too late for this state
    it.graph.spin(0.1)
    it.say("right", it.effort(), 4 * PERIOD)
    it.stands()
    it.say("left", it.effort(), 4 * PERIOD)
    it.reaches(5 * PERIOD, "left")
    assert it.told()["left/state"] == "running"
    assert np.any(it.states["left"][-1].velocity)


def test_who_comes_late_to_a_world_that_waits_hears_all_that_holds_now(lockstep: Callable[..., Rig]) -> None:
    it = lockstep()
    it.graph.until(lambda: all(it.odometry.values()), "odometry")
    late = {name: it.graph.listen(topics.ODOMETRY, name=f"{name}/{topics.ODOMETRY.name}") for name in NAMES}
    clock = it.graph.listen(topics.CLOCK)
    it.graph.until(lambda: all(late.values()) and clock, "odometry and clock again")


def test_services_of_one_robot_and_of_the_world(lockstep: Callable[..., Rig]) -> None:
    it = lockstep()
    for k in range(3):
        it.both(k * PERIOD)
    it.graph.until(lambda: it.now("left") == 3 * PERIOD, "its state")
    assert it.call("left/simulation/reset").success
    it.graph.until(lambda: not np.any(it.states["left"][-1].velocity), "its start")
    assert it.now("left") == 3 * PERIOD  # time goes on
    assert it.told()["left/state"] == "held"
    it.say("right", it.effort(), 3 * PERIOD)
    it.reaches(4 * PERIOD)
    moved = it.robot.default_position + 0.1
    request = placement_request({"joint_position": moved})
    assert it.graph.call(SetParametersAtomically, "left/simulation/place", request).result.successful
    it.graph.until(lambda: list(it.states["left"][-1].position) == moved.tolist(), "the pose")
    refused = it.graph.call(
        SetParametersAtomically, "left/simulation/place", placement_request({"mass": np.array([2.0])})
    )
    assert "shared world" in refused.result.reason
    assert it.graph.call(SetBool, "simulation/pause", SetBool.Request(data=True)).success
    assert it.call("simulation/step").success
    it.reaches(5 * PERIOD)
    assert it.call("simulation/reset").success
    it.graph.until(lambda: {it.now(name) for name in NAMES} == {0}, "the beginning")


def test_in_real_time_each_damps_for_itself_when_its_commands_stop(graph: Graph, robot: RobotSpec) -> None:
    it = Rig(graph, robot, state_rate=100.0, command_timeout=1.0, publish_foot_contacts=False)
    for name in NAMES:
        it.status[name].publish(DiagnosticStatus(values=[KeyValue(key="state", value="ACTIVE")]))

    def both() -> None:
        for name in NAMES:
            it.say(name, it.effort())

    def states() -> set[str]:
        return {it.told()[f"{name}/state"] for name in NAMES}

    graph.until(lambda: states() == {"running"}, "the release", pump=both)
    graph.until(lambda: it.told()["left/state"] == "damped", "damping", pump=lambda: it.say("right", it.effort()))
    assert it.told()["right/state"] == "running"
    assert int(it.told()["left/own_damping"]) > 0
    assert it.node.diagnose().message == "running, left is damped"
    it.say("left", [0.0] * 3)
    graph.until(lambda: it.told()["left/refused"] == "1", "the refusal", pump=lambda: it.say("right", it.effort()))
    graph.until(lambda: states() == {"running"}, "its return", pump=both)


def test_where_the_robots_start_is_said_by_spacing_or_by_poses(robot: RobotSpec, refuses: Refuses) -> None:
    def members(**parameters: Any) -> list[tuple[str, str, float, float, float]]:
        found = members_of(WorldParameters(robot="reference", **parameters))
        return [(m.name, m.robot.name, m.start.x, m.start.y, m.start.yaw) for m in found]

    kind = "reference_humanoid"
    assert members(robots=("a", "b", "c"), spacing=2.0) == [
        ("a", kind, 0.0, 2.0, 0.0),
        ("b", kind, 0.0, 0.0, 0.0),
        ("c", kind, 0.0, -2.0, 0.0),
    ]
    assert members(robots=("a", "b"), poses=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)) == [
        ("a", kind, 1.0, 2.0, 3.0),
        ("b", kind, 4.0, 5.0, 6.0),
    ]
    with refuses(ConfigError, "'robots'", "names no robot"):
        members()
    with refuses(ConfigError, "'poses'", "found 4"):
        members(robots=("a", "b"), poses=(1.0, 2.0, 3.0, 4.0))
    with refuses(ConfigError, "'kinds' names 1", "names 2"):
        members(robots=("a", "b"), kinds=("reference",))
    parameters = WorldParameters(robot="reference", robots=("a", "b"), initial_position=tuple(np.arange(42.0)))
    poses = initial_positions(parameters, members_of(parameters))
    np.testing.assert_array_equal(poses["b"], np.arange(21.0, 42.0))
    with refuses(ConfigError, "'initial_position' has 21", "42 joints"):
        short = WorldParameters(robot="reference", robots=("a", "b"), initial_position=tuple(np.arange(21.0)))
        initial_positions(short, members_of(short))


def test_a_world_that_cannot_be_is_refused_in_one_line(graph: Graph, capfd: pytest.CaptureFixture[str]) -> None:
    for parameters, words in (
        ({"robots": ["a", "a"]}, "called 'a'"),
        ({"robots": ["a", "b-c"]}, "'b-c' cannot name a robot"),
        ({"robots": ["a", "b"], "mode": "lockstep"}, "command_type:=joint_state"),
    ):
        node = graph.node(WorldBridgeNode, robot="reference", **parameters)
        assert node.trigger_configure() != OK
        line = capfd.readouterr().err.strip().splitlines()[-1]
        assert "cannot configure: " in line
        assert words in line
