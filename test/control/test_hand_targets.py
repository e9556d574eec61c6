"""Where the hands are asked to be is part of a control's state, and of no other policy's answer."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from tiny_policy import write_network, write_policy, write_robot

from humanoid_rl_ros.bags.coupled import CoupledControls
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.policy_control import PolicyControl, PolicySettings
from humanoid_rl_ros.control.safety_control import SafetyControl, SafetySettings
from humanoid_rl_ros.control.snapshot import Snapshot
from humanoid_rl_ros.core.robot import RobotSpec, load_robot
from humanoid_rl_ros.interfaces.cdr import ENCAPSULATION, ImuWriter, JointStateWriter
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.safety.limits import SafetyLimits

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

MS = 1_000_000
HAND = {"x": [-1.0, 1.0], "y": [-1.0, 1.0], "z": [-1.0, 1.0], "neutral": [0.1, 0.0, 0.0]}
TARGETS = [0.3, 0.2, 0.1, 0.3, -0.2, 0.1]


class Run:
    """A policy that sees its hands' targets, and its monitor, fed by hand."""

    def __init__(self, folder: Path) -> None:
        self._robot = robot = load_robot(write_robot(folder))
        reaching, plain = self._behaviour(folder / "reaching", robot), self._behaviour(folder / "plain", robot)
        settings = PolicySettings(lockstep=True, clock_may_reset=True)
        safety = SafetySettings(lockstep=True, clock_may_reset=True, stamped_commands=True)
        self.controls = CoupledControls(
            lambda outlet: PolicyControl(robot, settings, {"reaching": reaching, "plain": plain}, None, outlet),
            lambda outlet: SafetyControl(robot, SafetyLimits(), safety, outlet),
            {},
        )
        self.policy = self.controls.policy
        self._joints, self._imu = JointStateWriter(robot.joint_names, ("position", "velocity", "effort")), ImuWriter("")
        self.made = Snapshot(self.policy), Snapshot(self.controls.safety)
        self.stamp = 0

    @staticmethod
    def _behaviour(where: Path, robot: RobotSpec) -> PolicyBehaviour:
        terms = [
            {"term": "hand_targets" if where.name == "reaching" else "velocity_commands"},
            {"term": "joint_pos_rel"},
        ]
        hands = {"hand_targets": {"frame": "pelvis", "left": HAND, "right": HAND, "speed": 0.5}}
        write_policy(where, robot, observation={"terms": terms}, **(hands if where.name == "reaching" else {}))
        write_network(where / "policy.onnx", 8 if where.name == "reaching" else 5, 2, 0.3)
        bundle = load_bundle(where)
        return PolicyBehaviour(bundle, robot, bundle.load_network())

    def measured(self, count: int = 1) -> Run:
        for _ in range(count):
            self.stamp += 5 * MS
            noise = 0.01 * np.sin(self.stamp * 1e-8 * np.arange(1.0, 6.0))  # sensors that stand still are frozen
            force, upright = np.array([0.0, 0.0, 9.81]) + noise[2:], np.array([0.0, 0.0, 0.0, 1.0])
            imu = self._imu.write(self.stamp, upright, noise[:3], force)
            position = self._robot.default_position + noise[:2]
            joints = self._joints.write(self.stamp, "", position, noise[3:], np.zeros(2))
            self.controls.to_both(Entry.IMU, self.stamp, imu)
            self.controls.to_both(Entry.JOINT_STATES, self.stamp, joints)
        return self

    def active(self) -> Run:
        self.controls.to_both(Entry.START, self.stamp, b"")
        self.measured(20)
        self.controls.to_safety(Entry.ARM, self.stamp, b"")
        return self.measured(5)

    def ask(self, frame: bytes = b"pelvis\0") -> Run:
        poses = np.concatenate([np.reshape(TARGETS, (2, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (2, 1))], axis=1)
        head = ENCAPSULATION + bytes(8) + struct.pack("<I", len(frame)) + frame + bytes(-len(frame) % 4)
        self.controls.to_policy(Entry.HAND_TARGETS, self.stamp, head + struct.pack("<I", 2) + poses.tobytes())
        return self

    def seen(self) -> list[float]:
        """What the network was shown last of the targets."""
        step = self.policy.policies["reaching"].last_step
        assert step is not None
        return [round(float(v), 6) for v in step.observation[:6]]

    def said(self) -> list[tuple[str, bytes]]:
        found = [(item.topic.name, item.data) for item in self.controls.said]
        self.controls.said.clear()
        return found


def test_a_target_on_its_way_goes_on_to_the_bit(tmp_path: Path) -> None:
    run = Run(tmp_path).active().ask().measured(12)
    assert 0.1 < run.seen()[0] < 0.3
    states = [snapshot.capture() for snapshot in run.made]
    assert [snapshot.lost for snapshot in run.made] == [[], []]
    run.said()
    expected = run.measured(120).said()
    np.testing.assert_allclose(run.seen(), TARGETS, atol=1e-6)
    fresh = Run(tmp_path)
    for snapshot, state in zip(fresh.made, states, strict=True):
        snapshot.restore(state)
    fresh.stamp = run.stamp - 600 * MS
    assert fresh.measured(120).said() == expected


def test_a_policy_without_hands_takes_no_targets(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.policy.take(Entry.SWITCH, 0, b"plain") == (True, "'tiny' takes over from 'tiny'")
    run.active().ask().measured(12)
    assert run.policy.refused == 1
    assert run.policy._hands is None


def test_what_is_asked_while_the_policy_does_not_run_is_not_kept(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.controls.to_both(Entry.START, 0, b"")
    neutral = [0.1, 0.0, 0.0, 0.1, 0.0, 0.0]
    run.measured(3).ask()
    assert run.active().measured(20).seen() == neutral
    assert run.ask(b"elbow\0").measured(20).seen() == neutral
    assert run.policy.refused == 1
    assert run.ask().measured(120).seen() == pytest.approx(TARGETS, abs=1e-6)
    run.controls.to_safety(Entry.DISARM, run.stamp, b"")
    run.measured(3)
    assert run.active().measured(20).seen() == neutral
