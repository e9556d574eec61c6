"""The charts of a report: which there are, and what is in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from humanoid_rl_ros.bags.report.feet import LEAST_FORCE_N
from humanoid_rl_ros.bags.report.findings import Findings
from humanoid_rl_ros.bags.report.joints import limits_of
from humanoid_rl_ros.bags.report.states import Fault
from humanoid_rl_ros.bags.series import JointSeries, RobotTime, Series
from humanoid_rl_ros.cli.report_svg import Chart, around
from humanoid_rl_ros.core.arrays import Float32Array, FloatArray

WIDE, NARROW = 3000, 700
"""Moments of a chart as wide as the page, and of one of many."""
BEFORE_S, AFTER_S = 1.0, 1.0
"""What is drawn around a fault: the half second before and after are the second around it, and the rest leads there."""
_Add: TypeAlias = Callable[[str, str, float, float], Chart]
_STYLES = ("s1", "s2", "s3", "s4", "s5")
_MOST_LOADED = len(_STYLES)
_LEAST_VELOCITY = 0.4
_LEAST_TRACKING = 0.05
_OFTEN = 0.0005
"""Share of the time at a limit from which on it is said."""


def _chart(findings: Findings, title: str, unit: str, low: float, high: float, *, small: bool = False) -> Chart:
    chart = Chart(title, unit, *findings.shown, low, high, small=small)
    chart.marks = [fault.time for fault in findings.faults]
    return chart


def motion_charts(findings: Findings) -> tuple[list[Chart], list[str]]:
    """Velocities asked and measured, tilt and height; and a line for each that is missing."""
    charts: list[Chart] = []
    missing: list[str] = []
    traces = findings.traces
    asked, measured = traces.asked, traces.measured
    if measured is None:
        missing.append("Measured velocity: not recorded (odom). A robot without an estimator has none.")
    if asked is None:
        missing.append("Commanded velocity: not recorded (cmd_vel), and no setup of the policy node says a fixed one.")
    for i, (name, unit) in enumerate(
        (("Forward velocity", "m/s"), ("Sideways velocity, to the left", "m/s"), ("Turning", "rad/s"))
    ):
        shown = [trace.values[:, i] for trace in (asked, measured) if trace is not None]
        if not shown:
            break
        chart = _chart(findings, name, unit, *around([*map(_core, shown), np.zeros(1)], _LEAST_VELOCITY))
        if measured is not None:
            chart.add(f"measured ({measured.source})", "measured", measured.time, measured.values[:, i], WIDE)
        if asked is not None:
            chart.add_steps(f"commanded ({asked.source})", "commanded", asked.time, asked.values[:, i])
        charts.append(chart)
    tilt = traces.tilt
    if tilt is None:
        missing.append("Tilt: not recorded (imu/data, odom).")
    else:
        top = max(float(tilt.values.max()) * 1.06, findings.tilt_limit * 1.15)
        chart = _chart(findings, "Tilt", "°", 0.0, top)
        chart.add(f"tilt ({tilt.source})", "measured", tilt.time, tilt.values, WIDE)
        chart.add_level(findings.tilt_limit, "limit")
        chart.note = f"Dashed: what counts as falling, {findings.tilt_limit:.0f}° ({findings.tilt_limit_source})."
        charts.append(chart)
    if traces.height is None:
        missing.append("Height of the base: not recorded (odom).")
    else:
        values = traces.height.values
        chart = _chart(findings, "Height of the base", "m", *around([values, np.zeros(1)]))
        chart.add(f"height ({traces.height.source})", "measured", traces.height.time, values, WIDE)
        charts.append(chart)
    return charts, missing


def _core(values: FloatArray) -> FloatArray:
    """All but the few most extreme values: a push must not flatten all the rest."""
    sound = values[np.isfinite(values)]
    if len(sound) < 100:
        return sound
    low, high = np.percentile(sound, [0.3, 99.7])
    return np.asarray(np.clip(sound, low, high))


def effort_charts(series: Series, findings: Findings) -> tuple[list[Chart], list[str]]:
    """Of each joint, what it gave and what it was told, against its limit."""
    charts: list[Chart] = []
    missing: list[str] = []
    states, command = series.joint_states, series.command or series.policy_effort
    command_time = findings.traces.command_time if series.command is not None else findings.traces.effort_time
    measured = states.effort if states is not None else None
    if measured is None:
        missing.append("Measured efforts: not recorded (joint_states has none).")
    if series.command is None:
        instead = "; what the policy asked is shown in their place" if series.policy_effort is not None else ""
        missing.append(f"Commands to the motors: not recorded (joint_effort_controller/commands){instead}.")
    if series.robot is None:
        missing.append("Limits: nobody knows the robot. Name it with --robot, and they are drawn.")
    for i, joint in enumerate(findings.joints):
        commanded = _of_joint(command, joint.name)
        shown = [v for v in (measured[:, i] if measured is not None else None, commanded) if v is not None]
        if not shown:
            continue
        if joint.effort_limit is not None:
            high = max(joint.effort_limit, joint.peak_measured or 0.0, joint.peak_commanded or 0.0) * 1.08
            low = -high
        else:
            low, high = around([np.asarray(v, dtype=np.float64) for v in shown], 1.0)
        chart = _chart(findings, joint.name, "N·m", low, high, small=True)
        if commanded is not None:
            chart.add("commanded", "commanded", command_time, commanded, NARROW)
        if measured is not None:
            chart.add("measured", "measured", findings.traces.joint_time, measured[:, i], NARROW)
        if joint.effort_limit is not None:
            chart.add_level(joint.effort_limit, "limit")
            chart.add_level(-joint.effort_limit, "limit")
            at = f", {joint.at_limit:.1%} of the time" if joint.at_limit and joint.at_limit > _OFTEN else ""
            chart.detail = f"{joint.peak_share or 0.0:.0%} of {joint.effort_limit:g} N·m{at}"
        charts.append(chart)
    return charts, missing


def _of_joint(joints: JointSeries | None, name: str) -> Float32Array | None:
    if joints is None or joints.effort is None or name not in joints.names:
        return None
    return joints.effort[:, joints.names.index(name)]


def tracking_charts(findings: Findings) -> tuple[list[Chart], list[str]]:
    """Of each joint, target less measured position while the policy's efforts were to be sent on."""
    traces = findings.traces
    if traces.tracking is None:
        return [], ["Tracking error: needs target positions in policy/joint_effort, and positions in joint_states."]
    charts = []
    by_name = {joint.name: joint for joint in findings.joints}
    sizes = np.abs(traces.tracking[np.isfinite(traces.tracking).all(axis=1)])
    high = max(float(np.percentile(sizes, 99.9)) if len(sizes) else 0.0, _LEAST_TRACKING) * 1.1
    for i, name in enumerate(traces.tracking_names):
        chart = _chart(findings, name, "rad", -high, high, small=True)
        chart.add("target − measured", "error", traces.effort_time, traces.tracking[:, i], NARROW)
        joint = by_name.get(name)
        if joint is not None and joint.tracking_rms is not None:
            chart.detail = f"RMS {joint.tracking_rms:.3f} · up to {joint.tracking_peak:.2f} rad"
        if chart.lines:
            charts.append(chart)
    return charts, []


