"""Reads a bag once, from front to end, into the arrays of a report."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from humanoid_rl_ros.bags.collectors import (
    Collector,
    ContactCollector,
    HealthCollector,
    ImuCollector,
    JointCollector,
    StatusCollector,
    VelocityCollector,
)
from humanoid_rl_ros.bags.columns import Times
from humanoid_rl_ros.bags.namespaces import choose_namespace, full_name
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.series import Series
from humanoid_rl_ros.control.setup import NodeSetup, read_setup
from humanoid_rl_ros.core.errors import BagError, ConfigError, StateError
from humanoid_rl_ros.core.robot import RobotSpec, robot_from_text
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr_messages import read_string

JOINT_STATE = "sensor_msgs/msg/JointState"
ARRAY = "std_msgs/msg/Float64MultiArray"
TWISTS = ("geometry_msgs/msg/TwistStamped", "geometry_msgs/msg/Twist")
CONTACTS = ("std_msgs/msg/Bool", "std_msgs/msg/Float32MultiArray", ARRAY)
LARGEST_ROWS = 1_000_000
"""Messages of one topic that are kept; of a longer recording every second or third is."""

Report: TypeAlias = Callable[[float], None]


def collect(
    bag: Bag, namespace: str | None = None, robot: RobotSpec | None = None, tell: Report | None = None
) -> Series:
    """The numbers of a bag.

    Args:
        bag: open.
        namespace: of the robot; None to take the only one.
        robot: to take in place of the one that the bag says it was.
        tell: called now and then with the share of the bag that was read.

    Raises:
        BagError: there are several robots and none is named.
    """
    namespace = choose_namespace(tuple(bag.topics), namespace)
    problems: list[str] = []
    setups = _setups(bag, namespace, problems)
    if robot is None:
        robot = _recorded_robot(setups, problems)
    table = _table(bag, namespace, robot, problems)
    arrivals = {name: Times() for name in bag.topics}
    adders = {name: times.add for name, times in arrivals.items()}
    takers = {name: collector.take for name, collector in table.items()}
    total = max(1, bag.count)
    for seen, (topic, _, log_ns, data) in enumerate(bag.messages()):
        adders[topic](log_ns)
        take = takers.get(topic)
        if take is not None:
            take(log_ns, data)
        if tell is not None and not seen & 0x3FFF:
            tell(seen / total)
    for name, collector in table.items():
        collector.finish()
        problems += [f"{name}: {problem}" for problem in collector.problems]
    return _series(table, namespace, robot, setups, {n: t.array() for n, t in arrivals.items()}, tuple(problems))


def _recorded_robot(setups: tuple[NodeSetup, ...], problems: list[str]) -> RobotSpec | None:
    for setup in setups:
        try:
            return robot_from_text(setup.robot_yaml, f"the robot of {setup.node}")
        except ConfigError as error:
            problems.append(str(error))
    return None


def _setups(bag: Bag, namespace: str, problems: list[str]) -> tuple[NodeSetup, ...]:
    names = [full_name(topic, namespace) for topic in (topics.SAFETY_SETUP, topics.POLICY_SETUP)]
    found: dict[str, NodeSetup] = {}
    latest: dict[str, NodeSetup] = {}
    for message in bag.messages([name for name in names if name in bag.topics] or ["no topic"]):
        try:
            setup = read_setup(read_string(message.data))
        except (StateError, BagError) as error:
            problems.append(f"{message.topic}: {error}")
            continue
        before = latest.get(message.topic)
        if before is not None and setup.goes_on_from(before):
            found.pop(before.as_text(), None)  # the same node, which was given further policies
        latest[message.topic] = setup
        found[setup.as_text()] = setup
    return tuple(found.values())


def _table(bag: Bag, namespace: str, robot: RobotSpec | None, problems: list[str]) -> dict[str, Collector]:
    """Who takes the messages of which topic."""
    names = robot.joint_names if robot is not None else ()
    table: dict[str, Collector] = {}

    def add(topic: topics.Topic, kinds: tuple[str, ...], make: Callable[[str, int], Collector]) -> None:
        name = full_name(topic, namespace)
        recorded = bag.topics.get(name) or bag.topics.get(f"{namespace}{name}")
        if recorded is None or not recorded.count:
            return
        if recorded.type and recorded.type not in kinds:
            problems.append(f"{recorded.name}: its type is {recorded.type}, expected {' or '.join(kinds)}; left out")
            return
        stride = -(-recorded.count // LARGEST_ROWS)
        if stride > 1:
            problems.append(f"{recorded.name}: of {recorded.count} messages every {stride}th is drawn")
        table[recorded.name] = make(recorded.type or kinds[0], stride)

    for topic in (topics.JOINT_STATES, topics.POLICY_EFFORT):
        add(topic, (JOINT_STATE,), lambda _, stride: JointCollector(names, stride))
    add(
        topics.JOINT_COMMAND,
        (ARRAY, JOINT_STATE),
        lambda kind, stride: JointCollector(names, stride, plain=kind == ARRAY),
    )
    add(topics.IMU, (topics.IMU.type_name,), lambda _, stride: ImuCollector(stride))
    add(topics.VELOCITY_COMMAND, TWISTS, lambda kind, _: VelocityCollector(kind))
    for topic in (topics.ODOMETRY, topics.SIMULATED_VELOCITY):
        add(topic, (topics.ODOMETRY.type_name,), lambda kind, _: VelocityCollector(kind))
    add(topics.SAFETY_STATUS, (topics.SAFETY_STATUS.type_name,), lambda *_: StatusCollector())
    add(topics.DIAGNOSTICS, (topics.DIAGNOSTICS.type_name,), lambda *_: HealthCollector())
    for name, recorded in bag.topics.items():
        if "contact" in name.lower() and name.startswith(f"{namespace}/") and recorded.type in CONTACTS:
            table[name] = ContactCollector(recorded.type)
    return table


def _series(
    table: dict[str, Collector],
    namespace: str,
    robot: RobotSpec | None,
    setups: tuple[NodeSetup, ...],
    arrivals: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]],
    problems: tuple[str, ...],
) -> Series:
    def joints(topic: topics.Topic) -> JointCollector | None:
        found = table.get(full_name(topic, namespace))
        return found if isinstance(found, JointCollector) else None

    def velocities(topic: topics.Topic) -> VelocityCollector | None:
        found = table.get(full_name(topic, namespace))
        return found if isinstance(found, VelocityCollector) else None

    states, efforts, commands = map(joints, (topics.JOINT_STATES, topics.POLICY_EFFORT, topics.JOINT_COMMAND))
    asked = velocities(topics.VELOCITY_COMMAND)
    measured = velocities(topics.ODOMETRY) or velocities(topics.SIMULATED_VELOCITY)
    imus = [c for c in table.values() if isinstance(c, ImuCollector)]
    statuses = [c for c in table.values() if isinstance(c, StatusCollector)]
    health = [c for c in table.values() if isinstance(c, HealthCollector)]
    joint_states = states.series(full_name(topics.JOINT_STATES, namespace)) if states else None
    order = joint_states.names if joint_states is not None else ()
    return Series(
        namespace=namespace,
        robot=robot,
        setups=setups,
        joint_states=joint_states,
        policy_effort=efforts.series(full_name(topics.POLICY_EFFORT, namespace), order) if efforts else None,
        command=commands.series(full_name(topics.JOINT_COMMAND, namespace), order) if commands else None,
        imu=imus[0].series() if imus else None,
        asked=asked.series() if asked else None,
        odometry=measured.series() if measured else None,
        statuses=tuple(statuses[0].found) if statuses else (),
        health=health[0].series(namespace) if health else {},
        contacts={name: c.series() for name, c in table.items() if isinstance(c, ContactCollector)},
        arrivals=arrivals,
        problems=problems,
    )
