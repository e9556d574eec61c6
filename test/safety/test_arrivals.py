"""What has arrived and when: each source with its own time-out, codes and words."""

from __future__ import annotations

import pytest

from humanoid_rl_ros.safety.arrivals import Arrivals, Source
from humanoid_rl_ros.safety.checks import Violation
from humanoid_rl_ros.safety.limits import SafetyLimits

MS = 1_000_000
# Three time-outs, so that none can stand for another.
LIMITS = SafetyLimits(state_timeout=0.1, imu_timeout=0.2, command_timeout=0.3, reject_limit=3)
SOURCES = [
    (Source.STATE, 100 * MS, "state_timeout", "joint state with IMU", "0.1", "joints_frozen", "joint state"),
    (Source.IMU, 200 * MS, "imu_timeout", "IMU message", "0.2", "imu_frozen", "IMU message"),
    (Source.COMMAND, 300 * MS, "command_timeout", "policy effort", "0.3", "policy_frozen", "policy effort"),
]
each_source = pytest.mark.parametrize(("source", "timeout_ns", "code", "awaited", "limit", "frozen", "called"), SOURCES)


@each_source
def test_what_never_came_is_missing_and_what_came_is_late_after_its_own_time_out(
    source: Source, timeout_ns: int, code: str, awaited: str, limit: str, frozen: str, called: str
) -> None:
    arrivals = Arrivals(LIMITS)
    assert not arrivals.has_come(source)
    never = Violation(code, f"no {awaited} has arrived")
    assert (arrivals.late(source, 0), arrivals.check(source, 0)) == (never, never)
    arrivals.came(source, 50 * MS)
    assert arrivals.has_come(source)
    assert arrivals.late(source, 50 * MS + timeout_ns) is None
    late = arrivals.late(source, 50 * MS + timeout_ns + 1)
    assert late == Violation(code, f"no {awaited} for {limit}00 s, limit {limit} s")
    assert arrivals.check(source, 50 * MS + timeout_ns + 1) == late
    assert source.value == called


@each_source
def test_what_comes_again_with_the_same_stamp_is_late_and_said_to_be_frozen(
    source: Source, timeout_ns: int, code: str, awaited: str, limit: str, frozen: str, called: str
) -> None:
    arrivals = Arrivals(LIMITS)
    arrivals.came(source, 0)
    arrivals.repeat(source, timeout_ns)
    assert arrivals.late(source, timeout_ns) is None  # fresh yet
    found = arrivals.late(source, timeout_ns + 1)
    assert found == Violation(frozen, f"the {called} repeats one stamp: no {awaited} for {limit}00 s, limit {limit} s")


def test_a_repetition_of_long_ago_is_silence() -> None:
    arrivals = Arrivals(LIMITS)
    arrivals.came(Source.STATE, 0)
    arrivals.repeat(Source.STATE, 10 * MS)
    codes = [getattr(arrivals.late(Source.STATE, at), "code", None) for at in (110 * MS, 110 * MS + 1)]
    assert codes == ["joints_frozen", "state_timeout"]


def test_sources_are_kept_apart() -> None:
    arrivals = Arrivals(LIMITS)
    arrivals.came(Source.STATE, 0)
    arrivals.repeat(Source.IMU, 0)
    for _ in range(3):
        arrivals.refuse(Source.COMMAND, "wrong_joints", "policy effort refused: no 'knee'")
    assert arrivals.check(Source.STATE, 1) is None
    assert arrivals.check(Source.IMU, 1) == Violation(
        "imu_frozen", "the IMU message repeats one stamp: no IMU message has arrived"
    )
    assert arrivals.check(Source.COMMAND, 1) == Violation(
        "wrong_joints", "policy effort refused: no 'knee' (3 in a row)"
    )


def test_it_may_be_as_if_none_had_ever_come() -> None:
    arrivals = Arrivals(LIMITS)
    arrivals.came(Source.COMMAND, 0)
    arrivals.came(Source.COMMAND, None)
    assert not arrivals.has_come(Source.COMMAND)
    assert arrivals.late(Source.COMMAND, 0) == Violation("command_timeout", "no policy effort has arrived")


def test_time_zero_is_an_arrival() -> None:
    arrivals = Arrivals(LIMITS)
    arrivals.came(Source.STATE, 0)
    assert arrivals.has_come(Source.STATE)
    assert arrivals.late(Source.STATE, 100 * MS) is None


def test_a_clock_that_went_back_is_no_freshness() -> None:
    arrivals = Arrivals(LIMITS)
    arrivals.came(Source.STATE, 500 * MS)
    assert arrivals.late(Source.STATE, 400 * MS) is None
    assert arrivals.late(Source.STATE, 400 * MS - 1) is not None


def test_refusals_in_a_row_come_before_age_and_the_last_one_is_told() -> None:
    arrivals = Arrivals(LIMITS)
    arrivals.came(Source.IMU, 0)
    arrivals.refuse(Source.IMU, "a", "first")
    arrivals.refuse(Source.IMU, "b", "second")
    assert arrivals.check(Source.IMU, 0) is None
    arrivals.refuse(Source.IMU, "c", "third")
    assert arrivals.check(Source.IMU, 0) == Violation("c", "third (3 in a row)")
    arrivals.refuse(Source.IMU, "d", "fourth")
    assert arrivals.check(Source.IMU, 900 * MS) == Violation("d", "fourth (4 in a row)")
    assert arrivals.late(Source.IMU, 0) is None  # lateness is about those that could be read


def test_one_that_can_be_read_makes_those_before_it_noise() -> None:
    arrivals = Arrivals(LIMITS)
    arrivals.came(Source.IMU, 0)
    for _ in range(2):
        arrivals.refuse(Source.IMU, "a", "text")
    arrivals.readable(Source.IMU)
    for _ in range(2):
        arrivals.refuse(Source.IMU, "a", "text")
    assert arrivals.check(Source.IMU, 0) is None
    arrivals.refuse(Source.IMU, "a", "text")
    assert arrivals.check(Source.IMU, 0) is not None


def test_one_refused_does_not_count_as_having_come() -> None:
    arrivals = Arrivals(LIMITS)
    arrivals.refuse(Source.STATE, "a", "text")
    assert not arrivals.has_come(Source.STATE)
    assert arrivals.check(Source.STATE, 0) == Violation("state_timeout", "no joint state with IMU has arrived")
