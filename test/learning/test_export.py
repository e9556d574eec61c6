"""Exported policies: what ONNX answers is what torch answers, or nothing is written."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch holds the networks")
onnx = pytest.importorskip("onnx", reason="onnx writes the networks")
pytest.importorskip("onnxruntime", reason="onnxruntime runs the networks")

from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError, PolicyError  # noqa: E402
from humanoid_rl_ros.learning.export import export_policy  # noqa: E402
from humanoid_rl_ros.learning.networks import ACTIVATIONS, ActorNetwork, mlp  # noqa: E402
from humanoid_rl_ros.policies.bundle import PolicyBundle  # noqa: E402
from humanoid_rl_ros.policies.bundle_file import load_bundle  # noqa: E402
from humanoid_rl_ros.policies.signature import SIGNATURE, sign  # noqa: E402

Refuses = Callable[..., AbstractContextManager[None]]
OBSERVED, DRIVEN = 17, 2


@pytest.fixture
def contract(bundle_data: dict[str, Any], write_bundle: Callable[[object], Path]) -> PolicyBundle:
    return load_bundle(write_bundle(bundle_data))


def _network(
    activation: str = "elu",
    *,
    sizes: tuple[int, ...] = (OBSERVED, 32, 16, DRIVEN),
    layer_norm: bool = False,
    squashed: bool = False,
    clip: float = 5.0,
    gain: float = 1.0,
) -> ActorNetwork:
    """Biases and layer norms that do something, and a normaliser far from 0 and 1."""
    generator = torch.Generator().manual_seed(3)
    layers = mlp(sizes, activation, layer_norm=layer_norm, generator=generator, last_gain=gain)
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    mean = 50.0 * torch.randn(sizes[0], generator=generator)
    std = 0.01 + 20.0 * torch.rand(sizes[0], generator=generator)
    low, high = (torch.tensor([-1.0, -3.0]), torch.tensor([2.0, -1.0])) if squashed else (None, None)
    return ActorNetwork(layers, mean, std, clip=clip, low=low, high=high)


def _linear(weight: list[list[float]], mean: list[float], std: list[float], clip: float) -> ActorNetwork:
    layer = torch.nn.Linear(len(mean), len(weight))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor([0.5, -0.5]))
    return ActorNetwork(torch.nn.Sequential(layer), torch.tensor(mean), torch.tensor(std), clip=clip)


def _actions(bundle: PolicyBundle, observations: np.ndarray) -> np.ndarray:
    policy = bundle.load_network()
    return np.stack([policy.infer(row) for row in observations])


@pytest.mark.parametrize("squashed", [False, True])
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_file_answers_as_torch(
    activation: str, layer_norm: bool, squashed: bool, contract: PolicyBundle, tmp_path: Path
) -> None:
    network = _network(activation, layer_norm=layer_norm, squashed=squashed)
    bundle = export_policy(network, contract, tmp_path / "new" / "folder", samples=50)
    rng = np.random.default_rng(1)
    observations = (network.mean.numpy() + 30.0 * rng.standard_normal((20, OBSERVED))).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(observations)).numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(_actions(bundle, observations), expected, rtol=1e-5, atol=1e-5)


def test_the_normaliser_is_baked_in(contract: PolicyBundle, tmp_path: Path) -> None:
    """Worked out by hand: ((104 − 100)/4, (−7 + 10)/0.5 → clipped to 2) through [[1, 10], [2, 20]] and the bias."""
    rest = OBSERVED - 2
    weight = [[1.0, 10.0, *[0.0] * rest], [2.0, 20.0, *[0.0] * rest]]
    network = _linear(weight, [100.0, -10.0, *[0.0] * rest], [4.0, 0.5, *[1.0] * rest], clip=2.0)
    bundle = export_policy(network, contract, tmp_path, samples=50)
    observation = np.array([104.0, -7.0, *[0.0] * rest], dtype=np.float32)
    assert _actions(bundle, observation[None]).tolist() == [[21.5, 41.5]]


def test_a_normaliser_without_bounds_does_not_clip(contract: PolicyBundle, tmp_path: Path) -> None:
    weight = [[1.0, *[0.0] * (OBSERVED - 1)]] * 2
    network = _linear(weight, [0.0] * OBSERVED, [1.0] * OBSERVED, clip=float("inf"))
    bundle = export_policy(network, contract, tmp_path, samples=50)
    observation = np.array([1e6, *[0.0] * (OBSERVED - 1)], dtype=np.float32)
    assert _actions(bundle, observation[None]).tolist() == [[1000000.5, 999999.5]]


def test_a_squashed_action_stays_between_its_bounds(contract: PolicyBundle, tmp_path: Path) -> None:
    bundle = export_policy(_network(squashed=True, gain=30.0), contract, tmp_path, samples=50)
    rng = np.random.default_rng(1)
    actions = _actions(bundle, (1e4 * rng.standard_normal((50, OBSERVED))).astype(np.float32))
    assert actions.min(axis=0).tolist() == pytest.approx([-1.0, -3.0], abs=1e-3)
    assert actions.max(axis=0).tolist() == pytest.approx([2.0, -1.0], abs=1e-3)


@pytest.mark.parametrize(("activation", "clip", "gain"), [("elu", 100.0, 1.0), ("silu", 10.0, 30.0)])
def test_large_gains_and_clips_pass_the_comparison(activation: str, clip: float, gain: float, tmp_path: Path) -> None:
    """They lose more than 1e-5 in float32, in torch as in ONNX."""
    contract = load_bundle(Path(__file__).parents[2] / "config" / "benchmark")
    network = _network(activation, sizes=(96, 512, 256, 128, 29), clip=clip, gain=gain)
    export_policy(network, contract, tmp_path, samples=300)


def test_everything_but_the_weights_is_the_contract(contract: PolicyBundle, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    bundle = export_policy(_network(), contract, folder, comment="Walks.\nA second line.", samples=10)
    assert bundle == load_bundle(folder)
    assert (bundle.weights.path, bundle.weights.sha256) == (folder / "policy.onnx", bundle.weights.digest())
    assert (bundle.joints, bundle.held, bundle.observation, bundle.action) == (
        contract.joints,
        contract.held,
        contract.observation,
        contract.action,
    )
    assert (folder / "policy.yaml").read_text().startswith("# Walks.\n# A second line.\nformat: 1\n")
    assert sorted(path.name for path in folder.iterdir()) == ["policy.onnx", "policy.yaml"]


def test_any_number_of_robots_is_answered_in_one_call(contract: PolicyBundle, tmp_path: Path) -> None:
    export_policy(_network(), contract, tmp_path, samples=10)
    model = onnx.load(str(tmp_path / "policy.onnx"))
    batch, width = model.graph.input[0].type.tensor_type.shape.dim
    assert (batch.dim_param, width.dim_value) == ("batch", OBSERVED)
    assert (model.ir_version, model.opset_import[0].version) == (8, 17)


def test_the_same_network_gives_the_same_bytes(contract: PolicyBundle, tmp_path: Path) -> None:
    for folder in ("a", "b", "b"):  # the second time over what is there
        export_policy(_network(), contract, tmp_path / folder, comment="x", samples=10)
    for name in ("policy.onnx", "policy.yaml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_network_is_left_as_it_was(contract: PolicyBundle, tmp_path: Path) -> None:
    network = _network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export_policy(network, contract, tmp_path, samples=10)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_changed_file_is_refused_by_its_digest(contract: PolicyBundle, tmp_path: Path, refuses: Refuses) -> None:
    bundle = export_policy(_network(), contract, tmp_path, samples=10)
    content = bytearray(bundle.weights.path.read_bytes())
    content[-100] ^= 1
    bundle.weights.path.write_bytes(content)
    with refuses(ConfigError, "policy.onnx", "digest", "changed"):
        load_bundle(tmp_path).load_network()


def test_a_signed_policy_is_replaced_by_one_that_is_not(contract: PolicyBundle, tmp_path: Path) -> None:
    before = export_policy(_network(), contract, tmp_path / "out", samples=10)
    sign(tmp_path / "out", before.files())
    after = export_policy(_network(gain=2.0), contract, tmp_path / "out", samples=10)
    assert after.weights.sha256 != before.weights.sha256
    assert not (tmp_path / "out" / SIGNATURE).exists()


@pytest.mark.parametrize("tensor", ["mean", "std", "lower", "layer_0.weight", "layer_1.bias", "layer_3.bias", "centre"])
def test_a_network_written_wrongly_is_found_and_nothing_changes(
    tensor: str, contract: PolicyBundle, tmp_path: Path, refuses: Refuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = export_policy(_network("tanh"), contract, tmp_path, samples=10)
    from_array = onnx.numpy_helper.from_array

    def wrong(array: np.ndarray, name: str) -> Any:
        return from_array(array * np.float32(1.001) if name == tensor else array, name)

    monkeypatch.setattr(onnx.numpy_helper, "from_array", wrong)
    with refuses(PolicyError, "'small'", "joint", "differs from torch's by", "nothing was written"):
        export_policy(_network(layer_norm=True, squashed=True), contract, tmp_path)
    assert load_bundle(tmp_path) == before
    before.load_network()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policy.onnx", "policy.yaml"]


@pytest.mark.parametrize(("sizes", "words"), [((16, 8, 2), ["16", "17"]), ((17, 8, 3), ["3", "2 joints"])])
def test_sizes_that_do_not_fit_are_refused(
    sizes: tuple[int, ...], words: list[str], contract: PolicyBundle, tmp_path: Path, refuses: Refuses
) -> None:
    with refuses(PolicyError, "'small'", *words):
        export_policy(_network(sizes=sizes), contract, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_network_that_diverged_is_refused(contract: PolicyBundle, tmp_path: Path, refuses: Refuses) -> None:
    network = _network()
    with torch.no_grad():
        network.layers[2].weight[0, 0] = float("nan")
    with refuses(PolicyError, "'small'", "not finite"):
        export_policy(network, contract, tmp_path / "out", samples=10)
    assert not [*tmp_path.glob("out/*")]


def test_an_unknown_layer_is_refused(contract: PolicyBundle, tmp_path: Path, refuses: Refuses) -> None:
    network = _network()
    network.layers[1] = torch.nn.Softsign()
    with refuses(PolicyError, "layer_1", "Softsign"):
        export_policy(network, contract, tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_one_line(contract: PolicyBundle, tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with refuses(ConfigError, str(folder)):
            export_policy(_network(), contract, folder, samples=10)


def test_a_full_disk_leaves_the_old_bundle(
    contract: PolicyBundle, tmp_path: Path, refuses: Refuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = export_policy(_network("tanh"), contract, tmp_path, samples=10)

    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with refuses(ConfigError, str(tmp_path), "No space left"):
        export_policy(_network(), contract, tmp_path, samples=10)
    before.load_network()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(
    package: str, contract: PolicyBundle, tmp_path: Path, refuses: Refuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "humanoid_rl_ros.policies.onnx_policy", raising=False)
    found = builtins.__import__

    def missing(name: str, *args: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named '{package}'", name=package)
        return found(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with refuses(MissingDependencyError, f"pip install {package}"):
        export_policy(_network(), contract, tmp_path / "out", samples=10)
    assert not [*tmp_path.glob("out/*")]
