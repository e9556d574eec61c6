"""The YAML reader: every refusal is one line that names the file and the key."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from humanoid_rl_ros.core.config import Section, read_yaml
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean

Refuses = Callable[..., AbstractContextManager[None]]

MALFORMED = {
    "a tab": (b"a:\n\tb: 1\n", "not valid YAML"),
    "an open bracket": (b"a: [1, 2\n", "not valid YAML"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\xff", "cannot be read"),
    "control characters": (b"a: \x00\x01", "not valid YAML"),
    "a list at the top": (b"- 1\n- 2\n", "a list"),
    "a word at the top": (b"hello\n", "a str"),
    "nothing": (b"", "nothing"),
    "a key twice": (b"a: 1\nb: 2\na: 3\n", "'a' appears twice (line 3)"),
    "a nested key twice": (b"a:\n  b: 1\n  b: 2\n", "'b' appears twice (line 3)"),
    "a list as key": (b"? [a]\n: 1\n", "not valid YAML"),
    "two documents": (b"a: 1\n---\nb: 2\n", "not valid YAML"),
    "deep nesting": (b"[" * 1000, "not valid YAML"),
    "an impossible date": (b"a: 2020-99-99\n", "not valid YAML"),
}


def _file(folder: Path, content: bytes) -> Path:
    file = folder / "config.yaml"
    file.write_bytes(content)
    return file


def test_a_mapping_is_read(tmp_path: Path) -> None:
    section = read_yaml(_file(tmp_path, "größe: 1.5\n".encode()))
    assert section.number("größe") == 1.5
    assert section.keys() == ["größe"]
    section.finish()


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_file_is_refused_by_name(what: str, tmp_path: Path, refuses: Refuses) -> None:
    content, words = MALFORMED[what]
    file = _file(tmp_path, content)
    with refuses(ConfigError, str(file), words):
        read_yaml(file)


def test_a_missing_file_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(ConfigError, str(tmp_path / "absent.yaml"), "no such file"):
        read_yaml(tmp_path / "absent.yaml")


def test_a_folder_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(ConfigError, str(tmp_path), "cannot be read"):
        read_yaml(tmp_path)


def test_a_python_object_is_refused_and_not_made(tmp_path: Path, refuses: Refuses) -> None:
    victim = tmp_path / "made"
    file = _file(
        tmp_path,
        f"a: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{victim}]]".encode(),
    )
    with refuses(ConfigError, str(file), "not valid YAML"):
        read_yaml(file)
    assert not victim.exists()


@pytest.mark.parametrize("text", ["a: !!bool maybe\n", "a: !!map [x]\n", "a: !!float ''\n", "a: !!int ''\n"])
def test_a_value_that_contradicts_its_tag_is_refused(text: str, tmp_path: Path, refuses: Refuses) -> None:
    file = _file(tmp_path, text.encode())
    with refuses(ConfigError, str(file)):
        read_yaml(file)


def test_merge_keys_share_what_joints_have_in_common(tmp_path: Path) -> None:
    file = _file(tmp_path, b"left: &leg {kp: 10, kd: 1}\nright: {<<: *leg, kd: 2}\n")
    right = read_yaml(file).section("right")
    assert (right.number("kp"), right.number("kd")) == (10.0, 2.0)


@given(text=st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"%@#,?<=~1.\n\t \u2028"), max_size=40))
@example(text="&a {b: *a}")
@example(text="a: 0x")
def test_any_text_is_read_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = _file(tmp_path_factory.getbasetemp(), text.encode())
    try:
        found: object = read_yaml(file)
    except ConfigError as error:
        found = str(error)
    assert isinstance(found, Section) or len(str(found).splitlines()) == 1


READERS: list[tuple[str, dict[str, Any], object, str]] = [
    ("text", {}, 5, "text"),
    ("text", {}, None, "text"),
    ("choice", {"choices": ("walk", "stand")}, "run", "walk, stand"),
    ("boolean", {}, "yes please", "true or false"),
    ("boolean", {}, 1, "true or false"),
    ("integer", {}, 1.0, "whole number"),
    ("integer", {}, True, "whole number"),
    ("integer", {"least": 2}, 1, "at least 2"),
    ("number", {}, "fast", "a number"),
    ("number", {}, True, "a number"),
    ("number", {}, None, "a number"),
    ("number", {}, [1.0], "a number"),
    ("number", {}, float("nan"), "finite"),
    ("number", {}, float("inf"), "finite"),
    ("number", {"infinite": True}, float("nan"), "finite"),
    ("number", {"least": 0.0}, -0.1, "at least 0"),
    ("number", {"above": 0.0}, 0.0, "above 0"),
    ("number", {}, "1e-3", "1.0e-3"),
    ("numbers", {}, 3.0, "a list of numbers"),
    ("numbers", {}, "12", "a list of numbers"),
    ("numbers", {"length": 2}, [1.0], "2 numbers"),
    ("numbers", {}, [1.0, "x"], "key[1]"),
    ("numbers", {}, [1.0, float("nan")], "key[1]"),
    ("names", {}, "hip", "a list of names"),
    ("names", {}, ["hip", 3], "a list of names"),
    ("names", {}, ["hip", "knee", "hip"], "'hip' twice"),
    ("section", {}, [1], "a mapping"),
    ("sections", {}, {"a": 1}, "a list of mappings"),
    ("sections", {}, [{"a": 1}, 2], "key[1]"),
    ("per_name", {"names": ("hip",)}, "x", "a number"),
    ("per_name", {"names": ("hip",)}, [1.0], "a number"),
    ("per_name", {"names": ("hip", "knee")}, {"hip": 1.0}, "'knee' is missing"),
    ("per_name", {"names": ("hip",)}, {"hip": 1.0, "kneee": 2.0}, "'kneee'"),
    ("per_name", {"names": ("hip",)}, {"hip": float("nan")}, "'hip'"),
]


@pytest.mark.parametrize(("reader", "options", "value", "words"), READERS)
def test_a_value_of_the_wrong_kind_names_file_and_key(
    reader: str, options: dict[str, Any], value: object, words: str, refuses: Refuses
) -> None:
    section = Section({"key": value}, "robot.yaml")
    with refuses(ConfigError, "robot.yaml", "key", words):
        getattr(section, reader)("key", **options)


@pytest.mark.parametrize("reader", ["text", "boolean", "integer", "number", "numbers", "names", "section", "sections"])
def test_a_missing_key_is_named(reader: str, refuses: Refuses) -> None:
    with refuses(ConfigError, "robot.yaml", "'key' is missing"):
        getattr(Section({}, "robot.yaml"), reader)("key")


def test_a_whole_number_too_large_for_a_float_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "robot.yaml", "'key'"):
        Section({"key": 10**400}, "robot.yaml").number("key")


def test_defaults_stand_in_for_missing_keys() -> None:
    section = Section({}, "robot.yaml")
    assert section.text("a", "x") == "x"
    assert section.number("b", 2.0) == 2.0
    assert section.number("c", None) is None
    assert section.numbers("d", None) is None
    assert section.names("e", ("hip",)) == ("hip",)
    assert section.boolean("f", True) is True
    assert section.integer("g", 4) == 4
    assert "a" not in section


def test_infinity_is_a_number_where_it_is_allowed() -> None:
    section = Section({"a": float("-inf"), "b": [float("-inf"), 1]}, "robot.yaml")
    assert section.number("a", infinite=True) == float("-inf")
    assert section.numbers("b", infinite=True).tolist() == [float("-inf"), 1.0]


def test_an_unknown_key_names_the_nearest_known_one(refuses: Refuses) -> None:
    section = Section({"efort": 1}, "robot.yaml: joints: hip")
    section.number("effort", 0.0)
    section.number("kp", 0.0)
    with refuses(ConfigError, "robot.yaml: joints: hip", "'efort'", "did you mean 'effort'?"):
        section.finish()


def test_an_unknown_key_like_no_other_lists_the_known_ones(refuses: Refuses) -> None:
    section = Section({"colour": 1}, "robot.yaml")
    section.number("kp", 0.0)
    section.number("effort", 0.0)
    with refuses(ConfigError, "'colour'", "known: effort, kp"):
        section.finish()
    assert did_you_mean("colour", []) == "none is known"


def test_nested_sections_carry_their_path(refuses: Refuses) -> None:
    section = Section({"terms": [{"a": 1}, {"b": {"c": "x"}}]}, "policy.yaml")
    with refuses(ConfigError, "policy.yaml: terms[1]: b", "'c'"):
        section.sections("terms")[1].section("b").number("c")


@given(st.permutations(["hip", "knee", "ankle", "arm"]))
def test_numbers_by_name_come_in_the_order_asked_for(order: list[str]) -> None:
    values = {"hip": 1.0, "knee": 2.0, "ankle": 3.0, "arm": 4.0}
    found = Section({"gain": {name: values[name] for name in order}}, "x").per_name("gain", tuple(values))
    assert found.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_one_number_serves_every_name() -> None:
    np.testing.assert_array_equal(Section({"gain": 2}, "x").per_name("gain", ("hip", "knee")), [2.0, 2.0])
    assert Section({}, "x").per_name("gain", ("hip",), 7.0).tolist() == [7.0]
