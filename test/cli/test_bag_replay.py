"""What was recorded is done again by the very code: to the bit, and where it is another, told by name."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded_demo import record_demo
from typer.testing import CliRunner

pytest.importorskip("rclpy")
pytest.importorskip("rosbags")

from humanoid_rl_ros.bags.message_types import MessageTypes
from humanoid_rl_ros.bags.reader import Bag, BagMessage
from humanoid_rl_ros.bags.records import Record, RecordedTopic
from humanoid_rl_ros.bags.writer import BagWriter
from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.core.controller import PDController
from humanoid_rl_ros.core.errors import BagError, HumanoidError
from humanoid_rl_ros.core.state import JointTarget, RobotState
from humanoid_rl_ros.interfaces.cdr import read_stamp
from humanoid_rl_ros.safety.envelope import Envelope

pytestmark = pytest.mark.ros
SENSORS = ("/joint_states", "/imu/data")
FELL = ("--push", "3 2.5 0", "--seconds", 6.5)  # a recorder may take two seconds to find everybody


@pytest.fixture(scope="module")
def lockstep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_demo(tmp_path_factory.mktemp("lockstep"), *FELL)


@pytest.fixture(scope="module")
def realtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_demo(tmp_path_factory.mktemp("realtime"), "--mode", "realtime", *FELL)


def run(*words: object, code: int | None = 0) -> str:
    """The output of `humanoid_rl bag …`."""
    done = CliRunner().invoke(app, ["bag", *map(str, words)], env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def replayed(bag: Path, folder: Path, *words: object, code: int = 0) -> dict[str, Any]:
    run("replay", bag, "--json", folder / "replay.json", *words, code=code)
    found: dict[str, Any] = json.loads((folder / "replay.json").read_text())
    return found


@pytest.mark.parametrize("mode", ["lockstep", "realtime"])
def test_it_is_the_same_to_the_bit(mode: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bag: Path = request.getfixturevalue(mode)
    found = replayed(bag, tmp_path)
    assert found["identical"]
    assert found["problems"] == []
    assert found["other_software"] == {}
    topics: dict[str, dict[str, int]] = {}
    for node in found["nodes"].values():
        topics |= node["topics"]
        assert node["states"] == node["equal_states"] > 0
        assert node["lost"] == node["unreadable"] == node["skipped"] == 0
    assert set(topics) == {
        *("policy/joint_effort", "policy/observation", "policy/action"),
        *("joint_effort_controller/commands", "safety/status"),
    }
    assert all(count["identical"] == count["recorded"] > 0 for count in topics.values())
    # The journals and the topics are of one run.
    with Bag(bag) as opened:
        counts = {name: topic.count for name, topic in opened.topics.items()}
        states = Counter(m.topic for m in opened.messages(["/joint_states"]))
    assert topics["policy/joint_effort"]["recorded"] == pytest.approx(counts["/policy/joint_effort"], rel=0.1)
    assert states["/joint_states"] > 300


def test_a_part_from_any_recorded_state_on_is_the_same_to_the_bit(
    realtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("humanoid_rl_ros.bags.replay.LEAST_PART_S", 1.0)
    found = replayed(realtime, tmp_path, "--jobs", 1)
    assert found["identical"]
    whole = replayed(realtime, tmp_path, "--until-divergence")
    assert whole["nodes"]["policy_node"]["topics"] == found["nodes"]["policy_node"]["topics"]
    assert whole["nodes"]["safety_monitor"]["consumed"] == found["nodes"]["safety_monitor"]["consumed"]


def test_a_law_that_is_another_is_told_by_topic_joint_and_time(
    lockstep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    law = PDController.effort

    def another(self: PDController, target: JointTarget, state: RobotState) -> np.ndarray:
        effort = law(self, target, state).copy()
        effort[4] += 0.25
        return effort

    monkeypatch.setattr(PDController, "effort", another)
    found = replayed(lockstep, tmp_path, "--jobs", 1, code=1)
    assert not found["same"]
    first = found["first"]
    assert (first["topic"], first["kind"]) == ("policy/joint_effort", "differs")
    with Bag(lockstep) as bag:
        name = json.loads(_setup(bag))["robot"]["yaml"].split("joints:")[1].split("\n")[5].split(":")[0].strip()
    assert {(item["field"], item["element"]) for item in first["fields"]} == {("effort", name)}
    assert first["size"] == pytest.approx(0.25)
    assert found["nodes"]["policy_node"]["topics"]["policy/observation"]["differing"] == 0
    assert found["nodes"]["safety_monitor"]["topics"]["safety/status"]["differing"] == 0  # its inputs were recorded
    text = run("replay", lockstep, "--until-divergence", code=1)
    assert f"first difference: policy/joint_effort, message {first['number']}, at " in text
    assert f"effort[{name}]: recorded " in text
    assert replayed(lockstep, tmp_path, "--tolerance", 0.3, "--jobs", 1)["same"]


def _setup(bag: Bag) -> str:
    (message,) = bag.messages(["/policy/setup"])
    return message.data[8:].rstrip(b"\0").decode()


def test_a_monitor_that_is_another_is_told_too(realtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = Envelope.allowed
    monkeypatch.setattr(Envelope, "allowed", lambda self, scale=1.0: 0.5 * allowed(self, scale))
    found = replayed(realtime, tmp_path, "--jobs", 1, code=1)
    assert found["first"]["topic"] == "joint_effort_controller/commands"
    assert found["nodes"]["policy_node"]["topics"]["policy/joint_effort"]["differing"] == 0


def test_verify_passes_and_fails_with_the_code(
    lockstep: Path, realtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: Any
) -> None:
    for k, bag in enumerate((lockstep, realtime)):
        shutil.copytree(bag, tmp_path / "bags" / f"bag{k}")
    (tmp_path / "bags" / "notes").mkdir()
    text = run("verify", tmp_path / "bags", "--json", tmp_path / "v.json")
    assert text.count("the same to the bit") == 2
    law = PDController.effort
    monkeypatch.setattr(PDController, "effort", lambda *args: law(*args) * 1.01)
    text = run("verify", tmp_path / "bags", "--jobs", 1, code=1)
    assert len(re.findall(r"policy/joint_effort message \d+: differs", text)) == 2
    with refuses(BagError, "no bag in it"):
        run("verify", tmp_path / "bags" / "notes")


def test_what_would_another_policy_have_done(lockstep: Path, tmp_path: Path) -> None:
    text = run("replay", lockstep, "--policy", "stand", "-o", tmp_path / "answers", "--json", tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["policy"] == "reference_humanoid_stand"
    efforts = next(signal for signal in found["signals"] if signal["name"] == "policy/joint_effort effort")
    assert efforts["compared"] > 100
    assert efforts["largest"]["size"] > 5.0
    assert "what if" in text
    with Bag(tmp_path / "answers") as answers:  # a bag like any other
        assert answers.problems == ()
        assert answers.topics["/policy/joint_effort"].count == found["said"]["policy/joint_effort"]
    assert "policy/joint_effort" in run("diff", lockstep, tmp_path / "answers", code=1)


def test_the_same_policy_and_limits_would_have_done_the_same(lockstep: Path, tmp_path: Path) -> None:
    run("replay", lockstep, "-o", tmp_path / "answers", "--json", tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text())
    for signal in found["signals"]:
        if signal["name"] in ("policy/joint_effort effort", "commands effort"):
            assert signal["compared"] > 100
            assert signal["identical"] >= signal["compared"] - 2  # the node was stopped while it answered
    states = [[(change["state"], change["reason"]) for change in changes] for changes in found["states"]]
    assert states[0][:3] == states[1][:3]
    assert [state for state, _ in states[0][:3]] == ["ACTIVE", "FALLING", "FALLEN"]


def test_what_would_other_limits_have_done(lockstep: Path, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("format: 1\ntilt_limit: 0.5\nfalling_tilt: 0.2\nupright_tilt: 0.2\n")
    run("replay", lockstep, "--safety", tmp_path / "s.yaml", "--json", tmp_path / "r.json")
    then, now = json.loads((tmp_path / "r.json").read_text())["states"]
    assert [then[1]["state"], now[1]["state"]] == ["FALLING", "FALLING"]
    assert now[1]["time"] < then[1]["time"]


def sensors_alone(
    bag: Path, folder: Path, kinds: tuple[str, ...] = SENSORS, when_ns: Callable[[BagMessage], int] | None = None
) -> Path:
    """As `ros2 bag record /joint_states /imu/data` would have recorded it, each message when it was or at `when_ns`."""
    types = MessageTypes()
    with Bag(bag) as opened:
        writer = BagWriter(folder)
        for name in kinds:
            found = types.find(opened.topics[name].type)
            writer.add_topic(RecordedTopic(name, opened.topics[name].type, (), found.definition, found.type_hash))
        for message in opened.messages(kinds):
            log_ns = when_ns(message) if when_ns is not None else message.log_ns
            writer.write(Record(message.topic, log_ns, log_ns, 0, message.data))
        writer.close()
    return folder


def on_time(message: BagMessage) -> int:
    """When a recorder hears it that nothing holds up [ns]: by its stamp, which is of the simulation."""
    return 10**18 + read_stamp(message.data)


@pytest.mark.parametrize("clock", ["simulation's", "recorder's"])
def test_sensors_alone_replay_too(clock: str, lockstep: Path, tmp_path: Path) -> None:
    if clock == "simulation's":
        bag = sensors_alone(lockstep, tmp_path / "sensors", (*SENSORS, "/clock"))
    else:
        bag = sensors_alone(lockstep, tmp_path / "sensors", when_ns=on_time)
    text = run("replay", bag, "--policy", "walk", "--get-up", "get_up", "--json", tmp_path / "r.json")
    assert "fed from sensors alone" in text
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["said"]["policy/joint_effort"] > 100
    states = [change["state"] for change in found["states"][1]]
    assert states[0] == "ACTIVE"
    assert states[1:4] == ["FALLING", "FALLEN", "RECOVERING"]


def test_what_cannot_be_replayed_is_said_in_one_line(lockstep: Path, tmp_path: Path, refuses: Any) -> None:
    sensors = sensors_alone(lockstep, tmp_path / "sensors")
    with refuses(BagError, "no journal of a node", "--policy"):
        run("replay", sensors)
    with refuses(BagError, "does not say which policy ran", "--policy"):
        run("replay", sensors, "-o", tmp_path / "x")
    imu = sensors_alone(lockstep, tmp_path / "imu", ("/imu/data",))
    with refuses(BagError, "/joint_states", "it has /imu/data"):
        run("replay", imu, "--policy", "walk")
    with pytest.raises(HumanoidError, match="g1"):
        run("replay", lockstep, "--policy", "walk_g1")
    with refuses(BagError, "/nowhere", "there is"):
        run("replay", lockstep, "--namespace", "nowhere")


def test_a_policy_that_is_no_longer_here_is_named(lockstep: Path, tmp_path: Path, refuses: Any) -> None:
    shutil.copytree(lockstep, tmp_path / "bag")
    for network in (tmp_path / "bag" / "bundles").glob("*/policy.onnx"):
        network.write_bytes(b"another")
    # What is shipped is still what ran.
    assert replayed(tmp_path / "bag", tmp_path)["identical"]


def test_of_a_torn_bag_as_much_is_replayed_as_there_is(realtime: Path, tmp_path: Path) -> None:
    shutil.copytree(realtime, tmp_path / "bag")
    (file,) = (tmp_path / "bag").glob("*.mcap")
    whole = replayed(realtime, tmp_path)
    file.write_bytes(file.read_bytes()[: int(0.7 * file.stat().st_size)])
    found = replayed(tmp_path / "bag", tmp_path)
    assert found["identical"]
    assert 0.3 * whole["compared"] < found["compared"] < whole["compared"]
    assert any("torn" in problem or "cut off" in problem for problem in found["problems"])


def test_journal_batches_that_were_lost_are_counted_and_skipped(realtime: Path, tmp_path: Path) -> None:
    types = MessageTypes()
    writer = BagWriter(tmp_path / "bag")
    with Bag(realtime) as bag:
        for name, topic in bag.topics.items():
            found = types.find(topic.type)
            writer.add_topic(RecordedTopic(name, topic.type, (), found.definition, found.type_hash))
        seen = 0
        for message in bag.messages():
            seen += message.topic == "/policy/journal"
            if message.topic != "/policy/journal" or not 40 <= seen < 50:
                writer.write(Record(message.topic, message.log_ns, message.log_ns, 0, message.data))
    writer.close()
    found = replayed(tmp_path / "bag", tmp_path)
    node = found["nodes"]["policy_node"]
    assert found["identical"]
    assert node["lost"] > 20
    assert node["skipped"] > 0
    assert any("were not recorded" in problem for problem in found["problems"])
