"""Nodes that die in the middle: how long until the motors of a simulated robot damp."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState

from humanoid_rl_ros.cli.fault_rig import FaultRig
from humanoid_rl_ros.cli.processes import NodeProcess, ProcessError, ProcessGroup, parameter_arguments
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import JointStateReader
from humanoid_rl_ros.nodes.graph import graph_parameters
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.safety.status import PASSING_NAMES

ROBOT = "reference"
START_TIMEOUT_S = 30.0
WATCH_S, WATCH_LIMIT_S = 1.5, 15.0
"""Time of the robot that is watched after a death, and how long it may take."""
HUNG_S = 0.2
WALKS_S = 0.5
LATEST = 20
"""States back to which a damping effort may answer: 0.1 s."""
FORGIVEN = 0.05
WAYS = (
    ("policy_node", "SIGKILL"),
    ("policy_node", "SIGSTOP"),
    ("safety_monitor_node", "SIGKILL"),
    ("safety_monitor_node", "SIGSTOP"),
    ("safety_monitor_node", "exception"),
)


@dataclass
class NodeFault:
    """What came of one node that died.

    Attributes:
        node, how: which.
        trials: how often.
        damped: how often the motors damped, or were without effort, and stayed so.
        unheard: how often nothing was heard of the motors any more, so that nobody knows.
        disarmed: how often the monitor, or a new one in its place, then let no effort pass.
        reactions: from its end to the first damping on the motors, in the time of the robot's states [s].
        reason: who damped: the monitor, or the motors by their own time-out.
        hung: how long the robot's driver stood still meanwhile, where it did [s]: it publishes to the node that died,
            and a process that is killed may leave DDS's shared memory so that whoever writes to it waits. Simulated
            time stands still with it.
    """

    node: str
    how: str
    trials: int = 0
    damped: int = 0
    unheard: int = 0
    disarmed: int = 0
    reactions: list[float] = field(default_factory=list)
    reason: str = ""
    hung: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Seen:
    """What a joint state said of the motors: when it came [ns; monotonic], its stamp [ns], whether they were quiet."""

    came_ns: int
    stamp_ns: int
    quiet: bool


class _Motors:
    """Hears what the motors of the simulation do."""

    def __init__(self, node: Node, robot: RobotSpec) -> None:
        self._robot = robot
        self._reader = JointStateReader()
        self._dampings: deque[FloatArray] = deque(maxlen=LATEST)
        self.seen: list[_Seen] = []
        self._subscription = node.create_subscription(
            JointState,
            topics.JOINT_STATES.name,
            self._on_state,
            QoSProfile(depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT),  # a lost one would look like an effort
            raw=True,
        )

    def _on_state(self, raw: bytes) -> None:
        """Effort is what brought the robot into this state: damping of one of those just before, or nothing."""
        message = self._reader.read(raw)
        limit = self._robot.effort_limit
        quiet = not message.effort.any() or any(np.allclose(message.effort, d, atol=1e-6) for d in self._dampings)
        self.seen.append(_Seen(time.monotonic_ns(), message.stamp_ns, bool(quiet)))
        self._dampings.append(np.clip(-self._robot.kd * message.velocity, -limit, limit))

    def heard_since(self, since_ns: int) -> float:
        """How much time of the robot has been heard of since then [s]."""
        later = [seen.stamp_ns for seen in self.seen if seen.came_ns >= since_ns]
        return (later[-1] - later[0]) * 1e-9 if later else 0.0

    def _from(self, since_ns: int) -> list[_Seen]:
        """The last that came before then, and all that came after."""
        return self.seen[sum(seen.came_ns < since_ns for seen in self.seen) - 1 :]

    def settled_after(self, since_ns: int) -> float | None:
        """Time of the robot from then to the first state from which on all are quiet [s]; None where there is none.

        A state that got lost on its best-effort topic makes the next one look loud: one in twenty is forgiven.
        """
        last, *heard = self._from(since_ns)
        loud_after = 0
        settled = None
        for count, seen in enumerate(reversed(heard), 1):
            loud_after += not seen.quiet
            if seen.quiet and loud_after <= FORGIVEN * count:
                settled = seen.stamp_ns
        return None if settled is None else (settled - last.stamp_ns) * 1e-9

    def hung_after(self, since_ns: int) -> float:
        """How much longer the largest pause between two states after that was than the robot's own time in it [s]."""
        pauses = [
            (after.came_ns - before.came_ns) - (after.stamp_ns - before.stamp_ns)
            for before, after in pairwise(self._from(since_ns))
        ]
        return max(pauses, default=0) * 1e-9


