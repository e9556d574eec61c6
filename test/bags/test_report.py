"""Findings of small bags, against numbers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bag_files import SECOND, START, STATUS, STRING, Written, fall, notes, status, text, write_bag
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.bags.collect import collect
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.report.envelope import envelope, steps
from humanoid_rl_ros.bags.report.findings import Findings, find
from humanoid_rl_ros.bags.report.timing import histogram
from humanoid_rl_ros.control.setup import NodeSetup
from humanoid_rl_ros.core.robot import RobotSpec


def findings_of(folder: Path, messages: list[Written], robot: RobotSpec | None = None) -> Findings:
    with Bag(write_bag(folder, messages)) as bag:
        return find(bag, collect(bag, None, robot))


@pytest.fixture
def fallen(tmp_path: Path, robot: RobotSpec) -> Findings:
    return findings_of(tmp_path / "bag", fall(), robot)


def test_states_and_the_fault(fallen: Findings) -> None:
    assert [span.state for span in fallen.spans] == ["READY", "ACTIVE", "FALLING"]
    assert [span.start for span in fallen.spans] == pytest.approx([0.0, 0.5, 2.0])
    assert fallen.spans[-1].end == pytest.approx(2.993)
    (fault,) = fallen.faults
    assert (fault.number, fault.rule, fault.before, fault.after) == (1, "falling", "ACTIVE", "FALLING")
    assert fault.time == pytest.approx(2.0)
    assert fault.text == "tilt 0.40 rad grows by 2.0 rad/s"
    assert fault.outcome == "still FALLING at the end"
    assert not fallen.good
    assert "fell once (at 2.0 s)" in fallen.verdict


def test_efforts_against_limits(fallen: Findings) -> None:
    by_name = {joint.name: joint for joint in fallen.joints}
    hip, knee = by_name["hip"], by_name["knee"]
    assert (hip.effort_limit, hip.peak_measured, hip.peak_commanded, hip.peak_share) == (60.0, 25.0, 30.0, 0.5)
    assert hip.at_limit == 0.0
    assert knee.peak_share == 1.0
    assert knee.peak_time == pytest.approx(1.5, abs=0.02)
    # At the limit from 1.5 s to 2.0 s, less the step that is missing: 49 of 299.
    assert knee.at_limit == pytest.approx(49 / 299)


def test_tracking_error_is_target_less_measured(fallen: Findings) -> None:
    by_name = {joint.name: joint for joint in fallen.joints}
    assert by_name["arm"].tracking_rms == pytest.approx(0.1)
    assert by_name["arm"].tracking_peak == pytest.approx(0.1)
    assert by_name["hip"].tracking_rms == pytest.approx(0.0)
    assert by_name["ankle"].nearest_stop == pytest.approx(0.8)


def test_tilt_and_velocity(fallen: Findings) -> None:
    assert fallen.max_tilt == pytest.approx(np.degrees(1.5))
    assert fallen.tilt_limit == pytest.approx(np.degrees(1.0))
    # 0.5 m/s asked, 0.4 measured.
    assert fallen.velocity_error == pytest.approx((0.1, 0.0, 0.0))


def test_the_missing_message_is_found(fallen: Findings) -> None:
    by_name = {topic.name: topic for topic in fallen.topics}
    states = by_name["/joint_states"]
    assert (states.count, states.gaps, states.missing, states.by) == (299, 1, 1, "stamps")
    assert states.period == pytest.approx(0.01)
    assert states.longest_gap == pytest.approx(0.02)
    assert states.gap_at == pytest.approx(1.49)
    assert (by_name["/imu/data"].gaps, by_name["/imu/data"].missing) == (0, 0)
    assert by_name["/safety/status"].regular is False


def test_latencies_and_periods(fallen: Findings) -> None:
    (latency,) = fallen.latencies  # an array of efforts has no stamp to be matched by
    assert latency.name == "joint state to policy effort"
    assert (latency.p50, latency.largest) == pytest.approx((1.0, 1.0))
    assert int(latency.counts.sum()) == 299
    assert any("carry no stamp" in note for note in fallen.latency_notes)
    period = fallen.periods[0]
    assert period.name.startswith("/joint_states")
    assert (period.p50, period.largest) == pytest.approx((10.0, 20.0))


def test_the_findings_are_json(fallen: Findings) -> None:
    loaded = json.loads(json.dumps(fallen.as_json()))
    assert loaded["faults"][0]["rule"] == "falling"
    assert loaded["state_seconds"]["ACTIVE"] == pytest.approx(1.5)


def told(*states: tuple[float, str, int, str]) -> list[Written]:
    return [
        (
            "/safety/status",
            STATUS,
            START + round(at * SECOND),
            status(state, 0, faults=faults, text=words, last_fault=words),
        )
        for at, state, faults, words in states
    ] + [("/end", STRING, START + 20 * SECOND, text("end"))]


def test_falls_and_recoveries_are_counted(tmp_path: Path) -> None:
    run = [(0.0, "ACTIVE", 0, "")]
    for i, at in enumerate((2.0, 8.0), 1):
        why = f"tilt: fall {i}"
        run += [(at, "FALLING", i, why), (at + 1, "FALLEN", i, why), (at + 2, "RECOVERING", i, why)]
        run += [(at + 3, "FALLING", i, why), (at + 3.5, "RECOVERING", i, why)] if i == 2 else []
        run += [(at + 4, "VERIFYING", i, why), (at + 5, "ACTIVE", i, why)]
    found = findings_of(tmp_path / "bag", told(*run))
    assert found.verdict == (
        "The robot fell twice (at 2.0 s and 8.0 s) and got up by itself each time. At the end the policy drove it."
    )
    # The second try of the second fall is a fault too: efforts passed when it fell back.
    assert [fault.time for fault in found.faults] == pytest.approx([2.0, 8.0, 11.0])
    assert found.faults[0].outcome == "got up at try 1, driven again after 5.0 s"
    assert found.faults[0].text == "fall 1"
    assert found.tilt_limit_source.startswith("built-in")


@pytest.mark.parametrize(
    ("run", "verdict", "good"),
    [
        ([(0.0, "ACTIVE", 0, "")], "The robot stood from beginning to end", True),
        ([(0.0, "READY", 0, "")], "The policy never drove the robot", False),
        ([(0.0, "ACTIVE", 0, ""), (3.0, "ESTOP", 1, "operator: stop")], "taken from the policy at 3.0 s: stop", False),
        ([(0.0, "ACTIVE", 3, ""), (3.0, "DISARMED", 3, "")], "stood from beginning to end", True),
        ([], "Neither a safety status nor a tilt", False),
    ],
)
def test_the_verdict(tmp_path: Path, run: list[tuple[float, str, int, str]], verdict: str, good: bool) -> None:
    found = findings_of(tmp_path / "bag", told(*run))
    assert verdict in found.verdict
    assert found.good is good


def test_without_status_the_tilt_tells(tmp_path: Path) -> None:
    found = findings_of(tmp_path / "bag", [m for m in fall() if "safety" not in m[0]])
    assert "must have fallen" in found.verdict
    assert found.spans == ()


@pytest.mark.parametrize("left_out", ["joint_states", "imu", "policy", "commands", "odom", "cmd_vel", "safety"])
def test_whatever_is_missing_the_rest_is_found(tmp_path: Path, robot: RobotSpec, left_out: str) -> None:
    found = findings_of(tmp_path / "bag", [m for m in fall() if left_out not in m[0]], robot)
    json.dumps(found.as_json())
    assert bool(found.faults) is (left_out != "safety")
    assert bool(found.joints) is True


def test_a_bag_of_something_else(tmp_path: Path) -> None:
    found = findings_of(tmp_path / "bag", notes(20))
    assert not found.joints
    assert not found.faults
    assert found.topics[0].count == 20


@given(
    st.lists(st.floats(-1e3, 1e3) | st.just(float("nan")), min_size=1, max_size=400),
    st.integers(1, 30),
)
def test_no_peak_is_lost_by_drawing(values: list[float], buckets: int) -> None:
    array = np.array(values)
    time = np.arange(len(values)) * 0.01
    pieces = envelope(time, array, buckets)
    sound = array[np.isfinite(array)]
    if not len(sound):
        assert pieces == []
        return
    drawn = np.concatenate([v for _, v in pieces])
    assert drawn.min() == sound.min()
    assert drawn.max() == sound.max()
    assert all(np.all(np.diff(t) >= 0.0) for t, _ in pieces)
    assert len(drawn) <= max(len(sound) if len(sound) <= 2 * buckets else 0, 2 * (buckets + len(pieces)))


def test_a_line_is_broken_where_nothing_was_recorded() -> None:
    time = np.concatenate([np.arange(100) * 0.01, 5.0 + np.arange(100) * 0.01])
    assert [len(t) for t, _ in envelope(time, np.zeros(200), 1000)] == [100, 100]


def test_commands_hold_until_the_next() -> None:
    time, values = steps(np.array([0.0, 1.0, 2.0]), np.array([0.5, 0.5, 0.0]), 3.0)
    assert time.tolist() == [0.0, 2.0, 2.0, 3.0]
    assert values.tolist() == [0.5, 0.5, 0.0, 0.0]


def test_a_histogram_counts_everything_once() -> None:
    found = histogram("x", np.array([0.001, 0.002, 0.002, 0.1, 0.0, -0.001]))
    assert found is not None
    assert int(found.counts.sum()) == 4
    assert found.below == 2
    assert found.largest == pytest.approx(100.0)
    assert histogram("x", np.zeros(3)) is None


def test_losses_are_those_that_the_recorder_counted(tmp_path: Path) -> None:
    custom = {"humanoid_rl_lost": '{"/note": 3}', "humanoid_rl_dropped": '{"/note": 2}'}
    with Bag(write_bag(tmp_path / "said", notes(20), custom=custom)) as bag:
        assert find(bag, collect(bag)).topics[0].lost == 5
    with Bag(write_bag(tmp_path / "garbled", notes(20), custom={"humanoid_rl_lost": "[1"})) as bag:
        assert find(bag, collect(bag)).topics[0].lost is None


def test_a_fixed_velocity_command_is_taken_from_the_setup(tmp_path: Path) -> None:
    parameters = {"use_cmd_vel": False, "velocity_command": [0.6, 0.0, 0.0]}
    setup = NodeSetup("policy_node", {}, parameters, "", "", {})
    messages = [m for m in fall() if "cmd_vel" not in m[0]]
    messages.insert(0, ("/policy/setup", STRING, START, text(setup.as_text())))
    found = findings_of(tmp_path / "bag", messages)
    assert found.velocity_error == pytest.approx((0.2, 0.0, 0.0))
