"""All that is found in a bag, and what it comes to in one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.report import feet, joints, motion, states, timing
from humanoid_rl_ros.bags.report.motion import Trace
from humanoid_rl_ros.bags.series import RobotTime, Series
from humanoid_rl_ros.core.arrays import Float32Array, FloatArray
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.status import ON_ITS_FEET

_FELL_DEG = 60.0
"""Tilt that nobody stands with; for bags without safety status."""
_LISTED = 4
_ON_ITS_FEET = frozenset(state.value for state in ON_ITS_FEET)


@dataclass(frozen=True, eq=False)
class Traces:
    """What is drawn over time; None where it was not recorded.

    Attributes:
        tilt: [deg].
        tilt_rate: [rad/s].
        height: [m].
        asked, measured: forward, left [m/s], turning [rad/s; Shape (n, 3)].
        joint_time: of the joint states [s]; ``measured`` efforts are theirs.
        command_time: of the commands [s].
        effort_time: of the policy efforts [s].
        tracking: errors [rad; Shape (n, joints)] at the times of the policy efforts.
        tracking_names: joints of its columns.
    """

    tilt: Trace | None = None
    tilt_rate: Trace | None = None
    height: Trace | None = None
    asked: Trace | None = None
    measured: Trace | None = None
    joint_time: FloatArray = field(default_factory=lambda: np.zeros(0))
    command_time: FloatArray = field(default_factory=lambda: np.zeros(0))
    effort_time: FloatArray = field(default_factory=lambda: np.zeros(0))
    tracking: Float32Array | None = None
    tracking_names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Findings:
    """A bag, understood.

    Attributes:
        verdict: what happened, in one or two sentences.
        good: whether nothing happened that must not.
        duration: on the robot's clock [s].
        recorded: on the recorder's [s].
        clock: what the time axis is, for people.
        spans: states of the safety monitor.
        faults, events: what happened.
        joints: of every joint.
        topics: how each topic came.
        periods, latencies: histograms.
        latency_notes: what could not be measured.
        velocity_error: root mean square, while driven [m/s, m/s, rad/s]; None where it cannot be told.
        max_tilt: [deg]; None where it was not recorded.
        tilt_limit: of the safety monitor [deg].
        tilt_limit_source: where that comes from.
        feet: of every foot whose contacts a topic says.
        traces: what is drawn.
        problems: what was wrong with the bag.
        view: what the charts show [s]; None for all.
    """

    verdict: str
    good: bool
    duration: float
    recorded: float
    clock: str
    spans: tuple[states.StateSpan, ...]
    faults: tuple[states.Fault, ...]
    events: tuple[states.Event, ...]
    joints: tuple[joints.JointFindings, ...]
    topics: tuple[timing.TopicTiming, ...]
    periods: tuple[timing.Histogram, ...]
    latencies: tuple[timing.Histogram, ...]
    latency_notes: tuple[str, ...]
    velocity_error: tuple[float, float, float] | None
    max_tilt: float | None
    tilt_limit: float
    tilt_limit_source: str
    feet: tuple[feet.FootFindings, ...]
    traces: Traces
    problems: tuple[str, ...]
    view: tuple[float, float] | None = None

    @property
    def shown(self) -> tuple[float, float]:
        """From when until when the charts go [s]."""
        begin, end = self.view if self.view is not None else (0.0, self.duration)
        return begin, max(end, begin + 1e-3)

    def as_json(self) -> dict[str, Any]:
        """Everything but the traces, as JSON types."""
        found: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("verdict", "good", "duration", "recorded", "clock", "velocity_error", "max_tilt")
        }
        found["tilt_limit"], found["problems"] = self.tilt_limit, list(self.problems)
        found["state_seconds"] = states.state_seconds(self.spans)
        for name in ("spans", "faults", "events", "joints", "topics", "feet"):
            found[name] = [asdict(entry) for entry in getattr(self, name)]
        for name in ("periods", "latencies"):
            found[name] = [_histogram_json(entry) for entry in getattr(self, name)]
        return {key: _plain(value) for key, value in found.items()}


def _plain(value: Any) -> Any:
    """With null for what is not finite: JSON has no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _histogram_json(histogram: timing.Histogram) -> dict[str, Any]:
    return asdict(histogram) | {"edges": histogram.edges.tolist(), "counts": histogram.counts.tolist()}


