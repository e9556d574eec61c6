"""The bundle's own checks: digest, missing weights, missing libraries."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from humanoid_rl_ros.core.action import plain_action
from humanoid_rl_ros.core.errors import ConfigError, ContractError, MissingDependencyError, PolicyError
from humanoid_rl_ros.policies.bundle import PolicyBundle, WeightsSpec
from humanoid_rl_ros.policies.bundle_file import load_bundle

Refuses = Callable[..., AbstractContextManager[None]]
WriteYaml = Callable[[object], Path]
Data = dict[str, Any]


@pytest.fixture
def bundle(bundle_data: Data, write_bundle: WriteYaml) -> PolicyBundle:
    """The small bundle; its weights are not there."""
    return load_bundle(write_bundle(bundle_data))


def test_the_digest_is_of_the_weights_and_their_external_data_in_turn(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"ab")
    (tmp_path / "a.data").write_bytes(b"c")
    # The digest of "abc" from FIPS 180-2, appendix B.1.
    published = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert WeightsSpec(tmp_path / "a.onnx", external_data=(tmp_path / "a.data",)).digest() == published


def test_missing_weights_are_named(bundle: PolicyBundle, refuses: Refuses) -> None:
    with refuses(ConfigError, "weights", str(bundle.folder / "policy.onnx"), "No such file"):
        bundle.load_network()


def test_missing_external_data_is_named(bundle: PolicyBundle, refuses: Refuses) -> None:
    bundle.weights.path.write_bytes(b"")
    weights = dataclasses.replace(bundle.weights, external_data=(bundle.folder / "policy.data",))
    with refuses(ConfigError, str(bundle.folder / "policy.data"), "No such file"):
        dataclasses.replace(bundle, weights=weights).load_network()


@pytest.mark.parametrize("changed", ["policy.onnx", "policy.data"])
def test_a_changed_file_is_refused_before_it_is_opened(changed: str, bundle: PolicyBundle, refuses: Refuses) -> None:
    for name in ("policy.onnx", "policy.data"):
        (bundle.folder / name).write_bytes(b"weights")
    sha = hashlib.sha256(b"weightsweights").hexdigest()
    weights = dataclasses.replace(bundle.weights, sha256=sha.upper(), external_data=(bundle.folder / "policy.data",))
    sealed = dataclasses.replace(bundle, weights=weights)
    with refuses(PolicyError, "policy.onnx", "onnxruntime refuses it"):
        sealed.load_network()  # the digest holds: what stops it is that these are no weights
    (bundle.folder / changed).write_bytes(b"weightz")
    with refuses(ConfigError, str(bundle.weights.path), "digest", sha.upper()[:12], "changed"):
        sealed.load_network()


def test_weights_of_an_unknown_kind_are_refused(bundle: PolicyBundle, refuses: Refuses) -> None:
    path = bundle.folder / "policy.h5"
    path.touch()
    with refuses(ConfigError, str(path), ".onnx", ".pt"):
        dataclasses.replace(bundle, weights=WeightsSpec(path)).load_network()


@pytest.mark.parametrize(
    ("library", "module", "file"),
    [("onnxruntime", "onnx_policy", "policy.onnx"), ("torch", "torchscript_policy", "policy.pt")],
)
def test_a_missing_library_is_named(
    library: str, module: str, file: str, bundle: PolicyBundle, monkeypatch: pytest.MonkeyPatch, refuses: Refuses
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"humanoid_rl_ros.policies.{module}", raising=False)
    (bundle.folder / file).touch()
    with refuses(MissingDependencyError, str(bundle.folder / file), library):
        dataclasses.replace(bundle, weights=WeightsSpec(bundle.folder / file)).load_network()


def test_the_size_of_the_observation_is_known_without_a_robot(bundle: PolicyBundle) -> None:
    assert bundle.observation_size() == 3 + 3 + 3 + 3 + 3 + 2


def test_a_robot_that_lacks_an_observed_joint_is_refused(bundle: PolicyBundle, refuses: Refuses) -> None:
    with refuses(ContractError, "observed joint 'ankle'"):
        bundle.observation_builder(("hip", "knee"))


def test_the_action_must_be_of_the_driven_joints_in_their_order(bundle: PolicyBundle, refuses: Refuses) -> None:
    with refuses(ConfigError, "'small'", "action joints"):
        dataclasses.replace(bundle, action=plain_action(("hip", "knee"), (0.0, 0.0)))
