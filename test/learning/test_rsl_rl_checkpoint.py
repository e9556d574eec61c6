"""Checkpoints of rsl_rl: the actions of the written network, worked out by hand, and every refusal."""

from __future__ import annotations

import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_files import Command, forward, named, random_layers, repack, tensors, torch_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch holds the networks")
onnx = pytest.importorskip("onnx", reason="onnx writes the networks")
pytest.importorskip("onnxruntime", reason="onnxruntime runs the networks")

from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, PolicyError  # noqa: E402
from humanoid_rl_ros.learning.foreign_checkpoint import (  # noqa: E402
    ConvertedNetwork,
    convert_checkpoint,
    is_checkpoint,
)
from humanoid_rl_ros.policies.onnx_policy import OnnxPolicy  # noqa: E402

Refuses = Callable[..., AbstractContextManager[None]]

OBSERVED, HIDDEN, ACTIONS = 5, 4, 3
RNG = np.random.default_rng(11)
LAYERS = random_layers(RNG, OBSERVED, 8, 6, ACTIONS)
OBSERVATIONS = (3.0 * RNG.standard_normal((30, OBSERVED))).astype(np.float32)
MEAN = RNG.standard_normal(OBSERVED).astype(np.float32)
STD = RNG.uniform(0.0, 2.0, OBSERVED).astype(np.float32)
STATISTICS = {"_mean": MEAN[None], "_var": STD[None] ** 2, "_std": STD[None], "count": np.int64(7)}
CRITIC = random_layers(RNG, OBSERVED + 2, 4, 1)


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _normal(x: np.ndarray) -> np.ndarray:
    return (x - MEAN) / (STD + 1e-2)


def _prefixed(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {prefix + name: values for name, values in arrays.items()}


def _model(**others: Any) -> dict[str, Any]:
    """``model_state_dict`` of 1.0 to 3.3."""
    deviation = {"std": np.ones(ACTIONS, np.float32)}
    return deviation | named("actor.", LAYERS) | named("critic.", CRITIC) | others


def _split(deviation: str = "distribution.std_param", **others: Any) -> dict[str, Any]:
    """``actor_state_dict`` since 4.0."""
    return {deviation: np.ones(ACTIONS, np.float32)} | named("mlp.", LAYERS) | others


def _save(path: Path, infos: Any = None, **states: dict[str, Any]) -> Path:
    content = {key: tensors(arrays) for key, arrays in states.items()}
    optimiser = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.99)}]}
    path.write_bytes(torch_file({**content, "optimizer_state_dict": optimiser, "iter": 3, "infos": infos}))
    return path


def _convert(path: Path, activation: str | None = "elu", head: str | None = None) -> ConvertedNetwork:
    return convert_checkpoint(path, trust=True, activation=activation, head=head)


@contextmanager
def _policy(network: ConvertedNetwork) -> Iterator[OnnxPolicy]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "policy.onnx"
        file.write_bytes(network.onnx)
        yield OnnxPolicy(
            file,
            observation_size=network.observation_size,
            action_size=network.action_size,
            input_name=network.input_name,
            output_name=network.output_name,
            recurrent=network.recurrent,
        )


def _actions(network: ConvertedNetwork, observations: np.ndarray = OBSERVATIONS) -> np.ndarray:
    """One observation after the other."""
    with _policy(network) as policy:
        return np.stack([policy.infer(row) for row in observations])


LAYOUTS: dict[str, tuple[dict[str, dict[str, Any]], bool]] = {
    "1.0": ({"model_state_dict": _model()}, False),
    "2.1": ({"model_state_dict": _model(), "obs_norm_state_dict": STATISTICS}, True),
    "3.3": ({"model_state_dict": _model(**_prefixed("actor_obs_normalizer.", STATISTICS))}, True),
    "4.0": ({"actor_state_dict": _split("log_std"), "critic_state_dict": named("mlp.", CRITIC)}, False),
    "5.0": ({"actor_state_dict": _split(**_prefixed("obs_normalizer.", STATISTICS))}, True),
    "student of 2.3": (
        {
            "model_state_dict": {"std": np.ones(ACTIONS, np.float32)}
            | named("student.", LAYERS)
            | named("teacher.", CRITIC),
            "obs_norm_state_dict": STATISTICS,
            "privileged_obs_norm_state_dict": {"_mean": np.ones((1, 7), np.float32)},
        },
        True,
    ),
    "student of 5.5": (
        {"teacher_state_dict": named("mlp.", CRITIC), "student_state_dict": _split(), "actor_state_dict": {}},
        False,
    ),
}