def contact_charts(series: Series, findings: Findings, time: RobotTime) -> tuple[list[Chart], list[str]]:
    """Contacts, where a topic says them; else the loads of the legs, called what they are."""
    charts: list[Chart] = []
    for topic, contact in series.contacts.items():
        found = [foot for foot in findings.feet if foot.topic == topic]
        if not found:
            continue
        stance = _chart(findings, "On the ground", "", 0.0, 1.0)
        stance.rows, stance.detail = len(found), topic
        for row, foot in enumerate(found):
            stance.add_bars(foot.name, _STYLES[row % len(_STYLES)], foot.stance, row)
        charts.append(stance)
        if contact.forces:
            stance.note = f"A bar where the force is above {LEAST_FORCE_N:g} N."
            columns = [np.asarray(values, dtype=np.float64) for values in contact.values.T]
            force = _chart(findings, "Force of the ground", "N", *around([*map(_core, columns), np.zeros(1)], 1.0))
            for row, (foot, values) in enumerate(zip(found, columns, strict=True)):
                force.add(foot.name, _STYLES[row % len(_STYLES)], time.of_log(contact.log_ns), values, WIDE)
            charts.append(force)
    if charts:
        return charts, []
    note = "Foot contacts: no topic of the bag says them."
    states = series.joint_states
    pairs = _leg_pairs(states.names) if states is not None else []
    if states is None or states.effort is None or not pairs:
        return [], [note]
    for title, left, right in pairs:
        both = [np.asarray(states.effort[:, i], dtype=np.float64) for i in (left, right)]
        chart = _chart(findings, title, "N·m", *around([_core(v) for v in both], 1.0))
        for efforts, side in zip(both, ("left", "right"), strict=True):
            chart.add(side, side, findings.traces.joint_time, efforts, WIDE)
        charts.append(chart)
    return charts, [
        f"{note} Below are measured efforts of the legs, left and right. They show which leg works, "
        "and are no proof of a contact."
    ]


