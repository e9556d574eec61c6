"""ONNX networks: what runs, and what is refused when it is loaded rather than when it walks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from humanoid_rl_ros.core.errors import PolicyError
from humanoid_rl_ros.policies.onnx_policy import OnnxPolicy

onnx = pytest.importorskip("onnx", reason="onnx writes the small networks of these tests")

Refuses = Callable[..., AbstractContextManager[None]]
WEIGHTS = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0]], dtype=np.float32)


def _save(
    path: Path, nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], weights: np.ndarray = WEIGHTS
) -> Path:
    """A network of `nodes`; shapes by name, a pair with the element type for anything but float."""

    def tensors(shapes: dict[str, Any]) -> list[Any]:
        pairs = {n: s if isinstance(s, tuple) else (onnx.TensorProto.FLOAT, s) for n, s in shapes.items()}
        return [onnx.helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in pairs.items()]

    initial = [onnx.numpy_helper.from_array(weights, "w")]
    graph = onnx.helper.make_graph(nodes, "policy", tensors(inputs), tensors(outputs), initial)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def _node(kind: str, inputs: list[str], outputs: list[str]) -> Any:
    return onnx.helper.make_node(kind, inputs, outputs)


def _linear(
    path: Path, obs: list[Any] | None = None, weights: np.ndarray = WEIGHTS, names: tuple[str, str] = ("obs", "act")
) -> Path:
    shape = ["batch", 3] if obs is None else obs
    return _save(path, [_node("MatMul", [names[0], "w"], [names[1]])], {names[0]: shape}, {names[1]: None}, weights)


def _recurrent(path: Path) -> Path:
    """h' = h + obs·w, action = h'."""
    nodes = [
        _node("MatMul", ["obs", "w"], ["x"]),
        _node("Add", ["x", "h_in"], ["h_out"]),
        _node("Identity", ["h_out"], ["act"]),
    ]
    return _save(path, nodes, {"obs": [1, 3], "h_in": ["batch", 2]}, {"act": [1, 2], "h_out": [1, 2]})


def _load(path: Path, **options: Any) -> OnnxPolicy:
    return OnnxPolicy(path, **({"observation_size": 3, "action_size": 2} | options))


def _infer(policy: OnnxPolicy, *observation: float) -> list[float]:
    action = policy.infer(np.array(observation, dtype=np.float32))
    assert (action.dtype, action.shape) == (np.float32, (2,))
    return action.tolist()


@pytest.mark.parametrize("shape", [["batch", 3], [1, 3], [3], [1, 1, 3], ["batch", "width"], [None, 3]])
def test_an_input_with_or_without_batch_axis_runs(shape: list[Any], tmp_path: Path) -> None:
    policy = _load(_linear(tmp_path / "a.onnx", shape))
    assert _infer(policy, 1.0, 10.0, 100.0) == [301.0, 420.0]


@pytest.mark.parametrize("names", [("obs", "actions"), ("actor_obs", "continuous_actions"), ("input", "output")])
def test_the_only_input_and_output_need_no_name(names: tuple[str, str], tmp_path: Path) -> None:
    assert _infer(_load(_linear(tmp_path / "a.onnx", names=names)), 1.0, 1.0, 0.0) == [1.0, 2.0]


def test_the_named_output_is_taken(tmp_path: Path) -> None:
    nodes = [_node("MatMul", ["obs", "w"], ["act"]), _node("Neg", ["act"], ["value"])]
    path = _save(tmp_path / "a.onnx", nodes, {"obs": [1, 3]}, {"act": [1, 2], "value": [1, 2]})
    assert _infer(_load(path, output_name="value"), 1.0, 1.0, 0.0) == [-1.0, -2.0]


def test_recurrent_state_is_carried_and_cleared(tmp_path: Path) -> None:
    policy = _load(_recurrent(tmp_path / "a.onnx"), output_name="act", recurrent={"h_in": "h_out"})
    assert [_infer(policy, 1.0, 1.0, 0.0) for _ in range(3)] == [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]
    policy.reset()
    assert _infer(policy, 1.0, 1.0, 0.0) == [1.0, 2.0]


def test_the_trial_run_leaves_no_state(tmp_path: Path) -> None:
    biased = np.zeros((3, 2), dtype=np.float32)
    nodes = [
        _node("MatMul", ["obs", "w"], ["x"]),
        _node("Add", ["x", "h_in"], ["y"]),
        _node("Cos", ["y"], ["h_out"]),  # 1 from nothing
        _node("Identity", ["h_out"], ["act"]),
    ]
    path = _save(tmp_path / "a.onnx", nodes, {"obs": [1, 3], "h_in": [1, 2]}, {"act": [1, 2], "h_out": [1, 2]}, biased)
    assert _infer(_load(path, output_name="act", recurrent={"h_in": "h_out"}), 0.0, 0.0, 0.0) == [1.0, 1.0]


def _in_parts(path: Path, second: list[Any]) -> Path:
    """action = first · w[:1] + second · w[1:], with the observation in two tensors."""
    nodes = [
        _node("Reshape", ["second", "flat"], ["s"]),
        _node("Concat", ["first", "s"], ["obs"]),
        _node("MatMul", ["obs", "w"], ["act"]),
    ]
    nodes[1].attribute.append(onnx.helper.make_attribute("axis", 1))
    path = _save(path, nodes, {"first": ["batch", 1], "second": second}, {"act": None})
    model = onnx.load(str(path))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 2]), "flat"))
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("second", [["batch", 2], ["batch", 2, 1], [1, 1, 2]])
def test_an_observation_in_several_tensors_is_shared_out_in_its_order(second: list[Any], tmp_path: Path) -> None:
    policy = _load(_in_parts(tmp_path / "a.onnx", second), inputs={"first": 1, "second": 2})
    assert _infer(policy, 1.0, 10.0, 100.0) == [301.0, 420.0]
    rows = np.array([[1.0, 1.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32)
    assert policy.infer_batch(rows).tolist() == [[1.0, 2.0], [0.0, 20.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"first": 2, "second": 1}, ["'first'", "takes 1", "has 2"]),
        ({"first": 3}, ["'first'", "takes 1", "has 3"]),
        ({"first": 1, "secnd": 2}, ["no input named 'secnd'", "did you mean 'second'?"]),
        ({}, ["input", "first, second"]),
    ],
)
def test_parts_that_are_not_the_tensors_are_refused(
    inputs: dict[str, int], words: list[str], tmp_path: Path, refuses: Refuses
) -> None:
    path = _in_parts(tmp_path / "a.onnx", ["batch", 2])
    with refuses(PolicyError, str(path), *words):
        _load(path, inputs=inputs)


def test_external_data_beside_the_file_is_found(tmp_path: Path) -> None:
    path = _linear(tmp_path / "a.onnx")
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="a.data", size_threshold=0)
    assert _infer(_load(path), 1.0, 1.0, 0.0) == [1.0, 2.0]


def test_a_network_in_a_bundle_gets_the_names_of_the_bundle(
    tmp_path: Path, bundle_data: dict[str, Any], write_bundle: Callable[[object], Path]
) -> None:
    from humanoid_rl_ros.policies.bundle_file import load_bundle

    weights = np.zeros((17, 2), dtype=np.float32)
    nodes = [_node("MatMul", ["o", "w"], ["x"]), _node("Add", ["x", "h"], ["n"]), _node("Identity", ["n"], ["a"])]
    _save(tmp_path / "policy.onnx", nodes, {"o": [1, 17], "h": [1, 2]}, {"a": [1, 2], "n": [1, 2]}, weights)
    bundle_data["weights"] |= {"input": "o", "output": "a", "recurrent": {"h": "n"}}
    assert load_bundle(write_bundle(bundle_data)).load_network().infer(np.zeros(17, dtype=np.float32)).tolist() == [
        0.0,
        0.0,
    ]


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\x08\x12\x00", None])
def test_what_is_no_network_is_refused(content: bytes | None, tmp_path: Path, refuses: Refuses) -> None:
    path = _linear(tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with refuses(PolicyError, str(path), "onnxruntime refuses it"):
        _load(path)


def test_a_missing_file_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(PolicyError, str(tmp_path / "absent.onnx")):
        _load(tmp_path / "absent.onnx")


def test_missing_external_data_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    path = _linear(tmp_path / "a.onnx")
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="a.data", size_threshold=0)
    (tmp_path / "a.data").unlink()
    with refuses(PolicyError, str(path), "a.data"):
        _load(path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"observation_size": 4}, ["'obs'", "takes 3", "has 4"]),
        ({"action_size": 3}, ["'act'", "gives 2", "3 joints"]),
        ({"input_name": "observation"}, ["no input named 'observation'", "obs"]),
        ({"output_name": "action"}, ["no output named 'action'", "act"]),
        ({"recurrent": {"h": "act"}}, ["no input named 'h'", "obs"]),
        ({"recurrent": {"obs": "act"}}, ["input", "obs"]),
    ],
)
def test_what_does_not_fit_is_refused_by_tensor(
    options: dict[str, Any], words: list[str], tmp_path: Path, refuses: Refuses
) -> None:
    path = _linear(tmp_path / "a.onnx")
    with refuses(PolicyError, str(path), *words):
        _load(path, **options)


def test_the_size_of_a_free_axis_is_found_by_the_trial_run(tmp_path: Path, refuses: Refuses) -> None:
    path = _linear(tmp_path / "a.onnx", ["batch", "width"])
    with refuses(PolicyError, str(path), "inference failed"):
        _load(path, observation_size=4)


@pytest.mark.parametrize("shape", [[1, 1, 1, 3], [7, 3]])
def test_an_input_of_another_shape_is_refused(shape: list[int], tmp_path: Path, refuses: Refuses) -> None:
    path = _linear(tmp_path / "a.onnx", shape)
    with refuses(PolicyError, str(path), "obs"):
        _load(path)


def test_an_input_of_another_type_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    kind = onnx.TensorProto.DOUBLE
    nodes = [_node("MatMul", ["obs", "w"], ["act"])]
    path = _save(
        tmp_path / "a.onnx", nodes, {"obs": (kind, [1, 3])}, {"act": (kind, [1, 2])}, WEIGHTS.astype(np.float64)
    )
    with refuses(PolicyError, str(path), "'obs'", "tensor(double)"):
        _load(path)


def test_an_input_that_nothing_feeds_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    path = _recurrent(tmp_path / "a.onnx")
    with refuses(PolicyError, str(path), "input", "obs, h_in"):
        _load(path, output_name="act")
    with refuses(PolicyError, str(path), "'h_in'", "'recurrent'"):
        _load(path, input_name="obs", output_name="act")


def test_an_unnamed_choice_of_outputs_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    nodes = [_node("MatMul", ["obs", "w"], ["act"]), _node("Neg", ["act"], ["value"])]
    path = _save(tmp_path / "a.onnx", nodes, {"obs": [1, 3]}, {"act": [1, 2], "value": [1, 2]})
    with refuses(PolicyError, str(path), "output", "act, value"):
        _load(path)


ROWS = np.array([[1.0, 1.0, 0.0], [0.0, 10.0, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32)


@pytest.mark.parametrize(
    ("shape", "calls"),
    [(["batch", 3], 1), ([None, 3], 1), (["batch", 1, 3], 1), ([1, 3], 3), ([3], 3), (["width"], 3), ([1, 1, 3], 3)],
)
def test_a_batch_is_answered_row_by_row_or_in_one_call(shape: list[Any], calls: int, tmp_path: Path) -> None:
    policy = _load(_linear(tmp_path / "a.onnx", shape))
    session = policy._session
    run, batches = session.run, []
    session.run = lambda fetch, feed: batches.append(feed) or run(fetch, feed)
    actions = policy.infer_batch(ROWS)
    assert (actions.dtype, actions.tolist()) == (np.float32, [[1.0, 2.0], [0.0, 20.0], [3.0, 4.0]])
    assert len(batches) == calls
    assert policy.infer_batch(ROWS[::2]).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert policy.infer_batch(ROWS[:0]).shape == (0, 2)


def test_a_batch_of_a_recurrent_network_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    policy = _load(_recurrent(tmp_path / "a.onnx"), output_name="act", recurrent={"h_in": "h_out"})
    with refuses(PolicyError, "a.onnx", "recurrent"):
        policy.infer_batch(ROWS)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (3, 2), (1, 2, 3)])
@pytest.mark.parametrize("axes", [["batch", 3], [1, 3]])
def test_a_batch_of_another_shape_is_refused(
    shape: tuple[int, ...], axes: list[Any], tmp_path: Path, refuses: Refuses
) -> None:
    policy = _load(_linear(tmp_path / "a.onnx", axes))
    with refuses(PolicyError, "a.onnx", str(shape), "(batch, 3)"):
        policy.infer_batch(np.zeros(shape, dtype=np.float32))


@pytest.mark.parametrize("shape", [(2,), (4,), (6,), (1, 3)])
def test_an_observation_of_another_shape_is_refused(shape: tuple[int, ...], tmp_path: Path, refuses: Refuses) -> None:
    policy = _load(_linear(tmp_path / "a.onnx", ["batch", 3]))
    with refuses(PolicyError, "a.onnx", str(shape), "(3,)"):
        policy.infer(np.zeros(shape, dtype=np.float32))


def test_a_network_that_makes_one_answer_of_a_batch_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    nodes = [
        _node("MatMul", ["obs", "w"], ["x"]),
        onnx.helper.make_node("ReduceSum", ["x", "axis"], ["act"], keepdims=1),
    ]
    path = _save(tmp_path / "a.onnx", nodes, {"obs": ["batch", 3]}, {"act": None})
    model = onnx.load(str(path))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0]), "axis"))
    onnx.save(model, str(path))
    policy = _load(path)
    assert policy.infer_batch(ROWS[:1]).tolist() == [[1.0, 2.0]]
    with refuses(PolicyError, "'act'", "gives 2 numbers for 3 observations", "2 joints"):
        policy.infer_batch(ROWS)


def test_a_network_whose_batch_is_only_said_to_be_free_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    nodes = [_node("Reshape", ["obs", "shape"], ["x"]), _node("MatMul", ["x", "w"], ["act"])]
    path = _save(tmp_path / "a.onnx", nodes, {"obs": ["batch", 3]}, {"act": None})
    model = onnx.load(str(path))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 3]), "shape"))
    onnx.save(model, str(path))
    with refuses(PolicyError, "a.onnx", "inference failed"):
        _load(path).infer_batch(ROWS)


def test_not_a_number_reaches_no_joint(tmp_path: Path, refuses: Refuses) -> None:
    """The network's own answer is passed on as it is; what reads the action refuses it."""
    from humanoid_rl_ros.core.action import ActionProcessor, plain_action

    path = _save(
        tmp_path / "a.onnx",
        [_node("MatMul", ["obs", "w"], ["x"]), _node("Log", ["x"], ["act"])],
        {"obs": [1, 3]},
        {"act": None},
    )
    action = _load(path).infer(np.array([-1.0, 1.0, 0.0], dtype=np.float32))
    with refuses(PolicyError, "'hip'", "not finite"), np.errstate(all="ignore"):
        ActionProcessor(plain_action(("hip", "knee"), (0.0, 0.0))).apply(action.astype(np.float64))
