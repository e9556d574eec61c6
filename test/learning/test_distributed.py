"""Several processes learn what one learns."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import learning_process
import pytest
import torch

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.learning.distributed import init_from_environment
from humanoid_rl_ros.learning.ppo import PPO

Refuses = Callable[..., AbstractContextManager[None]]


def test_without_torchrun_there_are_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert init_from_environment() is None


def test_half_of_torchruns_variables_are_refused(monkeypatch: pytest.MonkeyPatch, refuses: Refuses) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with refuses(ConfigError, "MASTER_PORT", "torchrun"):
        init_from_environment()
    monkeypatch.setenv("MASTER_PORT", "port")
    with refuses(ConfigError, "cannot find each other"):
        init_from_environment()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _run_two(folder: Path) -> list[Path]:
    common = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "GLOO_SOCKET_IFNAME": "lo",
        "CUDA_VISIBLE_DEVICES": "",
    }
    files = [folder / f"{rank}.pt" for rank in range(2)]
    program = [sys.executable, learning_process.__file__]
    runs = [
        subprocess.Popen([*program, str(file)], env={**common, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True)
        for rank, file in enumerate(files)
    ]
    try:
        errors = [run.communicate(timeout=120)[1] for run in runs]
    finally:
        for run in runs:
            run.kill()
    assert [run.returncode for run in runs] == [0, 0], "\n".join(errors)
    return files


def test_two_processes_learn_what_one_with_all_their_robots_learns(tmp_path: Path) -> None:
    found = [torch.load(file, weights_only=True) for file in _run_two(tmp_path)]
    for each in found:  # a thread of the group that is still there as the interpreter ends may abort the process
        assert not [name for name in each["threads"] if "gloo" in name]
    for name, kind in learning_process.ENVS.items():
        env = kind(2 * learning_process.ROBOTS, episode_steps=4)
        learner = PPO(env, replace(learning_process.CONFIG, shards=2), 3)
        metrics = [learner.iterate() for _ in range(learning_process.ITERATIONS)][-1]
        first, second = (each[name] for each in found)
        for key, value in learner.actor().state_dict().items():
            assert torch.equal(first["actor"][key], second["actor"][key]), key
            torch.testing.assert_close(first["actor"][key], value, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(first["std"], learner.std, rtol=1e-5, atol=1e-5)
        assert first["steps"] == second["steps"] == learner.steps
        assert first["learning_rate"] == pytest.approx(metrics["policy/learning_rate"])
        # What one of them would learn alone is something else.
        alone = PPO(kind(learning_process.ROBOTS, episode_steps=4), learning_process.CONFIG, 3)
        for _ in range(learning_process.ITERATIONS):
            alone.iterate()
        assert (alone.actor().layers[0].weight - first["actor"]["layers.0.weight"]).abs().max() > 1e-3