@pytest.mark.parametrize("release", LAYOUTS)
def test_every_layout(release: str, tmp_path: Path) -> None:
    states, normalised = LAYOUTS[release]
    path = _save(tmp_path / "model_3.pt", **states)
    assert is_checkpoint(path)
    network = _convert(path)
    seen = _normal(OBSERVATIONS) if normalised else OBSERVATIONS
    np.testing.assert_allclose(_actions(network), forward(seen, LAYERS, _elu), atol=1e-5)
    assert (network.observation_size, network.action_size, network.action_bounds) == (OBSERVED, ACTIONS, None)
    assert "elu" in network.inferred["activation"]
    with _policy(network) as policy:  # any number at once
        np.testing.assert_allclose(policy.infer_batch(OBSERVATIONS), forward(seen, LAYERS, _elu), atol=1e-5)


def test_the_normaliser_by_hand(tmp_path: Path) -> None:
    """(2 − 1)/(0.49 + 0.01) = 2, 3·2 + 1 = 7; with ε inside a root it would not be."""
    layer = [(np.array([[3.0]], np.float32), np.array([1.0], np.float32))]
    statistics = {"_mean": [[1.0]], "_var": [[9.0]], "_std": [[0.49]], "count": 1}
    statistics = {name: np.float32(values) for name, values in statistics.items()}
    states = {"std": np.ones(1, np.float32)} | named("actor.", layer) | _prefixed("actor_obs_normalizer.", statistics)
    network = _convert(_save(tmp_path / "x.pt", model_state_dict=states))
    assert _actions(network, np.array([[2.0]], np.float32)) == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", lambda x: np.maximum(x, 0)),
        ("lrelu", lambda x: np.where(x > 0, x, 0.01 * x)),
        ("swish", lambda x: x * _sigmoid(x)),
        ("identity", lambda x: x),
        ("tanh", np.tanh),
    ],
)
def test_the_activation_is_as_given(name: str, function: Callable[[np.ndarray], np.ndarray], tmp_path: Path) -> None:
    network = _convert(_save(tmp_path / "x.pt", model_state_dict=_model()), name)
    np.testing.assert_allclose(_actions(network), forward(OBSERVATIONS, LAYERS, function), atol=1e-5)


def test_the_activation_must_be_given(tmp_path: Path, refuses: Refuses) -> None:
    path = _save(tmp_path / "x.pt", model_state_dict=_model())
    with refuses(ConfigError, "x.pt", "--activation elu", "relu", "lrelu", "swish"):
        _convert(path, None)
    with refuses(ConfigError, "x.pt", "'crelu'", "relu or celu"):
        _convert(path, "crelu")
    with refuses(ConfigError, "x.pt", "'sine'", "elu", "tanh"):
        _convert(path, "sine")
    with refuses(ConfigError, "x.pt", "--normaliser"):
        convert_checkpoint(path, trust=True, activation="elu", normaliser=Path("none"))


def _rnn(gates: int, layers: int) -> dict[str, np.ndarray]:
    found = {}
    for i in range(layers):
        width = HIDDEN if i else OBSERVED
        shapes = {"weight_ih": (gates * HIDDEN, width), "weight_hh": (gates * HIDDEN, HIDDEN)}
        shapes |= {"bias_ih": (gates * HIDDEN,), "bias_hh": (gates * HIDDEN,)}
        found |= {f"{name}_l{i}": RNG.normal(0, 0.7, shape).astype(np.float32) for name, shape in shapes.items()}
    return found


