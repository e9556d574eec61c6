"""The journals of a recording fed to another policy or other limits."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from humanoid_rl_ros.bags.bundles import BUNDLES
from humanoid_rl_ros.bags.journals import JournalReport, read_setups, read_stretches
from humanoid_rl_ros.bags.namespaces import full_name
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.rebuild import recorded_policies, recorded_robot
from humanoid_rl_ros.bags.scene import Fed, Scene, WhatIf, fitting_behaviour, policy_maker, safety_maker
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.setup import NodeSetup
from humanoid_rl_ros.core.errors import BagError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.journal import BEGIN, KEY, SAID
from humanoid_rl_ros.policies.bundle import ESTIMATOR
from humanoid_rl_ros.resources import find_policy, find_robot, safety_file
from humanoid_rl_ros.safety.limits import SafetyLimits, load_safety_limits

SENSED = (Entry.JOINT_STATES, Entry.IMU)
TO_POLICY = frozenset(
    {
        *(*SENSED, Entry.VELOCITY_COMMAND, Entry.HAND_TARGETS, Entry.BASE_VELOCITY),
        *(Entry.START, Entry.STOP, Entry.SWITCH),
    }
)
"""What of a policy node's journal is fed; what the monitor says, it says anew."""
TO_SAFETY = frozenset(Entry)
"""What of a safety monitor's journal is fed; efforts only until the policy's own journal begins."""


def journal_scene(bag: Bag, asked: WhatIf, namespace: str) -> Scene:
    """The scene of a recording with journals.

    Raises:
        BagError: what it needs was not recorded, or is not here.
    """
    setups = {}
    for node, topic in (("policy", topics.POLICY_SETUP), ("safety", topics.SAFETY_SETUP)):
        found = read_setups(bag, topic, namespace)
        if not found:
            raise BagError(f"{bag.path}: {full_name(topic, namespace)} was not recorded")
        setups[node] = found[0][1]
    recorded = recorded_robot(setups["policy"])
    robot = find_robot(asked.robot) if asked.robot else recorded
    if robot.joint_names != recorded.joint_names:
        raise BagError(
            f"robot '{robot.name}' has other joints than '{recorded.name}' of the recording: "
            "what the one measured says nothing of the other"
        )
    if asked.base_velocity_topic:
        raise BagError("--base-velocity-topic is of bags without journals; here the recorded one is fed")
    policies, get_up = _policies(asked, setups["policy"], robot, (*asked.bundles, bag.folder / BUNDLES))
    limits = _limits(asked, setups["safety"])
    settings = setups["safety"].safety_settings()
    return Scene(
        robot,
        next(iter(policies.values())).bundle.name,
        namespace,
        _journal_fed(bag, namespace),
        policy_maker(robot, setups["policy"].policy_settings(), policies, get_up),
        safety_maker(robot, limits, settings),
        has_journal=True,
        same_policy=not (asked.policy or asked.get_up or asked.robot),
        stamped_commands=settings.stamped_commands,
    )


def _limits(asked: WhatIf, setup: NodeSetup) -> SafetyLimits:
    recorded = setup.safety_limits()
    if not asked.limits:
        return recorded
    return replace(load_safety_limits(safety_file(asked.limits)), flood_rate=recorded.flood_rate)


def _policies(
    asked: WhatIf, setup: NodeSetup, robot: RobotSpec, folders: Sequence[Path]
) -> tuple[dict[str, PolicyBehaviour], PolicyBehaviour | None]:
    if not asked.policy:
        recorded = recorded_policies(setup, robot, folders)
        policies, get_up = dict(recorded.first), recorded.get_up
        later = {name: policy for (name, _), policy in recorded.added.items() if name not in policies}
        policies.update(later)
    else:
        bundle = find_policy(asked.policy)
        estimated = setup.parameters.get("base_velocity_topic") or robot.base_velocity_topic
        policies = {"asked": fitting_behaviour(bundle, robot, ESTIMATOR if estimated else "")}
        get_up_only = replace(setup, policies=tuple(source for source in setup.policies if not source.short_name))
        get_up = recorded_policies(get_up_only, robot, folders).get_up
    if asked.get_up:
        get_up = fitting_behaviour(find_policy(asked.get_up), robot)
    return policies, get_up


def _journal_fed(bag: Bag, namespace: str) -> Iterator[Fed]:
    sources = (
        _node_fed(bag, full_name(topics.SAFETY_JOURNAL, namespace), "safety", TO_SAFETY, 0),
        _node_fed(bag, full_name(topics.POLICY_JOURNAL, namespace), "policy", TO_POLICY, 1),
    )
    return heapq.merge(*sources, key=lambda item: (item.wall_ns, item.order))


def _node_fed(bag: Bag, topic: str, node: str, wanted: frozenset[Entry], order: int) -> Iterator[Fed]:
    for stretch in read_stretches(bag, topic, JournalReport()):
        offset_ns = stretch.batch.wall_ns - stretch.batch.monotonic_ns
        for entry in stretch.batch.entries:
            if entry.kind < SAID and (entry.kind in (KEY, BEGIN) or entry.kind in wanted):
                yield Fed(entry.now_ns + offset_ns, order, node, entry.kind, entry.now_ns, entry.data)
