"""Bundles whose network is broken, hostile or not what policy.yaml says: one clear line, and nothing is run."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_network import save_linear

from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, PolicyError
from humanoid_rl_ros.policies.bundle_file import load_bundle

pytestmark = [pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")]
onnx = pytest.importorskip("onnx", reason="onnx writes the networks of these tests")

Refuses = Callable[..., AbstractContextManager[None]]
WriteYaml = Callable[[object], Path]
Data = dict[str, Any]


ONES = np.ones((17, 2), dtype=np.float32)


def _network(path: Path, *, weights: np.ndarray = ONES, **options: Any) -> Path:
    """17 numbers to 2."""
    return save_linear(path, weights, **options)


@pytest.fixture
def load(bundle_data: Data, write_bundle: WriteYaml) -> Callable[..., Any]:
    """Load the network of the small bundle with these keys of ``weights``."""

    def run(**keys: Any) -> Any:
        bundle_data["weights"] |= keys
        return load_bundle(write_bundle(bundle_data)).load_network()

    return run


def test_a_truncated_network_is_refused(tmp_path: Path, load: Callable[..., Any], refuses: Refuses) -> None:
    path = _network(tmp_path / "policy.onnx")
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with refuses(PolicyError, str(path), "onnxruntime refuses it"):
            load()


@pytest.mark.parametrize("name", ["policy.pt", "policy.pth"])
def test_a_pickle_called_torchscript_is_refused_and_not_run(
    name: str, tmp_path: Path, load: Callable[..., Any], refuses: Refuses
) -> None:
    torch = pytest.importorskip("torch", reason="torch reads TorchScript")
    victim = tmp_path / "run"

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (victim,))

    for write in (lambda p: p.write_bytes(pickle.dumps(Malicious())), lambda p: torch.save({"a": Malicious()}, p)):
        write(tmp_path / name)
        with refuses(PolicyError, name, "not a TorchScript archive"):
            load(file=name)
    assert not victim.exists()


@pytest.mark.parametrize("shape", [["batch", "width"], [None, None], ["n"], [1, "width"]])
def test_a_free_shape_that_fits_runs(shape: list[Any], tmp_path: Path, load: Callable[..., Any]) -> None:
    _network(tmp_path / "policy.onnx", input_shape=shape)
    assert load().infer(np.ones(17, dtype=np.float32)).tolist() == [17.0, 17.0]


def test_a_free_shape_that_does_not_fit_is_refused(tmp_path: Path, load: Callable[..., Any], refuses: Refuses) -> None:
    path = _network(tmp_path / "policy.onnx", input_shape=[1, "n"], weights=np.ones((18, 2), dtype=np.float32))
    with refuses(PolicyError, str(path), "inference failed"):
        load()


def test_external_data_must_be_listed_so_that_the_digest_covers_it(
    tmp_path: Path, load: Callable[..., Any], refuses: Refuses
) -> None:
    path = _network(tmp_path / "policy.onnx")
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="w.data", size_threshold=0)
    with refuses(ConfigError, str(path), "'w.data'", "external_data"):
        load()
    assert load(external_data=["w.data"]).infer(np.ones(17, dtype=np.float32)).tolist() == [17.0, 17.0]
    (tmp_path / "w.data").write_bytes(b"short")
    with refuses(PolicyError, str(path)):
        load()
    (tmp_path / "w.data").unlink()
    with refuses(ConfigError, "w.data", "No such file"):
        load()


def test_external_data_elsewhere_is_not_read(tmp_path: Path, load: Callable[..., Any], refuses: Refuses) -> None:
    path = _network(tmp_path / "policy.onnx")
    model = onnx.load(str(path))
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, location="../../etc/passwd", offset=0, length=136)
    tensor.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    with refuses(ConfigError, str(path), "'../../etc/passwd'"):
        load()


def test_an_opset_from_the_future_is_refused(tmp_path: Path, load: Callable[..., Any], refuses: Refuses) -> None:
    path = _network(tmp_path / "policy.onnx", opset=99)
    with refuses(PolicyError, str(path), "onnxruntime refuses it", "99"):
        load()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("hidden", [False, True])
def test_weights_that_are_no_numbers_are_refused(
    value: float, hidden: bool, tmp_path: Path, load: Callable[..., Any], refuses: Refuses
) -> None:
    weights = np.ones((17, 2), dtype=np.float32)
    weights[3, 1] = value
    nodes = [onnx.helper.make_node("MatMul", ["obs", "w"], ["x"]), onnx.helper.make_node("Relu", ["x"], ["act"])]
    path = _network(tmp_path / "policy.onnx", weights=weights, nodes=nodes if hidden else None)
    with refuses(PolicyError, str(path), "NaN or Inf", "broken weights"):
        load()


def test_a_renamed_input_is_refused_with_the_nearest(
    tmp_path: Path, load: Callable[..., Any], refuses: Refuses
) -> None:
    path = _network(tmp_path / "policy.onnx", input_name="observations")
    with refuses(PolicyError, str(path), "no input named 'observation'", "did you mean 'observations'?"):
        load(input="observation")


def test_a_network_that_was_changed_after_its_digest_is_refused(
    tmp_path: Path, load: Callable[..., Any], refuses: Refuses
) -> None:
    import hashlib

    path = _network(tmp_path / "policy.onnx")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    load(sha256=digest)
    _network(path, weights=np.full((17, 2), 2.0, dtype=np.float32))
    with refuses(ConfigError, str(path), digest[:12], "the file was changed"):
        load(sha256=digest)


def test_a_network_that_wants_more_memory_than_any_policy_is_refused(
    tmp_path: Path, load: Callable[..., Any], refuses: Refuses
) -> None:
    shape = onnx.numpy_helper.from_array(np.array([2**20, 2**13], dtype=np.int64), "shape")
    nodes = [
        onnx.helper.make_node("ConstantOfShape", ["shape"], ["big"]),
        onnx.helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0),
        onnx.helper.make_node("MatMul", ["obs", "w"], ["x"]),
        onnx.helper.make_node("Add", ["x", "sum"], ["act"]),
    ]
    path = _network(tmp_path / "policy.onnx", nodes=nodes, extra=[shape])
    assert path.stat().st_size < 1000
    with refuses(PolicyError, str(path)):
        load()


def test_a_torchscript_zip_bomb_is_refused(tmp_path: Path, load: Callable[..., Any], refuses: Refuses) -> None:
    pytest.importorskip("torch", reason="torch reads TorchScript")
    with zipfile.ZipFile(tmp_path / "policy.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/code/__torch__.py", b"#" * 50_000_000)
    with refuses(PolicyError, "policy.pt", "not opened"):
        load(file="policy.pt")


def test_a_torchscript_network_with_nan_is_refused_by_the_name_of_the_tensor(
    tmp_path: Path, load: Callable[..., Any], refuses: Refuses
) -> None:
    torch = pytest.importorskip("torch", reason="torch reads TorchScript")
    module = torch.nn.Sequential(torch.nn.Linear(17, 2))
    with torch.no_grad():
        module[0].bias[1] = torch.nan
    torch.jit.trace(module, torch.zeros(1, 17)).save(str(tmp_path / "policy.pt"))
    with refuses(PolicyError, "policy.pt", "'0.bias'", "NaN"):
        load(file="policy.pt")


def test_any_damage_to_a_file_is_one_line(tmp_path: Path, load: Callable[..., Any]) -> None:
    """Bytes changed at random: whatever still loads is a network, and the rest is refused, never a crash."""
    path = _network(tmp_path / "policy.onnx", weights=np.zeros((17, 2), dtype=np.float32))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refused = []
    for _ in range(60):
        damaged = bytearray(whole)
        for at in rng.integers(0, min(len(whole), 120), 3):
            damaged[at] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            load()
        except HumanoidError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert all(len(text.splitlines()) == 1 for text in refused)


def test_a_folder_in_the_place_of_the_weights_is_refused(
    tmp_path: Path, load: Callable[..., Any], refuses: Refuses
) -> None:
    shutil.rmtree(tmp_path / "policy.onnx", ignore_errors=True)
    (tmp_path / "policy.onnx").mkdir()
    with refuses(ConfigError, "policy.onnx"):
        load()
