"""`humanoid_rl bench faults`: every fault in every state, over real DDS, against a real safety monitor."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from humanoid_rl_ros.cli.fault_list import FAULTS, Fault, cpu_load
from humanoid_rl_ros.cli.fault_rig import FaultRig, Script
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.node_faults import NodeFault, run_node_faults
from humanoid_rl_ros.cli.processes import ProcessError, ProcessGroup, isolate, parameter_arguments
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.resources import benchmark_robot, find_robot
from humanoid_rl_ros.safety.limits import load_safety_limits
from humanoid_rl_ros.safety.status import PASSING, PASSING_NAMES, SafetyState

STATES = (
    SafetyState.READY,
    SafetyState.ACTIVE,
    SafetyState.DEGRADED,
    SafetyState.FALLING,
    SafetyState.FALLEN,
    SafetyState.RECOVERING,
    SafetyState.VERIFYING,
    SafetyState.ESTOP,
)
QUICK_STATES = {"fallen_time": 0.05, "upright_time": 0.05, "verify_time": 30.0, "verify_limit": 60.0}
"""So that states are reached soon, and VERIFYING lasts; no time-out is among them."""
LONGEST_S = 2.0


@dataclass
class FaultResult:
    """What came of one fault in one state.

    Attributes:
        fault, state: which.
        bound: time allowed [s].
        expected: whether it should have ended the state.
        injected, detected, named, survived: counts of trials. Detected: what followed was safe, and stayed so. Named:
            by the right code; where efforts did not pass anyway the state had only to hold. Survived: afterwards the
            monitor became READY again.
        reactions: from the last good message to the first safe command [s].
    """

    fault: str
    state: str
    bound: float
    expected: bool
    injected: int = 0
    detected: int = 0
    named: int = 0
    survived: int = 0
    reactions: list[float] = field(default_factory=list)

    def percentile(self, q: float) -> float:
        """Of the reactions [s]."""
        return float(np.percentile(self.reactions, q)) if self.reactions else float("nan")


@dataclass(frozen=True)
class FaultOptions:
    """What `humanoid_rl bench faults` was asked.

    Attributes:
        trials: of each fault while ACTIVE.
        state_trials: of each fault in every other state.
        kills: of each node that is killed, stopped or raises.
        rate: states a second [Hz].
        only: names of faults, or parts of them; empty for all.
        load: processes that compute beside it.
    """

    trials: int = 20
    state_trials: int = 3
    kills: int = 3
    rate: float = 200.0
    only: tuple[str, ...] = ()
    load: int = 0


def run_faults(options: FaultOptions, *, json_file: Path | None, console: Console) -> bool:
    """Inject, measure, print.

    Args:
        options: what to inject.
        json_file: where everything goes, or None.
        console: where the tables go.

    Returns:
        Whether everything was detected, rightly named and survived.

    Raises:
        HumanoidError: a node did not start, or no fault has such a name.
    """
    faults = _chosen(options.only)
    isolate()
    nodes: list[NodeFault] = []
    robot = find_robot(benchmark_robot())
    with tempfile.TemporaryDirectory() as records, console.status("injecting") as status, cpu_load(options.load):
        limits_file = Path(records) / "safety.yaml"
        limits_file.write_text("format: 1\n" + "".join(f"{k}: {v}\n" for k, v in QUICK_STATES.items()))
        with closing(FaultRig(robot, options.rate)) as rig:
            results = _inject_all(rig, faults, options, limits_file, status.update)
            if not options.only:
                nodes = run_node_faults(rig, options.kills, Path(records), status.update)
    console.print(_reaction_table(results))
    console.print(_state_table(results))
    if nodes:
        console.print(_node_table(nodes))
    if json_file is not None:
        write_json(json_file, {"faults": [asdict(r) for r in results], "nodes": [asdict(n) for n in nodes]})
    complete = all(r.injected == r.detected == r.named == r.survived for r in results)
    return complete and all(n.damped + n.unheard == n.trials == n.disarmed for n in nodes)


def _chosen(only: Sequence[str]) -> list[Fault]:
    for word in only:
        if not any(word in fault.name for fault in FAULTS):
            raise ConfigError(f"no fault has '{word}' in its name; {did_you_mean(word, [f.name for f in FAULTS])}")
    return [fault for fault in FAULTS if not only or any(word in fault.name for word in only)]


def _inject_all(
    rig: FaultRig,
    faults: Sequence[Fault],
    options: FaultOptions,
    limits_file: Path,
    show: Callable[[str], None],
) -> list[FaultResult]:
    results = []
    limits = load_safety_limits(limits_file)
    gc.collect()
    gc.freeze()
    with ProcessGroup() as processes:
        monitor = {
            "robot": benchmark_robot(),
            "limits": str(limits_file),
            "records": str(limits_file.parent),
            "command_type": "joint_state",
            "autostart": True,
        }
        processes.start("humanoid_rl_ros.nodes.safety_monitor_node", ["--ros-args", *parameter_arguments(monitor)])
        rig.speak_for_the_policy(True)
        for fault in faults:
            for state in STATES:
                trials = options.trials if state is SafetyState.ACTIVE else options.state_trials
                expected = state in fault.acts_in
                result = FaultResult(fault.name, state.value, fault.bound(limits, 1.0 / rig.rate), expected)
                results.append(result)
                for trial in range(trials):
                    show(f"{fault.name} in {state.value}: {trial + 1} of {trials}")
                    processes.check()
                    _try(rig, fault, state, result)
    gc.unfreeze()
    return results


def _try(rig: FaultRig, fault: Fault, state: SafetyState, result: FaultResult) -> None:
    if not rig.bring_to(state):
        raise ProcessError(
            f"before '{fault.name}': the monitor does not become {state.value}; it is {rig.state} {rig.reason}"
        )
    if state in PASSING:
        rig.stream(0.05)
    rig.forget()
    result.injected += 1
    last_good_ns = rig.last_good_ns(fault.stream)
    mend = fault.inject(rig)
    if result.expected and fault.degrades:
        seen = rig.stream(LONGEST_S, lambda: rig.state == SafetyState.DEGRADED.value)
        result.detected += seen
        result.named += seen and rig.reason in fault.codes
    elif result.expected:
        safe = rig.stream(LONGEST_S, lambda: any(not c.passes for c in rig.commands))
        if safe:
            first = next(i for i, c in enumerate(rig.commands) if not c.passes)
            result.reactions.append((rig.commands[first].arrived_ns - last_good_ns) * 1e-9)
            rig.stream(0.1, lambda: bool(_ends(rig)))
            stays = not any(c.passes for c in rig.commands[first:])
            result.detected += stays
            result.named += bool(_ends(rig)) and _ends(rig)[0] in fault.codes
    else:
        rig.stream(result.bound + 0.05)
        held = state in PASSING or not any(c.passes for c in rig.commands)
        result.detected += held
        result.named += held and (rig.state == state.value or rig.state not in PASSING_NAMES)
    rig.script = Script()
    if mend is not None:
        mend()
    result.survived += rig.bring_to(SafetyState.READY)


def _ends(rig: FaultRig) -> list[str]:
    """The reasons of the states heard in which no effort passes."""
    return [reason for state, reason in rig.history if state not in PASSING_NAMES]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.0f}"


def _reaction_table(results: Sequence[FaultResult]) -> Table:
    table = Table(title="last good message to first safe command, ACTIVE [ms]")
    for heading in ("fault", "trials", "p50", "p99", "max", "bound", "beyond"):
        table.add_column(heading, justify="left" if heading == "fault" else "right")
    for result in results:
        if result.state == SafetyState.ACTIVE.value and result.reactions:
            numbers = [_milliseconds(v) for v in (*(result.percentile(q) for q in (50.0, 99.0, 100.0)), result.bound)]
            beyond = sum(value > result.bound for value in result.reactions)
            table.add_row(result.fault, str(len(result.reactions)), *numbers, str(beyond))
    return table


def _state_table(results: Sequence[FaultResult]) -> Table:
    table = Table(title="trials in each state; where not all were detected, rightly named and survived, how many were")
    table.add_column("fault", no_wrap=True)
    tried = [state.value for state in STATES if any(r.injected for r in results if r.state == state.value)]
    for state in tried:
        table.add_column(state[:7], justify="right", no_wrap=True)
    for fault in dict.fromkeys(result.fault for result in results):
        row = {r.state: _outcome(r) for r in results if r.fault == fault}
        table.add_row(fault, *[row.get(state, "") for state in tried])
    total = [sum(getattr(r, name) for r in results) for name in ("injected", "detected", "named", "survived")]
    table.caption = "all: {} injected, {} detected, {} rightly named, {} survived".format(*total)
    return table


def _outcome(r: FaultResult) -> str:
    complete = r.injected == r.detected == r.named == r.survived
    return str(r.injected) if complete else f"{r.injected}:{r.detected}/{r.named}/{r.survived}"


def _node_table(nodes: Sequence[NodeFault]) -> Table:
    table = Table(title="a node that dies: its end to damping on the motors, in the robot's time [ms]")
    for heading in ("node", "how", "trials", "damped", "p50", "max", "by", "then no effort", "driver hung"):
        table.add_column(heading, justify="left" if heading in ("node", "how", "by") else "right")
    for n in nodes:
        middle, most = (_milliseconds(float(f(n.reactions))) if n.reactions else "–" for f in (np.median, np.max))
        hung = f"{len(n.hung)} times, at most {max(n.hung):.1f} s" if n.hung else "–"
        damped = f"{n.damped} of {n.trials - n.unheard}"
        table.add_row(n.node, n.how, str(n.trials), damped, middle, most, n.reason, str(n.disarmed), hung)
    return table
