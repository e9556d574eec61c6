"""Foreign files, opened without running anything of them; and weights that say nothing but their tensors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, PolicyError
from humanoid_rl_ros.policies.importers.foreign_yaml import read_foreign_yaml
from humanoid_rl_ros.policies.importers.onnx_facts import OnnxFacts, read_onnx_facts
from humanoid_rl_ros.policies.importers.plain import QUESTIONS, PlainImporter
from humanoid_rl_ros.policies.importers.registry import FORMATS, find_importer
from humanoid_rl_ros.policies.importers.source import Config, Source, open_source

Refuses = Callable[..., AbstractContextManager[None]]


# YAML.


def _yaml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return path


def test_tuples_and_the_whole_slice_are_plain_data(tmp_path: Path) -> None:
    text = "a: !!python/tuple [1, [2, 3]]\nb: !!python/object/apply:builtins.slice [null, null, null]\n1: x\n"
    assert read_foreign_yaml(_yaml(tmp_path, text)) == {"a": [1, [2, 3]], "b": None, "1": "x"}


def test_json_is_read_too(tmp_path: Path) -> None:
    assert read_foreign_yaml(_yaml(tmp_path, '{"kp": [1.5, 2], "name": "x"}')) == {"kp": [1.5, 2], "name": "x"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: !!python/object/apply:os.system ['touch victim']", ["os.system", "asks to run code", "line 1"]),
        ("a: !!python/name:os.system", ["asks to run code"]),
        ("a: !!python/object/apply:builtins.slice [0, 3, null]", ["slice", "line 1"]),
        ("a: !custom 1", ["!custom"]),
        ("- 1", ["mapping", "list"]),
        ("", ["nothing"]),
        ("a: [", ["not valid YAML"]),
        ("a: &x [*x]", ["aliases"]),
        ("a: 1\nb: 2\na: 3", ["'a' appears twice", "line 3"]),
        ("&a [1, 2]", ["list"]),
    ],
)
def test_what_is_more_than_data_is_refused(text: str, words: list[str], tmp_path: Path, refuses: Refuses) -> None:
    path = _yaml(tmp_path, text)
    with refuses(ConfigError, str(path), *words):
        read_foreign_yaml(path)


def test_a_bomb_of_aliases_is_refused_at_once(tmp_path: Path, refuses: Refuses) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    path = _yaml(tmp_path, "\n".join(lines))
    with refuses(ConfigError, str(path), "aliases"):
        read_foreign_yaml(path)


@given(text=st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("yaml") / "c.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with suppress(HumanoidError):
        assert isinstance(read_foreign_yaml(path), dict)


# ONNX.


@pytest.fixture
def network(tmp_path: Path) -> Any:
    """Write a network with these tensors and metadata."""
    onnx = pytest.importorskip("onnx", reason="onnx writes the networks of these tests")

    def write(inputs: dict[str, list[Any]], outputs: dict[str, list[Any]], metadata: dict[str, str]) -> Path:
        def tensors(shapes: dict[str, list[Any]]) -> list[Any]:
            return [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in shapes.items()]

        weights = [onnx.numpy_helper.from_array(np.zeros((3, 2), dtype=np.float32), "w")]
        nodes = [onnx.helper.make_node("MatMul", [next(iter(inputs)), "w"], [name]) for name in outputs]
        graph = onnx.helper.make_graph(nodes, "g", tensors(inputs), tensors(outputs), weights)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
        for key, value in metadata.items():
            entry = model.metadata_props.add()
            entry.key, entry.value = key, value
        path = tmp_path / "net.onnx"
        onnx.save(model, str(path))
        return path

    return write


def test_a_network_tells_its_tensors_and_metadata(network: Any) -> None:
    path = network({"obs": ["batch", 3], "w": [3, 2]}, {"act": [1, 2], "value": [None, "n"]}, {"joint_names": "a,b"})
    facts = read_onnx_facts(path)
    assert facts.inputs == {"obs": (None, 3)}  # stored weights are no input
    assert facts.outputs == {"act": (1, 2), "value": (None, None)}
    assert [facts.width(name) for name in ("obs", "act", "value")] == [3, 2, None]
    assert (facts.metadata, facts.opset, facts.external_data) == ({"joint_names": "a,b"}, 17, ())


def test_metadata_that_contradicts_itself_is_refused(network: Any, refuses: Refuses) -> None:
    import onnx

    path = network({"obs": [1, 3]}, {"act": [1, 2]}, {"kp": "1"})
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = "kp", "2"
    onnx.save(model, str(path))
    with refuses(PolicyError, str(path), "'kp' twice"):
        read_onnx_facts(path)


def test_external_data_is_found_beside_it_and_nowhere_else(network: Any, tmp_path: Path, refuses: Refuses) -> None:
    import onnx

    path = network({"obs": [1, 3]}, {"act": [1, 2]}, {})
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="net.data", size_threshold=0)
    assert read_onnx_facts(path).external_data == (tmp_path / "net.data",)
    content = path.read_bytes()
    (tmp_path / "net.data").unlink()
    with refuses(PolicyError, str(path), "'net.data'", "missing"):
        read_onnx_facts(path)
    path.write_bytes(content.replace(b"net.data", b"../e.txt"))
    with refuses(PolicyError, str(path), "'../e.txt'", "not beside it"):
        read_onnx_facts(path)


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"not a network"])
def test_what_is_no_network_is_refused(content: bytes, tmp_path: Path, refuses: Refuses) -> None:
    pytest.importorskip("onnx", reason="onnx reads it")
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with refuses(PolicyError, str(path), "not ONNX"):
        open_source(path)


def test_missing_files_are_named(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(ConfigError, "absent.onnx", "no such file"):
        open_source(tmp_path / "absent.onnx")


# Weights alone.


def _facts(inputs: dict[str, Any] | None = None, outputs: dict[str, Any] | None = None) -> OnnxFacts:
    return OnnxFacts(inputs or {"obs": (1, 17)}, outputs or {"act": (1, 2)}, {}, (), 17)


def _source(tmp_path: Path, *configs: dict[str, Any], **tensors: Any) -> Source:
    return Source(
        tmp_path / "net.onnx",
        tuple(Config(tmp_path / f"{i}.yaml", c) for i, c in enumerate(configs)),
        _facts(**tensors),
    )


def test_weights_alone_ask_for_everything_and_tell_their_sizes(tmp_path: Path) -> None:
    draft = PlainImporter().read(_source(tmp_path))
    assert set(draft.missing) == set(QUESTIONS)
    assert "2 numbers" in draft.missing["joints"]
    assert "17 numbers" in draft.missing["observation.terms"]
    assert draft.keys["weights"] == {"input": "obs", "output": "act"}
    assert {"action.kind", "command", "joints.effort"} == set(draft.inferred)


def test_a_clock_and_a_velocity_that_are_observed_are_asked_for(tmp_path: Path) -> None:
    history = {"length": 2, "layout": "time_major", "order": "oldest_first"}
    block = {"history": history, "terms": [{"term": "gait_phase_sin"}]}
    observation = {"terms": [{"term": "base_lin_vel"}, block]}
    draft = PlainImporter().read(_source(tmp_path, {"observation": observation}))
    assert {"gait", "base_velocity"} <= set(draft.missing)
    said = {"observation": observation, "gait": {"period": 0.8}, "base_velocity": "estimator"}
    draft = PlainImporter().read(_source(tmp_path, said))
    assert not {"gait", "base_velocity"} & set(draft.missing)


def test_several_tensors_are_asked_for_by_name(tmp_path: Path) -> None:
    draft = PlainImporter().read(
        _source(tmp_path, inputs={"obs": (1, 17), "memory": (1, 1, 8)}, outputs={"act": (1, 2), "next": (1, 1, 8)})
    )
    assert "memory [1, 1, 8]" in draft.missing["weights.input"]
    assert "next [1, 1, 8]" in draft.missing["weights.output"]
    draft = PlainImporter().read(
        _source(
            tmp_path,
            {"weights": {"recurrent": {"memory": "next"}}},
            inputs={"obs": (1, 17), "memory": (1, 1, 8)},
            outputs={"act": (1, 2), "next": (1, 1, 8)},
        )
    )
    assert draft.keys["weights"] == {"recurrent": {"memory": "next"}, "input": "obs", "output": "act"}


def test_tensors_called_in_and_out_are_a_recurrent_state(tmp_path: Path) -> None:
    state = {"h": (1, 1, 8), "c": (1, 1, 8)}
    draft = PlainImporter().read(
        _source(
            tmp_path,
            inputs={"obs": (1, 17), **{f"{name}_in": shape for name, shape in state.items()}},
            outputs={"act": (1, 2), **{f"{name}_out": shape for name, shape in state.items()}},
        )
    )
    recurrent = {"h_in": "h_out", "c_in": "c_out"}
    assert draft.keys["weights"] == {"recurrent": recurrent, "input": "obs", "output": "act"}
    assert "weights.recurrent" in draft.inferred


def test_partial_policy_yamls_answer_and_the_later_one_wins(tmp_path: Path, bundle_data: dict[str, Any]) -> None:
    bundle_data["weights"] = {}
    draft = PlainImporter().read(_source(tmp_path, bundle_data, {"pd_rate": 200, "action": {"scale": 0.1}}))
    assert draft.missing == {}
    assert draft.joints == ("knee", "hip")
    assert draft.columns["kp"] == (20.0, 40.0)
    assert draft.keys["pd_rate"] == 200
    assert draft.keys["action"] == {"kind": "position_offset", "scale": 0.1}
    assert draft.keys["held"]["arm"]["kp"] == 5


def test_joints_may_be_a_list_of_names(tmp_path: Path) -> None:
    draft = PlainImporter().read(_source(tmp_path, {"joints": ["knee", "hip"]}))
    assert draft.joints == ("knee", "hip")
    assert "joints.kp" in draft.missing


def test_joints_may_be_lists_of_one_order(tmp_path: Path) -> None:
    lists = {"names": ["knee", "hip"], "default": {"hip": -0.1, "knee": 0.3}, "kp": 20, "kd": [1, 2]}
    draft = PlainImporter().read(_source(tmp_path, {"joints": lists}))
    assert draft.joints == ("knee", "hip")
    assert draft.columns == {"default": (0.3, -0.1), "kp": (20.0, 20.0), "kd": (1.0, 2.0)}


@pytest.mark.parametrize(
    ("joints", "words"),
    [
        ({"names": ["knee", "hip"], "kp": [1.0]}, ["joints", "'kp'", "2 numbers"]),
        ({"names": ["knee"], "kd": "soft"}, ["joints", "'kd'", "'soft'"]),
        ("hip", ["'joints'", "list of names"]),
        ({"hip": {"kp": "stiff"}}, ["hip", "'kp'", "'stiff'"]),
        ({"hip": {"kp": 1.0}, "knee": {}}, ["1 of 2", "'kp'"]),
        (["hip", "hip"], ["'hip'"]),
    ],
)
def test_malformed_joints_are_refused(joints: Any, words: list[str], tmp_path: Path, refuses: Refuses) -> None:
    with refuses(ConfigError, *words):
        PlainImporter().read(_source(tmp_path, {"joints": joints}))


def test_an_action_s_scale_and_offset_may_be_lists(tmp_path: Path) -> None:
    facts = {"action": {"scale": [0.25, 0.5], "offset": [0.1, 0.1]}, "joints": ["knee", "hip"]}
    draft = PlainImporter().read(_source(tmp_path, facts))
    assert draft.keys["action"]["scale"] == {"knee": 0.25, "hip": 0.5}
    assert draft.keys["action"]["offset"] == 0.1


def test_a_misspelt_key_is_named_with_the_nearest(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(ConfigError, "0.yaml", "'controll_period'", "did you mean 'control_period'?"):
        find_importer(_source(tmp_path, {"controll_period": 0.02, "pd_rate": 500}))
    with refuses(ConfigError, "joints: hip", "no key 'efort'", "'effort'"):
        PlainImporter().read(_source(tmp_path, {"joints": {"hip": {"efort": 3}}}))


def test_files_of_no_known_format_are_named(tmp_path: Path, refuses: Refuses) -> None:
    source = _source(tmp_path, {"something": "else"})
    with refuses(ConfigError, "0.yaml", "no known format", *FORMATS):
        find_importer(source)
    with refuses(ConfigError, "no format 'plane'", "plain"):
        find_importer(source, "plane")
    assert find_importer(source, "plain").name == "plain"
    assert find_importer(_source(tmp_path)).name == "plain"


def test_a_template_is_read_back_as_what_it_says(tmp_path: Path) -> None:
    text = yaml.safe_dump({"name": "x", "pd_rate": 500})
    (tmp_path / "c.yaml").write_text(text)
    assert read_foreign_yaml(tmp_path / "c.yaml") == {"name": "x", "pd_rate": 500}
