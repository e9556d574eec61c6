"""`humanoid_rl navigate`: a walking robot follows a learned policy over a floor with obstacles, and what came of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile
from rich.console import Console

from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.navigate_report import NavigationResult, Track, draw, summary_table
from humanoid_rl_ros.cli.observer import GraphObserver
from humanoid_rl_ros.cli.processes import ProcessError, ProcessGroup, isolate, parameter_arguments
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.core.occupancy import OccupancyMap
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.conversions import stamp_to_ns
from humanoid_rl_ros.interfaces.status import values_of
from humanoid_rl_ros.navigation.bundle import NavigationBundle
from humanoid_rl_ros.navigation.grid_policy import GridPolicy
from humanoid_rl_ros.nodes.graph import GraphParameters, graph_parameters
from humanoid_rl_ros.nodes.quality import qos
from humanoid_rl_ros.resources import DEFAULT_ROBOT, find_map, find_navigation
from humanoid_rl_ros.safety.status import PASSING_NAMES

START_TIMEOUT_S, STALL_TIMEOUT_S = 60.0, 30.0
SPIN_S, SHOWN_EVERY_S = 0.1, 2.0
STANDS_S = 1.0
"""Simulated time that the robot is at the goal before the run is over [s]."""
GIVES_UP_S = 5.0
"""Simulated time that the navigator is stopped, with odometry, before the run is over [s]."""
PATIENCE = 4.0
"""Times the time that the way takes at full speed: how long the robot may walk, where nobody says."""
SETTLING_S = 30.0
DIAGNOSTICS_PERIOD_S = 0.25
NODES = (
    ("simulation_bridge_node", "simulation_bridge"),
    ("policy_node", "policy_node"),
    ("safety_monitor_node", "safety_monitor"),
    ("navigator_node", "navigator"),
)


@dataclass(frozen=True)
class NavigateOptions:
    """What `humanoid_rl navigate` was asked.

    Attributes:
        bundle: navigation bundle: a shipped one's name, or a folder.
        floor: map whose obstacles stand in the world; empty: the bundle's.
        start: x, y [m], yaw [rad]; empty: the cell from which the way is longest, heading along it.
        robot, policy: as `humanoid_rl_ros.resources` finds them; policy empty: the one shipped for the robot.
        mode: ``lockstep`` or ``realtime``.
        seconds: simulated time after which the run has failed [s]; 0: by the length of the way.
        json_file, picture: where to write, or None.
    """

    bundle: str
    floor: str = ""
    start: tuple[float, ...] = ()
    robot: str = DEFAULT_ROBOT
    policy: str = ""
    mode: str = "lockstep"
    seconds: float = 0.0
    json_file: Path | None = None
    picture: Path | None = None


def run_navigate(options: NavigateOptions, console: Console) -> NavigationResult:
    """Run the graph until the robot has arrived or cannot, and write what came of it.

    Raises:
        HumanoidError: something that it needs is not usable, or a node died.
    """
    bundle = find_navigation(options.bundle)
    policy = bundle.load_policy()
    options = replace(options, start=options.start or longest_start(policy))
    state = _start_state(policy, options.start)
    floor = find_map(options.floor) if options.floor else bundle.map
    for path in (options.json_file, options.picture):
        if path is not None and not path.absolute().parent.is_dir():
            raise HumanoidError(f"cannot write {path}: no folder {path.absolute().parent}")
    way = float(policy.lengths[state])
    expected = way if math.isfinite(way) else float(policy.grid.distances.max()) * policy.grid.cell
    limit = options.seconds or PATIENCE * expected / bundle.steering.linear_speed + SETTLING_S
    graph = graph_parameters(
        options.robot,
        options.policy,
        options.mode,
        floor=options.floor,
        start=options.start,
        navigation=str(bundle.folder),
        arm=False,
        stop_after=limit,
    )
    domain = isolate()
    x, y = options.start[:2]
    console.print(
        f"[bold]{bundle.name}[/]: from ({x:.2f}, {y:.2f}) to ({bundle.grid.goal[0]:.2f}, {bundle.grid.goal[1]:.2f}), "
        f"{way:.1f} m by the policy, {options.mode}; ROS_DOMAIN_ID={domain}",
        soft_wrap=True,
    )
    track, error = _watch(graph, limit, console)
    result = NavigationResult.of(track, bundle, floor, policy, options.start, options.mode)
    console.print(summary_table(result))
    if options.json_file is not None:
        write_json(options.json_file, result.as_json() | ({} if error is None else {"error": str(error)}))
    if options.picture is not None:
        _draw(track, bundle, policy, floor, result, options.picture)
        console.print(f"picture: {options.picture}")
    if error is not None:
        raise error
    return result


def longest_start(policy: GridPolicy) -> tuple[float, float, float]:
    """The cell's centre from which the policy's way is longest, and the heading along it."""
    lengths = np.where(policy.arrives, policy.lengths, 0.0)
    state = int(np.argmax(lengths if lengths.any() else policy.grid.distances))
    x, y = policy.grid.centres[state]
    to_x, to_y = policy.grid.centres[policy.following[state]]
    return float(x), float(y), math.atan2(to_y - y, to_x - x)


def _start_state(policy: GridPolicy, start: tuple[float, ...]) -> int:
    if not all(map(math.isfinite, start)):
        raise ConfigError("--start takes finite numbers")
    state = policy.grid.state_of(np.array(start[:2]))
    if state is None:
        near, _ = policy.grid.nearest_state(np.array(start[:2]))
        x, y = policy.grid.centres[near]
        raise ConfigError(
            f"the start ({start[0]:g}, {start[1]:g}) is in no cell from which the goal can be reached; the nearest: "
            f"({x:.3g}, {y:.3g})"
        )
    return state


def _draw(
    track: Track,
    bundle: NavigationBundle,
    policy: GridPolicy,
    floor: OccupancyMap,
    result: NavigationResult,
    picture: Path,
) -> None:
    try:
        draw(track, bundle, policy, floor, result, picture)
    except (OSError, ValueError) as problem:  # a format that matplotlib does not know is a ValueError
        raise HumanoidError(f"cannot write {picture}: {problem}") from None


class _Listener:
    """Where the robot was, and what the navigator said."""

    def __init__(self, observer: GraphObserver) -> None:
        self.track = Track()
        self._observer = observer
        node = observer.node
        node.create_subscription(Odometry, topics.ODOMETRY.name, self._on_odometry, QoSProfile(depth=1000))
        told = qos(topics.NAVIGATION_STATUS)  # latched: the navigator may have spoken before it was heard
        told.depth = 100
        node.create_subscription(DiagnosticStatus, topics.NAVIGATION_STATUS.name, self._on_status, told)
        self.activity = ""
        self.reason = ""
        self.since = 0.0

    def _on_odometry(self, message: Odometry) -> None:
        position = message.pose.pose.position
        self.track.add(stamp_to_ns(message.header.stamp) * 1e-9, position.x, position.y)

    def _on_status(self, message: DiagnosticStatus) -> None:
        values = values_of(message)
        if values.get("activity", "") != self.activity:
            self.activity, self.since = values.get("activity", ""), self.track.now
            self.track.activities.append((self.since, self.activity))
        self.reason = values.get("reason", "")

    def lasted(self) -> float:
        """Simulated time since the activity began [s]."""
        return self.track.now - self.since


def _watch(graph: GraphParameters, limit: float, console: Console) -> tuple[Track, HumanoidError | None]:
    error: HumanoidError | None = None
    observer = GraphObserver()
    listener = _Listener(observer)
    try:
        with ProcessGroup() as processes:
            for name, key in NODES:
                parameters: dict[str, Any] = {**getattr(graph, key), "diagnostics_period": DIAGNOSTICS_PERIOD_S}
                processes.start(f"humanoid_rl_ros.nodes.{name}", ["--ros-args", *parameter_arguments(parameters)])
            try:
                _follow(observer, listener, processes, limit, console)
            except ProcessError as problem:
                error = problem
            except KeyboardInterrupt:
                error = HumanoidError("interrupted")
        track = listener.track
        track.activity, track.reason = listener.activity, listener.reason
        track.falls = int(observer.diagnostics.get("safety_monitor", {}).get("falls", 0))
        track.safety = observer.safety.get("state", "unknown")
        return track, error
    finally:
        observer.close()


def _follow(
    observer: GraphObserver, listener: _Listener, processes: ProcessGroup, limit: float, console: Console
) -> None:
    """Until the robot has arrived, cannot go on, or time is over."""
    began = time.monotonic()
    seen, seen_at, shown_at = -1.0, began, 0.0
    armed = False
    while True:
        observer.spin(SPIN_S)
        processes.check()
        now, track = time.monotonic(), listener.track
        state = observer.safety.get("state", "")
        # Not before the navigator steers: a robot that waits for it has nothing to show.
        if not armed and state == "READY" and listener.activity not in ("", "waiting"):
            observer.arm()
        if not armed and state in PASSING_NAMES:
            armed, track.released = True, track.now
        if now - shown_at > SHOWN_EVERY_S:
            shown_at = now
            walked = f"{track.now - track.released:.1f} s" if armed else "starting"
            console.print(f"{walked}  {state or 'starting'}  {listener.activity}: {listener.reason}", soft_wrap=True)
        if observer.diagnostics.get("simulation_bridge", {}).get("finished") == "True":
            return
        if armed and state == "ESTOP":
            return
        if armed and state in PASSING_NAMES:
            if listener.activity == "arrived" and listener.lasted() > STANDS_S:
                return
            if listener.activity == "stopped" and listener.lasted() > GIVES_UP_S:
                return
        if track.now > seen:
            seen, seen_at = track.now, now
        waited, most = (now - began, START_TIMEOUT_S) if not armed else (now - seen_at, STALL_TIMEOUT_S)
        if waited > most:
            why = f"the safety monitor is {state or 'not heard'}: {observer.safety.get('reason', '')}"
            raise ProcessError(f"nothing moves after {most:g} s: {why}; the navigator: {listener.activity or 'silent'}")
