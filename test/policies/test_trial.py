"""Networks tried before they drive anything, in a process of their own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_network import save_linear

from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.errors import ConfigError, PolicyError
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.probe import WARM_UP, probe
from humanoid_rl_ros.policies.trial import try_bundle

Refuses = Callable[..., AbstractContextManager[None]]
WriteYaml = Callable[[object], Path]


class Fake:
    """action = `function`(observation); remembers how it was used."""

    def __init__(self, function: Callable[[Float32Array], Any]) -> None:
        self.function, self.seen, self.resets = function, [], 0

    def infer(self, observation: Float32Array) -> Float32Array:
        self.seen.append(observation)
        return np.asarray(self.function(observation), dtype=np.float32)

    def infer_batch(self, observations: Float32Array) -> Float32Array:
        raise NotImplementedError

    def reset(self) -> None:
        self.resets += 1


@pytest.fixture
def bundle(bundle_data: dict[str, Any], write_bundle: WriteYaml) -> PolicyBundle:
    """17 numbers observed; two joints, scale 0.5, clip ±2, defaults 0.3 and −0.1."""
    bundle_data["action"] |= {"clip": 2.0}
    return load_bundle(write_bundle(bundle_data))


def test_a_network_is_measured_on_what_its_bundle_observes(bundle: PolicyBundle) -> None:
    network = Fake(lambda observation: [2.5, 1.0])
    found = probe(bundle, network, calls=50)
    assert found.calls == len(network.seen) == 50 + 20 + 10 + 10
    assert (found.not_finite, found.repeatable) == ("", True)
    assert found.at_clip == 0.5  # of two joints one
    assert found.largest_action == 2.5
    assert found.beyond_default == pytest.approx(1.0)  # 0.5 · 2, clipped
    assert found.microseconds_p50 <= found.microseconds_p99 <= found.microseconds_max
    assert WARM_UP < 50
    usual = np.array(network.seen[:50])
    assert usual.shape == (50, 17)
    assert np.abs(usual[:, :3]).max() <= 0.25  # rates of up to 1 rad/s, scaled by 0.25
    assert (usual[:, 5] < -0.9).all()  # nearly upright
    extreme = np.array(network.seen[70:80])
    assert np.abs(extreme[:, :3]).max() > 0.25


def test_nan_is_told_with_where_it_came_from(bundle: PolicyBundle) -> None:
    network = Fake(lambda observation: [np.nan if np.abs(observation).max() > 50 else 0.0, 0.0])
    assert probe(bundle, network, calls=50).not_finite.startswith("extreme observations: ")


def test_a_state_that_no_reset_forgets_is_noticed(bundle: PolicyBundle) -> None:
    network = Fake(lambda observation: [float(len(network.seen)), 0.0])
    assert not probe(bundle, network, calls=50).repeatable
    recurrent = Fake(lambda observation: [float(len(recurrent.seen) - recurrent.at), 0.0])
    recurrent.at = 0
    recurrent.reset = lambda: setattr(recurrent, "at", len(recurrent.seen))  # type: ignore[method-assign]
    assert probe(bundle, recurrent, calls=50).repeatable


ONES = np.ones((17, 2))


def test_a_bundle_is_tried_in_a_process_of_its_own(bundle: PolicyBundle, refuses: Refuses) -> None:
    save_linear(bundle.weights.path, ONES)
    found = try_bundle(bundle.folder, calls=30)
    assert (found.calls, found.not_finite) == (30 + 20 + 6 + 6, "")
    bundle.weights.path.write_bytes(b"no network")
    with refuses(PolicyError, "policy.onnx", "onnxruntime refuses it"):
        try_bundle(bundle.folder)
    with refuses(ConfigError, "nowhere"):
        try_bundle(bundle.folder / "nowhere")


def test_a_network_that_never_ends_takes_nobody_along(bundle: PolicyBundle, refuses: Refuses) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx writes the networks of these tests")
    body = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Identity", ["going"], ["goes_on"]),
            onnx.helper.make_node("Sin", ["x"], ["y"]),
        ],
        "body",
        [
            onnx.helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
            onnx.helper.make_tensor_value_info("going", onnx.TensorProto.BOOL, []),
            onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 17]),
        ],
        [
            onnx.helper.make_tensor_value_info("goes_on", onnx.TensorProto.BOOL, []),
            onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 17]),
        ],
    )
    nodes = [
        onnx.helper.make_node("Loop", ["count", "true", "obs"], ["z"], body=body),
        onnx.helper.make_node("MatMul", ["z", "w"], ["act"]),
    ]
    extra = [
        onnx.numpy_helper.from_array(np.array(2**62, dtype=np.int64), "count"),
        onnx.numpy_helper.from_array(np.array(True), "true"),
    ]
    save_linear(bundle.weights.path, ONES, nodes=nodes, extra=extra)
    with refuses(PolicyError, str(bundle.folder), "3 s", "did not come to an end"):
        try_bundle(bundle.folder, timeout=3.0)