def run_node_faults(rig: FaultRig, trials: int, records: Path, show: Callable[[str], None]) -> list[NodeFault]:
    """Let each node die in each way.

    Args:
        rig: hears the monitor; says nothing meanwhile.
        trials: of each way.
        records: folder that takes the monitors' records.
        show: takes what is being done.

    Raises:
        HumanoidError: a node did not start.
    """
    rig.speak_for_the_policy(False)
    robot = find_robot(ROBOT)
    motors = _Motors(rig.node, robot)
    results = []
    for node, how in WAYS:
        result = NodeFault(node, how)
        results.append(result)
        for trial in range(trials):
            show(f"{node}, {how}: {trial + 1} of {trials}")
            _die(rig, motors, result, str(records))
    return results


def _die(rig: FaultRig, motors: _Motors, result: NodeFault, records: str) -> None:
    graph = graph_parameters(ROBOT, "walk", velocity_command=(0.3, 0.0, 0.0), arm=False, get_up="")
    rig.forget()
    with ProcessGroup() as processes:

        def start(module: str, parameters: Any) -> NodeProcess:
            return processes.start(module, ["--ros-args", *parameter_arguments(parameters)])

        # Commands with names and stamps tell the states apart.
        stamped = {"command_type": "joint_state"}
        start("humanoid_rl_ros.nodes.simulation_bridge_node", {**graph.simulation_bridge, **stamped})
        policy = start("humanoid_rl_ros.nodes.policy_node", graph.policy_node)
        module = (
            "humanoid_rl_ros.cli.raising_monitor"
            if result.how == "exception"
            else "humanoid_rl_ros.nodes.safety_monitor_node"
        )
        monitor_parameters = {**graph.safety_monitor, **stamped, "records": records}
        monitor = start(module, monitor_parameters)
        _walk(rig, processes)
        motors.seen.clear()
        if not rig.listen(START_TIMEOUT_S, lambda: motors.heard_since(0) >= WALKS_S):
            raise ProcessError("nothing is heard of the simulation")
        result.trials += 1
        victim = policy if result.node == "policy_node" else monitor
        began_ns = _end(rig, victim, result.how)
        rig.listen(WATCH_LIMIT_S, lambda: motors.heard_since(began_ns) >= WATCH_S)
        settled, hung = motors.settled_after(began_ns), motors.hung_after(began_ns)
        if motors.heard_since(began_ns) == 0.0:
            result.unheard += 1
            hung = WATCH_LIMIT_S
        if hung > HUNG_S:
            result.hung.append(hung)
        if settled is not None:
            result.damped += 1
            result.reactions.append(settled)
        result.reason = "monitor" if victim is policy else "motors"
        if victim is not policy:
            victim.process.kill()
            rig.forget()
            rig.forget_status()
            start("humanoid_rl_ros.nodes.safety_monitor_node", monitor_parameters)
            rig.listen(START_TIMEOUT_S, lambda: bool(rig.state))
            rig.listen(0.5)
        elif result.how == "SIGSTOP":
            victim.process.send_signal(signal.SIGCONT)
        result.disarmed += bool(rig.state) and rig.state not in PASSING_NAMES


def _walk(rig: FaultRig, processes: ProcessGroup) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    rig.forget_status()
    while rig.state not in PASSING_NAMES:
        processes.check()
        if time.monotonic() > end:
            raise ProcessError(f"the monitor does not become ACTIVE; it is {rig.state}: {rig.reason}")
        if rig.state == "READY":
            rig.arm()
        rig.listen(0.1)


def _end(rig: FaultRig, victim: NodeProcess, how: str) -> int:
    """End it; when that was [ns; monotonic]."""
    if how != "exception":
        victim.process.send_signal(signal.Signals[how])
        return time.monotonic_ns()
    while victim.process.poll() is None:
        rig.listen(0.01)
    return max((c.arrived_ns for c in rig.commands if c.passes), default=time.monotonic_ns())
