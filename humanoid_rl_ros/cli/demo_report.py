"""What came of a demo run: numbers, a table, a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from humanoid_rl_ros.cli.observer import Recording
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.hand_targets import HANDS
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.hand_score import NEAR_M, HandResult

FALLEN_TILT_RAD = 1.0
FALLEN_HEIGHT_SHARE = 0.6
AT_LIMIT = 0.99
"""Share of its limit from which on an effort is at it."""
LABELLED_S = 0.3
STATE_COLOURS = {
    "DISARMED": "tab:gray",
    "DEGRADED": "tab:olive",
    "FALLING": "tab:red",
    "FALLEN": "tab:orange",
    "RECOVERING": "tab:blue",
    "VERIFYING": "tab:green",
    "ESTOP": "black",
}


@dataclass(frozen=True)
class DemoResult:
    """The summary of a run; `--json` writes these fields, `stood`, and the `error` of a run that was cut short.

    Attributes:
        robot, policy, mode: what ran.
        command: linear x, y [m/s], angular z [rad/s].
        fell: tilted over 1 rad, sank under 60 % of its first height, or the monitor said FALLING.
        seconds: simulated time that passed [s].
        seconds_upright: until it fell, or all of them [s].
        mean_speed: mean forward velocity [m/s, body frame].
        mean_velocity: mean linear x, y and angular z [m/s, m/s, rad/s, body frame].
        min_height: lowest base height [m].
        max_tilt_deg: largest tilt [deg].
        real_time_factor: simulated over wall time.
        ticks: joint states the policy node answered.
        late_ticks: inferences later than half a control period, and in real time joint states that came late.
        tick_ms: joint state received to effort published, p50, p99, max [ms].
        inference_ms: the same of those joint states for which the network was run.
        effort_at_limit: share of the efforts on the motors that are at the limit of policy or robot, over time and
            joints.
        clamped_fraction: share of policy efforts that the safety monitor altered.
        safety_state, safety_reason: where the monitor stood at the end.
        faults: times a violation took the motors from the policy.
        falls, recoveries: times the robot fell, and got up again by itself.
        hands: how near they came to where they were asked to be; None of a policy without hand targets.
    """

    robot: str
    policy: str
    mode: str
    command: tuple[float, ...]
    fell: bool
    seconds: float
    seconds_upright: float
    mean_speed: float
    mean_velocity: tuple[float, ...]
    min_height: float
    max_tilt_deg: float
    real_time_factor: float
    ticks: int
    late_ticks: int
    tick_ms: dict[str, float]
    inference_ms: dict[str, float]
    effort_at_limit: float
    clamped_fraction: float
    safety_state: str
    safety_reason: str
    faults: int
    falls: int
    recoveries: int
    hands: HandResult | None = None

    @property
    def on_its_feet(self) -> bool:
        """Whether the policy drove the robot at the end."""
        return self.safety_state in ("ACTIVE", "DEGRADED")

    @property
    def stood(self) -> bool:
        """Whether the robot never fell, and the policy drove it at the end."""
        return not self.fell and self.on_its_feet

    @property
    def outcome(self) -> str:
        """For people."""
        if self.stood:
            return "stood to the end"
        if self.on_its_feet and self.recoveries:
            return f"fell, got up and went on ({self.recoveries} of {self.falls} falls)"
        return "FELL" if self.fell else "did not stand under control"

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON types."""
        return asdict(self) | {"stood": self.stood}


def summarise(
    recording: Recording,
    diagnostics: Mapping[str, Mapping[str, str]],
    safety: Mapping[str, str],
    *,
    run: Mapping[str, Any],
    effort_limit: FloatArray | None = None,
) -> DemoResult:
    """The numbers of a run.

    Args:
        recording: what was seen since the release.
        diagnostics: last diagnostics of each node, by node name.
        safety: last safety status.
        run: `robot`, `policy`, `mode` and `command`, as they go into the result.
        effort_limit: of the joints in their recorded order; None where nobody knows [N·m; Shape (n,)].

    Returns:
        The summary.
    """
    policy, monitor = diagnostics.get("policy_node", {}), diagnostics.get("safety_monitor", {})
    bridge = diagnostics.get("simulation_bridge", {})
    height, tilt = np.asarray(recording.height or [0.0]), np.asarray(recording.tilt or [0.0])
    velocity = np.mean(recording.velocity, axis=0) if recording.velocity else np.zeros(3)
    seconds = recording.time[-1] - recording.time[0] if recording.time else 0.0
    wall_seconds = recording.wall[-1] - recording.wall[0] if recording.wall else 0.0
    commands = int(monitor.get("commands", 0))
    state = safety.get("state", "unknown")
    fell = bool(tilt.max() > FALLEN_TILT_RAD or height.min() < FALLEN_HEIGHT_SHARE * height[0] or state == "FALLING")
    down = np.flatnonzero((tilt > FALLEN_TILT_RAD) | (height < FALLEN_HEIGHT_SHARE * height[0]))
    upright = recording.time[down[0]] - recording.time[0] if len(down) and recording.time else seconds
    at_limit = (
        np.abs(recording.effort) >= AT_LIMIT * effort_limit if recording.effort and effort_limit is not None else 0
    )
    return DemoResult(
        **run,
        fell=fell or not recording.time,
        seconds=round(seconds, 6),
        seconds_upright=round(upright, 6),
        mean_speed=float(velocity[0]),
        mean_velocity=tuple(float(v) for v in velocity),
        min_height=float(height.min()),
        max_tilt_deg=float(np.degrees(tilt.max())),
        real_time_factor=seconds / wall_seconds if wall_seconds > 0.0 else 0.0,
        ticks=int(policy.get("ticks", 0)),
        late_ticks=int(policy.get("late_ticks", 0)) + int(bridge.get("late", 0)),
        tick_ms=_times(policy, "tick_ms"),
        inference_ms=_times(policy, "inference_ms"),
        effort_at_limit=float(np.mean(at_limit)),
        clamped_fraction=int(monitor.get("clamped", 0)) / commands if commands else 0.0,
        safety_state=state,
        safety_reason=safety.get("last_fault", "") or safety.get("reason", ""),
        faults=int(monitor.get("faults", 0)),
        falls=int(monitor.get("falls", 0)),
        recoveries=int(monitor.get("recoveries", 0)),
    )


