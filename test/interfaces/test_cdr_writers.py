"""What the writers give is what rclpy reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import deserialize_message
from std_msgs.msg import Float64MultiArray, String, UInt8MultiArray

from humanoid_rl_ros.interfaces.cdr_writers import (
    shown,
    write_byte_array,
    write_diagnostic_status,
    write_float64_array,
    write_string,
)

pytestmark = pytest.mark.ros
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(arrays(np.float64, st.integers(0, 40), elements=st.floats(width=64)))
def test_efforts(values: np.ndarray) -> None:
    message = deserialize_message(write_float64_array(values), Float64MultiArray)
    np.testing.assert_array_equal(np.array(message.data), values)
    assert (len(message.layout.dim), message.layout.data_offset) == (0, 0)


@given(text, st.binary(max_size=100))
def test_bytes(label: str, data: bytes) -> None:
    message = deserialize_message(write_byte_array(label, data), UInt8MultiArray)
    assert bytes(message.data) == data
    (dimension,) = message.layout.dim
    assert (dimension.label, dimension.size, dimension.stride) == (label, len(data), len(data))


@given(text)
def test_texts(words: str) -> None:
    assert deserialize_message(write_string(words), String).data == words


@given(
    st.integers(0, 3), text, text, text, st.dictionaries(text, st.one_of(text, st.integers(), st.floats()), max_size=6)
)
def test_statuses(level: int, name: str, words: str, hardware: str, values: dict[str, object]) -> None:
    message = deserialize_message(write_diagnostic_status(level, name, words, hardware, values), DiagnosticStatus)
    assert (message.level, message.name, message.message) == (bytes([level]), name, words)
    assert message.hardware_id == hardware
    assert [(pair.key, pair.value) for pair in message.values] == [(key, shown(v)) for key, v in values.items()]


def test_floats_have_six_significant_digits_and_nothing_else_has() -> None:
    assert [shown(v) for v in (0.1234567, 12345678, "0.1234567", True)] == ["0.123457", "12345678", "0.1234567", "True"]
