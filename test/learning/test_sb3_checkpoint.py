"""Checkpoints of Stable-Baselines3: the actions of the written network, worked out by hand, and every refusal."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_files import (
    Command,
    box,
    dict_space,
    dump,
    forward,
    instance,
    named,
    pickled,
    random_layers,
    repack,
    sb3_data,
    sb3_zip,
    statistics,
    tensors,
    torch_file,
    unbounded,
    vec_normalize,
)
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

PPO, SAC, TD3 = "common.policies.ActorCriticPolicy", "sac.policies.SACPolicy", "td3.policies.TD3Policy"
OBSERVED, ACTIONS = 5, 3
LOW, HIGH = np.array([-1.0, -0.5, 0.25], np.float32), np.array([1.0, 0.012345679, 3.0], np.float32)
NONE = Path("none")
RNG = np.random.default_rng(5)
LAYERS = random_layers(RNG, OBSERVED, 8, 6, ACTIONS)
LAYERS[-1] = (4.0 * LAYERS[-1][0], LAYERS[-1][1])  # so that bounds matter
OBSERVATIONS = (RNG.standard_normal((40, OBSERVED)) * np.geomspace(0.1, 30.0, 40)[:, None]).astype(np.float32)

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "CELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "ELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "GELU": lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "LeakyReLU": lambda x: np.where(x > 0, x, 0.01 * x),
    "Mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "ReLU": lambda x: np.maximum(x, 0),
    "SELU": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "SiLU": lambda x: x / (1 + np.exp(-x)),
    "Softplus": lambda x: np.logaddexp(0, x),
    "Tanh": np.tanh,
}


def _ppo_weights(layers: Any = LAYERS, **others: Any) -> dict[str, Any]:
    critic = random_layers(np.random.default_rng(9), layers[0][0].shape[1], 4, 1)
    last = {"action_net.weight": layers[-1][0], "action_net.bias": layers[-1][1]}
    deviation = {"log_std": np.zeros(len(layers[-1][1]), np.float32)}
    return (
        named("mlp_extractor.policy_net.", layers[:-1])
        | named("mlp_extractor.value_net.", critic[:1])
        | {"value_net.weight": critic[1][0], "value_net.bias": critic[1][1]}
        | last
        | deviation
        | others
    )


def _sac_weights(mean: str = "actor.mu.") -> dict[str, Any]:
    deviation = {"actor.log_std.weight": LAYERS[-1][0], "actor.log_std.bias": LAYERS[-1][1]}
    last = {f"{mean}weight": LAYERS[-1][0], f"{mean}bias": LAYERS[-1][1]}
    critic = {"critic.qf0.0.weight": np.ones((4, OBSERVED + ACTIONS), np.float32)}
    return named("actor.latent_pi.", LAYERS[:-1]) | last | deviation | critic


def _td3_weights() -> dict[str, Any]:
    """The target's weights, which are others, come first."""
    return named("actor_target.mu.", [(w + 1, b) for w, b in LAYERS]) | named("actor.mu.", LAYERS)


def _data(policy: str = PPO, **entries: Any) -> dict[str, Any]:
    return sb3_data(policy, unbounded(OBSERVED), box(LOW, HIGH), **entries)


def _convert(path: Path, **options: Any) -> ConvertedNetwork:
    return convert_checkpoint(path, trust=True, **options)


