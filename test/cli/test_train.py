"""`humanoid_rl train` and `humanoid_rl export`, on a run that is too short to learn anything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("torch")  # the `train` extra brings it
pytest.importorskip("mujoco")

import run_folders
from run_folders import same
from typer.testing import CliRunner

from humanoid_rl_ros.cli import train as train_module
from humanoid_rl_ros.cli import train_evaluation
from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.cli.train_settings import TrainOptions, resolve
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, TrainingError
from humanoid_rl_ros.learning.checkpoint import checkpoint_name, load_checkpoint
from humanoid_rl_ros.learning.metrics_file import read_metrics
from humanoid_rl_ros.policies.contract import check_contract
from humanoid_rl_ros.resources import find_policy, find_robot

Refuses = Callable[..., AbstractContextManager[None]]
RUNNER = CliRunner()
PER_ITERATION = 4 * 8
SMALL = [
    *("--environments", "4", "--seed", "5"),
    *("--set", "steps_per_iteration=8", "--set", "epochs=1", "--set", "minibatches=1"),
    *("--set", "actor_hidden=[16]", "--set", "critic_hidden=[16]", "--set", "curriculum.commands.start=0.5"),
]


def words(folder: Path, iterations: int, *more: str, small: bool = True) -> list[str]:
    steps = str(iterations * PER_ITERATION)
    return ["train", "ppo", "--steps", steps, "--out", str(folder), *(SMALL if small else []), *more]


def checkpoint(folder: Path, iterations: int) -> Path:
    return run_folders.checkpoint(folder, iterations * PER_ITERATION)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six iterations, evaluated once."""
    folder = tmp_path_factory.mktemp("train") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_evaluation, "SECONDS", 2.5)
        result = str(folder.parent / "result.json")
        done = RUNNER.invoke(app, words(folder, 6, "--evaluate-every", "150", "--json", result))
    assert done.exit_code == 0, (done.output, done.exception)
    assert "humanoid_rl demo --policy" in done.output
    assert "steps/s" in done.output
    return folder


