"""What another policy or other limits would have said, as a bag: the recorded sensors, and their words."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

from humanoid_rl_ros.bags.message_types import MessageTypes
from humanoid_rl_ros.bags.namespaces import full_name
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.records import OfferedQos, Record, RecordedTopic
from humanoid_rl_ros.bags.scene import Scene, run_scene
from humanoid_rl_ros.bags.writer import BagWriter
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.journal import SPOKEN
from humanoid_rl_ros.interfaces.topics import Topic

LEFT_OUT = (*SPOKEN, topics.POLICY_JOURNAL, topics.SAFETY_JOURNAL, topics.DIAGNOSTICS)
ORIGIN_KEY = "humanoid_rl_replay_of"
JOINT_STATE = topics.JOINT_STATES.type_name


def write_what_if(bag: Bag, scene: Scene, folder: Path) -> dict[str, int]:
    """Feed the scene, and write what is said beside what was measured.

    Args:
        bag: the recording.
        scene: of it.
        folder: must not exist yet.

    Returns:
        Messages said, by topic.

    Raises:
        BagError: the folder exists, or the disk does not take what is written.
    """
    types = MessageTypes()
    left_out = {full_name(topic, scene.namespace) for topic in LEFT_OUT}
    copied = [name for name, topic in bag.topics.items() if name not in left_out and topic.count and topic.type]
    writer = BagWriter(folder, custom={ORIGIN_KEY: str(bag.path)})
    counts: dict[str, int] = {}
    try:
        for name in copied:
            writer.add_topic(_topic(types, name, bag.topics[name].type, latched=False))
        for topic in SPOKEN:
            kind = topic.type_name
            if topic is topics.JOINT_COMMAND and scene.stamped_commands:
                kind = JOINT_STATE
            writer.add_topic(_topic(types, full_name(topic, scene.namespace), kind, latched=topic.latched))
        # Of what came at one time, the sensors are first.
        for message in heapq.merge(_copied(bag, copied), _said(scene, counts), key=lambda item: item.log_time_ns):
            writer.write(message)
    finally:
        writer.close()
    return counts


def _topic(types: MessageTypes, name: str, kind: str, *, latched: bool) -> RecordedTopic:
    found = types.find(kind)
    qos = OfferedQos(durability="transient_local" if latched else "volatile", history="keep_last", depth=1)
    return RecordedTopic(name, kind, (qos,), found.definition, found.type_hash, latched)


def _copied(bag: Bag, names: list[str]) -> Iterator[Record]:
    for message in bag.messages(names) if names else ():
        yield Record(message.topic, message.log_ns, message.log_ns, 0, message.data)


def _said(scene: Scene, counts: dict[str, int]) -> Iterator[Record]:
    names: dict[Topic, str] = {topic: full_name(topic, scene.namespace) for topic in SPOKEN}
    wall_ns = 0
    for said in run_scene(scene):
        wall_ns = max(wall_ns, said.wall_ns)
        counts[said.topic.name] = counts.get(said.topic.name, 0) + 1
        yield Record(names[said.topic], wall_ns, wall_ns, 0, said.data)
