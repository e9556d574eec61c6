"""What a broken policy, sensor or clock might send, and what must come out of the clamp all the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from humanoid_rl_ros.core.arrays import BoolArray, FloatArray
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.safety.envelope import Envelope
from humanoid_rl_ros.safety.limits import SafetyLimits

MS = 1_000_000
# Where an effort may claim to answer a state that is not there yet, and the most that counts as having passed.
AHEAD_NS, LONGEST_NS = 20 * MS, 100 * MS
RUN = 200
"""Calls of one kind in a row: long enough for a joint to get warm and for a rate to be seen."""

_HOSTILE = np.array(
    [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e308, -1e308, 1e-9, -1e-9, 1e18, -1e18]
)
_UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
_STILL = np.zeros(3)


def robots() -> tuple[RobotSpec, ...]:
    """With stops and without, one-sided, narrow; slow, fast and without a speed limit; tiny and huge."""
    inf = math.inf
    return (
        RobotSpec(
            "ordinary",
            (
                JointSpec("hip", -1.5, 1.5, 60.0, 20.0, kd=2.0),
                JointSpec("knee", -0.1, 2.0, 40.0, 8.0, kd=1.0, continuous_effort=15.0),
                JointSpec("wheel", -inf, inf, 15.0, 50.0, kd=0.1),
                JointSpec("arm", -2.0, 2.0, 8.0, kd=0.0),
            ),
        ),
        RobotSpec(
            "odd",
            (
                JointSpec("narrow", -1e-3, 1e-3, 5.0, 1.0, kd=0.5),
                JointSpec("upwards", -inf, 0.5, 5.0, inf, kd=0.5),
                JointSpec("downwards", -0.5, inf, 5.0, 3.0, kd=0.5),
                JointSpec("weak", -1.0, 1.0, 1e-300, 1e-3, kd=1e3),
                JointSpec("strong", -1.0, 1.0, 1e6, 1e9, kd=1e6),
            ),
        ),
        RobotSpec("one", (JointSpec("only", 0.25, 0.75, 100.0, 10.0, 0.5, kd=5.0),)),
    )


def wild_inputs(
    rng: np.random.Generator, robot: RobotSpec, count: int
) -> Iterator[tuple[FloatArray, RobotState, int | None]]:
    """Efforts with the state they meet and the stamp they claim.

    In runs of 200, of four kinds: ordinary; at the limits, held; anything at all; and numbers that are none.

    Args:
        rng: the same seed gives the same inputs.
        robot: whose limits they lie about.
        count: how many.

    Yields:
        Effort [N·m; Shape (n,)], state, stamp [ns] or None for that of the state.
    """
    now_ns = int(rng.integers(0, 2**40))
    for begin in range(0, count, RUN):
        length = min(RUN, count - begin)
        kind = rng.choice(4, p=[0.3, 0.4, 0.2, 0.1])
        effort = _efforts(rng, robot, length, kind)
        position, velocity = _positions(rng, robot, length, kind), _velocities(rng, robot, length, kind)
        stamps, claimed, now_ns = _stamps(rng, now_ns, length, kind)
        for k in range(length):
            state = RobotState(stamps[k], position[k], velocity[k], _UPRIGHT, _STILL)
            yield effort[k], state, claimed[k]


def _spoil(rng: np.random.Generator, values: FloatArray, kind: int) -> FloatArray:
    """Put hostile numbers in: none or few of ordinary kinds, many of the wild ones."""
    share = (0.0, 0.002, 0.1, 0.6)[kind]
    return np.where(rng.random(values.shape) < share, rng.choice(_HOSTILE, values.shape), values)


def _efforts(rng: np.random.Generator, robot: RobotSpec, length: int, kind: int) -> FloatArray:
    shape = (length, robot.n_joints)
    if kind == 1:  # held, at a few times what the joint may give
        share = np.broadcast_to(rng.choice([-3.0, -1.0, 0.5, 1.0, 3.0], robot.n_joints), shape).copy()
        share += rng.normal(0.0, 0.01, shape)
    else:
        share = rng.normal(0.0, 1.0, shape)
    if kind >= 2:
        share *= 10.0 ** rng.uniform(-12.0, 12.0, shape)
    return _spoil(rng, share * robot.effort_limit, kind)


def _positions(rng: np.random.Generator, robot: RobotSpec, length: int, kind: int) -> FloatArray:
    shape = (length, robot.n_joints)
    lower = np.where(np.isfinite(robot.lower), robot.lower, -3.0)
    upper = np.where(np.isfinite(robot.upper), robot.upper, 3.0)
    position = rng.uniform(lower, upper, shape)
    near = np.where(rng.random(shape) < 0.5, lower, upper)
    near = near + rng.choice([0.0, 1e-12, -1e-12, 0.005, -0.005, 0.01, -0.01, 0.3, -0.3], shape)
    if kind == 1:
        # Most of a run at one place, so that efforts stay as they are for as long as joints take to get warm.
        position = np.broadcast_to(position[0], shape)
    return _spoil(rng, np.where(rng.random(shape) < (0.25, 0.02, 0.5, 0.5)[kind], near, position), kind)


def _velocities(rng: np.random.Generator, robot: RobotSpec, length: int, kind: int) -> FloatArray:
    shape = (length, robot.n_joints)
    limit = np.where(np.isfinite(robot.velocity_limit), robot.velocity_limit, 30.0)
    share = rng.choice([0.0, 0.5, 0.89, 0.9, 0.95, 1.0, 1.0 + 1e-9, 1.5], shape) * rng.choice([-1.0, 1.0], shape)
    share = np.where(rng.random(shape) < 0.5, share, rng.uniform(-1.2, 1.2, shape))
    return _spoil(rng, share * limit * (1.0, 0.3, 1.0, 1e6)[kind], kind)


def _stamps(rng: np.random.Generator, now_ns: int, length: int, kind: int) -> tuple[list[int], list[int | None], int]:
    """Stamps of the states and of the efforts, and the time after them."""
    if kind == 1:
        steps = np.full(length, int(rng.choice([2 * MS, 20 * MS, 99 * MS])))
    else:
        steps = rng.choice([2 * MS, 2 * MS, 20 * MS, 0, 1, LONGEST_NS, LONGEST_NS + 1, 10**12], length)
    times = now_ns + np.cumsum(steps)
    # A stamp goes back for once; time itself does not.
    back = rng.choice([0, 1, 2 * MS, 10**15], length) * (rng.random(length) < (0.0, 0.002, 0.2, 0.2)[kind])
    stamps = (times - back).tolist()
    shift = rng.choice([0, 0, -2 * MS, AHEAD_NS, AHEAD_NS + 1, 5 * MS, 10**16, -(10**16)], length).tolist()
    alone = (rng.random(length) < 0.7).tolist()
    claimed = [None if a else s + d for s, d, a in zip(stamps, shift, alone, strict=True)]
    return stamps, claimed, int(times[-1])


@dataclass(frozen=True, eq=False)
class Calls:
    """What went into the clamp and what came out, one row for each call.

    Attributes:
        asked, sent, damping: as asked, as clamped, and the damping of the same state [N·m; Shape (calls, n)].
        position, velocity: measured [rad], [rad/s; Shape (calls, n)].
        allowed: what each joint might give just before, warm as it was [N·m; Shape (calls, n)].
        warmth: just after [Shape (calls, n)].
        before: effort sent before [N·m; Shape (calls, n)]; NaN where there was none to change from.
        passed: time since the newest stamp before, between 0 and 0.1 s [s; Shape (calls,)].
        changed, non_finite: as the clamp says [Shape (calls, n)], [Shape (calls,)].
    """

    asked: FloatArray
    sent: FloatArray
    damping: FloatArray
    position: FloatArray
    velocity: FloatArray
    allowed: FloatArray
    warmth: FloatArray
    before: FloatArray
    passed: FloatArray
    changed: BoolArray
    non_finite: BoolArray


def play(
    envelope: Envelope,
    robot: RobotSpec,
    inputs: Iterable[tuple[FloatArray, RobotState, int | None]],
    *,
    scale: float = 1.0,
    reset_every: int = 0,
) -> Calls:
    """Send inputs through an envelope that has sent nothing yet, or was just reset.

    Args:
        envelope: as its robot's limits made it.
        robot: the robot.
        inputs: as of `wild_inputs`.
        scale: share of the effort limits.
        reset_every: calls after which it is reset, every second time with the warmth of its joints; 0 for never.

    Raises:
        StateError: what came out has not one double for each joint.
    """
    rows = []
    before, newest_ns = np.full(robot.n_joints, math.nan), 0
    watcher = Envelope(robot, SafetyLimits())  # its damping, so that the envelope's own account is not disturbed
    for k, (effort, state, stamp_ns) in enumerate(inputs):
        if reset_every and k and k % reset_every == 0:
            (envelope.restart if k // reset_every % 2 else envelope.reset)()
            before = np.full(robot.n_joints, math.nan)
        answered_ns = state.stamp_ns if stamp_ns is None else min(stamp_ns, state.stamp_ns + AHEAD_NS)
        fresh = bool(np.isnan(before).any())
        passed = 0.0 if fresh else min(max(answered_ns - newest_ns, 0), LONGEST_NS) * 1e-9
        newest_ns = answered_ns if fresh else max(newest_ns, answered_ns)
        allowed = envelope.thermal.allowed()
        out = envelope.clamp(effort, state, stamp_ns, scale=scale)
        if out.effort.shape != (robot.n_joints,) or out.effort.dtype != np.float64:
            raise StateError(f"the clamp gave {out.effort.dtype} of shape {out.effort.shape}")
        damping = watcher.damping(state)
        measured = (state.joint_position, state.joint_velocity, allowed, envelope.thermal.warmth)
        rows.append((effort, out.effort, damping, *measured, before, passed, out.changed, out.non_finite))
        before = out.effort
    return Calls(*map(np.array, zip(*rows, strict=True)))


def broken_promises(robot: RobotSpec, limits: SafetyLimits, calls: Calls, *, scale: float = 1.0) -> list[str]:
    """What the clamp promises and did not keep.

    Args:
        robot: whose limits hold.
        limits: as the envelope was made with.
        calls: what went in and came out.
        scale: as `play` was given.

    Returns:
        The promises broken, each by its name; empty if all were kept in every call.
    """
    sent, velocity = calls.sent, calls.velocity
    most = robot.effort_limit * (limits.effort_scale * scale)
    warm = calls.allowed * (limits.effort_scale * scale)
    slack = 1e-9 * robot.effort_limit * limits.effort_scale
    with np.errstate(over="ignore", invalid="ignore"):
        driven = np.sign(sent) * np.sign(velocity) > 0.0
        power = np.where(driven, sent * velocity, 0.0).sum(axis=1)
        damping_drives = (np.sign(calls.damping) * np.sign(velocity) > 0.0).any()
    low, high = reach(robot, limits, calls, warm)
    bad = ~np.isfinite(calls.asked)
    same = ~calls.changed
    at_upper = (calls.position >= robot.upper) & np.isfinite(robot.upper)
    at_lower = (calls.position <= robot.lower) & np.isfinite(robot.lower)
    kept = {
        "finite": np.isfinite(sent).all(),
        "effort limit": (np.abs(sent) <= most).all(),
        "what a warm joint may give": (np.abs(sent) <= warm).all(),
        "warmth": (calls.warmth >= 0.0).all() and (calls.warmth <= 1.0 + 1e-6).all(),
        "power": (power <= limits.power_limit * (1.0 + 1e-9)).all(),
        "velocity limit": (sent[driven & (np.abs(velocity) >= robot.velocity_limit)] == 0.0).all(),
        "upper stop": (np.where(at_upper, sent, 0.0) <= slack).all(),
        "lower stop": (np.where(at_lower, sent, 0.0) >= -slack).all(),
        "lowest effort": (sent >= low - slack).all(),
        "highest effort": (sent <= high + slack).all(),
        "damping is finite": np.isfinite(calls.damping).all(),
        "damping limit": (np.abs(calls.damping) <= robot.effort_limit).all(),
        "damping drives nothing": not damping_drives,
        "NaN is counted": (calls.non_finite == bad.any(axis=1)).all() and calls.changed[bad].all(),
        "unchanged is unchanged": (np.abs(sent - calls.asked)[same] <= np.broadcast_to(slack, sent.shape)[same]).all(),
    }
    return [name for name, fine in kept.items() if not fine]


def reach(robot: RobotSpec, limits: SafetyLimits, calls: Calls, warm: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The smallest and the largest effort that rate, stops, speed and power leave [N·m; Shape (calls, n)].

    From the effort before no further than the rate. Towards a stop: the whole limit where the margin begins, and by
    `soft_position_stiffness` limits per margin less from there. On in the direction of motion: the whole up to the
    corner speed, and in proportion to what is left of the way to the velocity limit from there. With too much power
    anything nearer to zero. The later has the last word.
    """
    full = robot.effort_limit * limits.effort_scale
    margin = np.minimum(limits.soft_position_margin, (robot.upper - robot.lower) / 4.0)
    position, velocity = calls.position, calls.velocity
    with np.errstate(over="ignore", invalid="ignore"):
        step = robot.effort_limit * limits.effort_rate * calls.passed[:, None]
        low, high = np.fmax(calls.before - step, -warm), np.fmin(calls.before + step, warm)  # NaN: no effort before

        above = (position - (robot.upper - margin)) / margin
        below = (robot.lower + margin - position) / margin
        ceiling = np.where(above > 0.0, full * (1.0 - limits.soft_position_stiffness * above), warm)
        floor = np.where(below > 0.0, full * (limits.soft_position_stiffness * below - 1.0), -warm)
        low, high = (np.clip(np.clip(end, floor, ceiling), -warm, warm) for end in (low, high))

        speed = np.abs(velocity) / robot.velocity_limit
        left = np.where(speed > limits.speed_corner, np.maximum(1.0 - speed, 0.0) / (1.0 - limits.speed_corner), 1.0)
        up, down = velocity > 0.0, velocity < 0.0
        low, high = (np.where(up, np.minimum(end, warm * left), end) for end in (low, high))
        low, high = (np.where(down, np.maximum(end, -warm * left), end) for end in (low, high))

        most = np.where(up, high * velocity, np.where(down, low * velocity, 0.0))
        strained = np.fmax(most, 0.0).sum(axis=1, keepdims=True) > limits.power_limit
    return np.where(strained, np.minimum(low, 0.0), low), np.where(strained, np.maximum(high, 0.0), high)
