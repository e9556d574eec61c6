"""Statistics beside a network."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_network import save_linear

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.normaliser import NormalisedPolicy, NormaliserSpec

Refuses = Callable[..., AbstractContextManager[None]]


class Echo:
    """Says what it sees."""

    resets = 0

    def infer(self, observation: Float32Array) -> Float32Array:
        return observation

    def infer_batch(self, observations: Float32Array) -> Float32Array:
        return observations

    def reset(self) -> None:
        self.resets += 1


def test_the_network_sees_what_was_normalised_and_clipped() -> None:
    policy = NormalisedPolicy(Echo(), NormaliserSpec((1.0, 2.0, 0.0), (2.0, 0.5, 1.0), 3.0), 3)
    seen = np.array([5.0, 1.0, -9.0], dtype=np.float32)
    assert policy.infer(seen).tolist() == [2.0, -2.0, -3.0]
    assert policy.infer(seen).dtype == np.float32
    assert policy.infer_batch(np.array([seen, seen])).tolist() == [[2.0, -2.0, -3.0]] * 2


def test_a_reset_reaches_the_network() -> None:
    echo = Echo()
    NormalisedPolicy(echo, NormaliserSpec((0.0,), (1.0,)), 1).reset()
    assert echo.resets == 1


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [((0.0, 0.0), (1.0,), "2 means but 1"), ((), (), "no mean"), ((0.0, 0.0), (1.0, 0.0), "std[1]")],
)
def test_statistics_that_cannot_be_are_refused(
    mean: tuple[float, ...], std: tuple[float, ...], words: str, refuses: Refuses
) -> None:
    with refuses(ConfigError, "normaliser", words):
        NormaliserSpec(mean, std)


def test_statistics_of_another_observation_are_refused(
    refuses: Refuses, bundle_data: dict[str, Any], write_bundle: Callable[[object], Path]
) -> None:
    with refuses(ConfigError, "1 means", "3 numbers"):
        NormalisedPolicy(Echo(), NormaliserSpec((0.0,), (1.0,)), 3)
    bundle_data["weights"]["normaliser"] = {"mean": [0.0] * 16, "std": [1.0] * 16}
    with refuses(ConfigError, "policy.yaml", "16 means", "17 numbers"):
        load_bundle(write_bundle(bundle_data))


def test_a_bundle_runs_its_network_behind_its_normaliser(
    tmp_path: Path, bundle_data: dict[str, Any], write_bundle: Callable[[object], Path]
) -> None:
    weights = np.zeros((17, 2))
    weights[0] = 1.0
    save_linear(tmp_path / "policy.onnx", weights)
    bundle_data["weights"]["normaliser"] = {"mean": [3.0] + [0.0] * 16, "std": [0.5] + [1.0] * 16, "clip": 7}
    network = load_bundle(write_bundle(bundle_data)).load_network()
    assert network.infer(np.array([5.0] + [0.0] * 16, dtype=np.float32)).tolist() == [4.0, 4.0]
    assert network.infer(np.array([50.0] + [0.0] * 16, dtype=np.float32)).tolist() == [7.0, 7.0]
