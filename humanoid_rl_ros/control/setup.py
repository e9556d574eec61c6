"""What a node was made of, as JSON: enough to make its control again, and to understand a recording a year later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from humanoid_rl_ros.control.migrations import SETUP_FORMAT, SETUP_MIGRATIONS, migrated
from humanoid_rl_ros.control.policy_control import PolicySettings
from humanoid_rl_ros.control.safety_control import SafetySettings
from humanoid_rl_ros.core.errors import BagError
from humanoid_rl_ros.safety.limits import SafetyLimits

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class PolicySource:
    """A policy of a node.

    Attributes:
        short_name: under which it is switched to; empty for what gets the robot up.
        name: of the bundle.
        folder: where the bundle was.
        entry_blend: time to take over from the measured pose that was asked for [s]; None for the bundle's own.
        yaml: text of its policy.yaml.
        files: SHA-256 of each of its files, by name relative to the folder.
        added: whether it was added while the node ran.
    """

    short_name: str
    name: str
    folder: str
    entry_blend: float | None
    yaml: str
    files: Mapping[str, str]
    added: bool = False

    @property
    def key(self) -> str:
        """Tells it from another of the same short name."""
        return hashlib.sha256(repr(sorted(self.files.items())).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class NodeSetup:
    """What a node was made of.

    Attributes:
        node: fully qualified name.
        software: versions of what computes, by name, and of the machine.
        parameters: of the node.
        robot_name: its name.
        robot_yaml: the robot as the text of a robot YAML.
        settings: of its control, by name.
        policies: in the order of their adding, the first the one that ran first; none of a safety monitor.
        limits: of a safety monitor, by name; empty of a policy node.
    """

    node: str
    software: Mapping[str, str]
    parameters: Mapping[str, Any]
    robot_name: str
    robot_yaml: str
    settings: Mapping[str, Any]
    policies: tuple[PolicySource, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)

    def goes_on_from(self, before: NodeSetup) -> bool:
        """Whether it is the same node, which may have been given further policies."""
        first = [source for source in self.policies if not source.added]
        same = (self.node, self.parameters, self.settings, self.robot_yaml, self.limits) == (
            *(before.node, before.parameters, before.settings, before.robot_yaml, before.limits),
        )
        added = self.policies[len(before.policies) :]
        return (
            same
            and first == [source for source in before.policies if not source.added]
            and self.policies[: len(before.policies)] == before.policies
            and all(source.added for source in added)
            and bool(added)
        )

    def as_text(self) -> str:
        """As JSON."""
        document = {
            "format": SETUP_FORMAT,
            "node": self.node,
            "software": dict(self.software),
            "parameters": dict(self.parameters),
            "robot": {"name": self.robot_name, "yaml": self.robot_yaml},
            "settings": dict(self.settings),
            "policies": [asdict(policy) for policy in self.policies],
            "limits": dict(self.limits),
        }
        return json.dumps(document, default=list)

    def policy_settings(self) -> PolicySettings:
        """The settings of a policy node.

        Raises:
            BagError: they are not such.
        """
        settings = _of(PolicySettings, self.settings)
        x, y, yaw = settings.velocity_command
        return replace(settings, velocity_command=(x, y, yaw))

    def safety_settings(self) -> SafetySettings:
        """The settings of a safety monitor.

        Raises:
            BagError: they are not such.
        """
        return _of(SafetySettings, self.settings)

    def safety_limits(self) -> SafetyLimits:
        """The limits of a safety monitor.

        Raises:
            BagError, ConfigError: they are not such.
        """
        return _of(SafetyLimits, self.limits)


def _of(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]  # a dataclass by contract of this module
    unknown = sorted(set(values) - known)
    if unknown:
        raise BagError(f"the recorded setup has '{unknown[0]}', which this version does not know")
    for item in fields(kind):  # type: ignore[arg-type]  # a dataclass by contract of this module
        if item.name in values and not _is_like(values[item.name], item.default):
            raise BagError(f"the recorded setup says {item.name} is {values[item.name]!r:.80}")
    return kind(**values)


def _is_like(value: Any, default: Any) -> bool:
    """Whether a value from JSON can stand where that default does."""
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and len(value) == len(default) and all(map(_is_like, value, default))
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))


def read_setup(text: str) -> NodeSetup:
    """Read what `NodeSetup.as_text` wrote.

    Raises:
        BagError: it is something else, or of a later format.
    """
    try:
        document = migrated(json.loads(text), SETUP_FORMAT, SETUP_MIGRATIONS, "recorded setup")
        return NodeSetup(
            node=str(document["node"]),
            software={str(key): str(value) for key, value in document["software"].items()},
            parameters=dict(document["parameters"]),
            robot_name=str(document["robot"]["name"]),
            robot_yaml=str(document["robot"]["yaml"]),
            settings=dict(document["settings"]),
            policies=tuple(_policy_source(policy) for policy in document["policies"]),
            limits=dict(document["limits"]),
        )
    except BagError:
        raise
    except Exception as error:  # whatever somebody may have written into a bag
        text = " ".join(str(error).split())[:200]
        raise BagError(f"not the setup of a node: {type(error).__name__}: {text}") from None


def _policy_source(values: Mapping[str, Any]) -> PolicySource:
    blend = values["entry_blend"]
    return PolicySource(
        str(values["short_name"]),
        str(values["name"]),
        str(values["folder"]),
        None if blend is None else float(blend),
        str(values["yaml"]),
        {str(name): str(digest) for name, digest in dict(values["files"]).items()},
        bool(values.get("added", False)),
    )
