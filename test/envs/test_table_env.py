"""Environments over simulators that know no more than the topic table, and over a stand-in for Gazebo."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

import rclpy
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from ros_graph import Graph
from rosgraph_msgs.msg import Clock
from stand_in_world import StandInWorld

from humanoid_rl_ros.cli.processes import domains_to_take
from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import ConfigError, SimulatorError
from humanoid_rl_ros.envs.gazebo_robot import GazeboWorld, in_gazebo
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.envs.ros_env import RosHumanoidEnv
from humanoid_rl_ros.envs.ros_fleet import RosFleet
from humanoid_rl_ros.envs.ros_simulation import RosSimulation
from humanoid_rl_ros.envs.ros_simulators import RosSimulators
from humanoid_rl_ros.envs.ros_world import WorldService
from humanoid_rl_ros.envs.tasks import make_batch
from humanoid_rl_ros.envs.world_control import WorldRequest
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import ImuWriter, JointStateWriter
from humanoid_rl_ros.interfaces.conversions import ns_to_stamp, odometry_message
from humanoid_rl_ros.interfaces.measurements import xyzw
from humanoid_rl_ros.nodes.quality import qos
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend

Refuses = Callable[..., AbstractContextManager[None]]
pytestmark = pytest.mark.ros
PLAIN = {"randomisation": None, "curriculum": None}
SAME_BODY = {
    "curriculum": None,
    "randomisation.friction": None,
    **{f"randomisation.{name}": [1.0, 1.0] for name in ("mass", "kp", "kd")},
    **{f"randomisation.{name}": 0.0 for name in ("centre_of_mass", "push_speed", "start_position", "start_velocity")},
}
PERIOD_NS, STEP_NS = 5_000_000, 2_500_000
CONTROL = "/world/humanoid/control"
PATIENT = {"timeout": 30.0, "start_timeout": 60.0}
STEPS = 60


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> int:
    found = domains_to_take()[0]
    monkeypatch.setenv("ROS_DOMAIN_ID", str(found))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return found


def some_actions(batch: HumanoidBatch) -> Float32Array:
    return np.random.default_rng(7).uniform(-0.4, 0.4, (STEPS, 1, batch.action_low.size)).astype(np.float32)


def as_service(request: WorldRequest) -> Any:
    """What Gazebo's request says, in a type that exists here."""
    values = [
        ("pause", ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=request.pause)),
        ("steps", ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=request.steps)),
        ("reset", ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=request.reset)),
    ]
    return SetParametersAtomically.Request(parameters=[Parameter(name=n, value=v) for n, v in values])


SERVICE = WorldService(SetParametersAtomically, as_service, lambda response: bool(response.result.successful))


class StandIn:
    """A robot whose time passes as Gazebo's does: physics in MuJoCo, commands as ros2_control takes them."""

    def __init__(self, domain: int) -> None:
        self.backend = MujocoBackend(find_robot("reference"), state_rate=200.0, timestep=0.005)
        self.world = StandInWorld(step_ns=STEP_NS)
        self.effort = np.zeros(self.backend.robot.n_joints)
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        node = self.node = rclpy.create_node("stand_in", context=self.context, use_global_arguments=False)
        names = self.backend.robot.joint_names
        self.writer = JointStateWriter(names, ("position", "velocity", "effort"))
        self.imu_writer = ImuWriter(self.backend.robot.imu.frame)
        said = (topics.JOINT_STATES, topics.IMU, topics.ODOMETRY, topics.CLOCK)
        self.publishers = {topic: node.create_publisher(topic.type, topic.name, qos(topic)) for topic in said}
        node.create_subscription(
            topics.JOINT_COMMAND.type, topics.JOINT_COMMAND.name, self.on_command, qos(topics.JOINT_COMMAND)
        )
        node.create_service(SetParametersAtomically, CONTROL, self.on_request)
        node.create_timer(0.001, self.turn)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(node)

    def on_command(self, message: Any) -> None:
        self.effort = np.array(message.data)

    def on_request(self, request: Any, response: Any) -> Any:
        values = {p.name: p.value for p in request.parameters}
        wanted = WorldRequest(values["pause"].bool_value, values["steps"].integer_value, values["reset"].bool_value)
        response.result.successful = self.world.request(wanted)
        return response

    def turn(self) -> None:
        before = self.world.time_ns
        self.world.turn()
        now = self.world.time_ns
        if now < before:
            self.backend.reset()
        elif now > before and now % PERIOD_NS == 0:
            self.backend.step(self.effort)
            self.say(now)
        self.publishers[topics.CLOCK].publish(Clock(clock=ns_to_stamp(now)))

    def say(self, now: int) -> None:
        state, truth = self.backend.read(), self.backend.ground_truth()
        joints = self.writer.write(now, "", state.joint_position, state.joint_velocity, self.effort)
        rates, force = state.angular_velocity, state.linear_acceleration
        self.publishers[topics.JOINT_STATES].publish(joints)
        self.publishers[topics.IMU].publish(self.imu_writer.write(now, xyzw(state.orientation), rates, force))
        odometry = odometry_message(
            now,
            ("odom", "base"),
            truth.base_position,
            truth.base_orientation,
            truth.base_linear_velocity,
            truth.base_angular_velocity,
        )
        self.publishers[topics.ODOMETRY].publish(odometry)


