"""The faults that `humanoid_rl bench faults` injects: what each does, what the monitor should call it, how soon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import JointState

from humanoid_rl_ros.cli.fault_rig import HOUR_NS, FaultRig
from humanoid_rl_ros.control.safety_control import TICK_PERIOD_NS
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.nodes.quality import qos
from humanoid_rl_ros.nodes.safety_monitor_node import GRAPH_PERIOD_NS
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.state_rules import FLOOD_WINDOW_NS
from humanoid_rl_ros.safety.status import ON_ITS_FEET, PASSING, SafetyState

WINDOW_S = FLOOD_WINDOW_NS * 1e-9
DISCOVERY_S = 0.2
"""What a publisher takes to be known to its neighbours on one machine, generously."""


@dataclass(frozen=True)
class Fault:
    """One way to break the graph.

    Attributes:
        name: for people.
        stream: whose last good message counts: ``joints``, ``imu``, ``policy``.
        codes: what the monitor may call it.
        bound: time from the last good message to the first safe command [s], given the limits and the period.
        inject: breaks it; gives what mends what the script does not, or None.
        acts_in: the states that it ends; in the others it must change nothing for the worse.
        degrades: whether it leads to DEGRADED and not to damping.
    """

    name: str
    stream: str
    codes: tuple[str, ...]
    bound: Callable[[SafetyLimits, float], float]
    inject: Callable[[FaultRig], Callable[[], None] | None]
    acts_in: frozenset[SafetyState] = PASSING
    degrades: bool = False


def _script(**changes: Any) -> Callable[[FaultRig], None]:
    def inject(rig: FaultRig) -> None:
        for name, value in changes.items():
            setattr(rig.script, name, value)

    return inject


def _renamed(which: str) -> Callable[[FaultRig], None]:
    def inject(rig: FaultRig) -> None:
        setattr(rig.script, which, ("nobody", *rig.robot.joint_names[1:]))

    return inject


def _second(topic: topics.Topic) -> Callable[[FaultRig], Callable[[], None]]:
    def inject(rig: FaultRig) -> Callable[[], None]:
        publisher = rig.node.create_publisher(JointState, topic.name, qos(topic))
        return lambda: rig.node.destroy_publisher(publisher)

    return inject


def _too_fast(rig: FaultRig) -> None:
    rig.script.velocity = 2.0 * float(rig.robot.velocity_limit.max())


def _through_the_stop(rig: FaultRig) -> None:
    rig.script.position_offset = 1.0 + float((rig.robot.upper - rig.robot.default_position).max())


def _runs(rule: str) -> Callable[[SafetyLimits, float], float]:
    """So many messages in a row, and one period before the first of them."""
    return lambda limits, period: (getattr(limits, rule) + 1) * period + TICK_PERIOD_NS * 1e-9


def _lasts(rule: str, messages: int = 1) -> Callable[[SafetyLimits, float], float]:
    return lambda limits, period: messages * period + getattr(limits, rule) + TICK_PERIOD_NS * 1e-9


def _flooded(limits: SafetyLimits, period: float) -> float:
    return 2.0 * WINDOW_S + 2.0 * period + TICK_PERIOD_NS * 1e-9


def _discovered(limits: SafetyLimits, period: float) -> float:
    return DISCOVERY_S + GRAPH_PERIOD_NS * 1e-9 + period + 2.0 * TICK_PERIOD_NS * 1e-9


FAULTS: tuple[Fault, ...] = (
    Fault("policy silent", "policy", ("command_timeout",), _lasts("command_timeout"), _script(policy=False)),
    Fault("joint states silent", "joints", ("state_timeout",), _lasts("state_timeout"), _script(joints=False)),
    Fault("IMU silent", "imu", ("imu_timeout",), _lasts("imu_timeout"), _script(imu=False)),
    Fault(
        "joint states repeat one stamp",
        "joints",
        ("joints_frozen",),
        _lasts("state_timeout"),
        _script(frozen_joints="stamp"),
    ),
    Fault("IMU repeats one stamp", "imu", ("imu_frozen",), _lasts("imu_timeout"), _script(frozen_imu="stamp")),
    Fault(
        "joint states frozen, stamps go on",
        "joints",
        ("joints_frozen",),
        _lasts("frozen_time", 2),
        _script(frozen_joints="values"),
    ),
    Fault("IMU frozen, stamps go on", "imu", ("imu_frozen",), _lasts("frozen_time", 2), _script(frozen_imu="values")),
    Fault("NaN from the policy", "policy", ("non_finite",), _runs("non_finite_limit"), _script(not_a_number="policy")),
    Fault("NaN in joint states", "joints", ("non_finite",), _runs("reject_limit"), _script(not_a_number="joints")),
    Fault("NaN in the IMU", "imu", ("non_finite",), _runs("reject_limit"), _script(not_a_number="imu")),
    Fault("wrong joints from the policy", "policy", ("wrong_joints",), _runs("reject_limit"), _renamed("effort_names")),
    Fault("wrong joints in joint states", "joints", ("wrong_joints",), _runs("reject_limit"), _renamed("joint_names")),
    Fault(
        "efforts stamped one hour ahead",
        "policy",
        ("command_stamp",),
        _runs("reject_limit"),
        _script(effort_shift_ns=HOUR_NS),
    ),
    Fault("states one hour ahead", "joints", ("clock_jump",), _runs("reject_limit"), _script(state_shift_ns=HOUR_NS)),
    Fault("clock one hour back", "joints", ("clock_jump",), _runs("reject_limit"), _script(state_shift_ns=-HOUR_NS)),
    Fault("second policy", "policy", ("second_policy",), _discovered, _second(topics.POLICY_EFFORT)),
    Fault("second commander", "policy", ("second_commander",), _discovered, _second(topics.JOINT_COMMAND)),
    Fault("efforts at ten times the rate", "policy", ("command_flood",), _flooded, _script(times_efforts=10)),
    Fault(
        "states at ten times the rate",
        "joints",
        ("sensor_flood",),
        _flooded,
        _script(times_states=10),
        frozenset({SafetyState.ACTIVE}),
        degrades=True,
    ),
    Fault("a joint too fast", "joints", ("joint_speed",), _runs("joint_speed_count"), _too_fast),
    Fault("a joint through its stop", "joints", ("predicted_position",), _runs("position_count"), _through_the_stop),
    Fault(
        "tipping over",
        "imu",
        ("falling", "tilt"),
        _lasts("falling_time", 3),
        _script(tilt=0.7, spin=3.0),
        ON_ITS_FEET,
    ),
    Fault("lying", "imu", ("tilt", "falling"), _lasts("tilt_time", 3), _script(tilt=1.5), ON_ITS_FEET),
)


@contextmanager
def cpu_load(processes: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
