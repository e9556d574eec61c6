"""The folder of a run: its record, its metrics, its event files."""

from __future__ import annotations

import errno
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.learning import run_log
from humanoid_rl_ros.learning.digest import digest_of
from humanoid_rl_ros.learning.event_file import EventFile, crc32c
from humanoid_rl_ros.learning.metrics_file import MetricsFile, read_metrics
from humanoid_rl_ros.learning.run_folder import RunFolder, RunRecord
from humanoid_rl_ros.learning.run_log import RunLog
from humanoid_rl_ros.learning.trainer import Progress
from humanoid_rl_ros.resources import find_robot

RECORD = RunRecord(
    "ppo", "walk", "g1", 3, 64, 2, {"hidden": (32, 16), "clip": None}, {"rewards.alive": 2.0}, "ab", "cd", "0.1.0"
)


def test_a_run_says_what_it_is(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "deep" / "run")
    folder.create(RECORD)
    assert folder.record() == RECORD
    said = yaml.safe_load((tmp_path / "deep" / "run" / "run.yaml").read_text())
    assert said["learner"] == {"hidden": [32, 16], "clip": None}
    assert (said["format"], said["environments"], said["overrides"]) == (1, 64, {"rewards.alive": 2.0})


def test_a_run_of_a_version_that_had_fewer_keys_goes_on(refuses: Any) -> None:
    now, then = replace(RECORD, learner={"epochs": 3, "reward_scale": 1.0}), replace(RECORD, learner={"epochs": 3})
    now.require_same(then, "there")
    then.require_same(now, "there")
    with refuses(ConfigError, "there", "learner key reward_scale = 1.0, not 0.5"):
        replace(now, learner={"epochs": 3, "reward_scale": 0.5}).require_same(then, "there")


def test_a_folder_holds_one_run(tmp_path: Path, refuses: Any) -> None:
    folder = RunFolder(tmp_path)
    folder.create(RECORD)
    with refuses(ConfigError, str(tmp_path), "--resume"):
        folder.create(replace(RECORD, seed=4))
    assert folder.record().seed == 3


def test_a_folder_without_a_run_is_refused(tmp_path: Path, refuses: Any) -> None:
    with refuses(ConfigError, str(tmp_path), "no run", "run.yaml"):
        RunFolder(tmp_path).record()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, refuses: Any) -> None:
    (tmp_path / "file").write_text("")
    with refuses(TrainingError, str(tmp_path / "file"), "Not a directory"):
        RunFolder(tmp_path / "file").create(RECORD)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, ("run format 2", "expected 1")),
        ({"sead": 1}, ("'sead'", "'seed'")),
        ({"environments": 0}, ("'environments'", "at least 1")),
        ({"learner": 3}, ("'learner'", "mapping")),
    ],
)
def test_a_malformed_record_is_refused(
    tmp_path: Path, refuses: Any, change: dict[str, Any], words: tuple[str, ...]
) -> None:
    folder = RunFolder(tmp_path)
    folder.create(RECORD)
    data = yaml.safe_load(folder.record_file.read_text()) | change
    folder.record_file.write_text(yaml.safe_dump(data))
    with refuses(ConfigError, "run.yaml", *words):
        folder.record()


def test_a_digest_is_of_what_is_said_and_not_of_where(tmp_path: Path) -> None:
    robot = find_robot("reference")
    assert digest_of(replace(robot, source="elsewhere")) == digest_of(robot)
    heavier = replace(robot, joints=(replace(robot.joints[0], armature=0.5), *robot.joints[1:]))
    assert digest_of(heavier) != digest_of(robot)
    assert digest_of(robot, b"model") != digest_of(robot, b"other")
    assert digest_of({"a": 1, "b": np.array([1.0, 2.0])}) == digest_of({"b": [1.0, 2.0], "a": 1})
    with pytest.raises(TypeError, match="set"):
        digest_of({1, 2})


