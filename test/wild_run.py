"""A policy and a safety monitor fed a random run: sensors, falls, nonsense, operators; with a clock of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny_policy import write_policy

from humanoid_rl_ros.bags.coupled import CoupledControls
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.policy_control import PolicyControl, PolicySettings
from humanoid_rl_ros.control.safety_control import PUBLISHER_COUNTS, SafetyControl, SafetySettings
from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces.cdr import ENCAPSULATION, ImuWriter, JointStateWriter
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.safety.limits import SafetyLimits

MS = 1_000_000


def behaviours(folder: Path, robot: RobotSpec, *names: str) -> dict[str, PolicyBehaviour]:
    """Tiny policies that remember much: history, low-pass, delay, clock."""
    made = {}
    for k, name in enumerate(names):
        where = folder / name
        if not where.exists():
            action = {"kind": "position_offset", "scale": 0.25, "low_pass": 0.5 + 0.1 * k, "delay": k}
            terms = [{"term": t} for t in ("base_ang_vel", "projected_gravity", "velocity_commands", "joint_pos_rel")]
            terms += [{"term": "joint_vel_rel", "scale": 0.05}, {"term": "last_action"}]
            history = {"length": 2, "layout": "time_major", "order": "oldest_first"}
            write_policy(
                where,
                robot,
                action=action,
                observation={"terms": terms, "history": history},
                entry_blend=0.05 * k,
                effort_low_pass=0.7,
                target_low_pass=0.8,
                command={"slew_rate": [0.5, 0.5, 0.5]},
            )
        bundle = load_bundle(where)
        made[name] = PolicyBehaviour(bundle, robot, bundle.load_network())
    return made


def controls(folder: Path, robot: RobotSpec, *, lockstep: bool) -> CoupledControls:
    """Fresh ones, always of the same parts."""
    found = behaviours(folder, robot, "first", "second", "up")
    get_up = found.pop("up")
    settings = PolicySettings(lockstep=lockstep, clock_may_reset=True, switch_blend=0.1)
    limits = SafetyLimits(fallen_time=0.05, upright_time=0.05, verify_time=0.05, frozen_time=0.3, upright_pose=3.0)
    safety = SafetySettings(lockstep=lockstep, clock_may_reset=True, stamped_commands=lockstep)
    return CoupledControls(
        lambda outlet: PolicyControl(robot, settings, found, get_up, outlet),
        lambda outlet: SafetyControl(robot, limits, safety, outlet),
        {},
    )


class WildRun:
    """Draws what comes next.

    Args:
        robot: the robot.
        seed: of it all.
    """

    def __init__(self, robot: RobotSpec, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._joints = JointStateWriter(robot.joint_names, ("position", "velocity", "effort"))
        self._imu = ImuWriter("imu")
        self._robot = robot
        self._stamp = 0
        self._now = 5_000 * MS
        self._tilt = 0.0

    def entries(self, steps: int) -> list[tuple[str, Entry, int, bytes]]:
        """So many steps: which control, what, when, and its bytes."""
        out: list[tuple[str, Entry, int, bytes]] = [("both", Entry.START, self._now, b"")]
        for _ in range(steps):
            out += self._step()
        return out

    def _step(self) -> list[tuple[str, Entry, int, bytes]]:
        rng = self._rng
        self._now += int(rng.choice([2, 5, 5, 5, 9])) * MS
        chance = rng.random()
        if chance < 0.03:
            return [
                ("safety", rng.choice([Entry.ARM, Entry.DISARM, Entry.RESET, Entry.EMERGENCY_STOP]), self._now, b"")
            ]
        if chance < 0.10:
            return [("safety", Entry.ARM, self._now, b"")]
        if chance < 0.12:
            return [("safety", Entry.PUBLISHERS, self._now, PUBLISHER_COUNTS.pack(1, int(rng.integers(1, 3))))]
        if chance < 0.20:
            return [("safety", Entry.TICK, self._now, b"")]
        if chance < 0.23:
            twist = rng.normal(0.0, 0.5, 6)
            return [
                ("policy", Entry.VELOCITY_COMMAND, self._now, ENCAPSULATION + bytes(12) + bytes(4) + twist.tobytes())
            ]
        if chance < 0.25:
            return [("policy", Entry.SWITCH, self._now, rng.choice([b"first", b"second", b"third"]))]
        return self._measured()

    def _measured(self) -> list[tuple[str, Entry, int, bytes]]:
        rng, n = self._rng, self._robot.n_joints
        self._stamp += 5 * MS if rng.random() < 0.98 else 0
        if rng.random() < 0.003:
            self._stamp = 0  # a simulation that is reset
        if rng.random() < 0.02:
            self._tilt = float(rng.choice([0.0, 0.0, 0.2, 1.4]))
        position = self._robot.default_position + rng.normal(0.0, 0.02, n)
        velocity = rng.normal(0.0, 0.1, n)
        if rng.random() < 0.01:
            velocity[0] = rng.choice([np.nan, 1e9])
        orientation = rotations.from_axis_angle(np.array([0.0, 1.0, 0.0]), self._tilt)
        rates, force = rng.normal(0.0, 0.01, 3), np.array([0.0, 0.0, 9.81])
        imu = self._imu.write(self._stamp, orientation[[1, 2, 3, 0]], rates, force)
        joints = self._joints.write(self._stamp, "", position, velocity, np.zeros(n))
        if rng.random() < 0.01:
            joints = joints[: int(rng.integers(0, len(joints)))]
        return [("both", Entry.IMU, self._now, imu), ("both", Entry.JOINT_STATES, self._now + 1000, joints)]


def feed(coupled: CoupledControls, entries: list[tuple[str, Entry, int, bytes]]) -> list[tuple[str, bytes]]:
    """Feed them; all that is said."""
    to = {"both": coupled.to_both, "safety": coupled.to_safety, "policy": coupled.to_policy}
    for node, entry, now_ns, data in entries:
        to[node](Entry(entry), now_ns, bytes(data))
    said = [(item.topic.name, item.data) for item in coupled.said]
    coupled.said.clear()
    return said