def _leg_pairs(names: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """Ankle pitch and knee, of both sides: title, left, right."""
    pairs: list[tuple[str, int, int]] = []
    for word in ("ankle_pitch", "ankle", "knee"):
        for i, name in enumerate(names):
            if word in name.lower() and "left" in name.lower():
                other = name.replace("left", "right").replace("Left", "Right").replace("LEFT", "RIGHT")
                title = name.replace("left_", "").replace("_left", "")
                if other in names and title not in [pair[0] for pair in pairs] and "roll" not in name:
                    pairs.append((title, i, names.index(other)))
    return pairs[:2]


@dataclass
class FaultView:
    """A fault, and what there is to see around it.

    Attributes:
        fault: it.
        charts: of the time around it.
        facts: values at its moment.
    """

    fault: Fault
    charts: list[Chart] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)


def fault_view(series: Series, findings: Findings, fault: Fault) -> FaultView:
    """Everything around one fault, at full resolution."""
    view = FaultView(fault)
    begin, end = max(0.0, fault.time - BEFORE_S), min(findings.duration, fault.time + AFTER_S)
    traces = findings.traces

    def add(title: str, unit: str, low: float, high: float) -> Chart:
        chart = Chart(title, unit, begin, max(end, begin + 1e-3), low, high, fixed=True, marks=[fault.time])
        view.charts.append(chart)
        return chart

    if traces.tilt is not None:
        t, v = _window(traces.tilt.time, traces.tilt.values, begin, end)
        if len(t):
            chart = add("Tilt", "°", 0.0, max(float(v.max()) * 1.06, findings.tilt_limit * 1.15))
            chart.add("tilt", "measured", t, v, WIDE)
            chart.add_level(findings.tilt_limit, "limit")
            view.facts.append(("tilt", f"{_at(t, v, fault.time):.1f}°"))
    if traces.tilt_rate is not None:
        t, v = _window(traces.tilt_rate.time, traces.tilt_rate.values, begin, end)
        if len(t):
            view.facts.append(("turning over", f"{_at(t, v, fault.time):.2f} rad/s"))
    if traces.height is not None:
        t, v = _window(traces.height.time, traces.height.values, begin, end)
        if len(t):
            view.facts.append(("height", f"{_at(t, v, fault.time):.2f} m"))
    _add_velocity(findings, add, begin, end)
    _add_efforts(series, findings, view, add, begin, end)
    _add_tracking(findings, add, begin, end)
    return view


