"""One self-contained page of a report: no network, no other file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import resources

import jinja2

from humanoid_rl_ros import __version__
from humanoid_rl_ros.bags.namespaces import full_name
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.report.findings import Findings, setup_facts
from humanoid_rl_ros.bags.report.states import state_seconds
from humanoid_rl_ros.bags.report.timing import LOSS_KEYS
from humanoid_rl_ros.bags.series import RobotTime, Series
from humanoid_rl_ros.cli import report_charts as charts
from humanoid_rl_ros.cli.report_svg import Chart, bars_of
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.safety.status import SafetyState

LARGEST_FAULTS = 20
"""Drawn; a robot that falls all day long needs no page of a hundred megabytes."""
LARGEST_EVENTS = 300
_EXPECTED = (
    topics.JOINT_STATES,
    topics.IMU,
    topics.VELOCITY_COMMAND,
    topics.POLICY_EFFORT,
    topics.POLICY_OBSERVATION,
    topics.POLICY_ACTION,
    topics.JOINT_COMMAND,
    topics.SAFETY_STATUS,
    topics.DIAGNOSTICS,
    topics.ODOMETRY,
    topics.POLICY_SETUP,
    topics.SAFETY_SETUP,
)
_FOLDER = "templates"
_CLOSE_S = 0.02
_LONGEST = 200


def page(bag: Bag, series: Series, findings: Findings) -> str:
    """The page.

    Args:
        bag: all of whose messages were read.
        series: of it.
        findings: of it.
    """
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    time = RobotTime(series, bag.start_ns, bag.end_ns)
    begin, end = findings.shown
    span = end - begin
    css = environment.from_string(_read("report.css")).render(states=[state.value for state in SafetyState])
    script = _read("report.js").replace("WHOLE_MS", json.dumps([round(begin * 1000), round(end * 1000)]))
    facts = _facts(bag, series, findings)
    title = " · ".join(part for part in (dict(facts).get("robot", ""), bag.path.resolve().name) if part)
    return environment.from_string(_read("report.html")).render(
        title=title,
        css=css,
        script=script,
        findings=findings,
        series=series,
        facts=facts,
        place=lambda seconds: round((seconds - begin) / span * 100.0, 3),
        width=lambda seconds: round(seconds / span * 100.0, 3),
        duration=_duration,
        ticks=Chart("", "", begin, end, 0.0, 1.0).time_ticks,
        seconds={state: s for state, s in state_seconds(findings.spans).items() if s > 0.0},
        faults=[charts.fault_view(series, findings, fault) for fault in findings.faults[:LARGEST_FAULTS]],
        more_faults=max(0, len(findings.faults) - LARGEST_FAULTS),
        velocity_error=_velocity_error(findings),
        motion=charts.motion_charts(findings),
        efforts=charts.effort_charts(series, findings),
        commanded_name="commanded" if series.command is not None else "asked by the policy",
        loaded=_loaded(findings),
        stops=_stops(findings),
        tracking=charts.tracking_charts(findings),
        contacts=charts.contact_charts(series, findings, time),
        strides=_strides(findings),
        periods=[bars_of(histogram) for histogram in findings.periods],
        latencies=[bars_of(histogram) for histogram in findings.latencies],
        unrecorded=_unrecorded(bag, series),
        events=findings.events[:LARGEST_EVENTS],
        more_events=max(0, len(findings.events) - LARGEST_EVENTS),
        finest=_finest(span),
        footer=f"humanoid_rl_ros {__version__}. {findings.clock}",
    )


def _read(name: str) -> str:
    return (resources.files(__package__) / _FOLDER / name).read_text(encoding="utf-8")


def _facts(bag: Bag, series: Series, findings: Findings) -> Sequence[tuple[str, str]]:
    """What ran, and what was recorded of it."""
    known = dict(setup_facts(series))
    if "policy" not in known:
        known["policy"] = "not recorded (policy/setup)"
    begun = datetime.fromtimestamp(bag.start_ns * 1e-9, timezone.utc)
    known["recorded"] = begun.strftime("%Y-%m-%d %H:%M:%S UTC") + (
        f", ROS {bag.distribution}" if bag.distribution else ""
    )
    known["duration"] = f"{findings.duration:.1f} s"
    if findings.view is not None:
        known["shown"] = f"{findings.view[0]:g} s to {findings.view[1]:g} s"
    if abs(findings.duration - findings.recorded) > 0.01 * findings.recorded:
        known["duration"] += f" of the robot in {findings.recorded:.1f} s"
    known["messages"] = (
        f"{bag.count:,}".replace(",", " ") + f" on {sum(t.count > 0 for t in bag.topics.values())} topics"
    )
    if series.namespace:
        known["namespace"] = series.namespace
    known["bag"] = str(bag.path)
    said = {key: value for key, value in bag.custom.items() if key not in LOSS_KEYS and len(value) < _LONGEST}
    known |= {key: value for key, value in said.items() if key not in known}
    return list(known.items())


def _finest(span: float) -> str:
    """How to look closer than the charts go; empty where they go as close as the messages."""
    moment = span / charts.WIDE
    if moment < _CLOSE_S:
        return ""
    return f"Each point stands for {moment * 1000:.0f} ms, its least and largest value. Closer: --start and --end."


def _velocity_error(findings: Findings) -> str:
    if findings.velocity_error is None:
        return ""
    x, y, turn = findings.velocity_error
    return f"{x:.2f} m/s forward, {y:.2f} m/s to the left and {turn:.2f} rad/s in turning"


def _loaded(findings: Findings) -> str:
    """The three joints nearest to their limits."""
    ranked = sorted((j for j in findings.joints if j.peak_share is not None), key=lambda j: -(j.peak_share or 0.0))
    return ", ".join(f"{j.name} {j.peak_share:.0%} at {j.peak_time:.2f} s" for j in ranked[:3])


def _stops(findings: Findings) -> str:
    """Joints that were pressed beyond a mechanical limit, the farthest first."""
    beyond = sorted(
        (j.nearest_stop, j.name) for j in findings.joints if j.nearest_stop is not None and j.nearest_stop < 0
    )
    return ", ".join(f"{name} by {-room:.3f} rad" for room, name in beyond[:6])


def _strides(findings: Findings) -> Sequence[str]:
    """The duty factors, one sentence for each topic of contacts."""
    sentences = []
    for topic in dict.fromkeys(foot.topic for foot in findings.feet):
        feet = [foot for foot in findings.feet if foot.topic == topic]
        shares = ", ".join(f"{foot.name} {foot.duty_factor:.0%}" for foot in feet if foot.duty_factor is not None)
        walking = max(foot.walking for foot in feet)
        sentences.append(
            f"Of its strides a foot spent on the ground (duty factor): {shares}, in {walking:.1f} s of walking."
            if shares
            else "No foot made a stride while the policy drove the robot."
        )
    return sentences


def _unrecorded(bag: Bag, series: Series) -> str:
    """Topics of the graph that the bag lacks."""
    lacking = []
    for topic in _EXPECTED:
        name = full_name(topic, series.namespace)
        if not any(n in bag.topics and bag.topics[n].count for n in (name, f"{series.namespace}{name}")):
            lacking.append(name)
    return ", ".join(lacking)


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1.0 else f"{seconds:.2f} s"