def _lstm_step(x: np.ndarray, state: tuple[np.ndarray, ...], w: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    h, c = state
    i, f, g, o = np.split(w[0] @ x + w[2] + w[1] @ h + w[3], 4)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def _gru_step(x: np.ndarray, state: tuple[np.ndarray, ...], w: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    (h,) = state
    (ri, zi, ni), (rh, zh, nh) = np.split(w[0] @ x + w[2], 3), np.split(w[1] @ h + w[3], 3)
    r, z = _sigmoid(ri + rh), _sigmoid(zi + zh)
    n = np.tanh(ni + r * nh)
    return ((1 - z) * n + z * h,)


def _remembered(weights: dict[str, np.ndarray], layers: int) -> np.ndarray:
    gates = len(weights["weight_hh_l0"]) // HIDDEN
    step, count = (_lstm_step, 2) if gates == 4 else (_gru_step, 1)
    states = [(np.zeros(HIDDEN),) * count for _ in range(layers)]
    rows = []
    for row in _normal(OBSERVATIONS).astype(np.float64):
        x = row
        for i in range(layers):
            parts = [weights[f"{part}_l{i}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            states[i] = step(x, states[i], parts)
            x = states[i][0]
        rows.append(x)
    return np.array(rows)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("gates", "names"), [(4, ["h", "c"]), (3, ["h"])], ids=["LSTM", "GRU"])
def test_recurrent_policies(gates: int, names: list[str], layers: int, tmp_path: Path) -> None:
    weights = _rnn(gates, layers)
    head = random_layers(RNG, HIDDEN, 6, ACTIONS)
    seen = _remembered(weights, layers)
    expected = forward(seen, head, _elu)
    old = {"std": np.ones(ACTIONS, np.float32)} | named("actor.", head) | _prefixed("memory_a.rnn.", weights)
    new = {"log_std": np.ones(ACTIONS, np.float32)} | named("mlp.", head) | _prefixed("rnn.rnn.", weights)
    paths = [
        _save(tmp_path / "old.pt", model_state_dict=old, obs_norm_state_dict=STATISTICS),
        _save(tmp_path / "new.pt", actor_state_dict=new | _prefixed("obs_normalizer.", STATISTICS)),
    ]
    for path in paths:
        network = _convert(path)
        assert network.recurrent == {f"{name}_in": f"{name}_out" for name in names}
        np.testing.assert_allclose(_actions(network), expected, atol=1e-5)
        with _policy(network) as policy:
            policy.infer(OBSERVATIONS[3])
            policy.reset()
            np.testing.assert_allclose(policy.infer(OBSERVATIONS[0]), expected[0], atol=1e-5)


def test_a_recurrent_network_written_wrongly_is_found(
    tmp_path: Path, refuses: Refuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = random_layers(RNG, HIDDEN, ACTIONS)
    weights = {"std": np.ones(ACTIONS, np.float32)} | named("actor.", head) | _prefixed("memory_a.rnn.", _rnn(4, 1))
    path = _save(tmp_path / "x.pt", model_state_dict=weights)
    _convert(path)
    from_array = onnx.numpy_helper.from_array
    monkeypatch.setattr(
        onnx.numpy_helper, "from_array", lambda array, name: from_array(np.roll(array, name.endswith("R_0"), 0), name)
    )
    _convert(path)
    monkeypatch.setattr(
        onnx.numpy_helper, "from_array", lambda array, name: from_array(array * (1.01 if "R_0" in name else 1), name)
    )
    with refuses(PolicyError, "x.pt", "number", "differs from torch's by"):
        _convert(path)


def test_a_head_that_cannot_be_seen_is_asked_for(tmp_path: Path, refuses: Refuses) -> None:
    layers = random_layers(RNG, OBSERVED, 6, 2 * ACTIONS)
    path = _save(tmp_path / "x.pt", actor_state_dict=named("mlp.", layers))
    y = forward(OBSERVATIONS, layers, _elu)
    with refuses(ConfigError, "x.pt", "6 outputs", "--head", "mean-and-std", "beta:LOWER:UPPER"):
        _convert(path)
    np.testing.assert_allclose(_actions(_convert(path, head="mean")), y, atol=1e-5)
    network = _convert(path, head="mean-and-std")
    np.testing.assert_allclose(_actions(network), y[:, :ACTIONS], atol=1e-5)
    assert "mean-and-std" in network.inferred["head"]
    alpha, beta = np.split(1 + np.logaddexp(0, y), 2, axis=1)
    network = _convert(path, head="beta:-2:1")
    np.testing.assert_allclose(_actions(network), -2.0 + 3.0 * alpha / (alpha + beta), atol=1e-5)
    assert network.action_bounds == ((-2.0,) * ACTIONS, (1.0,) * ACTIONS)
    for head in ("gaussian", "beta", "beta:1", "beta:1:1", "beta:nan:1", "beta:0:inf", "beta:a:b", "beta:0:1:2", ""):
        with refuses(ConfigError, "x.pt", f"'{head}'", "mean-and-std"):
            _convert(path, head=head)


def test_a_head_that_is_seen_is_not_contradicted(tmp_path: Path, refuses: Refuses) -> None:
    path = _save(tmp_path / "x.pt", model_state_dict=_model())
    _convert(path, head="mean")
    with refuses(ConfigError, "x.pt", "'std'", "mean", "'beta:0:1'"):
        _convert(path, head="beta:0:1")
    odd = _save(tmp_path / "odd.pt", actor_state_dict=named("mlp.", LAYERS))
    with refuses(ConfigError, "odd.pt", "3 outputs", "even"):
        _convert(odd, head="mean-and-std")


_RNN = _prefixed("memory_a.rnn.", _rnn(4, 1))


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ({"format": {}}, ["model_state_dict", "format"]),
        ({"model_state_dict": {"std": np.ones(3, "f4")}}, ["no layer"]),
        ({"model_state_dict": _model(std=np.ones(4, "f4"))}, ["gives 3", "'std' has 4"]),
        ({"model_state_dict": _model(**{"encoder.0.weight": np.ones((2, 2), "f4")})}, ["'encoder.0.weight'", "rsl_rl"]),
        ({"model_state_dict": _model(std_net=np.ones(3, "f4"))}, ["'std_net'"]),
        ({"actor_state_dict": _split(**{"cnns.camera.0.weight": np.ones(3, "f4")})}, ["'cnns.camera.0.weight'"]),
        ({"model_state_dict": _model(**{"actor.1.weight": np.ones(8, "f4")})}, ["'actor.1.weight'", "linear"]),
        ({"model_state_dict": _model(**{"actor.0.weight": np.ones((), "f4")})}, ["()"]),
        ({"model_state_dict": _model(**{"actor.2.weight": np.ones((6, 7), "f4")})}, ["(6, 7)", "take 8"]),
        ({"model_state_dict": _model(**{"actor.2.bias": np.full(6, np.inf, "f4")})}, ["'actor.2.bias'", "NaN or inf"]),
        ({"model_state_dict": _model(), "obs_norm_state_dict": {"_mean": MEAN}}, ["'_std'", "missing"]),
        ({"model_state_dict": _model(), "obs_norm_state_dict": STATISTICS | {"_std": STD[:3]}}, ["_std has 3", "5"]),
        ({"model_state_dict": _model(), "obs_norm_state_dict": STATISTICS | {"_std": -STD}}, ["_std is negative"]),
        (
            {
                "model_state_dict": _model(**_prefixed("actor_obs_normalizer.", STATISTICS)),
                "obs_norm_state_dict": STATISTICS,
            },
            ["two normalisers"],
        ),
        ({"model_state_dict": _model(**_RNN)}, ["layer 0", "(8, 5)", "take 4"]),
        ({"model_state_dict": _model(**_RNN, **{"memory_a.rnn.weight_hr_l0": STD})}, ["LSTM or a GRU"]),
        ({"model_state_dict": _model(**{"memory_a.rnn.weight_hh_l0": STD})}, ["LSTM or a GRU"]),
        ({"model_state_dict": _model(**(_RNN | {"memory_a.rnn.bias_hh_l0": STD}))}, ["recurrent layer 0", "(5,)"]),
        ({"model_state_dict": _model(**(_RNN | {"memory_a.rnn.weight_ih_l0": STD[0]}))}, ["recurrent layer 0", "()"]),
        ({"model_state_dict": _model(**(_RNN | {"memory_a.rnn.weight_hh_l0": np.ones((8, 4), "f4")}))}, ["(8, 4)"]),
    ],
)  # fmt: skip
def test_other_contents_are_refused(states: dict[str, Any], words: list[str], tmp_path: Path, refuses: Refuses) -> None:
    with refuses(PolicyError, "x.pt", *words):
        _convert(_save(tmp_path / "x.pt", **states))


@pytest.mark.parametrize("value", [3, [1], {}, torch.zeros(2), OrderedDict(a=1)])
def test_other_files_of_torch_are_refused(value: Any, tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "x.pt").write_bytes(torch_file(value))
    with refuses(PolicyError, "x.pt", "expected a checkpoint of rsl_rl"):
        _convert(tmp_path / "x.pt")


def test_a_pickled_module_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "x.pt").write_bytes(torch_file(torch.nn.Sequential(torch.nn.Linear(2, 2))))
    with refuses(PolicyError, "x.pt", "torch.nn.modules.container.Sequential"):
        _convert(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: torch.zeros(1).expand(1000, 1000), ["(1000, 1000)", "contiguous"]),
        (lambda: torch.ones(5, 8).t(), ["(8, 5)", "contiguous"]),
        (lambda: torch.ones(8, 5).to_sparse(), ["dense tensor", "sparse"]),
        (lambda: torch.ones(8, 5, device="meta"), ["dense tensor", "meta"]),
        (lambda: torch.ones(8, 5, dtype=torch.bfloat16), ["torch.BFloat16Storage", "torch.FloatStorage"]),
        (lambda: torch.ones(0, 5), ["(0, 5)", "empty"]),
        (lambda: [[1.0] * 5] * 8, ["dense tensor", "list"]),
    ],
    ids=["stride 0", "transposed", "sparse", "meta", "bfloat16", "empty", "list"],
)
def test_other_tensors_are_refused(make: Callable[[], Any], words: list[str], tmp_path: Path, refuses: Refuses) -> None:
    weights = tensors(_model())
    weights["actor.0.weight"] = make()
    (tmp_path / "x.pt").write_bytes(torch_file({"model_state_dict": weights}))
    with refuses(PolicyError, "x.pt", "'actor.0.weight'", *words):
        _convert(tmp_path / "x.pt")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_parameters_views_and_other_widths_are_read(dtype: Any, tmp_path: Path) -> None:
    weights = tensors(_model())
    for i, (name, tensor) in enumerate(list(weights.items())):
        padded = torch.cat([torch.full((2, *tensor.shape[1:]), 9.0), tensor]).to(dtype)
        weights[name] = torch.nn.Parameter(padded[2:]) if i % 2 else padded[2:]
    (tmp_path / "x.pt").write_bytes(torch_file({"model_state_dict": weights}))
    rounded = [(w.astype(np.float16), b.astype(np.float16)) if dtype is torch.float16 else (w, b) for w, b in LAYERS]
    expected = forward(OBSERVATIONS, rounded, _elu)
    np.testing.assert_allclose(_actions(_convert(tmp_path / "x.pt")), expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_no_checkpoint(tmp_path: Path, refuses: Refuses) -> None:
    script = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))
    script.save(str(tmp_path / "x.pt"))
    assert not is_checkpoint(tmp_path / "x.pt")
    with refuses(PolicyError, "x.pt", "not a checkpoint"):
        _convert(tmp_path / "x.pt")