def _window(time: FloatArray, values: FloatArray, begin: float, end: float) -> tuple[FloatArray, FloatArray]:
    inside = (time >= begin) & (time <= end)
    if values.ndim == 1:
        inside &= np.isfinite(values)
    return time[inside], values[inside]


def _at(time: FloatArray, values: FloatArray, moment: float) -> float:
    """The last value up to a moment."""
    place = int(np.searchsorted(time, moment, side="right")) - 1
    return float(values[max(0, place)])


def _add_velocity(findings: Findings, add: _Add, begin: float, end: float) -> None:
    asked, measured = findings.traces.asked, findings.traces.measured
    if measured is None:
        return
    t, v = _window(measured.time, measured.values, begin, end)
    if not len(t):
        return
    rows = slice(0, 0)
    if asked is not None:
        place = np.searchsorted(asked.time, [begin, end], side="right")
        rows = slice(max(0, int(place[0]) - 1), int(place[1]))
    told = [asked.values[rows].ravel()] if asked is not None else []
    chart = add("Velocity", "m/s, rad/s", *around([v.ravel(), *told], _LEAST_VELOCITY))
    for i, (name, style) in enumerate((("forward", "s1"), ("left", "s2"), ("turning", "s3"))):
        chart.add(name, style, t, v[:, i], WIDE)
        if asked is not None:
            chart.add_steps("", f"{style} dashed", np.maximum(asked.time[rows], begin), asked.values[rows, i])
    if asked is not None:
        chart.note = "Dashed: commanded."


def _add_efforts(series: Series, findings: Findings, view: FaultView, add: _Add, begin: float, end: float) -> None:
    """The joints that were nearest to their limits, as shares of them; without limits, the largest efforts."""
    states = series.joint_states
    source, time = (
        (states, findings.traces.joint_time)
        if states and states.effort is not None
        else ((series.command, findings.traces.command_time))
    )
    if source is None or source.effort is None:
        return
    inside = (time >= begin) & (time <= end)
    efforts, at = np.asarray(source.effort[inside], dtype=np.float64), time[inside]
    if not len(at):
        return
    limits = limits_of(series.robot, source.names)
    known = limits is not None and np.isfinite(limits).any()
    shares = efforts / limits * 100.0 if known and limits is not None else efforts
    lead = shares[at <= view.fault.time] if (at <= view.fault.time).any() else shares
    peaks = np.max(np.nan_to_num(np.abs(lead)), axis=0)
    strongest = np.argsort(-peaks)[:_MOST_LOADED]
    what = "measured" if source is states else "commanded"
    title = f"Efforts of the {len(strongest)} most loaded joints before it, {what}"
    low, high = around([shares[:, strongest].ravel()], 20.0 if known else 1.0)
    if known:
        low, high = min(low, -105.0), max(high, 105.0)
    chart = add(title, "% of the limit" if known else "N·m", low, high)
    for i, style in zip(strongest, _STYLES, strict=False):
        chart.add(source.names[i], style, at, shares[:, i], WIDE)
    if known:
        chart.add_level(100.0, "limit")
        chart.add_level(-100.0, "limit")
        best = strongest[0]
        view.facts.append(("most loaded before it", f"{source.names[best]}, {peaks[best]:.0f} %"))


def _add_tracking(findings: Findings, add: _Add, begin: float, end: float) -> None:
    traces = findings.traces
    if traces.tracking is None:
        return
    inside = (traces.effort_time >= begin) & (traces.effort_time <= end)
    errors, at = np.asarray(traces.tracking[inside], dtype=np.float64), traces.effort_time[inside]
    if not np.isfinite(errors).any():
        return
    sizes = np.max(np.abs(np.nan_to_num(errors)), axis=0)
    worst = np.argsort(-sizes)[:_MOST_LOADED]
    chart = add("Tracking error of the five worst joints", "rad", *around([errors[:, worst].ravel()], _LEAST_TRACKING))
    for i, style in zip(worst, _STYLES, strict=False):
        chart.add(traces.tracking_names[i], style, at, errors[:, i], WIDE)
