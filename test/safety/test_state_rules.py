"""What a row of measured states leads to: clocks, floods, frozen sensors, fast joints, stops and falls."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pytest

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.safety.checks import Violation
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.state_rules import FLOOD_WINDOW_NS, FrozenSensors, RateCounter, StampClock, StateRules

MS = 1_000_000
S = 1_000_000_000
ROBOT = RobotSpec(
    "three",
    (
        JointSpec("hip", -1.0, 1.0, 10.0, velocity_limit=4.0),
        JointSpec("knee", -0.5, 2.0, 5.0, velocity_limit=10.0),
        JointSpec("wheel", -math.inf, math.inf, 5.0),
    ),
)
ZERO = (0.0, 0.0, 0.0)
X = np.array([1.0, 0.0, 0.0])


def state(
    at_ns: int = 0,
    position: Sequence[float] = ZERO,
    velocity: Sequence[float] = ZERO,
    rates: Sequence[float] = ZERO,
    tilt: float = 0.0,
    force: Sequence[float] = ZERO,
) -> RobotState:
    orientation = rotations.from_axis_angle(X, tilt)
    return RobotState(at_ns, np.array(position), np.array(velocity), orientation, np.array(rates), np.array(force))


def code(found: Violation | None) -> str:
    return "" if found is None else found.code


# Clocks.


def test_the_first_stamp_is_right_whatever_it_is() -> None:
    assert StampClock().jump(10**18, 5) == 0


def test_stamps_that_run_with_the_arrivals_do_not_jump() -> None:
    clock = StampClock()
    for k in range(10):
        found = clock.jump(7 * S + 2 * MS * k, 3 * S + 2 * MS * k)
        # The expectation yields by a tenth of the time that passes: 0.2 ms in 2 ms.
        assert found == (0 if k == 0 else 200_000)


def test_a_stamp_set_ahead_jumps_once() -> None:
    clock = StampClock()
    clock.jump(5 * S, 5 * S)
    assert clock.jump(7 * S + 10 * MS, 5 * S + 10 * MS) == 2 * S + 1 * MS
    assert clock.jump(7 * S + 20 * MS, 5 * S + 20 * MS) == 1 * MS


def test_a_late_message_is_no_jump_and_neither_is_the_next_in_time() -> None:
    clock = StampClock()
    clock.jump(0, 0)
    assert clock.jump(10 * MS, 310 * MS) == -300 * MS + 31 * MS
    assert clock.jump(320 * MS, 320 * MS) == 31 * MS + 1 * MS


def test_a_simulation_slower_than_real_time_does_not_jump_when_it_catches_up_a_little() -> None:
    clock = StampClock()
    # At half of real time the expectation falls by a tenth of it, and at 0.95 by no more than a twentieth.
    assert clock.jump(0, 0) == 0
    assert clock.jump(500 * MS, 1000 * MS) == -400 * MS
    fast = StampClock()
    fast.jump(0, 0)
    assert fast.jump(950 * MS, 1000 * MS) == 50 * MS


def test_a_clock_that_was_set_back_is_taken_as_it_is_and_the_next_jump_is_found() -> None:
    clock = StampClock()
    clock.jump(10 * S, 10 * S)
    assert clock.jump(7 * S + 100 * MS, 10 * S + 100 * MS) == -3 * S + 10 * MS
    assert clock.jump(7 * S + 200 * MS, 10 * S + 200 * MS) == 10 * MS
    assert clock.jump(8 * S + 300 * MS, 10 * S + 300 * MS) == 1 * S + 10 * MS


@pytest.mark.parametrize(("behind_ns", "taken"), [(2 * S, False), (2 * S + 1, True)])
def test_a_message_may_be_two_seconds_late_and_no_more(behind_ns: int, taken: bool) -> None:
    clock = StampClock()
    clock.jump(10 * S, 0)
    clock.jump(10 * S - behind_ns, 0)
    assert clock.jump(10 * S, 0) == (behind_ns if taken else 0)


def test_arrivals_that_go_back_expect_nothing_less() -> None:
    clock = StampClock()
    clock.jump(10 * S, 10 * S)
    assert clock.jump(10 * S, 8 * S) == 2 * S
    assert clock.jump(8 * S, 6 * S) == 0


def test_after_reset_any_stamp_is_right_again() -> None:
    clock = StampClock()
    clock.jump(0, 0)
    clock.reset()
    assert clock.jump(50 * S, 1 * S) == 0
    assert clock.jump(50 * S + 1000, 1 * S + 1000) == 100


# Floods.


def test_a_rate_is_counted_in_whole_windows() -> None:
    assert FLOOD_WINDOW_NS == 200 * MS
    counter = RateCounter()
    rates = [counter.add(S + 2 * MS * k) for k in range(202)]
    assert rates[:100] == 100 * [0.0]
    assert rates[100] == pytest.approx(500.0)  # a hundred in 0.2 s
    assert rates[199:201] == pytest.approx([500.0, 500.0])
    assert counter.rate == rates[-1]


def test_the_window_ends_with_the_message_that_passes_it() -> None:
    counter = RateCounter()
    assert [counter.add(at) for at in (0, 1, 200 * MS - 1)] == [0.0, 0.0, 0.0]
    assert counter.add(400 * MS) == pytest.approx(7.5)  # three in 0.4 s
    assert counter.add(600 * MS) == pytest.approx(5.0)  # that one in 0.2 s


def test_a_clock_that_went_back_begins_a_window() -> None:
    counter = RateCounter()
    for at in (S, S + 1, S + 2):
        counter.add(at)
    assert counter.add(S - 1) == 0.0
    assert counter.add(S - 1 + 200 * MS) == pytest.approx(5.0)


def test_a_message_at_the_very_beginning_of_the_window_belongs_to_it() -> None:
    counter = RateCounter()
    for at in (0, 0, 0):
        counter.add(at)
    assert counter.add(200 * MS) == pytest.approx(15.0)


def flood(rules: StateRules, what: str, at_ns: int, period_ns: int, seconds: float = 0.25) -> int:
    """Messages of one kind for a while; when the next would come."""
    end_ns = at_ns + round(seconds * 1e9)
    while at_ns < end_ns:
        if what == "IMU":
            rules.imu_came(at_ns, at_ns)
        else:
            rules.judge(at_ns, state(at_ns, rates=(at_ns * 1e-12, 0.0, 0.0)), moving=False)
        at_ns += period_ns
    return at_ns


@pytest.mark.parametrize(("what", "called"), [("IMU", "IMU messages"), ("state", "joint states")])
def test_a_source_that_floods_is_named_until_it_ends(what: str, called: str) -> None:
    rules = StateRules(ROBOT, SafetyLimits(flood_rate=1000.0))
    at_ns = flood(rules, what, 0, 500_000)
    assert rules.flood == Violation("sensor_flood", f"{called} come at 2000 Hz, limit 1000 Hz")
    flood(rules, what, at_ns, 2 * MS, 0.5)
    assert rules.flood is None


def test_the_end_of_a_flood_is_told_by_its_own_source() -> None:
    rules = StateRules(ROBOT, SafetyLimits(flood_rate=1000.0))
    at_ns = flood(rules, "IMU", 0, 500_000)
    flood(rules, "state", 0, 2 * MS)
    assert code(rules.flood) == "sensor_flood"
    flood(rules, "IMU", at_ns, 2 * MS, 0.5)
    assert rules.flood is None


# Numbers that no sensor gives.


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1.7e308, -1.7e308])
@pytest.mark.parametrize("which", ["position", "velocity"])
def test_a_number_that_no_sensor_gives_is_beyond_the_limits_and_no_warning(which: str, number: float) -> None:
    slow = RobotSpec("slow", (JointSpec("wheel", -math.inf, math.inf, 5.0, velocity_limit=0.1), *ROBOT.joints[:2]))
    rules = StateRules(slow, SafetyLimits(position_count=1, joint_speed_count=1))
    values = (0.0, number, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        rules.judge(0, state(0, **{which: values}), moving=True)
        assert code(rules.motion) == ("predicted_position" if which == "position" else "joint_speed")
        rules.judge(1, state(1, **{which: (number, number, number)}), moving=True)


# Frozen sensors.


def frozen_after(
    states: Sequence[RobotState], *, moving: bool, sensors: FrozenSensors | None = None
) -> list[tuple[int, int]]:
    """For each state, how long joints and IMU are frozen; times are the stamps."""
    sensors = sensors or FrozenSensors(3)
    return [sensors.update(s.stamp_ns, s, moving=moving) for s in states]


MOVES = (1e-12, 1e-12, 1e-12)


def test_the_first_state_is_never_frozen() -> None:
    assert frozen_after([state(7 * S)], moving=True) == [(0, 0)]


def test_times_since_the_epoch_are_told_apart_to_the_nanosecond() -> None:
    epoch = 1_700_000_000_000_000_001
    assert frozen_after([state(epoch), state(epoch + 100)], moving=True) == [(0, 0), (100, 100)]


def test_all_that_stays_to_the_bit_while_a_policy_moves_the_robot_is_frozen() -> None:
    states = [state(10 + at) for at in (0, 5, 9)]
    assert frozen_after(states, moving=True) == [(0, 0), (5, 5), (9, 9)]


def test_at_rest_sensors_without_noise_may_repeat_themselves() -> None:
    states = [state(10 + at) for at in (0, 5, 9)]
    assert frozen_after(states, moving=False) == [(0, 0), (0, 0), (0, 0)]


def test_velocities_and_rates_that_stay_though_they_are_not_zero_are_frozen_at_rest_too() -> None:
    joints = [state(10 + at, velocity=(0.0, 0.1, 0.0)) for at in (0, 5, 9)]
    assert frozen_after(joints, moving=False) == [(0, 0), (5, 0), (9, 0)]
    imu = [state(10 + at, rates=(0.0, 0.0, 0.1)) for at in (0, 5, 9)]
    assert frozen_after(imu, moving=False) == [(0, 0), (0, 5), (0, 9)]


def test_one_joint_that_turns_and_stays_where_it_is_is_frozen() -> None:
    states = [
        state(0, (0.0, 0.5, 0.0), (0.1, 0.1, 0.1)),
        state(4, (0.1, 0.5, 0.1), (0.1, 0.1, 0.2)),
        state(9, (0.2, 0.5, 0.2), (0.1, 0.1, 0.1)),
    ]
    assert [joints for joints, _ in frozen_after(states, moving=False)] == [0, 4, 9]


def test_one_joint_held_still_is_not_frozen_while_others_move() -> None:
    states = [state(at, (1e-9 * at, 0.5, 0.0), (0.1, 0.0, 0.0)) for at in (1, 5, 9)]
    assert [joints for joints, _ in frozen_after(states, moving=True)] == [0, 0, 0]


def test_position_or_velocity_that_changes_by_a_bit_is_enough() -> None:
    position = [state(0), state(5, position=MOVES)]
    velocity = [state(0), state(5, velocity=MOVES)]
    for states in (position, velocity):
        assert frozen_after(states, moving=True)[1][0] == 0


def test_it_is_counted_from_the_last_change() -> None:
    states = [state(0), state(4, MOVES), state(9, MOVES), state(11, MOVES), state(15), state(16)]
    assert [joints for joints, _ in frozen_after(states, moving=True)] == [0, 0, 5, 7, 0, 1]


def test_some_that_changed_count_from_then() -> None:
    one = (1e-12, 0.0, 0.0)
    states = [state(0), state(4, one), state(9, one)]
    assert [joints for joints, _ in frozen_after(states, moving=True)] == [0, 0, 5]


@pytest.mark.parametrize("changed", [{"rates": (0.0, 1e-12, 0.0)}, {"tilt": 1e-9}, {"force": (0.0, 0.0, 1e-12)}])
def test_an_imu_of_which_anything_changes_is_not_frozen(changed: dict[str, object]) -> None:
    states = [state(0), state(5), state(6, **changed), state(8, **changed)]  # type: ignore[arg-type]
    assert [imu for _, imu in frozen_after(states, moving=True)] == [0, 5, 0, 2]


def test_after_reset_everything_may_be_as_it_was() -> None:
    sensors = FrozenSensors(3)
    frozen_after([state(0), state(9)], moving=True, sensors=sensors)
    sensors.reset()
    assert frozen_after([state(20), state(21)], moving=True, sensors=sensors) == [(0, 0), (1, 1)]


# Joints, pose and base.


def judged(
    states: Sequence[RobotState], rules: StateRules | None = None, *, moving: bool = False, **limits: float
) -> StateRules:
    """Rules that have seen these states, which arrived at their stamps."""
    rules = rules or StateRules(ROBOT, SafetyLimits(**limits))
    for s in states:
        rules.judge(s.stamp_ns, s, moving=moving)
    return rules


def test_at_first_nothing_is_wrong() -> None:
    rules = StateRules(ROBOT, SafetyLimits())
    assert (rules.sensors, rules.motion, rules.pose, rules.tilt, rules.fall, rules.flood) == 6 * (None,)
    assert rules.base_rate == 0.0
    assert (rules.attitude.tilt, rules.attitude.tilt_rate, rules.attitude.gravity) == (0.0, 0.0, (0.0, 0.0, -1.0))


def test_a_robot_that_stands_and_measures_with_noise_is_well() -> None:
    rng = np.random.default_rng(0)
    states = [state(2 * MS * k, *rng.normal(0.0, 1e-3, (3, 3))) for k in range(1000)]
    rules = judged(states, moving=True)
    assert (rules.sensors, rules.motion, rules.pose, rules.tilt, rules.fall, rules.flood) == 6 * (None,)


def test_a_sensor_that_stopped_is_told_joints_first() -> None:
    # Half a second is allowed, as shipped.
    both = judged([state(0), state(500 * MS)], moving=True)
    assert both.sensors is None
    judged([state(500 * MS + 1)], both, moving=True)
    assert both.sensors == Violation(
        "joints_frozen", "the joint state has not changed by a bit for 0.50 s, limit 0.5 s"
    )
    imu = judged([state(0), state(600 * MS, MOVES)], moving=True)
    assert imu.sensors == Violation("imu_frozen", "the IMU has not changed by a bit for 0.60 s, limit 0.5 s")
    judged([state(601 * MS, ZERO, rates=MOVES)], imu, moving=True)
    assert imu.sensors is None


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_joint_is_too_fast_in_several_states_in_a_row(sign: float) -> None:
    # 1.5 of 4 rad/s is 6.
    limits = {"joint_speed": 1.5, "joint_speed_count": 3}
    fast = [state(2 * MS * k, velocity=(sign * 6.5, 0.0, 0.0)) for k in range(3)]
    assert judged(fast[:2], **limits).motion is None
    assert judged(fast, **limits).motion == Violation(
        "joint_speed", "joint 'hip' moves at 1.62 of its velocity limit in 3 states in a row, limit 1.5"
    )
    at_limit = [state(2 * MS * k, velocity=(sign * 6.0, 0.0, 1e300)) for k in range(9)]
    assert judged(at_limit, **limits).motion is None
    broken = [*fast[:2], state(5 * MS), *fast[:2]]
    assert judged(broken, **limits).motion is None
    assert judged([state(9 * MS)], judged(fast, **limits)).motion is None


def test_a_speed_counts_against_its_own_limit() -> None:
    # 13 rad/s is 1.3 of the knee's limit, and would be more than three of the hip's.
    assert judged([state(k, velocity=(0.0, 13.0, 0.0)) for k in range(9)]).motion is None
    assert judged([state(k, velocity=(0.0, 16.0, 0.0)) for k in range(9)]).motion == Violation(
        "joint_speed", "joint 'knee' moves at 1.60 of its velocity limit in 9 states in a row, limit 1.5"
    )


@pytest.mark.parametrize(
    ("position", "velocity", "beyond"),
    [
        # In 0.5 s at 1 rad/s 0.5 rad further; a margin of 0.25 rad.
        ((0.75, 0.0, 0.0), (1.0, 0.0, 0.0), None),
        ((0.875, 0.0, 0.0), (1.0, 0.0, 0.0), "'hip' will be 0.38"),
        ((-0.75, 0.0, 0.0), (-1.0, 0.0, 0.0), None),
        ((-0.875, 0.0, 0.0), (-1.0, 0.0, 0.0), "'hip' will be 0.38"),
        ((0.0, -0.5, 0.0), (0.0, -1.0, 0.0), "'knee' will be 0.50"),
        ((0.0, 1.75, 0.0), (0.0, 1.0, 0.0), None),
        ((0.0, 0.0, 1e9), (0.0, 0.0, 1e9), None),
        # Beyond and on its way back.
        ((1.5, 0.0, 0.0), (-1.0, 0.0, 0.0), None),
    ],
)
def test_a_joint_on_its_way_through_its_stop(
    position: tuple[float, ...], velocity: tuple[float, ...], beyond: str | None
) -> None:
    limits = {"position_horizon": 0.5, "position_margin": 0.25, "position_count": 2}
    states = [state(2 * MS * k, position, velocity) for k in range(2)]
    assert judged(states[:1], **limits).motion is None
    found = judged(states, **limits).motion
    if beyond is None:
        assert found is None
    else:
        assert found == Violation(
            "predicted_position",
            f"joint {beyond} rad beyond its limits in 0.5 s, in 2 states in a row; limit 0.25 rad",
        )


def test_speed_is_told_before_the_stop() -> None:
    states = [state(2 * MS * k, (5.0, 0.0, 0.0), (60.0, 0.0, 0.0)) for k in range(5)]
    assert code(judged(states).motion) == "joint_speed"
    assert code(judged(states, joint_speed_count=9).motion) == "predicted_position"


@pytest.mark.parametrize(
    ("position", "text"),
    [
        ((1.25, 0.0, 0.0), None),
        ((1.5, 0.0, 0.0), "joint 'hip' is 0.50 rad beyond its limits, limit 0.25 rad"),
        ((-1.25, 0.0, 0.0), None),
        ((-1.5, 0.0, 0.0), "joint 'hip' is 0.50 rad beyond its limits, limit 0.25 rad"),
        ((1.3, 2.5, 1e9), "joint 'knee' is 0.50 rad beyond its limits, limit 0.25 rad"),
    ],
)
def test_a_pose_beyond_the_stops(position: tuple[float, ...], text: str | None) -> None:
    # Moving inward fast does not excuse where a joint is.
    rules = judged([state(0, position, velocity=(-1.0, 0.0, 0.0))], pose_margin=0.25)
    assert rules.pose == (None if text is None else Violation("pose", text))
    judged([state(1)], rules)
    assert rules.pose is None


def test_a_tilt_is_told_at_once_and_is_a_fall_when_it_lasts() -> None:
    rules = judged([state(0, tilt=0.5)], tilt_limit=0.6, tilt_time=0.1, falling_tilt=0.55)
    assert (rules.tilt, rules.fall) == (None, None)
    tilted = Violation("tilt", "tilt 0.70 rad, limit 0.6 rad")
    judged([state(10 * MS, tilt=0.7), state(110 * MS - 1, tilt=0.7)], rules)
    assert (rules.tilt, rules.fall) == (tilted, None)
    judged([state(110 * MS, tilt=0.7)], rules)
    assert (rules.tilt, rules.fall) == (tilted, tilted)
    assert rules.attitude.tilt == pytest.approx(0.7)
    judged([state(120 * MS, tilt=0.5)], rules)
    assert (rules.tilt, rules.fall) == (None, None)
    judged([state(130 * MS, tilt=0.7)], rules)
    assert (rules.tilt, rules.fall) == (tilted, None)


def test_a_robot_on_its_way_down_is_a_fall_when_that_lasts() -> None:
    # 0.5 + 0.25·3 = 1.25 rad, limit 1.
    down = [state(at, tilt=0.5, rates=(3.0, 0.0, 0.0)) for at in (5 * MS, 45 * MS - 1, 45 * MS)]
    rules = judged(down[:2])
    assert (rules.tilt, rules.fall) == (None, None)
    judged(down[2:], rules)
    assert rules.fall == Violation("falling", "tilt 0.50 rad grows by 3.0 rad/s, to 1.25 rad in 0.25 s; limit 1 rad")
    judged([state(46 * MS, tilt=0.5)], rules)
    assert rules.fall is None
    judged([state(47 * MS, tilt=0.5, rates=(3.0, 0.0, 0.0))], rules)
    assert rules.fall is None


def test_a_robot_that_gets_up_again_is_not_on_its_way_down_since_it_fell() -> None:
    down = [state(at * MS, tilt=1.2, rates=(3.0, 0.0, 0.0)) for at in (0, 50, 100)]
    lying = [state(at * MS, tilt=1.5) for at in (150, 200, 5000)]
    fallen = judged([*down, *lying])
    assert fallen.fall is not None
    assert judged([state(5010 * MS, tilt=0.5, rates=(3.0, 0.0, 0.0))], fallen).fall is None


def test_the_mean_rate_of_the_base_is_told() -> None:
    rules = judged([state(0), state(100 * MS, rates=(0.0, 0.0, 2.0))])
    assert rules.base_rate == pytest.approx(2.0 * 0.6321205588)


def test_a_clock_that_jumped_is_told_by_its_source() -> None:
    rules = StateRules(ROBOT, SafetyLimits())
    assert rules.judge(0, state(0), moving=False) is None
    assert rules.imu_came(0, 0) is None
    assert rules.judge(10 * MS, state(S + 10 * MS), moving=False) == Violation(
        "clock_jump", "stamps of the joint state jumped 1.001 s ahead, limit 0.5 s"
    )
    assert rules.imu_came(10 * MS, 10 * MS) is None  # a clock of its own
    assert rules.imu_came(20 * MS, 2 * S + 20 * MS) == Violation(
        "clock_jump", "stamps of the IMU jumped 2.001 s ahead, limit 0.5 s"
    )


# What is forgotten.


def spoilt() -> StateRules:
    """Everything wrong at once, but for its speed."""
    wrong = [state(at, (5.0, 0.0, 0.0), (0.1, 0.0, 0.0), (3.0, 0.0, 0.0), 1.5) for at in range(0, 700 * MS, 50 * MS)]
    rules = judged(wrong)
    rules.imu_came(650 * MS, 650 * MS)
    found = (rules.sensors, rules.motion, rules.pose, rules.tilt, rules.fall)
    assert tuple(map(code, found)) == ("joints_frozen", "predicted_position", "pose", "tilt", "tilt")
    return rules


def test_reset_forgets_all_that_came_before() -> None:
    rules = spoilt()
    rules.reset()
    assert (rules.sensors, rules.motion, rules.pose, rules.tilt, rules.fall) == 5 * (None,)
    # Another clock, the same measurements: each begins anew.
    again = state(100 * S, (5.0, 0.0, 0.0), (0.1, 0.0, 0.0), (3.0, 0.0, 0.0), 1.5)
    assert rules.judge(651 * MS, again, moving=False) is None
    assert rules.imu_came(651 * MS, 100 * S) is None
    assert (rules.sensors, rules.motion, rules.fall) == (None, None, None)
    assert rules.base_rate == pytest.approx(3.0)


def test_reset_forgets_how_the_base_turned() -> None:
    rules = judged([state(0, rates=(9.0, 0.0, 0.0))])
    rules.reset()
    judged([state(1, rates=(0.0, 1.0, 0.0))], rules)
    assert rules.base_rate == pytest.approx(1.0)


@pytest.mark.parametrize("forget", ["reset", "arm"])
def test_what_had_lasted_begins_anew(forget: str) -> None:
    fast = [state(k, velocity=(9.0, 0.0, 0.0), rates=(1e-3 * k, 0.0, 0.0)) for k in range(4)]
    outside = [state(k, (3.0, 0.0, 0.0), rates=(1e-3 * k, 0.0, 0.0)) for k in range(4)]
    tilted = [state(at * MS, tilt=1.2) for at in (0, 90)]
    tipping = [state(at * MS, tilt=0.5, rates=(3.0, 0.0, 0.0)) for at in (0, 35)]
    for row, later_ns, found in (
        (fast, 4, "motion"),
        (outside, 4, "motion"),
        (tilted, 101 * MS, "fall"),
        (tipping, 41 * MS, "fall"),
    ):
        last = row[-1]
        more = RobotState(later_ns, last.joint_position, last.joint_velocity, last.orientation, last.angular_velocity)
        assert getattr(judged([more], judged(row)), found) is not None
        rules = judged(row)
        getattr(rules, forget)()
        assert getattr(judged([more], rules), found) is None


def test_arm_forgets_how_long_sensors_repeated_themselves_and_keeps_the_clocks() -> None:
    rules = judged([state(0, velocity=(0.1, 0.0, 0.0)), state(400 * MS, velocity=(0.1, 0.0, 0.0))])
    rules.arm()
    judged([state(600 * MS, velocity=(0.1, 0.0, 0.0))], rules)
    assert rules.sensors is None
    assert code(rules.judge(610 * MS, state(2 * S), moving=False)) == "clock_jump"