def find(bag: Bag, series: Series) -> Findings:
    """Understand a bag.

    Args:
        bag: all of whose messages were read.
        series: of it.
    """
    time = RobotTime(series, bag.start_ns, bag.end_ns)
    spans = states.state_spans(series, time)
    faults = states.faults_of(series, time, spans)
    traces = _traces(series, time)
    topics = timing.topic_timings(bag, series, time)
    latencies, latency_notes = timing.latency_histograms(series)
    limit, source = _tilt_limit(series)
    max_tilt = float(np.nanmax(traces.tilt.values)) if traces.tilt is not None else None
    driven = [(span.start, span.end) for span in spans if span.state == "ACTIVE"]
    error = motion.velocity_error(traces.asked, traces.measured, driven)
    verdict, good = _verdict(spans, faults, max_tilt)
    commanded = traces.command_time if series.command is not None else traces.effort_time
    return Findings(
        verdict=verdict,
        good=good,
        duration=time.end,
        recorded=bag.duration,
        clock=_clock(time),
        spans=spans,
        faults=faults,
        events=_events(series, time, spans, topics),
        joints=joints.joint_findings(series, {"measured": traces.joint_time, "commanded": commanded}),
        topics=topics,
        periods=timing.period_histograms(series),
        latencies=latencies,
        latency_notes=latency_notes,
        velocity_error=None if error is None else (float(error[0]), float(error[1]), float(error[2])),
        max_tilt=max_tilt,
        tilt_limit=limit,
        tilt_limit_source=source,
        feet=feet.foot_findings(series, time, driven),
        traces=traces,
        problems=(*bag.problems, *series.problems),
    )


def _traces(series: Series, time: RobotTime) -> Traces:
    tracked = joints.tracking_error(series)

    def times(joint_series: Any) -> FloatArray:
        return np.zeros(0) if joint_series is None else time.of(joint_series.log_ns, joint_series.stamp_ns)

    return Traces(
        tilt=motion.tilt_trace(series, time),
        tilt_rate=motion.tilt_rate_trace(series, time),
        height=motion.height_trace(series, time),
        asked=motion.asked_trace(series, time),
        measured=motion.velocity_trace(series.odometry, time, "odometry"),
        joint_time=times(series.joint_states),
        command_time=times(series.command),
        effort_time=times(series.policy_effort),
        tracking=None if tracked is None else tracked[1],
        tracking_names=() if tracked is None else tracked[0].names,
    )


def _clock(time: RobotTime) -> str:
    if not time.by_stamps:
        return f"Times are those of the recorder: {time.why_not}."
    factor = time.factor
    if abs(factor - 1.0) < 0.01:
        return "Times are those of the robot's clock: the stamps of the joint states."
    return f"Times are those of the robot's clock, which ran at {factor:.2f} × the recorder's."


def _tilt_limit(series: Series) -> tuple[float, str]:
    """Of the recorded limits [deg], else the built-in one."""
    for setup in series.setups:
        if setup.limits:
            try:
                return float(np.degrees(setup.safety_limits().tilt_limit)), "recorded limits"
            except HumanoidError:
                continue
    return float(np.degrees(SafetyLimits().tilt_limit)), "built-in limit; the bag does not have the limits that held"


