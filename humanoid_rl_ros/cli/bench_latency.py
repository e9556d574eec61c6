"""`humanoid_rl bench latency`: from the joint state to the clamped command, over real DDS between processes."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import JointState

from humanoid_rl_ros.cli.echo import ECHO_TOPIC
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.held_signals import HeldSignals
from humanoid_rl_ros.cli.processes import NodeProcess, ProcessError, ProcessGroup, isolate, parameter_arguments
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import ImuWriter, JointStateWriter, read_stamp
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.base import make_executor
from humanoid_rl_ros.nodes.quality import qos
from humanoid_rl_ros.resources import benchmark_folder, benchmark_robot, find_robot
from humanoid_rl_ros.safety.status import SafetyState

START_TIMEOUT_S = 20.0
SETTLE_S = 1.0
NOISE = 1e-4
"""Of positions and rates [rad], [rad/s]: sensors that repeat themselves to the last bit count as frozen."""
UPRIGHT_FORCE = np.array([0.0, 0.0, 9.81])
PERCENTILES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}


@dataclass
class ChainResult:
    """Round trips of one chain at one rate.

    Attributes:
        chain: ``echo`` or ``policy + safety``.
        rate: joint states per second [Hz].
        latencies_us: one for each answered joint state [µs].
        sent: joint states published.
        late: answers that took longer than one period.
        lost: joint states without an answer.
        cpu: share of one core that each node used.
    """

    chain: str
    rate: int
    latencies_us: list[float] = field(default_factory=list)
    sent: int = 0
    late: int = 0
    lost: int = 0
    cpu: dict[str, list[float]] = field(default_factory=dict)

    def distribution(self) -> dict[str, float]:
        """p50, p99, p99.9 and max [µs]."""
        values = np.asarray(self.latencies_us or [np.nan])
        return {name: float(np.percentile(values, q)) for name, q in PERCENTILES.items()} | {"max": float(values.max())}


class _Source:
    """A stand-in for a robot's driver: publishes joint states and IMU at a rate, and times the answers."""

    def __init__(self, robot: RobotSpec) -> None:
        self._signals = HeldSignals()
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node("bench")
        self._executor = make_executor()
        self._executor.add_node(self.node)
        self._joint_states = self.node.create_publisher(JointState, topics.JOINT_STATES.name, qos(topics.JOINT_STATES))
        self._imu = self.node.create_publisher(topics.IMU.type, topics.IMU.name, qos(topics.IMU))
        self._writer = JointStateWriter(robot.joint_names, ("position", "velocity", "effort"))
        self._imu_writer = ImuWriter(robot.imu.frame)
        self._position = robot.default_position
        self._noise = np.random.default_rng(0)
        self._zeros = np.zeros(robot.n_joints)
        self._sent_ns: dict[int, int] = {}
        self.answered: list[float] = []
        self._subscription: Any = None
        self.safety_state = ""
        self._status = self.node.create_subscription(
            DiagnosticStatus, topics.SAFETY_STATUS.name, self._on_status, qos(topics.SAFETY_STATUS)
        )

    def listen(self, topic: str) -> None:
        """Time answers on this topic from now on."""
        if self._subscription is not None:
            self.node.destroy_subscription(self._subscription)
        self._subscription = self.node.create_subscription(
            JointState, topic, self._on_answer, qos(topics.JOINT_COMMAND), raw=True
        )
        self.safety_state = ""

    def _on_status(self, message: DiagnosticStatus) -> None:
        self.safety_state = values_of(message).get("state", "")

    def _on_answer(self, raw: bytes) -> None:
        arrived_ns = time.perf_counter_ns()
        sent_ns = self._sent_ns.pop(read_stamp(raw), None)
        if sent_ns is not None:
            self.answered.append((arrived_ns - sent_ns) * 1e-3)

    def run(self, rate: int, seconds: float, until: Callable[[], bool] | None = None) -> int:
        """Publish for so long, or until a condition holds; latencies are in `answered` afterwards.

        Returns:
            Joint states sent.
        """
        self._sent_ns.clear()
        self.answered = []
        period_ns = round(1e9 / rate)
        due_ns = time.perf_counter_ns() + period_ns
        end_ns = time.perf_counter_ns() + round(seconds * 1e9)
        sent = 0
        while (now_ns := time.perf_counter_ns()) < end_ns and not (until is not None and until()):
            self._signals.check()
            if now_ns < due_ns:
                self._executor.spin_once(timeout_sec=(due_ns - now_ns) * 1e-9)
                continue
            due_ns = max(due_ns + period_ns, now_ns - period_ns)
            self._publish()
            sent += 1
        return sent

    def drain(self) -> int:
        """Wait a little for the answers still under way.

        Returns:
            Joint states never answered.
        """
        until_ns = time.perf_counter_ns() + 200_000_000
        while self._sent_ns and (left := until_ns - time.perf_counter_ns()) > 0:
            self._executor.spin_once(timeout_sec=left * 1e-9)
        return len(self._sent_ns)

    def _publish(self) -> None:
        stamp_ns = time.time_ns()
        rates = self._noise.uniform(-NOISE, NOISE, 3)
        self._imu.publish(self._imu_writer.write(stamp_ns, np.array([0.0, 0.0, 0.0, 1.0]), rates, UPRIGHT_FORCE))
        position = self._position + self._noise.uniform(-NOISE, NOISE, self._position.size)
        message = self._writer.write(stamp_ns, "", position, self._zeros, self._zeros)
        self._sent_ns[stamp_ns] = time.perf_counter_ns()
        self._joint_states.publish(message)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.remove_node(self.node)
        self.node.destroy_node()
        self._executor.shutdown()
        rclpy.try_shutdown()
        self._signals.release()