def test_the_old_format_of_torch_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    content = torch_file({"model_state_dict": tensors(_model())}, _use_new_zipfile_serialization=False)
    (tmp_path / "x.pt").write_bytes(content)
    assert not is_checkpoint(tmp_path / "x.pt")
    with refuses(PolicyError, "x.pt", "not a checkpoint"):
        _convert(tmp_path / "x.pt")


def test_other_zips_are_no_checkpoints(tmp_path: Path) -> None:
    for name in ("data", "x/data.txt", "x/y/data.pkl"):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.writestr(name, b"")
        assert not is_checkpoint(tmp_path / "x.zip")
    assert not is_checkpoint(tmp_path / "missing.pt")


def test_nothing_is_read_without_trust(tmp_path: Path, refuses: Refuses) -> None:
    path = _save(tmp_path / "x.pt", model_state_dict=_model())
    with refuses(ConfigError, "x.pt", "pickled Python", "--trust"):
        convert_checkpoint(path, trust=False, activation="elu")


@pytest.mark.parametrize("place", ["infos", "a weight", "the state", "the file"])
def test_commands_in_the_file_are_not_run(place: str, tmp_path: Path, refuses: Refuses) -> None:
    victim = tmp_path / "victim"
    command = Command(f"touch {victim}")
    weights = tensors(_model())
    content: Any = {"model_state_dict": weights, "infos": None}
    if place == "infos":
        content["infos"] = command
    elif place == "a weight":
        weights["actor.0.weight"] = command
    elif place == "the state":
        content["model_state_dict"] = command
    else:
        content = command
    path = tmp_path / "x.pt"
    path.write_bytes(torch_file(content))
    if place == "infos":  # whatever stands there is not needed
        np.testing.assert_allclose(_actions(_convert(path)), forward(OBSERVATIONS, LAYERS, _elu), atol=1e-5)
    else:
        with refuses(PolicyError, "x.pt", "posix.system"):
            _convert(path)
    assert not victim.exists()
    torch.load(path, weights_only=False)  # what it would have done
    assert victim.exists()


