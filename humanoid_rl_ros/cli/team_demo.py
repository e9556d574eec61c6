"""`humanoid_rl demo --robots N`: several robots in one world, each with a graph of its own, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from humanoid_rl_ros.behaviours.walk import pose_and_gains
from humanoid_rl_ros.cli.demo import (
    DIAGNOSTICS_PERIOD_S,
    LAST_WORD_TIMEOUT_S,
    PLAIN_PERIOD_S,
    REFRESH_S,
    STALL_TIMEOUT_S,
    START_TIMEOUT_S,
    DemoOptions,
    completed,
)
from humanoid_rl_ros.cli.demo_report import DemoResult, summarise
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.live_table import LiveTable
from humanoid_rl_ros.cli.observer import GraphObserver
from humanoid_rl_ros.cli.processes import NodeProcess, ProcessError, ProcessGroup, isolate, parameter_arguments
from humanoid_rl_ros.cli.team_report import draw_team, team_table
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.nodes.team_graph import TeamParameters, TeamRobot, team_parameters
from humanoid_rl_ros.resources import find_policy, find_robot
from humanoid_rl_ros.safety.status import PASSING_NAMES

WORLD = "world_bridge"
START_TIMEOUT_EACH_S = 15.0  # two more processes that load and compile


@dataclass(frozen=True)
class Kill:
    """The end of a robot's policy node in the middle of a run.

    Attributes:
        after: simulated time after the release [s].
        name: of the robot.
    """

    after: float
    name: str


def team_names(robots: int, team: str) -> tuple[str, ...]:
    """The names of a team: those that are given, or as many as asked for; of no team none.

    Raises:
        ConfigError: names and number do not agree.
    """
    names = tuple(team.replace(",", " ").split())
    if names and robots not in (0, len(names)):
        raise ConfigError(f"--robots {robots} and --team {team} do not agree: the names are {len(names)}")
    return names or tuple(f"robot_{i + 1}" for i in range(robots))


def parse_kills(texts: Sequence[str], names: Sequence[str]) -> tuple[Kill, ...]:
    """Texts such as ``5 left``.

    Raises:
        ConfigError: a text is something else, or there is no such robot.
    """
    found = []
    for text in texts:
        try:
            at, name = text.replace(",", " ").split()
            found.append(Kill(float(at), name))
        except ValueError:
            raise ConfigError(f"a kill is a time and the name of a robot, 'T NAME', found '{text}'") from None
        if name not in names or not np.isfinite(found[-1].after):
            raise ConfigError(
                f"--kill '{text}': the robots of the team are {', '.join(names) or 'none: give --robots'}"
            )
    return tuple(sorted(found, key=lambda kill: kill.after))


def run_team_demo(options: DemoOptions, names: Sequence[str], kills: Sequence[Kill], console: Console) -> bool:
    """Run the graphs, show them, write what came of them.

    Args:
        options: as of the demo of one robot; all robots are of one kind and have one policy.
        names: of the robots.
        kills: policies that are ended in the middle.
        console: where to show it.

    Returns:
        Whether every robot stood to the end whose policy was not ended.

    Raises:
        HumanoidError: as of `humanoid_rl_ros.cli.demo.run_demo`.
    """
    if options.hardship:
        raise ConfigError(
            "a team stands on even ground, without loads: leave --terrain, --payload and --weak-joint out"
        )
    if options.pushes:
        raise ConfigError("--push is for one robot; a team is shoved by service NAME/simulation/place")
    options = completed(options)
    robot, bundle = find_robot(options.robot), find_policy(options.policy)
    team = team_parameters(
        [TeamRobot(name, options.robot, options.policy, options.command) for name in names],
        options.mode,
        arm=False,  # armed from here, once the observer hears all of them: the records are then whole
        stop_after=options.seconds,
        entry_blend=options.entry_blend,
        limits=options.safety,
        get_up=options.get_up,
    )
    domain = isolate()
    console.print(
        f"{len(names)} [bold]{robot.name}[/] driven by [bold]{bundle.name}[/] in one world, {options.mode}, "
        f"{options.seconds:g} s; ROS_DOMAIN_ID={domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST",
        soft_wrap=True,
    )
    run = {"robot": robot.name, "policy": bundle.name, "mode": options.mode, "command": tuple(options.command)}
    _, gains = pose_and_gains(bundle, robot)
    observer = GraphObserver(robots=names)
    error: HumanoidError | None = None
    try:
        view = _TeamView(observer, options, console)
        with ProcessGroup() as processes:
            try:
                policies = _start(processes, team)
                with view:
                    _follow(observer, processes, view, [(kill, policies[kill.name]) for kill in kills])
            except ProcessError as problem:
                error = problem
            except KeyboardInterrupt:
                error = HumanoidError("interrupted")
        results = _results(observer, view.released(), options.seconds, run, gains.effort_limit)
        if results:
            killed = {kill.name for kill in kills}
            console.print(team_table(results, killed))
            _write(options, observer, results, killed, error, console)
            if error is None:
                return all(result.stood for name, result in results.items() if name not in killed)
        raise error or HumanoidError("no simulated time passed")
    finally:
        observer.close()


def _start(processes: ProcessGroup, team: TeamParameters) -> dict[str, NodeProcess]:
    """Start all nodes; the policies, by robot."""

    def start(node: str, parameters: Mapping[str, Any], namespace: str = "") -> NodeProcess:
        arguments = parameter_arguments({**parameters, "diagnostics_period": DIAGNOSTICS_PERIOD_S})
        where = ["-r", f"__ns:=/{namespace}"] if namespace else []
        process = processes.start(f"humanoid_rl_ros.nodes.{node}", ["--ros-args", *where, *arguments])
        process.name = f"{node} of robot '{namespace}'" if namespace else node
        return process

    start("world_bridge_node", team.world_bridge)
    policies = {}
    for name, graph in team.robots.items():
        policies[name] = start("policy_node", graph.policy_node, name)
        start("safety_monitor_node", graph.safety_monitor, name)
    return policies


def _follow(
    observer: GraphObserver,
    processes: ProcessGroup,
    view: _TeamView,
    kills: list[tuple[Kill, NodeProcess]],
) -> None:
    """Until the world says that it has stopped."""
    started = time.monotonic()
    progress = (-1.0, started)
    robots = list(observer.robots.values())
    armed = False
    while observer.diagnostics.get(WORLD, {}).get("finished") != "True":
        observer.spin(REFRESH_S)
        processes.check()
        view.refresh()
        if not armed and all(r.recording.time and r.safety.get("state") in ("READY", *PASSING_NAMES) for r in robots):
            for waiting in robots:
                if waiting.safety.get("state") == "READY":
                    waiting.arm()
        armed = armed or all(robot.safety.get("state") in PASSING_NAMES for robot in robots)
        now, simulated = time.monotonic(), view.simulated_seconds()
        while kills and simulated >= kills[0][0].after:
            _end(processes, kills.pop(0)[1])
        if simulated > progress[0]:
            progress = (simulated, now)
        begin = START_TIMEOUT_S + START_TIMEOUT_EACH_S * len(robots)
        waited, limit = (now - started, begin) if simulated <= 0.0 else (now - progress[1], STALL_TIMEOUT_S)
        if waited > limit:
            raise ProcessError(f"nothing moves after {limit:g} s: {_why(observer)}")
    ended = time.monotonic()
    names = [f"{name}/safety_monitor" for name in observer.robots]
    while time.monotonic() < ended + LAST_WORD_TIMEOUT_S:
        observer.spin(0.05)
        if all(observer.diagnostics_seen.get(name, 0.0) > ended for name in names):
            break


def _end(processes: ProcessGroup, node: NodeProcess) -> None:
    """Kill a node, which is then missed by nobody here."""
    node.process.kill()
    node.process.wait()
    processes.nodes.remove(node)


def _why(observer: GraphObserver) -> str:
    said = [
        f"the safety monitor of '{name}' is {robot.safety.get('state', 'not heard')}: {robot.safety.get('reason', '')}"
        for name, robot in observer.robots.items()
        if robot.safety.get("state") not in PASSING_NAMES
    ]
    return "; ".join(said) or "all safety monitors let efforts pass"


def _results(
    observer: GraphObserver, released: float, seconds: float, run: Mapping[str, Any], effort_limit: np.ndarray
) -> dict[str, DemoResult]:
    if released < 0.0 or not all(robot.recording.time for robot in observer.robots.values()):
        return {}
    results = {}
    for name, robot in observer.robots.items():
        own = {node: observer.diagnostics.get(f"{name}/{node}", {}) for node in ("policy_node", "safety_monitor")}
        own["simulation_bridge"] = observer.diagnostics.get(WORLD, {})
        record = robot.recording.between(released, released + seconds)
        results[name] = summarise(record, own, robot.safety, run=run, effort_limit=effort_limit)
    return results


def _write(
    options: DemoOptions,
    observer: GraphObserver,
    results: Mapping[str, DemoResult],
    killed: set[str],
    error: HumanoidError | None,
    console: Console,
) -> None:
    if options.json_file is not None:
        robots = {name: result.as_json() | {"killed": name in killed} for name, result in results.items()}
        write_json(options.json_file, {"robots": robots} | ({} if error is None else {"error": str(error)}))
    if options.picture is not None:
        note = draw_team(observer.robots, results, find_robot(options.robot), options.picture)
        if note:
            console.print(note, soft_wrap=True)
        console.print(f"picture: {options.picture}")


class _TeamView(LiveTable):
    """The live table; where there is no terminal, a line now and then."""

    def __init__(self, observer: GraphObserver, options: DemoOptions, console: Console) -> None:
        super().__init__(console, PLAIN_PERIOD_S)
        self._observer, self._options = observer, options

    def released(self) -> float:
        """Simulated time at which the first robot was let go [s]; −1 before."""
        return float(self._observer.diagnostics.get(WORLD, {}).get("released", -1.0))

    def simulated_seconds(self) -> float:
        """Simulated time since the release [s]; −1 before it."""
        last = max((robot.recording.time[-1:] for robot in self._observer.robots.values()), default=[])
        return last[0] - self.released() if last and self.released() >= 0.0 else -1.0

    def refresh(self) -> None:
        """Show what is known now."""
        self.draw(self._table, self._line)

    def _line(self) -> str:
        return "  ".join((self._time(), *(f"{name}: {' '.join(values)}" for name, *values in self._rows())))

    def _time(self) -> str:
        world = self._observer.diagnostics.get(WORLD, {}).get("state", "starting")
        return f"{world} {max(self.simulated_seconds(), 0.0):.2f}/{self._options.seconds:g} s"

    def _rows(self) -> list[tuple[str, ...]]:
        world = self._observer.diagnostics.get(WORLD, {})
        rows: list[tuple[str, ...]] = []
        for name, robot in self._observer.robots.items():
            height = f"{robot.position[2]:.2f} m" if robot.recording.height else "–"
            rows.append((name, world.get(f"{name}/state", "starting"), robot.safety.get("state", "starting"), height))
        return rows

    def _table(self) -> Table:
        table = Table("robot", "in the world", "safety", "height", title=self._time(), title_justify="left")
        for row in self._rows():
            table.add_row(*row)
        return table