def _listed(times: tuple[float, ...]) -> str:
    shown = [f"{t:.1f} s" for t in times[:_LISTED]]
    more = len(times) - len(shown)
    if more > 0:
        return f"{', '.join(shown)} and {more} more times"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _verdict(
    spans: tuple[states.StateSpan, ...], faults: tuple[states.Fault, ...], max_tilt: float | None
) -> tuple[str, bool]:
    if not spans:
        if max_tilt is None:
            return "Neither a safety status nor a tilt was recorded: nobody can tell whether the robot stood.", False
        fell = max_tilt > _FELL_DEG
        what = "it must have fallen" if fell else "it did not fall"
        return f"No safety status was recorded. The robot tilted by up to {max_tilt:.0f}°: {what}.", not fell
    falls, recoveries, end = states.fall_times(spans), states.recovery_count(spans), _end(spans)
    if not any(span.state in _ON_ITS_FEET for span in spans):
        return f"The policy never drove the robot: {end}.", False
    others = [fault for fault in faults if fault.after not in (states.FALLING, states.FALLEN)]
    parts = []
    if falls:
        often = "" if len(falls) == 1 else " each time" if recoveries == len(falls) else f" {_times(recoveries)}"
        up = f" and got up by itself{often}" if recoveries else ""
        parts.append(f"The robot fell {_times(len(falls))} (at {_listed(falls)}){up}.")
    if others:
        first = others[0]
        more = f", the first of {len(others)} faults without a fall" if len(others) > 1 else ""
        parts.append(f"The motors were taken from the policy at {first.time:.1f} s{more}: {first.text or first.rule}.")
    if not parts:
        parts.append("The robot stood from beginning to end; no rule of the safety monitor took the motors.")
    return f"{' '.join(parts)} At the end {end}.", not falls and not others


def _end(spans: tuple[states.StateSpan, ...]) -> str:
    last = spans[-1]
    driving = {"ACTIVE": "the policy drove it", "DEGRADED": "the policy drove it, degraded"}.get(last.state)
    return driving or f"the monitor was {last.state}" + (f" ({last.text})" if last.text else "")


_LEVELS = {"ACTIVE": 0, "READY": 0, "FALLING": 2, "FALLEN": 2, "ESTOP": 2}


def _events(
    series: Series,
    time: RobotTime,
    spans: tuple[states.StateSpan, ...],
    topics: tuple[timing.TopicTiming, ...],
) -> tuple[states.Event, ...]:
    found = [
        states.Event(span.start, "state", ": ".join(filter(None, (span.state, span.text))), _LEVELS.get(span.state, 1))
        for span in spans
    ]
    for node, health in series.health.items():
        for log_ns, level, text in health.changes[1:]:
            if node != "safety_monitor":
                at = float(time.of_log(np.array([log_ns]))[0])
                found.append(states.Event(at, "node", f"{node}: {text}", min(level, 2)))
    for topic in topics:
        if topic.gaps:
            text = f"{topic.name}: nothing for {topic.longest_gap * 1e3:.1f} ms, its longest gap"
            found.append(states.Event(topic.gap_at, "gap", text, 1))
    return tuple(sorted(found, key=lambda event: event.time))


def setup_facts(series: Series) -> Mapping[str, str]:
    """Robot, policies and software, as the nodes said it, for the head of the report."""
    facts: dict[str, str] = {}
    names = [setup.robot_name for setup in series.setups if setup.robot_name]
    if names or series.robot is not None:
        facts["robot"] = names[0] if names else series.robot.name if series.robot else ""
    every = {(policy.name, policy.key): policy for setup in series.setups for policy in setup.policies}
    policies = [policy for policy in every.values() if policy.short_name]
    get_up = [policy for policy in every.values() if not policy.short_name]
    labels = ["policy", *(f"policy {number}" for number in range(2, len(policies) + 1))][: len(policies)]
    for label, policy in zip([*labels, *["gets up by"] * len(get_up)], [*policies, *get_up], strict=True):
        digest = next((d for n, d in policy.files.items() if n.endswith((".onnx", ".pt"))), "")
        facts[label] = policy.name + (f" ({digest[:12]})" if digest else "")
    software: dict[str, str] = {}
    for setup in series.setups:
        software |= setup.software
    if software:
        facts["software"] = ", ".join(f"{name} {version}" for name, version in software.items())
    return facts
