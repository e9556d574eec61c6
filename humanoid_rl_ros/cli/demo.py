"""`humanoid_rl demo`: the whole graph on one machine, watched, and what came of it."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from humanoid_rl_ros.behaviours.walk import pose_and_gains
from humanoid_rl_ros.cli.demo_report import DemoResult, draw, summarise, summary_table
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.hand_demo import HandOperator
from humanoid_rl_ros.cli.live_table import LiveTable
from humanoid_rl_ros.cli.observer import GraphObserver, Recording
from humanoid_rl_ros.cli.processes import ProcessError, ProcessGroup, isolate, parameter_arguments
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.command import CommandFilter
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.core.hand_targets import HandTargetSpec
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import VelocityCommand
from humanoid_rl_ros.envs.hand_score import hand_result
from humanoid_rl_ros.nodes.graph import GraphParameters, graph_parameters
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.resources import DEFAULT_ROBOT, default_policy, find_policy, find_robot, robot_of
from humanoid_rl_ros.safety.status import PASSING_NAMES

START_TIMEOUT_S = 60.0  # the first start after an installation compiles every module
STALL_TIMEOUT_S = 20.0
REFRESH_S = 0.1
FACTOR_PERIOD_S = 2.0  # over which the real-time factor is shown
PLAIN_PERIOD_S = 2.0
DIAGNOSTICS_PERIOD_S = 0.25
LAST_WORD_TIMEOUT_S = 5.0  # a short run may be over before the nodes have found each other


@dataclass(frozen=True)
class DemoOptions:
    """What `humanoid_rl demo` was asked.

    Attributes:
        robot, policy: names or paths, as `humanoid_rl_ros.resources` finds them; robot empty: the policy's own.
        command: linear x, y [m/s], angular z [rad/s].
        seconds: simulated time [s].
        mode: ``lockstep`` or ``realtime``.
        json_file, picture: where to write, or None.
        entry_blend: time to take over from the measured pose [s]; None for the bundle's own.
        safety: safety YAML, or empty for the shipped one.
        pushes: shoves of the base, four numbers each: time after release [s], x, y, z [m/s].
        get_up: bundle that gets the robot up; None: the one shipped for it; empty: none.
        hardship: the simulation's parameters of hills, load and weak joint, where they are not its defaults.
    """

    robot: str
    policy: str
    command: tuple[float, float, float]
    seconds: float
    mode: str
    json_file: Path | None
    picture: Path | None
    entry_blend: float | None = None
    safety: str = ""
    pushes: tuple[float, ...] = ()
    get_up: str | None = None
    hardship: Mapping[str, Any] = field(default_factory=dict)


def parse_pushes(texts: Sequence[str]) -> tuple[float, ...]:
    """Texts such as ``3 2.0 0`` as the four numbers of each push.

    Raises:
        ConfigError: a text is not three finite numbers.
    """
    found: list[float] = []
    for text in texts:
        try:
            at, x, y = (float(word) for word in text.replace(",", " ").split())
        except ValueError:
            raise ConfigError(f"a push is three numbers, 'T X Y', found '{text}'") from None
        if not np.isfinite([at, x, y]).all():
            raise ConfigError(f"a push must be finite numbers, found '{text}'")
        found += [at, x, y, 0.0]
    return tuple(found)


def run_demo(options: DemoOptions, console: Console) -> bool:
    """Run the graph, show it, write what came of it.

    Args:
        options: what to run.
        console: where to show it.

    Returns:
        Whether the robot stood to the end; of one that was pushed, whether it was on its feet at the end.

    Raises:
        HumanoidError: the robot, the policy or a node is not usable, or a node died.
    """
    options = completed(options)
    robot, bundle = find_robot(options.robot), find_policy(options.policy)
    graph = graph_parameters(
        options.robot,
        options.policy,
        options.mode,
        velocity_command=options.command,
        entry_blend=options.entry_blend,
        limits=options.safety,
        get_up=options.get_up,
        pushes=options.pushes,
        hardship=options.hardship,
        arm=False,  # armed from here, once the observer hears the graph: the record is then whole
        stop_after=options.seconds,
    )
    domain = isolate()
    console.print(
        f"[bold]{robot.name}[/] driven by [bold]{bundle.name}[/], {options.mode}, {options.seconds:g} s; "
        f"ROS_DOMAIN_ID={domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST",
        soft_wrap=True,
    )
    run = {"robot": robot.name, "policy": bundle.name, "mode": options.mode, "command": _followed(options, bundle)}
    _, gains = pose_and_gains(bundle, robot)
    result, record, error = _watch(graph, options, console, run, gains.effort_limit, robot, bundle.hand_targets)
    if result is not None:
        console.print(summary_table(result))
        if options.json_file is not None:
            cut_short = {} if error is None else {"error": str(error)}
            write_json(options.json_file, result.as_json() | cut_short)
        if options.picture is not None:
            _draw(record, result, robot, options.picture)
            console.print(f"picture: {options.picture}")
    if error is not None:
        raise error
    assert result is not None
    return result.stood or (bool(options.pushes) and result.on_its_feet)


def completed(options: DemoOptions) -> DemoOptions:
    """The options with robot and policy found, and all that can be said to be wrong before anything starts.

    Raises:
        HumanoidError: robot or policy are not there, the command is not finite, or a folder to write to is missing.
    """
    if not np.isfinite(options.command).all():
        raise ConfigError(
            f"--command takes finite numbers, found {' '.join(f'{value:g}' for value in options.command)}"
        )
    options = replace(options, robot=options.robot or _robot_for(options.policy))
    options = replace(options, policy=options.policy or default_policy(find_robot(options.robot)))
    find_policy(options.policy)
    for path in (options.json_file, options.picture):
        if path is not None and not path.absolute().parent.is_dir():
            raise HumanoidError(f"cannot write {path}: no folder {path.absolute().parent}")
    return options


def _followed(options: DemoOptions, bundle: PolicyBundle) -> tuple[float, ...]:
    """The command within what the policy was trained on."""
    asked = CommandFilter(bundle.command, bundle.control_period).apply(VelocityCommand(*options.command))
    return tuple(asked.tolist())


def _robot_for(policy: str) -> str:
    return robot_of(find_policy(policy)) if policy else DEFAULT_ROBOT


def _draw(record: Recording, result: DemoResult, robot: RobotSpec, picture: Path) -> None:
    try:
        draw(record, result, robot, picture)
    except (OSError, ValueError) as problem:  # a format that matplotlib does not know is a ValueError
        raise HumanoidError(f"cannot write {picture}: {problem}") from None


def _watch(
    graph: GraphParameters,
    options: DemoOptions,
    console: Console,
    run: Mapping[str, Any],
    effort_limit: FloatArray,
    robot: RobotSpec,
    targets: HandTargetSpec | None,
) -> tuple[DemoResult | None, Recording, HumanoidError | None]:
    """Start the nodes, follow the run to its end, end the nodes."""
    error: HumanoidError | None = None
    observer = GraphObserver()
    hands = HandOperator(observer.node, targets) if targets else None
    try:
        with ProcessGroup() as processes:
            for name, parameters in (
                ("simulation_bridge_node", graph.simulation_bridge),
                ("policy_node", graph.policy_node),
                ("safety_monitor_node", graph.safety_monitor),
            ):
                arguments = parameter_arguments({**parameters, "diagnostics_period": DIAGNOSTICS_PERIOD_S})
                processes.start(f"humanoid_rl_ros.nodes.{name}", ["--ros-args", *arguments])
            view = _View(observer, options, console)
            try:
                with view:
                    _follow(observer, processes, view, hands)
            except ProcessError as problem:
                error = problem
            except KeyboardInterrupt:
                error = HumanoidError("interrupted")
        released = view.released()
        if not observer.recording.time or released < 0.0:
            return None, observer.recording, error or HumanoidError("no simulated time passed")
        record = observer.recording.between(released, released + options.seconds)
        result = summarise(record, observer.diagnostics, observer.safety, run=run, effort_limit=effort_limit)
        if hands is not None:
            record.hand_distance, scored = hands.distances(record, robot)
            result = replace(result, hands=hand_result(scored))
        return result, record, error
    finally:
        observer.close()


def _follow(observer: GraphObserver, processes: ProcessGroup, view: _View, hands: HandOperator | None) -> None:
    """Until the simulation says that it has stopped."""
    started = time.monotonic()
    progress = (-1.0, started)
    armed = False
    while True:
        observer.spin(REFRESH_S)
        processes.check()
        view.refresh()
        if observer.safety.get("state") == "READY" and not armed and observer.recording.time:
            observer.arm()
        armed = armed or observer.safety.get("state") in PASSING_NAMES
        now = time.monotonic()
        bridge = observer.diagnostics.get("simulation_bridge", {})
        if bridge.get("finished") == "True":
            break
        simulated = view.simulated_seconds()
        if hands is not None and armed:
            hands.follow(simulated, observer.recording.time[-1])
        if simulated > progress[0]:
            progress = (simulated, now)
        waited, limit = (now - started, START_TIMEOUT_S) if simulated <= 0.0 else (now - progress[1], STALL_TIMEOUT_S)
        if waited > limit:
            raise ProcessError(f"nothing moves after {limit:g} s: {_why_nothing_moves(observer, processes)}")
    ended = time.monotonic()
    # The last counters: every node reports once more.
    while time.monotonic() < ended + LAST_WORD_TIMEOUT_S:
        observer.spin(0.05)
        if all(observer.diagnostics_seen.get(name, 0.0) > ended for name in ("policy_node", "safety_monitor")):
            break


def _why_nothing_moves(observer: GraphObserver, processes: ProcessGroup) -> str:
    if not observer.safety:
        return "the safety monitor is not heard: " + processes.nodes[-1].last_error()
    return f"the safety monitor is {observer.safety.get('state')}: {observer.safety.get('reason')}"


class _View(LiveTable):
    """The live table; where there is no terminal, a line now and then."""

    def __init__(self, observer: GraphObserver, options: DemoOptions, console: Console) -> None:
        super().__init__(console, PLAIN_PERIOD_S)
        self._observer = observer
        self._options = options

    def released(self) -> float:
        """Simulated time at which the robot was let go [s]; −1 before."""
        return float(self._observer.diagnostics.get("simulation_bridge", {}).get("released", -1.0))

    def simulated_seconds(self) -> float:
        """Simulated time since the release [s]; −1 before it."""
        record = self._observer.recording
        return record.time[-1] - self.released() if record.time and self.released() >= 0.0 else -1.0

    def refresh(self) -> None:
        """Show what is known now."""
        self.draw(self._table, lambda: "  ".join(f"{name} {value}" for name, value in self._rows().items()))

    def _rows(self) -> dict[str, str]:
        record = self._observer.recording
        policy = self._observer.diagnostics.get("policy_node", {})
        simulated = self.simulated_seconds()
        rows = {
            "state": self._observer.diagnostics.get("simulation_bridge", {}).get("state", "starting"),
            "safety": self._observer.safety.get("state", "starting"),
            "time": f"{max(simulated, 0.0):.2f}/{self._options.seconds:g} s",
            "real-time factor": self._real_time_factor(),
        }
        if record.height:
            speed = record.velocity[-1]
            rows |= {
                "height": f"{record.height[-1]:.3f} m",
                "speed": f"({speed[0]:+.2f}, {speed[1]:+.2f}) m/s {speed[2]:+.2f} rad/s",
                "tilt": f"{record.tilt[-1] * 57.29578:.1f}°",
            }
        if policy:
            p50, p99 = float(policy.get("tick_ms_p50", 0.0)), float(policy.get("tick_ms_p99", 0.0))
            rows["tick"] = f"p50 {p50:.2f} ms p99 {p99:.2f} ms"
        monitor = self._observer.diagnostics.get("safety_monitor", {})
        rows["clamped"] = f"{monitor.get('clamped', '0')} of {monitor.get('commands', '0')}"
        return rows

    def _table(self) -> Table:
        table = Table(show_header=False)
        for name, value in self._rows().items():
            table.add_row(name, value)
        return table

    def _real_time_factor(self) -> str:
        record = self._observer.recording
        if self.simulated_seconds() <= 0.0:
            return "–"
        first = bisect_left(record.wall, record.wall[-1] - FACTOR_PERIOD_S)
        passed = record.wall[-1] - record.wall[first]
        return f"{(record.time[-1] - record.time[first]) / passed:.2f}" if passed > 0.0 else "–"
