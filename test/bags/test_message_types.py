from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rosbags")

from humanoid_rl_ros.bags.message_types import MessageTypes
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.topics import Topic


def test_every_type_of_the_table_is_known() -> None:
    types = MessageTypes()
    names = {topic.type_name for topic in vars(topics).values() if isinstance(topic, Topic)}
    for name in names | {"tf2_msgs/msg/TFMessage", "rcl_interfaces/msg/Log", "geometry_msgs/msg/Twist"}:
        definition, type_hash = types.find(name)
        assert definition, name
        assert type_hash.startswith("RIHS01_"), name
        assert len(type_hash) == len("RIHS01_") + 64, name


def test_hash_is_that_of_the_distribution() -> None:
    # As `ros2 topic info --verbose` of Kilted shows it.
    expected = "RIHS01_a13ee3a330e346c9d87b5aa18d24e11690752bd33a0350f11c5882bc9179260e"
    assert MessageTypes().find("sensor_msgs/msg/JointState").type_hash == expected


def test_a_type_of_an_installed_package_is_read_with_all_it_uses(tmp_path: Path) -> None:
    folder = tmp_path / "my_msgs/msg"
    folder.mkdir(parents=True)
    (folder / "Leg.msg").write_text(
        "# A leg.\nstd_msgs/Header header\nJoint[<=3] joints  # nearest first\n"
        "uint8 LEFT=0\nfloat64[3] force\nstring<=8 name\n"
    )
    (folder / "Joint.msg").write_text("float64 angle\ngeometry_msgs/Vector3 axis\n")
    definition, type_hash = MessageTypes("kilted", lambda name: tmp_path / name).find("my_msgs/msg/Leg")
    for text in ("MSG: my_msgs/Joint", "MSG: std_msgs/Header", "MSG: geometry_msgs/Vector3", "float64 angle", "LEFT=0"):
        assert text in definition
    assert type_hash.startswith("RIHS01_")


@pytest.mark.parametrize("name", ["my_msgs/msg/Leg", "my_msgs/Leg", "nonsense"])
def test_a_type_that_is_nowhere_is_not_known(name: str) -> None:
    assert MessageTypes().find(name) == ("", "")


def test_a_definition_that_is_none_is_not_known(tmp_path: Path) -> None:
    folder = tmp_path / "my_msgs/msg"
    folder.mkdir(parents=True)
    (folder / "Bad.msg").write_text("this is = no definition [\n")
    assert MessageTypes("kilted", lambda name: tmp_path / name).find("my_msgs/msg/Bad") == ("", "")