@contextmanager
def stand_in(domain: int) -> Iterator[StandIn]:
    robot = StandIn(domain)
    thread = threading.Thread(target=robot.executor.spin, daemon=True)
    thread.start()
    try:
        yield robot
    finally:
        robot.executor.shutdown()
        thread.join(10.0)
        rclpy.shutdown(context=robot.context)


def in_the_stand_in(robot: Any, period_ns: int, timeout: float = 30.0) -> RosFleet:
    make = partial(in_gazebo, GazeboWorld(SERVICE, CONTROL, STEP_NS), timeout)
    return RosFleet(robot, [""], period_ns=period_ns, timeout=timeout, start_timeout=60.0, make=make)


def test_in_a_world_that_is_stepped_as_gazebo_is_it_goes_as_in_this_process(domain: int, refuses: Refuses) -> None:
    simulate = partial(RosSimulation, connect=in_the_stand_in)
    with (
        stand_in(domain) as robot,
        closing(make_batch("walk", "reference", 1, overrides=PLAIN, threads=1)) as here,
        closing(make_batch("walk", "reference", 1, overrides=PLAIN, simulate=simulate)) as there,
    ):
        here.reset(0)
        there.reset(0)
        # A reset ends one period on, without an effort.
        twin = MujocoBackend(find_robot("reference"), state_rate=200.0, timestep=0.005)
        twin.step(np.zeros(twin.robot.n_joints))
        np.testing.assert_array_equal(there.simulation.joint_position[0], twin.read().joint_position)
        here.simulation.place(np.array([0]), twin.data.qpos[None], twin.data.qvel[None])
        for action in some_actions(here):
            mine, other = here.step(action), there.step(action)
            np.testing.assert_allclose(other.final.policy, mine.final.policy, rtol=0.0, atol=1e-5)
            np.testing.assert_allclose(other.reward, mine.reward, rtol=0.0, atol=1e-5)
            assert not mine.terminated.any()
        assert robot.world.time_ns == PERIOD_NS * (4 * STEPS + 1)
        assert robot.world.paused
        robot.world.accepts = False
        with refuses(SimulatorError, CONTROL, "refused 2 steps", "reset the environment"):
            there.step(action)
        robot.world.accepts = True
        first = there.reset(0).policy
        np.testing.assert_array_equal(there.reset(0).policy, first)


@pytest.mark.slow
def test_a_simulator_of_the_topic_table_alone_goes_as_one_in_this_process(
    graph: Graph, monkeypatch: pytest.MonkeyPatch, refuses: Refuses
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.domain))
    graph.process(
        "simulation_bridge_node",
        robot="reference",
        mode="lockstep",
        command_type="joint_state",
        state_rate=200.0,
        physics_timestep=0.005,
        odometry_rate=200.0,
        hold_until_armed=False,
        lockstep_timeout=1e9,
        autostart=True,
    )
    simulators = RosSimulators("reference", 1, "", kind="table", **PATIENT)
    simulate = partial(RosSimulation, connect=simulators.connect)
    with (
        closing(make_batch("walk", "reference", 1, overrides=PLAIN, threads=1)) as here,
        closing(make_batch("walk", "reference", 1, overrides=PLAIN, simulate=simulate)) as there,
    ):
        np.testing.assert_allclose(there.reset(0).policy, here.reset(0).policy, rtol=0.0, atol=1e-6)
        for action in some_actions(here):
            mine, other = here.step(action), there.step(action)
            np.testing.assert_allclose(other.final.policy, mine.final.policy, rtol=0.0, atol=1e-5)
            np.testing.assert_allclose(other.final.critic, mine.final.critic, rtol=0.0, atol=1e-3)
            np.testing.assert_allclose(other.reward, mine.reward, rtol=0.0, atol=1e-5)
    for key, value in (("start_position", 0.05), ("start_velocity", 0.1)):
        env = RosHumanoidEnv(overrides={**SAME_BODY, f"randomisation.{key}": value}, namespace="", simulator="table")
        with closing(env), refuses(ConfigError, "cannot put a robot", key):
            env.reset(seed=0)
    pushed = {**SAME_BODY, "randomisation.push_speed": 0.5, "randomisation.push_period": [0.02, 0.03]}
    with closing(RosHumanoidEnv(overrides=pushed, namespace="", simulator="table")) as env:
        env.reset(seed=0)
        with refuses(ConfigError, "cannot put a robot", "push_speed"):
            for action in some_actions(env.batch):
                env.step(action[0])


def test_bodies_that_differ_are_refused_before_anybody_is_looked_for(refuses: Refuses) -> None:
    with refuses(ConfigError, "cannot put a robot", "friction to null"):
        RosHumanoidEnv(namespace="nobody", simulator="table")


def test_kinds_are_known_by_name(refuses: Refuses) -> None:
    with refuses(ConfigError, "'gazbo'", "did you mean 'gazebo'?"):
        RosSimulators("reference", 1, "", kind="gazbo")
    with refuses(ConfigError, "'table'", "name the namespace"):
        RosSimulators("reference", 1, kind="table")
    with refuses(ConfigError, "found 2"):
        RosSimulators("reference", 2, ["a", "b"], kind="gazebo")
