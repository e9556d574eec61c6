"""`humanoid_rl bench soak`: the whole graph in real time for hours, and what grew, came late or fell meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.cli.intervals import Peaks
from humanoid_rl_ros.cli.process_samples import ProcessSeries, sample_process
from humanoid_rl_ros.cli.processes import ProcessError, ProcessGroup, isolate, parameter_arguments
from humanoid_rl_ros.cli.soak_observer import SoakObserver
from humanoid_rl_ros.cli.soak_report import Bounds, SoakResult, draw, print_result
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.nodes.graph import GraphParameters, graph_parameters
from humanoid_rl_ros.nodes.launch_arguments import recorder_parameters
from humanoid_rl_ros.resources import default_policy, find_policy, find_robot
from humanoid_rl_ros.safety.status import DOWN, PASSING_NAMES

START_TIMEOUT_S = 60.0  # the first start after an installation compiles every module
SET_UP_AFTER_S = 5.0
"""Time in a state that the robot does not leave by itself, after which it is set up again: the rest is measured too."""
LOOK_EVERY_S = 1.0
SAY_EVERY_S = 30.0
GOES_ON = frozenset({*PASSING_NAMES, *(state.value for state in DOWN)})
COUNTERS = {
    "simulation_bridge": ("late", "own_damping", "refused"),
    "policy_node": ("late_ticks", "refused"),
    "safety_monitor": ("rejected", "faults", "falls"),
}


@dataclass(frozen=True)
class SoakOptions:
    """What `humanoid_rl bench soak` was asked.

    Attributes:
        robot, policy: names or paths, as `humanoid_rl_ros.resources` finds them; policy empty: the one shipped.
        seconds: measured, after the warm-up [s].
        warm_up: in which caches and pools fill [s].
        rate: joint states per second [Hz].
        command: linear x, y [m/s], angular z [rad/s].
        record: a folder to record the run to, or empty.
        bounds: what may grow by how much.
        json_file, picture: where to write, or None.
    """

    robot: str = "reference"
    policy: str = ""
    seconds: float = 3600.0
    warm_up: float = 60.0
    rate: int = 500
    command: tuple[float, float, float] = (0.5, 0.0, 0.0)
    record: str = ""
    bounds: Bounds = field(default_factory=Bounds)
    json_file: Path | None = None
    picture: Path | None = None


def run_soak(options: SoakOptions, console: Console) -> bool:
    """Run the graph, watch it, and print what was measured, however it ended.

    Args:
        options: what to run.
        console: where the table goes.

    Returns:
        Whether the whole time passed, the robot walked to the end, and nothing grew beyond its bound.

    Raises:
        HumanoidError: robot or policy are not usable, the graph did not start, or a file cannot be written.
    """
    if not np.isfinite(options.command).all():
        raise ConfigError(f"--command takes finite numbers, found {' '.join(f'{v:g}' for v in options.command)}")
    for path in (options.json_file, options.picture):
        if path is not None and not path.absolute().parent.is_dir():
            raise HumanoidError(f"cannot write {path}: no folder {path.absolute().parent}")
    sample_process(os.getpid())  # a system that does not tell is refused before anything starts
    recorder = recorder_parameters(options.record)
    robot = find_robot(options.robot)
    bundle = find_policy(options.policy or default_policy(robot))
    graph = _graph(options)
    domain = isolate()
    console.print(
        f"[bold]{robot.name}[/] driven by [bold]{bundle.name}[/], {options.rate} joint states a second, "
        f"{options.seconds:g} s after {options.warm_up:g} s of warm-up; ROS_DOMAIN_ID={domain}; Ctrl-C shows what was "
        "measured so far",
        soft_wrap=True,
    )
    observer = SoakObserver(1.0 / options.rate, options.command)
    try:
        with ProcessGroup() as processes:
            nodes: dict[str, Mapping[str, Any]] = {
                "simulation_bridge_node": graph.simulation_bridge,
                "policy_node": graph.policy_node,
                "safety_monitor_node": graph.safety_monitor,
            }
            if recorder is not None:
                nodes["recorder_node"] = recorder
            for name, parameters in nodes.items():
                processes.start(f"humanoid_rl_ros.nodes.{name}", ["--ros-args", *parameter_arguments(parameters)])
            run = _Run(observer, processes, options, console)
            run.go()
            if not len(run.series[0].time):
                raise HumanoidError(f"{run.ended} before the robot walked")
            result = run.result({"robot": robot.name, "policy": bundle.name})
    finally:
        observer.close()
    print_result(result, options.bounds, console)
    if options.json_file is not None:
        write_json(options.json_file, result.as_json(options.bounds))
    if options.picture is not None:
        draw(result, run.series, run.peaks, options.picture)
        console.print(f"picture: {options.picture}")
    return not result.failures(options.bounds)


def _graph(options: SoakOptions) -> GraphParameters:
    """As launched, at the rate asked for, and with commands that say which state they answer."""
    graph = graph_parameters(options.robot, options.policy, "realtime")
    rate = {"state_rate": float(options.rate), "command_type": "joint_state"}
    return replace(
        graph,
        simulation_bridge={**graph.simulation_bridge, **rate},
        safety_monitor={**graph.safety_monitor, **rate},
    )


class _Run:
    """One soak: the samples of its processes, and how it ended."""

    def __init__(self, observer: SoakObserver, processes: ProcessGroup, options: SoakOptions, console: Console) -> None:
        self._observer, self._processes, self._options, self._console = observer, processes, options, console
        self._began = time.monotonic()
        self._measured_from = 0.0
        self._before: dict[str, float] = {}
        self.ended = ""
        self.set_up = 0
        self.peaks = Peaks()
        pids = {node.name: node.process.pid for node in processes.nodes}
        self.series = [ProcessSeries(name, pid) for name, pid in {**pids, "this command": os.getpid()}.items()]

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began

    def go(self) -> None:
        """To the end of the time, or until somebody or something ends it before."""
        try:
            self._start()
            with self._sampling():
                self._until(self._options.warm_up)
                self._observer.count_from_here()
                self._before, self._measured_from = self._counters(), self._now
                self._until(self._measured_from + self._options.seconds)
        except ProcessError as problem:
            self.ended = str(problem)
        except KeyboardInterrupt:
            self.ended = "interrupted"
        if not self._measured_from and not self.ended.startswith("interrupted"):
            raise HumanoidError(self.ended)

    def _start(self) -> None:
        set_up_at = START_TIMEOUT_S / 4.0  # the monitor arms itself once; where that came to nothing, it is asked to
        with self._console.status("starting"):
            while self._observer.safety.get("state") not in PASSING_NAMES:
                self._observer.spin(0.1)
                self._processes.check()
                if self._now > set_up_at and self._observer.safety:
                    self._observer.set_up()
                    set_up_at += START_TIMEOUT_S / 4.0
                if self._now > START_TIMEOUT_S:
                    safety = self._observer.safety
                    why = f"{safety.get('state')}: {safety.get('reason')}" if safety else "not heard"
                    raise HumanoidError(f"nothing walks after {START_TIMEOUT_S:g} s: the safety monitor is {why}")
        self._began = time.monotonic()

    def _until(self, end: float) -> None:
        observer = self._observer
        stands_since: float | None = None
        while (left := end - self._now) > 0.0:
            observer.spin(min(LOOK_EVERY_S, left))
            self._processes.check()
            now = self._now
            self.peaks.add(now, observer.watch.longest_lately)
            observer.watch.longest_lately = 0.0
            stands_since = None if observer.safety.get("state") in GOES_ON else stands_since or now
            if stands_since is not None and now - stands_since > SET_UP_AFTER_S:
                observer.set_up()
                self.set_up += 1
                stands_since = None

    @contextmanager
    def _sampling(self) -> Iterator[None]:
        """In a thread: the kernel takes its time to add up a process's memory, and commands must not wait for that."""
        over = threading.Event()
        period = max(1.0, (self._options.warm_up + self._options.seconds) / 1000.0)
        thread = threading.Thread(target=self._sample, args=(over, period), name="samples", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _sample(self, over: threading.Event, period: float) -> None:
        said = -SAY_EVERY_S
        while not over.is_set():
            for series in self.series:
                sample = sample_process(series.pid)
                if sample is not None:
                    series.add(self._now, sample)
            if self._now - said >= SAY_EVERY_S:
                said = self._now
                self._say()
            over.wait(period)

    def _say(self) -> None:
        memory = ", ".join(f"{series.name} {series.of('heap')[-1]:.1f} MB" for series in self.series[:-1])
        watch, state = self._observer.watch, self._observer.safety.get("state")
        self._console.print(
            f"{self._now:6.0f} s  {state}  longest interval {watch.intervals.longest:.1f} ms, {watch.missed} missed; "
            f"{memory}",
            soft_wrap=True,
        )

    def _counters(self) -> dict[str, float]:
        found = self._observer.diagnostics
        return {
            f"{node}/{name}": float(found.get(node, {}).get(name, "0"))
            for node, names in COUNTERS.items()
            for name in names
        }

    def result(self, run: Mapping[str, str]) -> SoakResult:
        """What there is."""
        observer, watch = self._observer, self._observer.watch
        now, before = self._counters(), self._before
        since = {name: value - before.get(name, 0.0) for name, value in now.items()}
        seconds = min(self._series_end(), self._now) - self._measured_from
        intervals = watch.intervals
        return SoakResult(
            **run,
            rate=self._options.rate,
            seconds=seconds,
            asked_seconds=self._options.seconds,
            warm_up=self._measured_from,
            ended=self.ended,
            processes=[series.use(self._measured_from) for series in self.series],
            answered=watch.answered,
            missed=watch.missed,
            interval_ms={
                **{f"p{share:g}": intervals.percentile(share) for share in (50, 99, 99.9)},
                "max": intervals.longest,
            },
            late_intervals=intervals.above(2000.0 / self._options.rate),
            late_steps=int(since["simulation_bridge/late"]),
            late_ticks=int(since["policy_node/late_ticks"]),
            own_damping=int(since["simulation_bridge/own_damping"]),
            refused=int(since["simulation_bridge/refused"] + since["policy_node/refused"]),
            rejected=int(since["safety_monitor/rejected"]),
            faults=int(since["safety_monitor/faults"]),
            falls=int(since["safety_monitor/falls"]),
            set_up=self.set_up,
            safety_state=observer.safety.get("state", ""),
            visits=dict(observer.visits),
            changes=list(observer.changes),
            walked=observer.walked,
            highest_tilt_deg=float(np.degrees(observer.highest_tilt)),
            lowest_height=observer.lowest_height,
            real_time_factor=watch.real_time_factor,
        )

    def _series_end(self) -> float:
        return max((float(series.time[-1]) for series in self.series if len(series.time)), default=self._now)