def test_hostile_archives_are_refused(tmp_path: Path, refuses: Refuses) -> None:
    path = _save(tmp_path / "x.pt", model_state_dict=_model())
    content = path.read_bytes()
    huge_memo = b"\x80\x02}r\xff\xff\xff\x3f."
    changes = [
        (repack(content, {}, zipfile.ZIP_DEFLATED), ["packed"]),
        (repack(content, {"data.pkl": huge_memo}), ["expected a checkpoint", "nothing"]),
        (repack(content, {"data.pkl": b"\x80\x02}"}), ["not a pickle"]),
        (repack(content, {"byteorder": b"big"}), ["big-endian"]),
        (repack(content, {"data/2": b""}), ["bytes are missing"]),
        (repack(content, {"data/2": bytes(3)}), ["bytes are missing"]),
    ]
    for changed, words in changes:
        path.write_bytes(changed)
        with refuses(PolicyError, "x.pt", *words):
            _convert(path)


@pytest.mark.parametrize("key", ["../0", "0/../../etc", "", "x", "9" * 20, "12345"])
def test_storages_are_numbers(key: str, tmp_path: Path, refuses: Refuses) -> None:
    skeleton = zipfile.ZipFile(_save(tmp_path / "x.pt", model_state_dict=_model())).read("archive/data.pkl")
    old = b"X\x01\x00\x00\x000q"  # the key of the first storage, and the memo that follows
    assert skeleton.count(old) == 1
    new = b"X" + len(key).to_bytes(4, "little") + key.encode() + b"q"
    content = repack((tmp_path / "x.pt").read_bytes(), {"data.pkl": skeleton.replace(old, new)})
    (tmp_path / "x.pt").write_bytes(content)
    with refuses(PolicyError, "x.pt", "'std'" if key != "12345" else "data/12345"):
        _convert(tmp_path / "x.pt")


def test_a_truncated_file_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    content = _save(tmp_path / "x.pt", model_state_dict=_model()).read_bytes()
    for share in (0.0, 0.01, 0.3, 0.9, 0.999):
        (tmp_path / "x.pt").write_bytes(content[: int(share * len(content))])
        with refuses(PolicyError, "x.pt"):
            _convert(tmp_path / "x.pt")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0.0, 1.0, exclude_max=True), change=st.binary(min_size=1, max_size=4), inside=st.booleans())
def test_damage_is_refused_or_harmless(place: float, change: bytes, inside: bool, tmp_path: Path) -> None:
    content = _save(tmp_path / "x.pt", model_state_dict=_model(), obs_norm_state_dict=STATISTICS).read_bytes()
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        damaged = bytearray(archive.read("archive/data.pkl") if inside else content)
    start = int(place * len(damaged))
    damaged[start : start + len(change)] = change
    whole = repack(content, {"data.pkl": bytes(damaged)}) if inside else bytes(damaged)  # past the checksum
    (tmp_path / "x.pt").write_bytes(whole)
    is_checkpoint(tmp_path / "x.pt")
    with suppress(HumanoidError):
        _convert(tmp_path / "x.pt")