def _times(values: Mapping[str, str], name: str) -> dict[str, float]:
    return {key: float(values.get(f"{name}_{key}", 0.0)) for key in ("p50", "p99", "max")}


def summary_table(result: DemoResult) -> Table:
    """The summary for people."""
    table = Table(title=f"{result.robot} · {result.policy} · {result.mode}", show_header=False, title_justify="left")
    tick = result.tick_ms
    rows = {
        "outcome": result.outcome,
        "simulated time": f"{result.seconds:.2f} s at {result.real_time_factor:.2f} × real time",
        "command": "({:.2f}, {:.2f}) m/s, {:.2f} rad/s".format(*result.command),
        "mean velocity": "({:.3f}, {:.3f}) m/s, {:.3f} rad/s".format(*result.mean_velocity),
        "lowest base height": f"{result.min_height:.3f} m",
        "largest tilt": f"{result.max_tilt_deg:.1f}°",
        "policy node": f"{result.ticks} ticks, {result.late_ticks} late",
        "tick": f"p50 {tick['p50']:.2f} ms, p99 {tick['p99']:.2f} ms, max {tick['max']:.2f} ms",
        "efforts clamped": f"{100.0 * result.clamped_fraction:.3f} %",
        "safety monitor": result.safety_state + (f" ({result.safety_reason})" if result.safety_reason else ""),
    }
    if (hands := result.hands) is not None:
        near = f"{100.0 * hands.near:.0f} % within {NEAR_M:g} m"
        rows["hands from targets"] = f"mean {hands.mean:.3f} m, median {hands.median:.3f} m, {near}"
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _shade(axis: Any, recording: Recording) -> None:
    """What the safety monitor said, where it was not ACTIVE."""
    told = [*recording.safety, (recording.time[-1], "")]
    for (start, state), (end, _) in pairwise(told):
        colour = STATE_COLOURS.get(state)
        if colour is not None and end > start:
            axis.axvspan(start, end, color=colour, alpha=0.25, linewidth=0)
            if end - start > LABELLED_S:
                axis.text(0.5 * (start + end), 0.02, state, rotation=90, fontsize="x-small", ha="center", va="bottom")


def draw(recording: Recording, result: DemoResult, robot: RobotSpec, path: Path) -> None:
    """Height, tilt, speed, and efforts against their limits over time, as a PNG.

    Raises:
        OSError: the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    reaches = bool(len(recording.hand_distance))
    figure, axes = pyplot.subplots(4 + reaches, 1, figsize=(12, 10 + 2.5 * reaches), sharex=True, layout="constrained")
    figure.suptitle(f"{result.robot} · policy {result.policy} · {result.mode} · {result.outcome}")
    time = np.asarray(recording.time)
    axes[0].plot(time, recording.height, color="tab:blue")
    axes[0].set(ylabel="base height [m]", ylim=(0.0, 1.15 * max(recording.height)))
    axes[1].plot(time, np.degrees(recording.tilt), color="tab:orange")
    axes[1].axhline(np.degrees(FALLEN_TILT_RAD), color="tab:red", linestyle="--", linewidth=1, label="counts as fallen")
    axes[1].set(ylabel="tilt [deg]", ylim=(0.0, None))
    if recording.velocity:
        velocity = np.asarray(recording.velocity)
        for i, (name, unit, colour) in enumerate(
            (("forward", "m/s", "tab:blue"), ("left", "m/s", "tab:green"), ("turn", "rad/s", "tab:purple"))
        ):
            axes[2].plot(time, velocity[:, i], color=colour, linewidth=1, label=f"{name} [{unit}]")
            axes[2].axhline(result.command[i], color=colour, linestyle="--", linewidth=1)
    axes[2].set(ylabel="velocity, body frame\n(dashed: command)")
    if recording.effort:
        share = np.asarray(recording.effort) / robot.effort_limit
        strongest = np.argsort(-np.abs(share).max(axis=0))[:4]
        axes[3].fill_between(
            recording.effort_time, share.min(axis=1), share.max(axis=1), color="0.85", label="all joints"
        )
        for i in strongest:
            axes[3].plot(recording.effort_time, share[:, i], linewidth=0.8, label=robot.joint_names[i])
        for limit in (-1.0, 1.0):
            axes[3].axhline(limit, color="tab:red", linestyle="--", linewidth=1)
    axes[3].set(ylabel="effort / limit", ylim=(-1.15, 1.15))
    if reaches:
        for hand, distance in zip(HANDS, recording.hand_distance.T, strict=True):
            axes[4].plot(recording.effort_time, distance, linewidth=1, label=f"{hand} hand")
        axes[4].axhline(NEAR_M, color="tab:green", linestyle="--", linewidth=1, label="near")
        axes[4].set(ylabel="distance from target [m]", ylim=(0.0, None))
    axes[-1].set(xlabel="simulated time [s]")
    for axis in axes:
        axis.grid(alpha=0.3)
    _shade(axes[0], recording)
    for axis in axes[1:]:
        if axis.get_legend_handles_labels()[0]:
            axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