def _actions(network: ConvertedNetwork, observations: np.ndarray = OBSERVATIONS) -> np.ndarray:
    """Of the written file, in one call for all, clipped to the bounds as the library does after an unsquashed PPO."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "policy.onnx"
        file.write_bytes(network.onnx)
        sizes = {"observation_size": network.observation_size, "action_size": network.action_size}
        actions = OnnxPolicy(file, input_name="obs", output_name="actions", **sizes).infer_batch(observations)
    bounds = network.action_bounds
    return actions if bounds is None else np.clip(actions, *np.array(bounds, np.float32))


def _unscaled(y: np.ndarray) -> np.ndarray:
    return LOW + 0.5 * (np.tanh(y) + 1.0) * (HIGH - LOW)


def test_ppo_by_hand(tmp_path: Path) -> None:
    """obs (1, 2) → tanh(1·1 − 1) = 0 and tanh(0.5·2) → 2·0 + 3·tanh(1) + 0.5 = 2.785, clipped to 2; and 10·tanh(1)."""
    layers = [([[1.0, 0.0], [0.0, 0.5]], [-1.0, 0.0]), ([[2.0, 3.0], [0.0, 10.0]], [0.5, 0.0])]
    layers = [(np.array(w, np.float32), np.array(b, np.float32)) for w, b in layers]
    data = sb3_data(PPO, unbounded(2), box([-2.0, -np.inf], [2.0, np.inf]))
    network = _convert(sb3_zip(tmp_path / "x.zip", data, _ppo_weights(layers)))
    assert _actions(network, np.array([[1.0, 2.0]], np.float32))[0].tolist() == pytest.approx([2.0, 7.6159416])
    assert network.action_bounds == ((-2.0, -math.inf), (2.0, math.inf))
    assert (network.observation_size, network.action_size, dict(network.recurrent)) == (2, 2, {})
    assert "default" in network.inferred["activation"]
    assert list(network.inferred) == ["activation"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation: str, tmp_path: Path) -> None:
    """As the JSON shows a class: printed."""
    kwargs = {"activation_fn": f"<class 'torch.nn.modules.activation.{activation}'>", ":type:": "<class 'dict'>"}
    network = _convert(sb3_zip(tmp_path / "x.zip", _data(policy_kwargs=kwargs), _ppo_weights()))
    expected = np.clip(forward(OBSERVATIONS, LAYERS, ACTIVATIONS[activation]), LOW, HIGH)
    assert ((expected > LOW) & (expected < HIGH)).any()
    np.testing.assert_allclose(_actions(network), expected, atol=1e-5)
    assert not network.inferred


def test_ppo_leaves_clipping_to_the_bundle(tmp_path: Path) -> None:
    network = _convert(sb3_zip(tmp_path / "x.zip", _data(), _ppo_weights()))
    assert network.action_bounds == (tuple(LOW.tolist()), tuple(HIGH.tolist()))  # to the last bit
    raw = ConvertedNetwork(**{**vars(network), "action_bounds": None})
    np.testing.assert_allclose(_actions(raw), forward(OBSERVATIONS, LAYERS, np.tanh), atol=1e-5)


def test_an_unbounded_action_has_no_bounds(tmp_path: Path) -> None:
    data = sb3_data(PPO, unbounded(OBSERVED), unbounded(ACTIONS))
    assert _convert(sb3_zip(tmp_path / "x.zip", data, _ppo_weights())).action_bounds is None


def test_a_policy_without_hidden_layers(tmp_path: Path) -> None:
    layers = random_layers(RNG, OBSERVED, ACTIONS)
    weights = {k: v for k, v in _ppo_weights(layers).items() if "policy_net" not in k}
    network = _convert(sb3_zip(tmp_path / "x.zip", _data(), weights))
    np.testing.assert_allclose(_actions(network), np.clip(forward(OBSERVATIONS, layers, np.tanh), LOW, HIGH), atol=1e-5)


def test_the_noise_of_gsde_plays_no_role(tmp_path: Path) -> None:
    weights = _ppo_weights(log_std=np.full((6, ACTIONS), 5.0, np.float32))
    network = _convert(sb3_zip(tmp_path / "x.zip", _data(use_sde=True), weights))
    expected = np.clip(forward(OBSERVATIONS, LAYERS, np.tanh), LOW, HIGH)
    np.testing.assert_allclose(_actions(network), expected, atol=1e-5)


def test_squashed_gsde_is_unscaled(tmp_path: Path) -> None:
    data = _data(use_sde=True, policy_kwargs={"squash_output": True})
    network = _convert(sb3_zip(tmp_path / "x.zip", data, _ppo_weights()))
    np.testing.assert_allclose(_actions(network), _unscaled(forward(OBSERVATIONS, LAYERS, np.tanh)), atol=1e-5)


@pytest.mark.parametrize(("policy", "weights"), [(SAC, _sac_weights), (TD3, _td3_weights)])
def test_off_policy_actors_are_unscaled(policy: str, weights: Callable[[], Any], tmp_path: Path) -> None:
    network = _convert(sb3_zip(tmp_path / "x.zip", _data(policy), weights()))
    relu = ACTIVATIONS["ReLU"]  # their default
    np.testing.assert_allclose(_actions(network), _unscaled(forward(OBSERVATIONS, LAYERS, relu)), atol=1e-5)
    assert network.action_bounds == (tuple(LOW.tolist()), tuple(HIGH.tolist()))
    assert "VecNormalize" in network.inferred["normaliser"]


@pytest.mark.parametrize(("kwargs", "bound"), [({}, 2.0), ({"clip_mean": 0.5}, 0.5)])
def test_the_mean_of_sac_with_gsde_is_clipped(kwargs: dict[str, Any], bound: float, tmp_path: Path) -> None:
    data = _data(SAC, use_sde=True, policy_kwargs=kwargs)
    weights = {k: v for k, v in _sac_weights("actor.mu.0.").items() if "log_std" not in k}
    network = _convert(sb3_zip(tmp_path / "x.zip", data, weights | {"actor.log_std": np.zeros((6, 3), np.float32)}))
    mean = forward(OBSERVATIONS, LAYERS, ACTIVATIONS["ReLU"])
    assert (np.abs(mean) > 2.0).any()
    np.testing.assert_allclose(_actions(network), _unscaled(np.clip(mean, -bound, bound)), atol=1e-5)


@pytest.mark.parametrize("protocol", [4, 5])
def test_statistics_by_hand(protocol: int, tmp_path: Path) -> None:
    """(7 − 3)/√(3.75 + 0.25) = 2 and (−100 − 0)/1 clipped to −5, through [[1, 10]] and bias 0.5."""
    layers = [(np.array([[1.0, 10.0]], np.float32), np.array([0.5], np.float32))]
    weights = {k: v for k, v in _ppo_weights(layers).items() if "policy_net" not in k}
    data = sb3_data(PPO, unbounded(2), unbounded(1), _last_original_obs=pickled(np.zeros(2)))
    path = sb3_zip(tmp_path / "x.zip", data, weights)
    file = vec_normalize(
        tmp_path / "n.pkl", protocol, obs_rms=statistics([3.0, 0.0], [3.75, 0.75]), epsilon=0.25, clip_obs=np.float64(5)
    )
    network = _convert(path, normaliser=file)
    assert _actions(network, np.array([[7.0, -100.0]], np.float32)).tolist() == [[-47.5]]


def test_statistics_are_applied_in_float64(tmp_path: Path) -> None:
    """1000 less 1000.00001 is nothing in float32, and −0.1 standard deviations here."""
    layers = [(np.ones((1, 1), np.float32), np.zeros(1, np.float32))]
    weights = {k: v for k, v in _ppo_weights(layers).items() if "policy_net" not in k}
    path = sb3_zip(tmp_path / "x.zip", sb3_data(PPO, unbounded(1), unbounded(1)), weights)
    file = vec_normalize(tmp_path / "n.pkl", obs_rms=statistics([1000.00001], [1e-8]), epsilon=1e-20)
    assert _actions(_convert(path, normaliser=file), np.array([[1000.0]], np.float32))[0] == pytest.approx([-0.1], 1e-4)


def _dict_checkpoint(path: Path) -> Path:
    data = sb3_data(
        "common.policies.MultiInputActorCriticPolicy",
        dict_space(a=unbounded(2), b=unbounded(3)),
        unbounded(ACTIONS),
        _last_original_obs={":type:": "dict", ":serialized:": "never read"},
        policy_kwargs={"features_extractor_class": "<class 'stable_baselines3.common.torch_layers.CombinedExtractor'>"},
    )
    return sb3_zip(path, data, _ppo_weights())


def test_some_entries_of_a_dict_are_normalised(tmp_path: Path) -> None:
    mean, var = np.array([0.5, -2.0]), np.array([4.0, 0.25])
    file = vec_normalize(
        tmp_path / "n.pkl", obs_rms={"a": statistics(mean, var)}, norm_obs_keys=["a"], clip_obs=3.0, epsilon=1e-8
    )
    network = _convert(_dict_checkpoint(tmp_path / "x.zip"), normaliser=file)
    seen = OBSERVATIONS.astype(np.float64)
    seen[:, :2] = np.clip((seen[:, :2] - mean) / np.sqrt(var + 1e-8), -3.0, 3.0)
    assert np.abs(seen[:, 2:]).max() > 30.0  # not clipped
    np.testing.assert_allclose(_actions(network), forward(seen, LAYERS, np.tanh), atol=1e-5)
    assert "a (2), b (3)" in network.notes[0]


@pytest.mark.parametrize("normaliser", ["off", "none"])
def test_rewards_alone_may_have_been_normalised(normaliser: str, tmp_path: Path) -> None:
    given = NONE if normaliser == "none" else vec_normalize(tmp_path / "n.pkl", norm_obs=False)
    network = _convert(_dict_checkpoint(tmp_path / "x.zip"), normaliser=given)
    np.testing.assert_allclose(_actions(network), forward(OBSERVATIONS, LAYERS, np.tanh), atol=1e-5)


def test_statistics_that_are_needed_are_asked_for(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(ConfigError, "x.zip", "VecNormalize", "--normaliser FILE", "--normaliser none"):
        _convert(_dict_checkpoint(tmp_path / "x.zip"))
    path = sb3_zip(tmp_path / "y.zip", _data(SAC), _sac_weights())
    shutil.copy(vec_normalize(tmp_path / "n.pkl"), tmp_path / "model_vecnormalize_7.pkl")
    with refuses(ConfigError, "y.zip", "model_vecnormalize_7.pkl", "--normaliser none"):
        _convert(path)
    _convert(path, normaliser=NONE)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"obs_rms": statistics([0.0] * 4, [1.0] * 4)}, ["mean of 4", "5 are observed"]),
        ({"obs_rms": statistics([0.0] * 5, [1.0] * 4)}, ["var of 4", "5 are observed"]),
        ({"obs_rms": statistics([np.nan] * 5, [1.0] * 5)}, ["mean", "NaN"]),
        ({"obs_rms": statistics([0.0] * 5, [-1.0] * 5)}, ["var is negative"]),
        ({"obs_rms": statistics([0.0] * 5, [1.0] * 5), "epsilon": 0.0}, ["epsilon", "above 0"]),
        ({"obs_rms": statistics([0.0] * 5, [1.0] * 5), "epsilon": "x"}, ["epsilon", "str"]),
        ({"obs_rms": statistics([0.0] * 5, [1.0] * 5), "clip_obs": -1.0}, ["clip_obs", "above 0"]),
        ({}, ["statistics", "NoneType"]),
        ({"obs_rms": {"a": statistics([0.0] * 5, [1.0] * 5)}}, ["of a", "one vector"]),
        ({"obs_rms": {}}, ["one vector"]),
        ({"obs_rms": instance("my.Statistics", mean=0)}, ["my.Statistics"]),
    ],
)
def test_statistics_that_do_not_fit_are_refused(
    state: dict[str, Any], words: list[str], tmp_path: Path, refuses: Refuses
) -> None:
    path = sb3_zip(tmp_path / "x.zip", _data(), _ppo_weights())
    with refuses(PolicyError, "n.pkl", *words):
        _convert(path, normaliser=vec_normalize(tmp_path / "n.pkl", **state))


def test_statistics_of_a_vector_are_refused_for_a_dict(tmp_path: Path, refuses: Refuses) -> None:
    file = vec_normalize(tmp_path / "n.pkl", obs_rms=statistics([0.0] * 5, [1.0] * 5))
    with refuses(PolicyError, "n.pkl", "one vector", "a, b"):
        _convert(_dict_checkpoint(tmp_path / "x.zip"), normaliser=file)
    entries = {name: statistics([0.0] * 2, [1.0] * 2) for name in "ac"}
    with refuses(PolicyError, "n.pkl", "a, c", "a, b"):
        _convert(tmp_path / "x.zip", normaliser=vec_normalize(file, obs_rms=entries))
    with refuses(PolicyError, "n.pkl", "norm_obs_keys"):
        some = {"a": entries["a"]}
        _convert(tmp_path / "x.zip", normaliser=vec_normalize(file, obs_rms=some, norm_obs_keys=["b"]))


def test_another_file_for_the_statistics_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    path = sb3_zip(tmp_path / "x.zip", _data(), _ppo_weights())
    (tmp_path / "other.pkl").write_bytes(dump(instance("my.Wrapper", obs_rms=1)))
    with refuses(PolicyError, "other.pkl", "my.Wrapper"):
        _convert(path, normaliser=tmp_path / "other.pkl")
    with refuses(PolicyError, "missing.pkl", "No such file"):
        _convert(path, normaliser=tmp_path / "missing.pkl")
    with refuses(PolicyError, "x.zip", "not a pickle"):
        _convert(path, normaliser=path)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"policy_class": pickled(instance("x.Y"))}, ["x.Y", "perceptrons"]),
        ({"policy_class": {":serialized:": "AAAA"}}, ["policy_class", "pickle"]),
        ({"policy_class": {":serialized:": "no base64!"}}, ["policy_class", "base64"]),
        ({"policy_class": 3}, ["policy_class", "missing"]),
        ({"policy_kwargs": []}, ["policy_kwargs", "list"]),
        ({"policy_kwargs": {"activation_fn": None}}, ["activation_fn", "NoneType"]),
        ({"policy_kwargs": {"activation_fn": "functools.partial(<class 'x'>)"}}, ["functools.partial", "ELU"]),
        ({"policy_kwargs": {"activation_fn": "<class 'torch.nn.modules.activation.Softmax'>"}}, ["Softmax"]),
        ({"policy_kwargs": {"features_extractor_class": "<class 'my.Net'>"}}, ["features extractor", "my.Net"]),
        ({"policy_kwargs": {"squash_output": True}}, ["squash_output without use_sde"]),
        ({"policy_kwargs": {"squash_output": 1}}, ["squash_output", "int"]),
        ({"action_space": pickled(instance("gymnasium.spaces.discrete.Discrete", n=4))}, ["action_space", "Discrete"]),
        ({"action_space": pickled(box([-1.0] * 2, [1.0] * 2))}, ["3 numbers", "2"]),
        ({"action_space": pickled(box([1.0] * 3, [-1.0] * 3))}, ["low must not be above high"]),
        ({"action_space": pickled(box([np.nan] * 3, [1.0] * 3))}, ["low must not be above high"]),
        ({"action_space": pickled(box([0] * 3, [1] * 3, np.int64))}, ["action_space", "int64"]),
        ({"action_space": pickled(instance("gymnasium.spaces.box.Box", low=[1.0]))}, ["low", "array"]),
        ({"observation_space": pickled(unbounded(6))}, ["(8, 5)", "must take 6"]),
        ({"observation_space": pickled(box(np.zeros((1, 4, 4)), np.ones((1, 4, 4)), np.uint8))}, ["uint8"]),
        ({"observation_space": pickled(dict_space())}, ["observation_space", "dict without entries"]),
        ({"observation_space": pickled(dict_space(a=instance("x.Y")))}, ["observation_space: a", "x.Y"]),
    ],
)
def test_data_that_cannot_be_used_is_refused(
    entries: dict[str, Any], words: list[str], tmp_path: Path, refuses: Refuses
) -> None:
    with refuses(PolicyError, "x.zip", *words):
        _convert(sb3_zip(tmp_path / "x.zip", _data() | entries, _ppo_weights()))


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
def test_data_that_is_no_mapping_is_refused(content: bytes, tmp_path: Path, refuses: Refuses) -> None:
    with refuses(PolicyError, "x.zip", "data"):
        _convert(sb3_zip(tmp_path / "x.zip", content, _ppo_weights()))


def test_an_activation_other_than_the_files_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    path = sb3_zip(tmp_path / "x.zip", _data(), _ppo_weights())
    _convert(path, activation="tanh")
    with refuses(ConfigError, "x.zip", "tanh", "'elu'"):
        _convert(path, activation="elu")
    with refuses(ConfigError, "x.zip", "--head"):
        _convert(path, head="mean")


def test_an_unbounded_space_cannot_be_unscaled_to(tmp_path: Path, refuses: Refuses) -> None:
    data = sb3_data(SAC, unbounded(OBSERVED), unbounded(ACTIONS))
    with refuses(PolicyError, "action_space is unbounded"):
        _convert(sb3_zip(tmp_path / "x.zip", data, _sac_weights()))


_NORM = np.ones(8, np.float32)


@pytest.mark.parametrize(
    ("policy", "weights", "words"),
    [
        (PPO, _sac_weights(), ["'actor.latent_pi.0.weight'", "PPO"]),
        (SAC, _ppo_weights(), ["'mlp_extractor.policy_net.0.weight'", "SAC"]),
        (TD3, {}, ["no layer"]),
        (PPO, {k: v for k, v in _ppo_weights().items() if k != "log_std"}, ["log_std", "not continuous"]),
        (PPO, {k: v for k, v in _ppo_weights().items() if k != "action_net.bias"}, ["action_net.bias", "missing"]),
        (PPO, _ppo_weights(**{"features_extractor.cnn.0.weight": _NORM}), ["features_extractor.cnn", "PPO"]),
        (PPO, _ppo_weights(**{"mlp_extractor.shared_net.0.weight": _NORM}), ["shared_net"]),
        (PPO, _ppo_weights(**{"mlp_extractor.policy_net.1.weight": _NORM}), ["policy_net.1.weight", "linear"]),
        (PPO, _ppo_weights(**{"mlp_extractor.policy_net.0.weight_g": _NORM}), ["weight_g"]),
        (PPO, _ppo_weights(**{"mlp_extractor.policy_net.0.weight": _NORM}), ["(8,)", "must take 5"]),
        (PPO, _ppo_weights(**{"mlp_extractor.policy_net.2.weight": np.ones((6, 9), "f4")}), ["(6, 9)", "take 8"]),
        (PPO, _ppo_weights(**{"action_net.bias": np.ones((), "f4")}), ["()"]),
        (PPO, _ppo_weights(**{"action_net.bias": [1.0, np.nan, 1.0]}), ["action_net.bias", "NaN"]),
        (PPO, _ppo_weights(**{"action_net.bias": np.array([1e300] * 3)}), ["action_net.bias", "beyond float32"]),
        (PPO, _ppo_weights(**{"action_net.bias": [1, 2, 3]}), ["action_net.bias", "torch.LongStorage"]),
        (PPO, _ppo_weights(**{"action_net.weight": np.full((3, 6), 3e38, "f4")}), ["not finite"]),
        (SAC, _sac_weights("actor.mu.0."), ["clipped mean"]),
    ],
)  # fmt: skip
def test_weights_of_something_else_are_refused(
    policy: str, weights: dict[str, Any], words: list[str], tmp_path: Path, refuses: Refuses
) -> None:
    with refuses(PolicyError, "x.zip", *words):
        _convert(sb3_zip(tmp_path / "x.zip", _data(policy), weights))


@pytest.mark.parametrize("policy", ["common.policies.ActorCriticCnnPolicy", "dqn.policies.DQNPolicy"])
def test_other_policies_are_refused(policy: str, tmp_path: Path, refuses: Refuses) -> None:
    with refuses(PolicyError, "x.zip", policy, "perceptrons of PPO"):
        _convert(sb3_zip(tmp_path / "x.zip", _data(policy), _ppo_weights()))


def test_nothing_is_read_without_trust(tmp_path: Path, refuses: Refuses) -> None:
    path = sb3_zip(tmp_path / "x.zip", b"no JSON", b"no torch")
    with refuses(ConfigError, "x.zip", "pickled Python", "unpickling can run anything", "--trust"):
        convert_checkpoint(path, trust=False)
    with refuses(ConfigError, "missing.zip", "no such file"):
        convert_checkpoint(tmp_path / "missing.zip", trust=True)


@pytest.mark.parametrize(
    "place", ["policy_class", "action_space", "inside a space", "clip_range", "weights", "statistics"]
)
def test_commands_in_the_files_are_not_run(place: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    command = Command(f"touch {victim}")
    data, weights, file = _data(), torch_file(tensors(_ppo_weights())), NONE
    if place == "inside a space":
        space = unbounded(OBSERVED)
        space._np_random = command
        data["observation_space"] = pickled(space)
    elif place == "weights":
        weights = repack(weights, {"data.pkl": dump({"action_net.weight": command}, 2)})
    elif place == "statistics":
        file = vec_normalize(tmp_path / "n.pkl", obs_rms=statistics([0.0] * 5, [1.0] * 5), reset_infos=[command])
    else:
        data[place] = pickled(command)
    path = sb3_zip(tmp_path / "x.zip", data, weights)
    refused = ""
    try:
        _convert(path, normaliser=file)
    except PolicyError as error:
        refused = str(error)
    assert not victim.exists()
    assert ("posix.system" in refused) == (place in ("policy_class", "action_space")), refused
    assert bool(refused) == (place in ("policy_class", "action_space", "weights")), refused


def test_a_packed_bomb_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    path = sb3_zip(tmp_path / "x.zip", _data(), bytes(50_000_000))
    path.write_bytes(repack(path.read_bytes(), {}, zipfile.ZIP_DEFLATED))
    assert path.stat().st_size < 100_000
    assert not is_checkpoint(path)
    with refuses(PolicyError, "x.zip", "no policy is packed like this"):
        _convert(path)
    path.write_bytes(repack(path.read_bytes(), {"policy.pth": bytes(100_000)}, zipfile.ZIP_DEFLATED))
    with refuses(PolicyError, "x.zip", "packed"):
        _convert(path)
    weights = repack(torch_file(tensors(_ppo_weights())), {}, zipfile.ZIP_DEFLATED)
    with refuses(PolicyError, "policy.pth", "packed"):
        _convert(sb3_zip(path, _data(), weights))


def test_members_of_one_name_are_refused(tmp_path: Path, refuses: Refuses) -> None:
    path = sb3_zip(tmp_path / "x.zip", _data(), _ppo_weights())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("data", json.dumps(_data()))
    with refuses(PolicyError, "x.zip", "two members of the same name"):
        _convert(path)


def test_a_truncated_file_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    content = sb3_zip(tmp_path / "x.zip", _data(), _ppo_weights()).read_bytes()
    for share in (0.0, 0.01, 0.3, 0.9, 0.999):
        (tmp_path / "x.zip").write_bytes(content[: int(share * len(content))])
        with refuses(PolicyError, "x.zip"):
            _convert(tmp_path / "x.zip")


def test_a_file_without_weights_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("data", "{}")
        archive.writestr("_stable_baselines3_version", "2.9.2")
    assert is_checkpoint(tmp_path / "x.zip")
    with refuses(PolicyError, "x.zip", "policy.pth", "SBX"):
        _convert(tmp_path / "x.zip")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0.0, 1.0, exclude_max=True), change=st.binary(min_size=1, max_size=4), inside=st.booleans())
def test_damage_is_refused_or_harmless(place: float, change: bytes, inside: bool, tmp_path: Path) -> None:
    weights = torch_file(tensors(_ppo_weights()))
    if inside:  # past the checksum
        with zipfile.ZipFile(sb3_zip(tmp_path / "w.zip", b"", weights)) as outer, outer.open("policy.pth") as member:
            skeleton = bytearray(zipfile.ZipFile(member).read("archive/data.pkl"))
        start = int(place * len(skeleton))
        skeleton[start : start + len(change)] = change
        weights = repack(weights, {"data.pkl": bytes(skeleton)})
    path = sb3_zip(tmp_path / "x.zip", _data(), weights)
    if not inside:
        content = bytearray(path.read_bytes())
        start = int(place * len(content))
        content[start : start + len(change)] = change
        path.write_bytes(content)
    is_checkpoint(path)
    with suppress(HumanoidError):
        _convert(path)


def test_the_librarys_own_file(tmp_path: Path) -> None:
    sb3 = pytest.importorskip("stable_baselines3", reason="only to compare with")
    gymnasium = pytest.importorskip("gymnasium")

    class Still(gymnasium.Env):  # type: ignore[name-defined, misc]
        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (OBSERVED,))
        action_space = gymnasium.spaces.Box(LOW, HIGH)

        def reset(self, **_options: Any) -> Any:
            return np.zeros(OBSERVED, np.float32), {}

        def step(self, action: Any) -> Any:
            return np.zeros(OBSERVED, np.float32), 0.0, False, True, {}

    for make in (sb3.PPO, sb3.SAC, sb3.TD3):
        model = make("MlpPolicy", Still(), seed=1, device="cpu")
        model.save(tmp_path / "model.zip")
        expected, _ = model.predict(OBSERVATIONS, deterministic=True)
        np.testing.assert_allclose(_actions(_convert(tmp_path / "model.zip")), expected, atol=1e-5)
