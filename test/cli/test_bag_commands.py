"""`humanoid_rl bag …` as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_bags import messages, read, topic, write

pytest.importorskip("rosbags")
pytest.importorskip("typer")

from humanoid_rl_ros.bags.writer import BagWriter

STATES = topic("/joint_states")


def bag_command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "humanoid_rl_ros", "bag", *words]
    environment = os.environ | {"COLUMNS": "150"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def torn_bag(folder: Path, count: int = 50) -> Path:
    writer = BagWriter(folder / "bag")
    writer.add_topic(STATES)
    for message in messages("/joint_states", count):
        writer.write(message)
    writer.flush()
    writer.abandon()
    with (folder / "bag/bag_0.mcap").open("ab") as file:
        file.write(b"\x06\xff\xff")
    return folder / "bag"


def test_info_says_what_a_bag_holds(tmp_path: Path) -> None:
    write(tmp_path / "bag", [STATES], messages("/joint_states", 101))  # a hundred milliseconds
    done = bag_command("info", "bag", "--json", "info.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for text in ("/joint_states", "sensor_msgs/msg/JointState", "101", "0.100 s", "bag_0.mcap"):
        assert text in done.stdout
    found = json.loads((tmp_path / "info.json").read_text())
    assert found["topics"]["/joint_states"] == {"type": "sensor_msgs/msg/JointState", "count": 101, "lost": None}
    assert found["problems"] == []


def test_info_of_a_torn_bag_says_what_to_do_and_recover_does_it(tmp_path: Path) -> None:
    torn_bag(tmp_path)
    done = bag_command("info", "bag", folder=tmp_path)
    assert done.returncode == 1
    assert "bag_0.mcap is torn (3 bytes behind the last whole record): humanoid_rl bag recover" in done.stdout
    done = bag_command("recover", "bag", "--json", "result.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "50 messages until " in done.stdout
    assert "3 bytes behind tears are lost" in done.stdout
    assert "bag_0.mcap.torn" in done.stdout
    assert json.loads((tmp_path / "result.json").read_text())["counts"] == {"/joint_states": 50}
    assert len(read(tmp_path / "bag")) == 50
    assert bag_command("info", "bag", folder=tmp_path).returncode == 0


@pytest.mark.parametrize("words", [("info", "nowhere"), ("recover", "nowhere"), ("recover", ".")])
def test_what_is_no_bag_is_one_line_and_exit_2(words: tuple[str, str], tmp_path: Path) -> None:
    done = bag_command(*words, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.ros
def test_record_writes_a_bag_until_ctrl_c(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    from ros_graph import open_graph
    from sensor_msgs.msg import JointState

    with open_graph(tmp_path) as graph:
        environment = os.environ | {"ROS_DOMAIN_ID": str(graph.domain), "COLUMNS": "150"}
        command = [sys.executable, "-m", "humanoid_rl_ros", "bag", "record", "--min-free", "0", "--json", "result.json"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as recorder:
            try:
                states = graph.tester.create_publisher(JointState, "joint_states", 10)
                graph.until(states.get_subscription_count, "the recorder", 20.0)
                time.sleep(0.2)
                for _ in range(5):
                    states.publish(JointState())
                graph.spin(0.3)
                recorder.send_signal(signal.SIGINT)
                out, err = recorder.communicate(timeout=10)
            finally:
                recorder.kill()
        assert recorder.returncode == 0, err
    (bag,) = tmp_path.glob("bag_2*")
    assert str(bag.name) in out
    assert "0 lost" in out
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["counts"]["/joint_states"] == 5
    assert result["failure"] is None
    assert [name for name, _, _ in read(bag)].count("/joint_states") == 5


@pytest.mark.ros
def test_record_into_a_folder_that_exists_is_one_line_and_exit_2(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    done = bag_command("record", "-o", str(tmp_path), folder=tmp_path)
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.ros
@pytest.mark.slow
def test_the_benchmark_counts_and_kills(tmp_path: Path) -> None:
    pytest.importorskip("rclpy")
    command = [sys.executable, "-m", "humanoid_rl_ros", "bench", "recording", "--topics", "2", "--rate", "200"]
    command += ["--seconds", "1", "--rounds", "1", "--kills", "1", "--json", "result.json"]
    environment = {key: value for key, value in os.environ.items() if key != "ROS_DOMAIN_ID"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert [(turn["sent"], turn["in_bag"]) for turn in result["turns"]] == [(400, 400)]
    assert 0.0 <= result["seconds_lost_at_sigkill"][0] < 0.6
