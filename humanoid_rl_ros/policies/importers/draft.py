"""A bundle in the making: what a foreign file says of a policy, what was inferred, and what is still missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.core.joints import refuse_repeated

KEYS = (
    "format", "name", "robot", "origin", "licence", "weights", "control_period", "pd_rate", "imu", "base_velocity",
    "entry_blend", "target_low_pass", "effort_low_pass", "soft_effort_limit", "hold_remaining", "command", "gait",
    "joints", "held", "observation", "action", "inferred",
)  # fmt: skip
"""Of a `policy.yaml`, in the order in which they are written."""
COLUMNS = ("default", "kp", "kd", "effort")
"""What a driven joint has: pose [rad], gains [N·m/rad], [N·m·s/rad], limit [N·m], which may stay unsaid."""


@dataclass
class Draft:
    """A `policy.yaml` that is being put together; keys are those of `docs/policy-bundle.md`.

    Every value is one of three: said by a file (`say`), concluded from something else (`infer`, with the reason,
    which stays in the bundle), or missing (`ask`), which only a person can answer.

    Attributes:
        weights: the network's file; copied into the bundle.
        external_data: files beside it that hold its tensors; copied too.
        joints: the driven joints, in the network's order; None while nobody knows.
        columns: values of the driven joints, by `COLUMNS`, in their order.
        keys: all other keys of `policy.yaml`, nested as there.
        inferred: dotted key to why.
        missing: dotted key to a question.
        n_joints: how many joints the network drives, where that is known and their names are not.
        notes: what a person should know, one sentence each: contradictions between files, traps of the format.
    """

    weights: Path
    external_data: tuple[Path, ...] = ()
    joints: tuple[str, ...] | None = None
    columns: dict[str, tuple[float, ...]] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    inferred: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    n_joints: int | None = None
    notes: list[str] = field(default_factory=list)

    def say(self, key: str, value: Any) -> None:
        """A file says this; it is no longer missing.

        Args:
            key: dotted, such as ``weights.output``.
            value: as YAML holds it.
        """
        *path, last = key.split(".")
        place = self.keys
        for name in path:
            place = place.setdefault(name, {})
        place[last] = value
        for known in (self.inferred, self.missing):
            for name in [name for name in known if name == key or name.startswith(f"{key}.")]:
                del known[name]

    def infer(self, key: str, value: Any, why: str) -> None:
        """No file says this; it follows from something else.

        Args:
            key: dotted.
            value: as YAML holds it.
            why: from what, in a few words; shown by every later check.
        """
        self.say(key, value)
        self.inferred[key] = why

    def leave(self, key: str, why: str) -> None:
        """No file says this, and the bundle does without.

        Args:
            key: dotted; ``command``, or ``joints.effort``.
            why: what holds instead, in a few words; shown by every later check.
        """
        if not self.known(key):
            self.inferred[key] = why

    def ask(self, key: str, question: str) -> None:
        """Nobody knows this yet.

        Args:
            key: dotted; ``joints``, or ``joints.kp`` for a column.
            question: what a person must find out, with its unit.
        """
        self.missing[key] = question

    def known(self, key: str) -> bool:
        """Whether a dotted key has a value."""
        place: Any = self.keys
        for name in key.split("."):
            if not isinstance(place, Mapping) or name not in place:
                return False
            place = place[name]
        return True

    def drive(self, joints: Sequence[str], *, why: str = "") -> None:
        """These are the driven joints, in the network's order.

        Args:
            joints: by name.
            why: where no file says so, from what it follows.

        Raises:
            ConfigError: a name is repeated or empty, or a column is of another number of joints.
        """
        refuse_repeated(list(joints), "the driven joints", ConfigError)
        if not all(isinstance(name, str) and name for name in joints):
            raise ConfigError(f"the driven joints must be names, found {list(joints)}")
        for name, values in self.columns.items():
            self._require_length(name, len(values), len(joints))
        self.joints = tuple(joints)
        self._settle("joints", why)

    def column(self, name: str, values: Sequence[float] | Mapping[str, float] | float, *, why: str = "") -> None:
        """Values of the driven joints.

        Args:
            name: one of `COLUMNS`.
            values: in the order of the joints, by name, or one for all.
            why: where no file says so, from what they follow.

        Raises:
            ConfigError: their number is not that of the joints, or a joint's is not among them.
        """
        if name not in COLUMNS:
            raise ConfigError(f"no column '{name}' of joints; {did_you_mean(name, COLUMNS)}")
        if isinstance(values, Mapping):
            names = self._joints_for(name)
            lacking = [joint for joint in names if joint not in values]
            if lacking:
                raise ConfigError(f"{name} of joint '{lacking[0]}' is missing; {did_you_mean(lacking[0], values)}")
            values = [values[joint] for joint in names]
        elif not isinstance(values, Sequence):
            values = [values] * len(self._joints_for(name))
        if self.joints is not None:
            self._require_length(name, len(values), len(self.joints))
        self.columns[name] = tuple(float(value) for value in values)
        self._settle(f"joints.{name}", why)

    def hold(self, joint: str, position: float, kp: float, kd: float, effort: float | None = None) -> None:
        """A joint that is held still."""
        held = {"position": float(position), "kp": float(kp), "kd": float(kd)}
        self.keys.setdefault("held", {})[joint] = held | ({} if effort is None else {"effort": float(effort)})

    def by_joint(self, values: Sequence[float]) -> float | dict[str, float]:
        """Numbers in the order of the driven joints as `policy.yaml` wants them: one for all, or by name.

        Raises:
            ConfigError: the joints are not known, or their number is another.
        """
        joints = self._joints_for("these values")
        self._require_length("values per joint", len(values), len(joints))
        if len(set(values)) == 1:
            return float(values[0])
        return {joint: float(value) for joint, value in zip(joints, values, strict=True)}

    def _joints_for(self, what: str) -> tuple[str, ...]:
        if self.joints is None:
            raise ConfigError(f"{what}: the joints are not known yet; give them first")
        return self.joints

    def _settle(self, key: str, why: str) -> None:
        self.missing.pop(key, None)
        self.inferred.pop(key, None)
        if why:
            self.inferred[key] = why

    @staticmethod
    def _require_length(name: str, found: int, expected: int) -> None:
        if found != expected:
            raise ConfigError(f"{name}: {found} values for {expected} driven joints")