def test_a_run_leaves_everything_there_is_to_see(finished: Path) -> None:
    assert (finished / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert list((finished / "tensorboard").glob("*tfevents*"))
    assert checkpoint(finished, 6).is_file()
    record = yaml.safe_load((finished / "run.yaml").read_text())
    assert (record["algorithm"], record["task"], record["robot"], record["seed"]) == ("ppo", "walk", "reference", 5)
    assert record["learner"]["actor_hidden"] == [16]
    assert record["overrides"] == {"curriculum.commands.start": 0.5}
    columns = read_metrics(finished / "metrics.csv")
    assert columns["steps"].tolist() == [PER_ITERATION * i for i in range(1, 7)]
    # 150 steps lie between the fourth iteration's end and the fifth's.
    assert np.isfinite(columns["evaluation/survival"]).tolist() == [False, False, False, False, True, False]
    assert columns["curriculum/commands"][0] == 0.5
    assert {"reward/alive", "task/velocity_error", "policy/kl", "policy/learning_rate"} <= set(columns)
    result = json.loads((finished.parent / "result.json").read_text())
    assert (result["steps"], result["stopped"], result["environments"]) == (6 * PER_ITERATION, False, 4)
    assert result["checkpoint"] == str(checkpoint(finished, 6))
    assert result["metrics"]["policy/kl"] == pytest.approx(columns["policy/kl"][-1], rel=1e-6)


def test_the_policy_fits_the_robot(finished: Path) -> None:
    bundle = find_policy(str(finished / "policy"))
    check_contract(bundle, find_robot("reference"))
    bundle.load_network()
    assert "seed 5" in (finished / "policy" / "policy.yaml").read_text()


def test_the_same_seed_gives_the_same_weights(finished: Path, tmp_path: Path) -> None:
    again = RUNNER.invoke(app, words(tmp_path / "run", 6, "--no-export", "--evaluate-every", "0"))
    assert again.exit_code == 0, again.output
    assert not (tmp_path / "run" / "policy").exists()
    one, other = load_checkpoint(checkpoint(finished, 6)), load_checkpoint(checkpoint(tmp_path / "run", 6))
    assert same(one["learner"], other["learner"], but="seconds")
    assert same(one["policy"], other["policy"])


@pytest.mark.slow
@pytest.mark.ros
def test_over_ros_the_same_is_learned_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    learned = []
    for env in ("process", "ros"):
        folder = tmp_path / env
        # Two iterations; what is shipped for simulators over ROS is set on both sides.
        asked = words(folder, 2, "--env", env, "--no-export", "--evaluate-every", "0", "--environments", "2")
        result = RUNNER.invoke(app, asked)
        assert result.exit_code == 0, result.output
        learned.append(load_checkpoint(next(iter(sorted(folder.glob("checkpoints/*.pt"), reverse=True)))))
    assert same(learned[0]["learner"], learned[1]["learner"], but="seconds")
    assert same(learned[0]["policy"], learned[1]["policy"])


def test_where_the_physics_cannot_run_is_said(tmp_path: Path, refuses: Refuses) -> None:
    options = {"algorithm": "ppo", "steps": 100, "out": tmp_path / "run"}
    for more, expected in (
        ({"env": "moon"}, ["--env moon", "process, ros"]),
        ({"env": "ros", "task": "gymnasium:Humanoid-v5"}, ["--env ros", "robot"]),
        ({"namespaces": ("one",)}, ["--namespace", "--env ros"]),
    ):
        with refuses(ConfigError, *expected):
            resolve(TrainOptions(**options, **more), None, 1)
    with refuses(ConfigError, "one process"):
        resolve(TrainOptions(**options, env="ros"), None, 2)


@pytest.mark.slow
def test_a_run_killed_in_the_middle_goes_on_as_if_it_had_not_been(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "humanoid_rl_ros", *words(folder, 100_000, "--checkpoint-seconds", "0")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 100.0
        while not list(folder.glob("checkpoints/checkpoint_*")):
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        process.kill()
        process.communicate()
    reached = max(int(path.stem.split("_")[1]) for path in folder.glob("checkpoints/checkpoint_*.pt"))
    iterations = reached // PER_ITERATION + 3
    resumed = RUNNER.invoke(app, words(folder, iterations, "--resume", "--no-export", small=False))
    assert resumed.exit_code == 0, (resumed.output, resumed.exception)
    assert f"going on from {reached} steps" in resumed.output
    straight = RUNNER.invoke(app, words(tmp_path / "straight", iterations, "--no-export"))
    assert straight.exit_code == 0
    one, other = (load_checkpoint(checkpoint(f, iterations))["learner"] for f in (folder, tmp_path / "straight"))
    assert same(one, other, but="seconds")
    steps = read_metrics(folder / "metrics.csv")["steps"]
    assert steps.tolist() == [PER_ITERATION * i for i in range(1, iterations + 1)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_leaves(tmp_path: Path, number: signal.Signals, code: int) -> None:
    folder = tmp_path / "run"

    def interrupt() -> None:
        while not (folder / "metrics.csv").is_file() or len((folder / "metrics.csv").read_text().splitlines()) < 3:
            time.sleep(0.005)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    before = signal.getsignal(number)
    stopped = RUNNER.invoke(app, words(folder, 1_000_000))
    thread.join(10.0)
    assert stopped.exit_code == code, (stopped.output, stopped.exception)
    assert signal.getsignal(number) is before
    assert "--resume" in stopped.output
    (path,) = folder.glob("checkpoints/checkpoint_*.pt")
    assert load_checkpoint(path)["steps"] == read_metrics(folder / "metrics.csv")["steps"][-1]
    assert (folder / "learning_curve.png").is_file()
    assert not (folder / "policy").exists()


def test_a_second_signal_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    now = [100.0]
    monkeypatch.setattr(train_module.time, "monotonic", lambda: now[0])
    with train_module._Signals(lambda: asked.append(True)) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # at once: torchrun passing it on
        now[0] += 1.0
        os.kill(os.getpid(), signal.SIGINT)  # and of another kind
        assert asked == [True]
        assert signals.number == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_complete_run_is_only_exported_again(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("policy"))
    done = RUNNER.invoke(app, words(folder, 6, "--resume"))  # the whole command line again, which is the same run
    assert done.exit_code == 0, (done.output, done.exception)
    assert find_policy(str(folder / "policy")).weights.sha256 == find_policy(str(finished / "policy")).weights.sha256
    assert read_metrics(folder / "metrics.csv")["steps"].tolist() == [PER_ITERATION * i for i in range(1, 7)]


def test_a_bundle_from_a_run_and_from_any_checkpoint(finished: Path, tmp_path: Path) -> None:
    digests = []
    for source in (finished, checkpoint(finished, 6), finished / "checkpoints" / "best.pt"):
        done = RUNNER.invoke(app, ["export", str(source), "-o", str(tmp_path / source.name)])
        assert done.exit_code == 0, (done.output, done.exception)
        assert "ONNX gives the actions of torch" in done.output
        digests.append(find_policy(str(tmp_path / source.name)).weights.sha256)
    trained = find_policy(str(finished / "policy")).weights.sha256
    assert digests[:2] == [trained, trained]
    assert digests[2] != trained  # the fifth iteration, which was evaluated


def other_robot(finished: Path, folder: Path) -> list[str]:
    return [*words(finished, 7, "--resume", small=False), "--robot", "g1"]


def checkpoint_of_another_task(finished: Path, folder: Path) -> list[str]:
    """A run of another task, into which a checkpoint of this one was copied."""
    run = folder / "standing"
    done = RUNNER.invoke(app, words(run, 1, "--no-export", "--task", "stand"))
    assert done.exit_code == 0, (done.output, done.exception)
    shutil.copy(checkpoint(finished, 6), run / "checkpoints")
    return words(run, 7, "--resume", small=False)


def changed_task(finished: Path, folder: Path) -> list[str]:
    shutil.copytree(finished, folder / "run")
    record = folder / "run" / "run.yaml"
    record.write_text(record.read_text().replace("curriculum.commands.start: 0.5", "curriculum.commands.start: 0.6"))
    return words(folder / "run", 7, "--resume", small=False)


REFUSALS: dict[str, tuple[Callable[[Path, Path], list[str]], type[HumanoidError], tuple[str, ...]]] = {
    "algorithm": (lambda _, f: ["train", "poo", "--steps", "1", "--out", str(f)], ConfigError, ("'poo'", "'ppo'")),
    "task": (lambda _, f: words(f / "new", 1, "--task", "wlak"), ConfigError, ("'wlak'", "'walk'")),
    "robot": (lambda _, f: words(f / "new", 1, "--robot", "refrence"), ConfigError, ("'refrence'", "'reference'")),
    "learner key": (lambda _, f: words(f / "new", 1, "--set", "epohcs=3"), ConfigError, ("epohcs", "'epochs'")),
    "task key": (lambda _, f: words(f / "new", 1, "--set", "reward.alive=3"), ConfigError, ("reward", "'rewards'")),
    "nested task key": (
        lambda _, f: words(f / "new", 1, "--set", "episode.lenth=3"),
        ConfigError,
        ("'lenth'", "'length'"),
    ),
    "value": (lambda _, f: words(f / "new", 1, "--set", "clip=wide"), ConfigError, ("'clip'", "a number", "'wide'")),
    "setting": (lambda _, f: words(f / "new", 1, "--set", "clip"), ConfigError, ("key=value", "'clip'")),
    "config": (
        lambda _, f: words(f / "new", 1, "--config", str(f / "no.yaml")),
        ConfigError,
        ("no.yaml", "no such file"),
    ),
    "json": (lambda _, f: words(f / "new", 1, "--json", str(f / "no" / "x")), HumanoidError, ("no folder", "no")),
    "holds a run": (lambda run, _: words(run, 7), ConfigError, ("holds a run already", "--resume")),
    "no run": (lambda _, f: words(f, 7, "--resume"), ConfigError, ("holds no run", "run.yaml")),
    "other robot": (other_robot, ConfigError, ("robot", "'reference'", "'g1'")),
    "other number": (
        lambda run, _: [*words(run, 7, "--resume", small=False), "--environments", "8"],
        ConfigError,
        ("environments", "'4'", "'8'"),
    ),
    "other key": (
        lambda run, _: words(run, 7, "--resume", "--set", "clip=0.3"),
        ConfigError,
        ("learner key clip", "0.2", "0.3"),
    ),
    "other task's checkpoint": (checkpoint_of_another_task, ConfigError, ("task", "'walk'", "'stand'")),
    "changed task": (changed_task, ConfigError, ("another task", "'walk'", "digest")),
    "not writable": (
        lambda run, _: words(run / "run.yaml" / "deeper", 1),
        TrainingError,
        ("cannot write", "Not a directory"),
    ),
    "no checkpoint": (lambda _, f: ["export", str(f), "-o", str(f / "b")], ConfigError, ("holds no checkpoint",)),
    "nothing": (lambda _, f: ["export", str(f / "x.pt"), "-o", str(f / "b")], ConfigError, ("x.pt", "no such")),
    "no checkpoint at all": (
        lambda run, f: ["export", str(run / "run.yaml"), "-o", str(f / "b")],
        TrainingError,
        ("run.yaml", "no checkpoint"),
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_done_is_refused_in_one_line(finished: Path, tmp_path: Path, refuses: Any, case: str) -> None:
    make, error, said = REFUSALS[case]
    arguments = make(finished, tmp_path)
    with refuses(error, *said):
        RUNNER.invoke(app, arguments, catch_exceptions=False)
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_two_processes_started_by_torchrun(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "humanoid_rl_ros.cli.main", *words(folder, 3, "--checkpoint-seconds", "0")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("learning curve:") == 1
    for rank in ("", "process_1"):
        assert (folder / "checkpoints" / rank / checkpoint_name(3 * PER_ITERATION)).is_file()
    one, other = (
        load_checkpoint(folder / "checkpoints" / rank / checkpoint_name(3 * PER_ITERATION))["learner"]
        for rank in ("", "process_1")
    )
    assert same([one["policy"], one["value"]], [other["policy"], other["value"]])
    assert not same(one["collector"], other["collector"])
    assert yaml.safe_load((folder / "run.yaml").read_text())["processes"] == 2
    more = subprocess.run(
        [*command, "--resume", "--steps", str(5 * PER_ITERATION)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert more.returncode == 0, more.stdout + more.stderr
    assert (folder / "checkpoints" / "process_1" / checkpoint_name(5 * PER_ITERATION)).is_file()
