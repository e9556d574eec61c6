"""What would another policy, other limits or another robot have done? The scene that answers it."""

from __future__ import annotations

from humanoid_rl_ros.bags.journal_scene import journal_scene
from humanoid_rl_ros.bags.journals import require_schema
from humanoid_rl_ros.bags.namespaces import journal_namespaces, normal_namespace, only_namespace, sensor_namespaces
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.scene import Scene, WhatIf
from humanoid_rl_ros.bags.sensor_scene import sensor_scene


def scene_of(bag: Bag, asked: WhatIf) -> Scene:
    """The scene of a bag: from its journals where it has them, else from its sensors.

    Raises:
        BagError, HumanoidError: as of `journal_scene` and `sensor_scene`, or there are several robots.
    """
    require_schema(bag)
    names = [name for name, topic in bag.topics.items() if topic.count]
    journals = journal_namespaces(names)
    if journals and (asked.namespace is None or normal_namespace(asked.namespace) in journals):
        return journal_scene(bag, asked, only_namespace(journals, asked.namespace, f"{bag.path}: journals"))
    if asked.namespace is not None:
        return sensor_scene(bag, asked, normal_namespace(asked.namespace))
    sensors = sensor_namespaces(names) or ("",)
    return sensor_scene(bag, asked, "" if "" in sensors else only_namespace(sensors, None, f"{bag.path}: joint states"))
