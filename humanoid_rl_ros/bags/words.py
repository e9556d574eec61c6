"""Messages by field: where two of them differ, named as a person would."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr import JointStateReader
from humanoid_rl_ros.interfaces.cdr_messages import read_diagnostic_status, read_float32_array, read_float64_array

Value: TypeAlias = float | str
Fields: TypeAlias = Mapping[tuple[str, str], Value]
"""By field and element: a joint, an observed quantity, a key; the element is empty of a field that has none."""


@dataclass(frozen=True)
class FieldDifference:
    """One value that differs.

    Attributes:
        field: such as ``effort``.
        element: joint, observed quantity or key; empty of a field that has none.
        recorded, replayed: both values; None where there is none.
        size: how much they differ; infinite where that is no number.
    """

    field: str
    element: str
    recorded: Value | None
    replayed: Value | None
    size: float


class Words:
    """Reads the messages that controls say.

    Args:
        joints: joint names in the robot's order.
        labels: names of the numbers of an observation, of each policy; the first of the right length is taken.
        driven: names of the numbers of an action, of each policy, likewise.
    """

    def __init__(
        self,
        joints: Sequence[str] = (),
        labels: Sequence[Sequence[str]] = (),
        driven: Sequence[Sequence[str]] = (),
    ) -> None:
        self._joints = joints
        self._names = {topics.POLICY_OBSERVATION.name: labels, topics.POLICY_ACTION.name: driven}

    def fields(self, topic: str, data: bytes, *, stamped: bool = True) -> Fields:
        """The values of a message.

        Args:
            topic: name relative to the namespace.
            data: serialised.
            stamped: whether joint commands are `JointState`.

        Raises:
            StateError: it cannot be read.
        """
        if topic in self._names:
            field = topic.rsplit("/", 1)[-1]
            return dict(self._numbered(field, read_float32_array(data).tolist(), self._names[topic]))
        if topic == topics.SAFETY_STATUS.name:
            status = read_diagnostic_status(data)
            return {("message", ""): status.message, **{("values", k): v for k, v in status.values.items()}}
        if topic == topics.JOINT_COMMAND.name and not stamped:
            return dict(self._numbered("data", read_float64_array(data).tolist(), [self._joints]))
        return dict(_joint_fields(data))

    @staticmethod
    def _numbered(
        field: str, values: Sequence[float], names: Sequence[Sequence[str]]
    ) -> Iterator[tuple[tuple[str, str], float]]:
        fitting = next((found for found in names if len(found) == len(values)), None)
        for i, value in enumerate(values):
            yield (field, fitting[i] if fitting else str(i)), value

    def differences(
        self, topic: str, recorded: bytes, replayed: bytes, *, stamped: bool = True
    ) -> list[FieldDifference]:
        """Where two messages differ, in the order of their fields.

        Raises:
            StateError: one cannot be read.
        """
        one = self.fields(topic, recorded, stamped=stamped)
        other = self.fields(topic, replayed, stamped=stamped)
        found = []
        for key in {**one, **other}:
            a, b = one.get(key), other.get(key)
            size = difference(a, b)
            if size:
                found.append(FieldDifference(*key, a, b, size))
        return found


def difference(one: Value | None, other: Value | None) -> float:
    """How much two values differ; 0 where they are the same, infinite where that is no number."""
    if one == other:
        return 0.0
    if not isinstance(one, float) or not isinstance(other, float):
        return math.inf
    if math.isnan(one) and math.isnan(other):
        return 0.0
    size = abs(one - other)
    return size if math.isfinite(size) else math.inf


def _joint_fields(data: bytes) -> Iterator[tuple[tuple[str, str], Value]]:
    message = JointStateReader().read(data)
    yield ("header.stamp", ""), f"{message.stamp_ns}"
    yield ("header.frame_id", ""), message.frame_id
    for field in ("position", "velocity", "effort"):
        values = getattr(message, field).tolist()
        if values and len(values) != len(message.name):
            raise StateError(f"{len(message.name)} names but {len(values)} values of {field}")
        for name, value in zip(message.name, values, strict=False):
            yield (field, name), value
