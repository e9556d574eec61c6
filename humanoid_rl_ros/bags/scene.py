"""A recording as something that can be fed to controls: what comes when, and what it is fed to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from humanoid_rl_ros.bags.coupled import CoupledControls, Said
from humanoid_rl_ros.bags.rebuild import make_behaviour
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.outlet import Outlet
from humanoid_rl_ros.control.policy_control import PolicyControl, PolicySettings
from humanoid_rl_ros.control.safety_control import SafetyControl, SafetySettings
from humanoid_rl_ros.control.snapshot import Snapshot
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces.journal import BEGIN, KEY
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.contract import require_contract
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.status import SafetyState


@dataclass(frozen=True)
class WhatIf:
    """What is asked.

    Attributes:
        namespace: of the recording; None: the one there is.
        robot: as `find_robot` takes it; empty: that of the recording, or the policy's own.
        policy: as `find_policy` takes it; empty: that of the recording.
        limits: safety YAML; empty: those of the recording, or the shipped ones.
        get_up: bundle that gets the robot up; empty: that of the recording, or none.
        bundles: folders where bundles of the recording are looked for first.
        base_velocity_topic: odometry in the bag of the base's velocity, for policies that observe it.
    """

    namespace: str | None = None
    robot: str = ""
    policy: str = ""
    limits: str = ""
    get_up: str = ""
    bundles: tuple[Path, ...] = ()
    base_velocity_topic: str = ""


THEN = "then"
"""What is not fed: whether the robot was armed at that time."""


class Fed(NamedTuple):
    """Something to feed.

    Attributes:
        wall_ns: when it came, on the recorder's clock or the node's wall clock [ns].
        order: among those of the same time.
        node: ``policy``, ``safety``, ``both``, or ``then``.
        kind: of the entry.
        now_ns: on the clock that is fed [ns].
        data: its bytes.
    """

    wall_ns: int
    order: int
    node: str
    kind: int
    now_ns: int
    data: bytes


@dataclass
class Scene:
    """What is fed, and to what.

    Attributes:
        robot: the robot.
        policy: name of the policy's bundle.
        namespace: of the topics in the bag.
        fed: in order.
        make_policy, make_safety: make the controls.
        has_journal: whether the nodes' own journals are fed; otherwise sensor topics, armed whenever that can be.
        same_policy: whether the recorded state of the policy node can be gone on from.
        stamped_commands: whether joint commands are `JointState`.
        refusals: what the policy refused while it was fed, and how often; filled in by `run_scene`.
    """

    robot: RobotSpec
    policy: str
    namespace: str
    fed: Iterator[Fed]
    make_policy: Callable[[Outlet], PolicyControl]
    make_safety: Callable[[Outlet], SafetyControl]
    has_journal: bool
    same_policy: bool
    stamped_commands: bool = True
    refusals: dict[str, int] = field(default_factory=dict)


def run_scene(scene: Scene) -> Iterator[Said]:
    """Feed it all.

    Args:
        scene: what, and to what.

    Yields:
        All that is said.

    Raises:
        BagError: a recorded state cannot be gone on from.
    """
    coupled = CoupledControls(scene.make_policy, scene.make_safety, scene.refusals)
    snapshots = {"policy": Snapshot(coupled.policy), "safety": Snapshot(coupled.safety)}
    feed = {"policy": coupled.to_policy, "safety": coupled.to_safety, "both": coupled.to_both}
    begun: set[str] = set()
    armed_then = True
    for item in scene.fed:
        coupled.wall_ns = item.wall_ns
        if item.node == THEN:
            armed_then = item.kind == Entry.ARM
        elif item.kind == BEGIN or (item.kind == KEY and item.node not in begun):
            begun.add(item.node)
            _begin(item, scene, coupled, snapshots[item.node])
        elif item.kind == KEY:
            continue
        elif item.kind == Entry.EFFORT and "policy" in begun:
            continue  # what the policy says, it says anew
        elif item.node in begun or not scene.has_journal:
            feed[item.node](Entry(item.kind), item.now_ns, item.data)
            if armed_then and not scene.has_journal and coupled.safety.monitor.state is SafetyState.READY:
                coupled.to_safety(Entry.ARM, item.now_ns)  # nobody recorded when the operator did
        yield from coupled.said
        coupled.said.clear()


def _begin(item: Fed, scene: Scene, coupled: CoupledControls, snapshot: Snapshot) -> None:
    """Go on from the first recorded state; another policy begins afresh."""
    if item.node == "safety":
        snapshot.restore(item.data)
        coupled.announce(item.now_ns)
    elif scene.same_policy:
        snapshot.restore(item.data)
    else:
        coupled.to_policy(Entry.START, item.now_ns)
        coupled.announce(item.now_ns)


def fitting_behaviour(bundle: PolicyBundle, robot: RobotSpec, base_velocity: str = "") -> PolicyBehaviour:
    """A policy on a robot that it fits.

    Raises:
        HumanoidError: it does not fit, or cannot be loaded.
    """
    require_contract(bundle, robot, base_velocity=base_velocity)
    return make_behaviour(bundle, robot, None)


def policy_maker(
    robot: RobotSpec,
    settings: PolicySettings,
    policies: Mapping[str, PolicyBehaviour],
    get_up: PolicyBehaviour | None,
) -> Callable[[Outlet], PolicyControl]:
    """Makes the control of a policy node of these."""

    def make(outlet: Outlet) -> PolicyControl:
        return PolicyControl(robot, settings, policies, get_up, outlet)

    return make


def safety_maker(robot: RobotSpec, limits: SafetyLimits, settings: SafetySettings) -> Callable[[Outlet], SafetyControl]:
    """Makes the control of a safety monitor of these."""
    return partial(SafetyControl, robot, limits, settings)