def test_columns_may_come_later(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    metrics = MetricsFile(file)
    metrics.append({"steps": 8, "kl": 0.25})
    metrics.append({"steps": 16, "kl": 0.5, "episode/return": -1.5})
    metrics.append({"steps": 24, "episode/return": 2.0})
    assert file.read_text() == "steps,kl,episode/return\n8,0.25,\n16,0.5,-1.5\n24,,2\n"
    columns = read_metrics(file)
    np.testing.assert_array_equal(columns["steps"], [8, 16, 24])
    np.testing.assert_array_equal(columns["kl"], [0.25, 0.5, math.nan])
    np.testing.assert_array_equal(columns["episode/return"], [math.nan, -1.5, 2.0])


def test_a_resumed_run_writes_its_rows_again(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("steps,kl\n8,0.1\n16,0.2\n24,0.3\n32,0.")  # killed while writing
    metrics = MetricsFile(file, 16)
    metrics.append({"steps": 24, "kl": 0.4})
    assert file.read_text() == "steps,kl\n8,0.1\n16,0.2\n24,0.4\n"


def test_a_row_cut_by_a_kill_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("steps,kl\n8,0.25\n16,0.")
    assert read_metrics(file)["kl"].tolist() == [0.25]
    MetricsFile(file, 16)
    assert file.read_text() == "steps,kl\n8,0.25\n"


def test_a_row_cut_by_a_full_disk_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "metrics.csv"
    metrics = MetricsFile(file)
    metrics.append({"steps": 8, "kl": 0.1})
    real = Path.open

    def full(self: Path, *arguments: Any, **options: Any) -> Any:
        with real(self, "a") as there:
            there.write("16")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space"):
        metrics.append({"steps": 16, "kl": 0.2})
    monkeypatch.undo()
    metrics.append({"steps": 24, "kl": 0.3})
    np.testing.assert_array_equal(read_metrics(file)["steps"], [8, 24])


def test_what_is_no_file_of_metrics_is_refused(tmp_path: Path, refuses: Any) -> None:
    (tmp_path / "metrics.csv").write_text("a,b\n1,2\n")
    with refuses(ConfigError, "metrics.csv", "'steps'"):
        MetricsFile(tmp_path / "metrics.csv")
    with refuses(ConfigError, "nothing.csv", "No such file"):
        read_metrics(tmp_path / "nothing.csv")


def test_the_checksum_is_crc32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of the CRC catalogue
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, appendix B.4


def test_event_files_are_tensorboard_s_bytes(tmp_path: Path) -> None:
    """The record as TensorBoard's own protobuf and TFRecord writer make it."""
    event = "2500000000000000eabc36f30900005040fc54d94110ac022a170a150a0e657069736f64652f72657475726e15000020405cb94003"
    resumed = "100000000000000095fbfe180900002040fc54d94110ac023a020801b94512a3"
    file = EventFile(tmp_path, 1700000000.5, first_step=300)
    file.write(1700000001.25, 300, {"episode/return": 2.5})
    file.close()
    (path,) = tmp_path.glob("events.out.tfevents.*")
    assert b"brain.Event:2" in path.read_bytes()
    assert path.read_bytes().endswith(bytes.fromhex(resumed + event))


def test_sessions_have_event_files_of_their_own_in_order(tmp_path: Path) -> None:
    for step in (0, 5, 7):
        EventFile(tmp_path, 1700000000.0, first_step=step).close()
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]
    assert len(sizes) == 3
    assert sizes[0] < sizes[1] == sizes[2]  # the first one takes nothing back


def test_a_log_that_cannot_be_written_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    log = RunLog(RunFolder(tmp_path), 0, said.append, lambda: 1700000000.0)

    def row(steps: int) -> Progress:
        return Progress(steps, 100, 1.0, 2.0, 8.0, {"kl": 0.1})

    log.write(row(8))
    with monkeypatch.context() as broken:

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        broken.setattr(run_log.MetricsFile, "append", full)
        log.write(row(16))
        log.write(row(24))
    log.write(row(32))
    log.close()
    (line,) = said
    assert "No space left on device" in line
    columns = read_metrics(tmp_path / "metrics.csv")
    assert columns["steps"].tolist() == [8, 32]
    assert columns["seconds"].tolist() == [2.0, 2.0]
    assert columns["steps_per_second"].tolist() == [8.0, 8.0]
    assert columns["kl"].tolist() == [0.1, 0.1]
