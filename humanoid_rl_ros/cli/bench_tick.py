"""`humanoid_rl bench tick`: what one inference costs in the policy node, from message to effort."""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.logging import LoggingSeverity
from rclpy.node import Node
from rclpy.parameter import Parameter
from rich.console import Console
from rich.table import Table

from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.processes import isolate
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import ImuWriter, JointStateWriter
from humanoid_rl_ros.interfaces.conversions import odometry_message
from humanoid_rl_ros.interfaces.measurements import xyzw
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.base import make_executor
from humanoid_rl_ros.nodes.policy_node import PolicyNode
from humanoid_rl_ros.nodes.quality import qos
from humanoid_rl_ros.policies.bundle import GROUND_TRUTH
from humanoid_rl_ros.resources import benchmark_folder, benchmark_robot, find_policy, find_robot, robot_of
from humanoid_rl_ros.safety.status import SafetyState

UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
WARM_UP = 200
TIMEOUT_S = 5.0
VELOCITY_TOPIC = "estimate"


@dataclass(frozen=True)
class TickResult:
    """One bundle.

    Attributes:
        policy: its name.
        observation, joints: numbers observed, joints driven.
        inferences: how many were timed.
        p50, p99, max: from the serialised joint state to the published effort: medians of the rounds [ms].
    """

    policy: str
    observation: int
    joints: int
    inferences: int
    p50: float
    p99: float
    max: float


def run_tick(
    bundles: Sequence[str], *, robot: str, inferences: int, rounds: int, json_file: Path | None, console: Console
) -> list[TickResult]:
    """Time bundles in turns, and print the table.

    Args:
        bundles: names or folders; empty for the benchmark's 512-256-128 network.
        robot: of them all; empty for each one's own.
        inferences: of each in one turn.
        rounds: turns.
        json_file: where the results go, or None.
        console: where the table goes.

    Returns:
        One for each bundle.

    Raises:
        HumanoidError: a bundle is not there, does not fit its robot, or does not answer.
    """
    isolate()
    subjects = [(name, robot or robot_of(find_policy(name))) for name in bundles]
    subjects = subjects or [(str(benchmark_folder()), benchmark_robot())]
    measured: dict[str, list[dict[str, float]]] = {name: [] for name, _ in subjects}
    for _ in range(rounds):
        for name, robot_name in subjects:
            measured[name].append(_measure(name, robot_name, inferences))
    results = []
    for name, _ in subjects:
        bundle = find_policy(name)
        p50, p99, longest = (
            float(np.median([found[key] for found in measured[name]])) for key in ("p50", "p99", "max")
        )
        size, joints = bundle.observation_size(), len(bundle.joints)
        results.append(TickResult(bundle.name, size, joints, inferences * rounds, p50, p99, longest))
    console.print(_table(results))
    if json_file is not None:
        write_json(json_file, [asdict(result) for result in results])
    return results


def _measure(policy: str, robot_name: str, inferences: int) -> dict[str, float]:
    rclpy.init()
    executor = make_executor()
    robot = find_robot(robot_name)
    parameters = {
        "robot": robot_name,
        "policy": policy,
        "mode": "lockstep",
        "base_velocity_topic": VELOCITY_TOPIC,
        "base_velocity_source": GROUND_TRUTH,
    }
    node = PolicyNode(parameter_overrides=[Parameter(key, value=value) for key, value in parameters.items()])
    node.get_logger().set_level(LoggingSeverity.WARN)
    source = _Source(robot, find_policy(policy).needs_base_linear_velocity)
    try:
        executor.add_node(node)
        executor.add_node(source.node)
        if any(step() != TransitionCallbackReturn.SUCCESS for step in (node.trigger_configure, node.trigger_activate)):
            raise HumanoidError(f"policy '{policy}' cannot be configured on robot '{robot.name}': see the line above")
        period_ns = round(find_policy(policy).control_period * 1e9)
        source.say_active()
        for k in range(WARM_UP + inferences):
            source.measure(k * period_ns)
            waited = time.monotonic()
            while node.answered_ns != k * period_ns:
                executor.spin_once(timeout_sec=0.01)
                if time.monotonic() - waited > TIMEOUT_S:
                    raise HumanoidError(f"policy '{policy}' does not answer")
            if k == WARM_UP:
                node.forget_times()
                gc.collect()
        values = values_of(node.diagnose())
        return {key: float(values[f"inference_ms_{key}"]) for key in ("p50", "p99", "max")}
    finally:
        for member in (node, source.node):
            executor.remove_node(member)
            member.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()


class _Source:
    """A robot that measures something else each time, and a safety monitor that lets everything pass."""

    def __init__(self, robot: RobotSpec, with_velocity: bool) -> None:
        self.node = Node("bench")
        self._joints = self.node.create_publisher(topics.JOINT_STATES.type, topics.JOINT_STATES.name, 10)
        self._imu = self.node.create_publisher(topics.IMU.type, topics.IMU.name, 10)
        self._velocity = self.node.create_publisher(topics.ODOMETRY.type, VELOCITY_TOPIC, 10) if with_velocity else None
        self._status = self.node.create_publisher(
            topics.SAFETY_STATUS.type, topics.SAFETY_STATUS.name, qos(topics.SAFETY_STATUS)
        )
        self._robot = robot
        self._joint_writer = JointStateWriter(robot.joint_names, ("position", "velocity", "effort"))
        self._imu_writer = ImuWriter(robot.imu.frame)
        self._rng = np.random.default_rng(0)

    def say_active(self) -> None:
        values = {"state": SafetyState.ACTIVE.value, "since_ns": "0", "armings": "1", "falls": "0"}
        self._status.publish(DiagnosticStatus(values=[KeyValue(key=k, value=v) for k, v in values.items()]))

    def measure(self, stamp_ns: int) -> None:
        n, rng = self._robot.n_joints, self._rng
        position = self._robot.default_position + rng.uniform(-0.05, 0.05, n)
        speed = rng.uniform(-0.5, 0.5, n)
        if self._velocity is not None:
            frames = ("world", self._robot.imu.frame)
            rates = rng.uniform(-0.2, 0.2, (2, 3))
            self._velocity.publish(odometry_message(stamp_ns, frames, np.zeros(3), UPRIGHT, rates[0], rates[1]))
        force = np.array([0.0, 0.0, 9.81])
        self._imu.publish(self._imu_writer.write(stamp_ns, xyzw(UPRIGHT), rng.uniform(-0.2, 0.2, 3), force))
        self._joints.publish(self._joint_writer.write(stamp_ns, "", position, speed, np.zeros(n)))


def _table(results: Sequence[TickResult]) -> Table:
    table = Table(title="joint state to effort, with an inference", title_style="bold")
    table.add_column("policy")
    for heading in ("observed", "driven", "inferences", "p50\nms", "p99\nms", "max\nms"):
        table.add_column(heading, justify="right")
    for r in results:
        numbers = (f"{r.p50:.3f}", f"{r.p99:.3f}", f"{r.max:.2f}")
        table.add_row(r.policy, str(r.observation), str(r.joints), str(r.inferences), *numbers)
    return table
