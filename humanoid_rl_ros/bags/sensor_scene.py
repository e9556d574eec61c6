"""The sensors of a recording, whoever made it, fed to a policy and a safety monitor."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from humanoid_rl_ros.bags.arming import says_armed
from humanoid_rl_ros.bags.namespaces import full_name
from humanoid_rl_ros.bags.reader import Bag, BagMessage
from humanoid_rl_ros.bags.scene import THEN, Fed, Scene, WhatIf, fitting_behaviour, policy_maker, safety_maker
from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.policy_control import PolicySettings
from humanoid_rl_ros.control.safety_control import TICK_PERIOD_NS, SafetySettings
from humanoid_rl_ros.core.errors import BagError, StateError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import read_stamp
from humanoid_rl_ros.policies.bundle import ESTIMATOR
from humanoid_rl_ros.resources import find_policy, find_robot, robot_of, safety_file
from humanoid_rl_ros.safety.limits import load_safety_limits

LONGEST_GAP_NS = 2_000_000_000
"""How much of a time without messages the monitor's timer is heard in [ns]."""


def sensor_scene(bag: Bag, asked: WhatIf, namespace: str) -> Scene:
    """The scene of a recording of sensors, with or without velocity commands.

    Raises:
        BagError: sensors were not recorded, or no policy is named.
        HumanoidError: policy, robot or limits are not usable, or do not fit each other.
    """
    for topic in (topics.JOINT_STATES, topics.IMU):
        name = full_name(topic, namespace)
        if name not in bag.topics or not bag.topics[name].count:
            raise BagError(f"{bag.path}: no messages of {name} in it; it has {_listed(bag)}")
    if not asked.policy:
        raise BagError(f"{bag.path}: it does not say which policy ran; name one with --policy")
    bundle = find_policy(asked.policy)
    robot = find_robot(asked.robot or robot_of(bundle))
    velocity = ESTIMATOR if asked.base_velocity_topic else ""
    policies = {"asked": fitting_behaviour(bundle, robot, velocity)}
    get_up = fitting_behaviour(find_policy(asked.get_up), robot) if asked.get_up else None
    command = full_name(topics.VELOCITY_COMMAND, namespace)
    stamped = command not in bag.topics or bag.topics[command].type != "geometry_msgs/msg/Twist"
    simulated = any(bag.topics[name].count for name in ("/clock", f"{namespace}/clock") if name in bag.topics)
    settings = PolicySettings(clock_may_reset=simulated, stamped_commands=stamped)
    rate = bag.topics[full_name(topics.JOINT_STATES, namespace)].count / max(bag.duration, 1e-3)
    limits = load_safety_limits(safety_file(asked.limits)).for_states_at(rate)
    safety = SafetySettings(clock_may_reset=simulated, stamped_commands=True)
    return Scene(
        robot,
        bundle.name,
        namespace,
        _sensor_fed(bag, namespace, asked.base_velocity_topic, simulated=simulated),
        policy_maker(robot, settings, policies, get_up),
        safety_maker(robot, limits, safety),
        has_journal=False,
        same_policy=False,
    )


def _listed(bag: Bag) -> str:
    names = [name for name, topic in bag.topics.items() if topic.count]
    return ", ".join(names[:12]) + (" …" if len(names) > 12 else "") if names else "no message at all"


class _Clock:
    """The time that is fed: the recorder's, or of a simulation its own, kept from going back.

    In simulation a second takes as long as it takes, and by the recorder's clock everything would be late.
    """

    def __init__(self, start_ns: int, *, simulated: bool) -> None:
        self._simulated = simulated
        self.now_ns = start_ns
        self._offset_ns: int | None = None

    def advance(self, message: BagMessage) -> int:
        """The time of a message [ns]."""
        if not self._simulated:
            self.now_ns = max(self.now_ns, message.log_ns)
            return self.now_ns
        try:
            stamp_ns = read_stamp(message.data)
        except (StateError, struct.error):
            return self.now_ns
        if self._offset_ns is None or stamp_ns + self._offset_ns < self.now_ns - _RESET_NS:
            self._offset_ns = self.now_ns - stamp_ns
        self.now_ns = max(self.now_ns, stamp_ns + self._offset_ns)
        return self.now_ns


_RESET_NS = 1_000_000_000
"""Stamps that go back by more than that mean that a simulation was reset [ns]."""


def _sensor_fed(bag: Bag, namespace: str, base_velocity_topic: str, *, simulated: bool) -> Iterator[Fed]:
    """Messages in the order of the recorder, and the monitor's timer in between."""
    kinds = {
        full_name(topics.JOINT_STATES, namespace): ("both", Entry.JOINT_STATES),
        full_name(topics.IMU, namespace): ("both", Entry.IMU),
        full_name(topics.VELOCITY_COMMAND, namespace): ("policy", Entry.VELOCITY_COMMAND),
        full_name(topics.HAND_TARGETS, namespace): ("policy", Entry.HAND_TARGETS),
    }
    status = full_name(topics.SAFETY_STATUS, namespace)
    if status in bag.topics and bag.topics[status].count:
        kinds[status] = (THEN, Entry.SAFETY_STATUS)
        yield Fed(bag.start_ns, 0, THEN, Entry.DISARM, bag.start_ns, b"")
    if base_velocity_topic:
        kinds[base_velocity_topic] = ("policy", Entry.BASE_VELOCITY)
    yield Fed(bag.start_ns, 0, "both", Entry.START, bag.start_ns, b"")
    due_ns = bag.start_ns + TICK_PERIOD_NS
    clock = _Clock(bag.start_ns, simulated=simulated)
    for message in bag.messages(list(kinds)):
        node, kind = kinds[message.topic]
        now_ns = clock.advance(message) if kind is Entry.JOINT_STATES or not simulated else clock.now_ns
        due_ns = max(due_ns, now_ns - LONGEST_GAP_NS)  # a clock that was set, or a robot that slept
        while due_ns <= now_ns:
            yield Fed(message.log_ns, 0, "safety", Entry.TICK, due_ns, b"")
            due_ns += TICK_PERIOD_NS
        if node == THEN:
            kind = Entry.ARM if _was_armed(message) else Entry.DISARM
        yield Fed(message.log_ns, 1, node, kind, now_ns, message.data)


def _was_armed(message: BagMessage) -> bool:
    try:
        return says_armed(message.data)
    except StateError:
        return False