def _cpu_seconds(node: NodeProcess) -> float:
    fields = Path(f"/proc/{node.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _measure(source: _Source, chain: str, rate: int, seconds: float, result: ChainResult) -> None:
    """One turn of one chain: start its nodes, wait until they answer, measure, end them."""
    with ProcessGroup() as processes:
        if chain == "echo":
            source.listen(ECHO_TOPIC)
            processes.start("humanoid_rl_ros.cli.echo", [])
        else:
            source.listen(topics.JOINT_COMMAND.name)
            robot = {"robot": benchmark_robot(), "autostart": True}
            policy = {"policy": str(benchmark_folder()), "use_cmd_vel": False}
            monitor = {"command_type": "joint_state", "auto_arm": True}
            processes.start("humanoid_rl_ros.nodes.policy_node", ["--ros-args", *parameter_arguments(robot | policy)])
            processes.start(
                "humanoid_rl_ros.nodes.safety_monitor_node", ["--ros-args", *parameter_arguments(robot | monitor)]
            )

        def ready() -> bool:
            processes.check()
            return bool(source.answered) and (chain == "echo" or source.safety_state == SafetyState.ACTIVE.value)

        source.run(rate, START_TIMEOUT_S, ready)
        if not ready():
            raise ProcessError(f"{chain}: no answer after {START_TIMEOUT_S:g} s: {processes.nodes[-1].last_error()}")
        source.run(rate, SETTLE_S)
        before = {node.name: _cpu_seconds(node) for node in processes.nodes}
        clock = time.monotonic()
        gc.collect()
        gc.disable()
        try:
            sent = source.run(rate, seconds)
        finally:
            gc.enable()
        passed = time.monotonic() - clock
        lost = source.drain()
        processes.check()
        for node in processes.nodes:
            result.cpu.setdefault(node.name, []).append((_cpu_seconds(node) - before[node.name]) / passed)
    result.latencies_us += source.answered
    result.sent += sent
    result.late += sum(1 for value in source.answered if value > 1e6 / rate)
    result.lost += lost


def run_latency(*, rates: list[int], seconds: float, rounds: int, json_file: Path | None, console: Console) -> None:
    """Measure both chains in turns and print the table.

    Args:
        rates: joint states per second.
        seconds: length of one turn [s].
        rounds: turns of each chain at each rate.
        json_file: where the distributions go, or None.
        console: where the table goes.

    Raises:
        HumanoidError: a node did not start or died.
    """
    isolate()
    robot = find_robot(benchmark_robot())
    chains = ("echo", "policy + safety")
    results = {(rate, chain): ChainResult(chain, rate) for rate in rates for chain in chains}
    source = _Source(robot)
    try:
        with console.status("measuring") as status:
            for turn in range(rounds):
                for rate in rates:
                    for chain in chains:
                        status.update(f"round {turn + 1} of {rounds}: {chain} at {rate} Hz")
                        _measure(source, chain, rate, seconds, results[rate, chain])
    finally:
        source.close()
    console.print(_latency_table(results, robot.n_joints))
    console.print(_cpu_table(results))
    if json_file is not None:
        rows = []
        for result in results.values():
            row = asdict(result) | {"latency_us": result.distribution(), "ratio_to_echo": _ratio(results, result)}
            rows.append(
                row | {"joints": robot.n_joints, "cpu": {n: float(np.median(v)) for n, v in result.cpu.items()}}
            )
        write_json(json_file, rows)


def _ratio(results: dict[tuple[int, str], ChainResult], result: ChainResult) -> float:
    return result.distribution()["p50"] / results[result.rate, "echo"].distribution()["p50"]


def _latency_table(results: dict[tuple[int, str], ChainResult], joints: int) -> Table:
    table = Table(title=f"joint state published to answer received, {joints} joints [µs]")
    for heading in ("chain", "Hz", *PERCENTILES, "max", "late", "lost", "× echo"):
        table.add_column(heading, justify="left" if heading == "chain" else "right")
    for result in results.values():
        numbers = [f"{value:.0f}" for value in result.distribution().values()]
        shares = [f"{100.0 * count / result.sent:.2f}%" if result.sent else "–" for count in (result.late, result.lost)]
        table.add_row(result.chain, str(result.rate), *numbers, *shares, f"{_ratio(results, result):.2f}")
    return table


def _cpu_table(results: dict[tuple[int, str], ChainResult]) -> Table:
    table = Table(title="share of one core, median of the rounds")
    for heading in ("node", "Hz", "cores"):
        table.add_column(heading, justify="left" if heading == "node" else "right")
    for result in results.values():
        for name, shares in result.cpu.items():
            table.add_row(name, str(result.rate), f"{np.median(shares):.2f}")
    return table
