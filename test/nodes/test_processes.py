"""The three nodes as processes: the same run each time, what is left when one of them dies, and quiet ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from ros_graph import Graph, NodeProcess, open_graph
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
from tiny_policy import write_policy

from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import stamp_to_ns
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.nodes.policy_node import PolicyNode
from humanoid_rl_ros.nodes.safety_monitor_node import SafetyMonitorNode
from humanoid_rl_ros.nodes.simulation_bridge_node import SimulationBridgeNode
from humanoid_rl_ros.resources import find_robot

pytestmark = pytest.mark.ros
ROBOT = find_robot("reference")
START = 60.0  # three interpreters on a busy machine [s]
# A process killed while it writes to shared memory can hold up what its neighbours hear, for seconds [s].
AFTER_KILL = 40.0
PERIOD = 2_000_000
LENGTH = 0.3
Trajectory = dict[int, tuple[bytes, bytes, bytes]]


def _has_no_past(observation: Sequence[float]) -> bool:
    """Whether an observation is that of an entry: both frames alike, and no last action."""
    frames = np.array(observation).reshape(2, -1)
    return bool((frames[0] == frames[1]).all() and not frames[:, -ROBOT.n_joints :].any())


class Running:
    """Bridge, policy and monitor."""

    def __init__(self, graph: Graph, folder: Path, mode: str, *, watchdog: float = 60.0, **bridge: Any) -> None:
        self.graph = graph
        self.states = graph.listen(topics.JOINT_STATES)
        stamped = mode == "lockstep"
        self.commands = graph.listen(topics.JOINT_COMMAND, kind=JointState if stamped else None)
        self.status = graph.listen(topics.SAFETY_STATUS)
        self.observations = graph.listen(topics.POLICY_OBSERVATION)
        self.diagnostics = graph.listen(topics.DIAGNOSTICS)
        common = {"robot": "reference", "mode": mode, "autostart": True, "use_sim_time": True}
        command = {"command_type": "joint_state" if stamped else "float64_multi_array"}
        bundle = write_policy(folder / "tiny", ROBOT)
        limits = folder / "safety.yaml"
        # On a busy machine all three may stand still for longer than a robot's limits allow,
        # and the robot falls meanwhile.
        limits.write_text(
            "format: 1\ncommand_timeout: 1.0\nstate_timeout: 2.0\nimu_timeout: 2.0\ntick_overrun: 1.0\n"
            "tilt_limit: 1.6\ntilt_time: 2.0\nfalling_time: 2.0\n"
            "position_margin: 1.0\nposition_count: 1000\njoint_speed: 3.0\njoint_speed_count: 1000\n"
            "tracking_error: 4.0\ntracking_time: 10.0\nsaturation_time: 60.0\n"
        )
        monitor = {"lockstep_timeout": watchdog} if stamped else {"limits": limits}
        self.bridge = graph.process("simulation_bridge_node", **common, **command, **bridge)
        self.policy = graph.process(
            "policy_node", **common, policy=bundle, use_cmd_vel=False, velocity_command=[0.3, 0.0, 0.1]
        )
        self.monitor = graph.process("safety_monitor_node", **common, **command, **monitor)

        # What is heard too late cannot be compared: nothing moves before all of it is heard.
        heard = (self.states, self.commands, self.diagnostics)
        graph.until(lambda: all(heard) and self.state == "READY", "READY", START)
        graph.until(lambda: graph.tester.count_publishers(topics.POLICY_OBSERVATION.name), "the policy", START)
        graph.spin(0.3)
        self.arm()

    def arm(self) -> None:
        """Release the robot."""
        assert self.graph.call(SetBool, topics.SAFETY_ARM, SetBool.Request(data=True)).success
        self.graph.until(lambda: self.state == "ACTIVE", "ACTIVE")
        self.observations.clear()

    @property
    def state(self) -> str:
        return values_of(self.status[-1])["state"] if self.status else ""

    @property
    def last_fault(self) -> str:
        return values_of(self.status[-1])["last_fault"] if self.status else ""

    def now(self) -> int:
        return stamp_to_ns(self.states[-1].header.stamp) if self.states else -1

    def passes(self, stamp_ns: int, within: float = START) -> None:
        self.graph.until(lambda: self.now() >= stamp_ns, f"{stamp_ns} ns of simulated time", within)

    def pauses(self) -> None:
        """Wait for the end of the run; the last state itself may get lost on its best-effort topic."""

        def paused() -> bool:
            found = [s for m in self.diagnostics for s in m.status if s.name == "/simulation_bridge"]
            return bool(found) and values_of(found[-1])["paused"] == "True"

        self.graph.until(paused, "the end of the run", START)
        self.graph.spin(0.1)
        self.diagnostics.clear()

    def by_stamp(self) -> dict[int, JointState]:
        return {stamp_to_ns(m.header.stamp): m for m in self.states}

    def trajectory(self) -> Trajectory:
        """What was measured so far, and forget it."""
        out = {
            stamp: tuple(np.array(values).tobytes() for values in (m.position, m.velocity, m.effort))
            for stamp, m in self.by_stamp().items()
        }
        self.states.clear()
        return out  # type: ignore[return-value]  # three of them


def damping(state: JointState) -> list[float]:
    effort = -ROBOT.kd * np.array(state.velocity)
    return np.clip(effort, -ROBOT.effort_limit, ROBOT.effort_limit).tolist()


def assert_same(one: Trajectory, other: Trajectory) -> None:
    """The stamps that both were heard at; a best-effort topic may lose some."""
    common = sorted(one.keys() & other.keys())[1:]
    assert len(common) > 0.5 * LENGTH * 1e9 / PERIOD
    assert [stamp for stamp in common if one[stamp] != other[stamp]] == []
    assert len({one[stamp] for stamp in common}) == len(common)  # something moved


def end(process: NodeProcess) -> None:
    """As a user ends it; it takes its own segment of shared memory with it, whose lock is one of its files."""
    files = [file.resolve() for file in Path(f"/proc/{process.process.pid}/fd").glob("*")]
    own = [file for file in files if re.fullmatch("fastdds_[0-9a-f]{16}_el", file.name)]
    assert own
    process.interrupt()
    assert process.ended(10.0) == 0, process.output[-2000:]
    assert "Traceback" not in process.output
    assert not [lock for lock in own if lock.exists()]


def test_lockstep_is_the_same_to_the_bit_again_and_again_and_under_load(graph: Graph, tmp_path: Path) -> None:
    it = Running(graph, tmp_path, "lockstep", stop_after=LENGTH)
    it.pauses()
    first, seen = it.trajectory(), {tuple(m.data) for m in it.observations}
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        response = graph.call(Trigger, topics.SIMULATION_RESET, Trigger.Request())
        assert response.success
        graph.until(lambda: it.now() == 0, "the reset")
        graph.spin(0.3)  # whether a reset disarms is not asked here
        if it.state != "ACTIVE":
            graph.until(lambda: it.state == "READY", "READY")
            it.arm()
        it.pauses()
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    assert_same(first, it.trajectory())
    # The reset made the policy forget: no observation of the second run has a past that the first had not.
    unknown = [m.data for m in it.observations if tuple(m.data) not in seen]
    assert all(_has_no_past(data) for data in unknown)
    for process in (it.policy, it.monitor, it.bridge):
        end(process)


@pytest.mark.slow
def test_lockstep_is_the_same_in_new_processes(tmp_path: Path) -> None:
    runs = []
    for i in range(2):
        folder = tmp_path / str(i)
        folder.mkdir()
        with open_graph(folder) as graph:
            it = Running(graph, folder, "lockstep", stop_after=LENGTH)
            it.pauses()
            runs.append(it.trajectory())
    assert_same(*runs)


@pytest.mark.slow
def test_in_lockstep_the_monitor_outlives_the_policy_and_the_bridge_the_monitor(graph: Graph, tmp_path: Path) -> None:
    it = Running(graph, tmp_path, "lockstep", watchdog=3.0, lockstep_timeout=4.0)
    it.passes(20 * PERIOD)
    it.policy.kill()
    graph.until(lambda: it.commands[-1].header.frame_id != "ACTIVE", "damping", AFTER_KILL)
    end_of_policy = it.now()
    it.passes(end_of_policy + 20 * PERIOD)
    states = it.by_stamp()
    checked = 0
    for command in it.commands:
        stamp = stamp_to_ns(command.header.stamp)
        if stamp > end_of_policy and stamp in states:
            assert command.header.frame_id != "ACTIVE"
            assert list(command.effort) == damping(states[stamp])
            checked += 1
    assert checked > 10
    it.monitor.kill()
    graph.until(lambda: "the motors damp by themselves" in it.bridge.output, "the bridge's own damping", AFTER_KILL)
    its_own_ns = it.now()
    it.passes(its_own_ns + 5 * PERIOD)
    states = it.by_stamp()
    pairs = [(states[s - PERIOD], states[s]) for s in sorted(states) if s > its_own_ns and s - PERIOD in states]
    assert pairs
    assert all(list(after.effort) == damping(before) for before, after in pairs)
    end(it.bridge)


def test_in_real_time_the_monitor_outlives_the_policy_and_the_bridge_the_monitor(graph: Graph, tmp_path: Path) -> None:
    it = Running(graph, tmp_path, "realtime", command_timeout=1.0)
    graph.spin(0.2)
    it.policy.kill()
    graph.until(lambda: it.last_fault.startswith("command_timeout"), "the time-out", AFTER_KILL)
    assert it.state != "ACTIVE"
    possible: set[tuple[float, ...]] = set()

    def damps() -> bool:
        while it.states:
            possible.add(tuple(damping(it.states.pop())))
        return sum(tuple(m.data) in possible for m in it.commands[-20:]) > 10

    graph.until(damps, "damping", AFTER_KILL)  # what was sent before may still be on its way
    it.monitor.kill()
    graph.until(lambda: "the motors damp by themselves" in it.bridge.output, "the bridge's own damping", AFTER_KILL)

    def damped(since: int) -> list[bool]:
        """Of each period heard from both its ends: whether the effort is damping."""
        heard = it.states[since:]
        ends = [
            (a, b) for a, b in pairwise(heard) if stamp_to_ns(b.header.stamp) - stamp_to_ns(a.header.stamp) == PERIOD
        ]
        return [list(b.effort) == damping(a) for a, b in ends]

    # States from before may still be on their way; once it damps it stays so.
    graph.until(lambda: damped(0)[-10:] == [True] * 10, "damping by the bridge", AFTER_KILL)
    start = len(it.states)
    graph.until(lambda: len(damped(start)) > 30, "states", AFTER_KILL)
    assert all(damped(start))
    end(it.bridge)


def test_the_monitors_last_words_are_damping_and_then_zero(graph: Graph, tmp_path: Path) -> None:
    it = Running(graph, tmp_path, "realtime", command_timeout=0.5)
    graph.spin(0.1)
    start = len(it.commands)
    end(it.monitor)
    graph.until(lambda: len(it.commands) > start and not any(it.commands[-1].data), "zero")
    heard = len(it.commands)
    graph.spin(0.3)
    assert len(it.commands) == heard
    possible = {tuple(damping(state)) for state in it.states}
    assert sum(tuple(m.data) in possible for m in it.commands[start:-1]) > 10
    assert it.state != "ACTIVE"
    for process in (it.policy, it.bridge):
        end(process)


def test_what_cannot_start_ends_with_one_line_and_status_one(graph: Graph, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("policy_node: {ros__parameters: {autostart: true, robot: reference, policy: none}}\n")
    cases = [
        (graph.process("policy_node", autostart=True), "no robot is given"),
        (graph.process("safety_monitor_node", autostart=True, robot="refrence"), "did you mean 'reference'?"),
        (graph.process("simulation_bridge_node", autostart=True, robot="reference", state_rate=1.0), "state_rate"),
        (graph.process("simulation_bridge_node", autostart=True, robot="reference", state_rate=500), "state_rate"),
        (graph.process("policy_node", "--params-file", str(params)), "policy named 'none'"),
    ]
    for process, text in cases:
        assert process.ended(START) == 1
        assert "Traceback" not in process.output
        (line,) = [line for line in process.output.splitlines() if "[ERROR]" in line]
        assert text in line


def test_an_argument_that_ros_refuses_ends_with_one_line_too(graph: Graph, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("policy_node: {ros__parameters: [\n")
    process = graph.process("policy_node", "--params-file", str(params))
    assert process.ended(START) == 1
    assert "Traceback" not in process.output


def test_without_autostart_a_node_waits_and_ends_quietly_when_its_terminal_is_closed(graph: Graph) -> None:
    process = graph.process("policy_node")
    graph.until(lambda: "waiting for its lifecycle" in process.output, "the node", START)
    process.process.send_signal(signal.SIGHUP)
    assert process.ended(10.0) == 0, process.output
    assert "Traceback" not in process.output


def test_two_robots_in_namespaces_do_not_hear_each_other(graph: Graph, tmp_path: Path) -> None:
    bundle = write_policy(tmp_path / "tiny", ROBOT)
    common = {"robot": "reference", "mode": "lockstep", "use_sim_time": True}
    command = {"command_type": "joint_state"}
    bridges, monitors, states = {}, {}, {}
    for name in ("a", "b"):
        inside = ["--ros-args", "-r", f"__ns:=/{name}"]
        states[name] = graph.listen(topics.JOINT_STATES, name=f"/{name}/joint_states")
        bridges[name] = graph.active(
            SimulationBridgeNode, arguments=inside, **common, **command, publish_clock=False, publish_tf=False
        )
        monitors[name] = graph.active(SafetyMonitorNode, arguments=inside, **common, **command)
        graph.active(PolicyNode, arguments=inside, **common, policy=str(bundle))

    def now(name: str) -> int:
        return stamp_to_ns(states[name][-1].header.stamp) if states[name] else -1

    def safety(name: str) -> str:
        return values_of(monitors[name].diagnose())["state"]

    graph.until(lambda: safety("a") == safety("b") == "READY", "READY")
    assert graph.call(SetBool, f"/a/{topics.SAFETY_ARM}", SetBool.Request(data=True)).success
    graph.until(lambda: now("a") > 20 * PERIOD, "robot a")
    assert (safety("b"), now("b")) == ("READY", 0)
    assert graph.call(SetBool, f"/b/{topics.SAFETY_ARM}", SetBool.Request(data=True)).success
    graph.until(lambda: now("b") > 10 * PERIOD, "robot b")
    assert graph.call(Trigger, f"/a/{topics.SAFETY_EMERGENCY_STOP}", Trigger.Request()).success
    here = now("b")
    graph.until(lambda: now("b") > here + 10 * PERIOD, "robot b")
    assert (safety("a"), safety("b")) == ("ESTOP", "ACTIVE")
    relative = (topics.JOINT_STATES, topics.IMU, topics.POLICY_EFFORT, topics.JOINT_COMMAND, topics.SAFETY_STATUS)
    for topic in relative:
        assert graph.tester.count_publishers(f"/{topic.name}") == 0
        for name in ("a", "b"):
            assert graph.tester.count_publishers(f"/{name}/{topic.name}") == 1
