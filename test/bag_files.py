"""Small bags, written by rosbags, of messages whose numbers are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from humanoid_rl_ros.interfaces.cdr import ImuWriter, JointStateWriter

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
JOINT_STATE, IMU = "sensor_msgs/msg/JointState", "sensor_msgs/msg/Imu"
STATUS, STRING = "diagnostic_msgs/msg/DiagnosticStatus", "std_msgs/msg/String"
ARRAY, ODOMETRY, TWIST = "std_msgs/msg/Float64MultiArray", "nav_msgs/msg/Odometry", "geometry_msgs/msg/Twist"
FORCES = "std_msgs/msg/Float32MultiArray"
STORE = get_typestore(Stores.ROS2_KILTED)
NAMES = ("hip", "knee", "ankle", "arm")

Written = tuple[str, str, int, bytes]


def write_bag(
    folder: Path,
    messages: Iterable[Written],
    *,
    storage: str = "mcap",
    compression: str = "none",
    custom: Mapping[str, str] | None = None,
    empty_topics: Mapping[str, str] | None = None,
) -> Path:
    """Write messages (topic, type, log time, data) as a bag; gives its folder.

    Args:
        folder: that does not exist yet.
        messages: in the order in which they are to be written.
        storage: ``mcap`` or ``sqlite3``.
        compression: ``none``, ``message``, ``file`` or ``storage``.
        custom: for the metadata.
        empty_topics: types of topics without messages.
    """
    writer = Writer(folder, version=9, storage_plugin=StoragePlugin[storage.upper()])
    if compression != "none":
        writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
    for key, value in (custom or {}).items():
        writer.set_custom_data(key, value)
    with writer:
        connections: dict[str, Any] = {}
        for topic, kind in (empty_topics or {}).items():
            writer.add_connection(topic, kind, typestore=STORE)
        for topic, kind, log_ns, data in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], log_ns, data)
    return folder


def text(words: str) -> bytes:
    return bytes(STORE.serialize_cdr(STORE.types[STRING](data=words), STRING))


def notes(count: int, *, topic: str = "/note", step_ns: int = SECOND // 100) -> list[Written]:
    """Texts that say their number, one every 10 ms."""
    return [(topic, STRING, START + i * step_ns, text(f"note {i}")) for i in range(count)]


def status(state: str, stamp_ns: int = 0, **values: object) -> bytes:
    """What the safety monitor says; `text` is its text, everything else a value."""
    words = str(values.pop("text", ""))
    pairs = {"state": state, "since_ns": stamp_ns, "reason": "", "last_fault": "", **values}
    kind = STORE.types["diagnostic_msgs/msg/KeyValue"]
    message = STORE.types[STATUS](
        level=0,
        name="safety_monitor",
        message=f"{state}: {words}" if words else state,
        hardware_id="biped",
        values=[kind(key=key, value=str(value)) for key, value in pairs.items()],
    )
    return bytes(STORE.serialize_cdr(message, STATUS))


def joint_states(stamp_ns: int, position: Any, effort: Any, names: tuple[str, ...] = NAMES) -> bytes:
    zero = np.zeros(len(names))
    fields = ("position", "velocity", "effort")
    return JointStateWriter(names, fields).write(stamp_ns, "", np.array(position), zero, np.array(effort))


def policy_effort(stamp_ns: int, target: Any, effort: Any, frame: str = "ACTIVE") -> bytes:
    return JointStateWriter(NAMES, ("position", "effort")).write(stamp_ns, frame, np.array(target), np.array(effort))


def command(effort: Any) -> bytes:
    kind = STORE.types[ARRAY]
    layout = STORE.types["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
    return bytes(STORE.serialize_cdr(kind(layout=layout, data=np.array(effort, dtype=np.float64)), ARRAY))


def contacts(label: str, forces: Sequence[float], dimensions: int = 1) -> bytes:
    """One dimension of that label, or as many as are asked for, of its comma-separated parts."""
    labels = [label] if dimensions == 1 else label.split(",")
    kind = STORE.types["std_msgs/msg/MultiArrayDimension"]
    dim = [kind(label=words, size=len(forces), stride=len(forces)) for words in labels]
    layout = STORE.types["std_msgs/msg/MultiArrayLayout"](dim=dim, data_offset=0)
    message = STORE.types[FORCES](layout=layout, data=np.array(forces, dtype=np.float32))
    return bytes(STORE.serialize_cdr(message, FORCES))


def imu(stamp_ns: int, tilt: float) -> bytes:
    """Turned about x by so many radians."""
    orientation = np.array([np.sin(tilt / 2), 0.0, 0.0, np.cos(tilt / 2)])
    return ImuWriter("imu").write(stamp_ns, orientation, np.zeros(3), np.array([0.0, 0.0, 9.81]))


def odometry(stamp_ns: int, forward: float, height: float) -> bytes:
    types = STORE.types
    vector, point = types["geometry_msgs/msg/Vector3"], types["geometry_msgs/msg/Point"]
    pose = types["geometry_msgs/msg/Pose"](
        position=point(x=0.0, y=0.0, z=height),
        orientation=types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
    )
    twist = types["geometry_msgs/msg/Twist"](
        linear=vector(x=forward, y=0.0, z=0.0), angular=vector(x=0.0, y=0.0, z=0.0)
    )
    stamp = types["builtin_interfaces/msg/Time"](sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND)
    message = types[ODOMETRY](
        header=types["std_msgs/msg/Header"](stamp=stamp, frame_id="odom"),
        child_frame_id="base",
        pose=types["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=np.zeros(36)),
        twist=types["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=np.zeros(36)),
    )
    return bytes(STORE.serialize_cdr(message, ODOMETRY))


def twist(forward: float) -> bytes:
    vector = STORE.types["geometry_msgs/msg/Vector3"]
    zero = vector(x=0.0, y=0.0, z=0.0)
    return bytes(STORE.serialize_cdr(STORE.types[TWIST](linear=vector(x=forward, y=0.0, z=0.0), angular=zero), TWIST))


def fall(namespace: str = "") -> list[Written]:
    """Three seconds at 100 Hz on a clock that began at 50 s: the robot is ACTIVE from 0.5 s and falls at 2 s.

    The hip is told 30 N·m and measured at 25; the knee is at its limit of 40 N·m for the half second before the fall;
    the arm's target is 0.1 rad above where it is. One joint state in the middle (of 1.5 s) is missing. Efforts answer
    after 1 ms and are commanded after 3.
    """
    found: list[Written] = []

    def add(topic: str, kind: str, at: int, data: bytes) -> None:
        found.append((f"{namespace}/{topic}", kind, START + at, data))

    add("safety/status", STATUS, 0, status("READY", 50 * SECOND, faults=0))
    for i in range(300):
        at, stamp = i * SECOND // 100, 50 * SECOND + i * SECOND // 100
        seconds = i / 100
        tilt = 0.0 if seconds < 1.8 else min(1.5, (seconds - 1.8) * 2.0)
        knee = 40.0 if 1.5 <= seconds < 2.0 else 10.0
        if i != 150:
            add("joint_states", JOINT_STATE, at, joint_states(stamp, [0.1, 0.2, 0.0, 0.0], [25.0, knee, 0.0, 0.0]))
        add("imu/data", IMU, at, imu(stamp, tilt))
        if i != 150:
            effort = policy_effort(stamp, [0.1, 0.2, 0.0, 0.1], [30.0, knee, 0.0, 0.0])
            add("policy/joint_effort", JOINT_STATE, at + 1_000_000, effort)
            add("joint_effort_controller/commands", ARRAY, at + 3_000_000, command([30.0, knee, 0.0, 0.0]))
        if i % 2 == 0:
            add("odom", ODOMETRY, at, odometry(stamp, 0.4, 0.8 if seconds < 2.0 else 0.1))
        if i % 10 == 0:
            add("cmd_vel", TWIST, at, twist(0.5))
        if i == 50:
            add("safety/status", STATUS, at, status("ACTIVE", stamp, faults=0))
        if i == 200:
            why = "tilt 0.40 rad grows by 2.0 rad/s"
            data = status("FALLING", stamp, faults=1, reason="falling", text=why, last_fault=f"falling: {why}")
            add("safety/status", STATUS, at, data)
    return sorted(found, key=lambda message: message[2])
