"""The controls of a recording made again: from the recorded setup, and the bundles that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.outlet import Outlet
from humanoid_rl_ros.control.policy_control import PolicyControl
from humanoid_rl_ros.control.safety_control import SafetyControl
from humanoid_rl_ros.control.setup import NodeSetup, PolicySource
from humanoid_rl_ros.core.errors import BagError, HumanoidError
from humanoid_rl_ros.core.robot import RobotSpec, robot_from_text
from humanoid_rl_ros.policies.bundle import FILE_NAME, PolicyBundle
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.signature import file_digest
from humanoid_rl_ros.resources import find_policy, policy_names

LARGEST_COUNT = 64
LARGEST_BYTES = 1 << 30


def recorded_robot(setup: NodeSetup) -> RobotSpec:
    """The robot of a recording.

    Raises:
        BagError: its text is no robot of this version.
    """
    try:
        return _robot(setup.robot_yaml, f"robot of the recording ('{setup.robot_name}')")
    except HumanoidError as error:
        raise BagError(str(error)) from None


@lru_cache(maxsize=8)
def _robot(text: str, where: str) -> RobotSpec:
    """Read once: every part of a replay asks for it again."""
    return robot_from_text(text, where)


def find_recorded_bundle(source: PolicySource, folders: Sequence[Path]) -> PolicyBundle:
    """The very bundle that ran: every file of it has the digest that was recorded.

    Args:
        source: what was recorded of it.
        folders: where bundles are looked for, before the place where it was and the shipped ones.

    Raises:
        BagError: it is nowhere, or only another of that name.
    """
    places = [place for folder in folders for place in (folder, *sorted(folder.glob("*/")))] + [Path(source.folder)]
    _require_files(source)
    differing: list[str] = []
    for place in dict.fromkeys(places):
        if not (place / FILE_NAME).is_file():
            continue
        difference = _difference(source, place)
        if not difference:
            return load_bundle(place)
        differing.append(f"{place} has another {difference}")
    for name in policy_names():
        bundle = find_policy(name)
        if not _difference(source, bundle.folder):
            return bundle
    hint = differing[0] if differing else f"it was at {source.folder}"
    raise BagError(f"policy '{source.name}' of the recording is not here ({hint}); name its folder with --bundles")


def _require_files(source: PolicySource) -> None:
    """Refuse a recording that does not say what the bundle was made of, or that reaches out of its folder."""
    names = list(source.files)
    plain = all(
        name and not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts for name in names
    )
    if FILE_NAME not in names or len(names) < 2 or not plain or len(names) > LARGEST_COUNT:
        raise BagError(f"policy '{source.name}' of the recording: its files are not listed as those of a bundle")


def _difference(source: PolicySource, folder: Path) -> str:
    """The first file that is missing or is not what it was."""
    for name, digest in source.files.items():
        file = folder / name
        if not file.is_file() or file.stat().st_size > LARGEST_BYTES:
            return name
        if file_digest(file) != digest:
            return name
    return ""


def make_behaviour(bundle: PolicyBundle, robot: RobotSpec, entry_blend: float | None) -> PolicyBehaviour:
    """A policy on a robot.

    Raises:
        BagError: it cannot be loaded, or does not fit.
    """
    try:
        return PolicyBehaviour(bundle, robot, bundle.load_network(), entry_blend=entry_blend)
    except HumanoidError as error:
        raise BagError(f"{bundle.name}: {error}") from None


@dataclass(frozen=True)
class RecordedPolicies:
    """The policies of a node.

    Attributes:
        first: by short name, those it began with.
        added: those it was given while it ran, by short name and key.
        get_up: what gets the robot up, or None.
    """

    first: Mapping[str, PolicyBehaviour]
    added: Mapping[tuple[str, str], PolicyBehaviour]
    get_up: PolicyBehaviour | None

    @property
    def every(self) -> list[PolicyBehaviour]:
        """All of them."""
        get_up = [] if self.get_up is None else [self.get_up]
        return [*self.first.values(), *self.added.values(), *get_up]


def recorded_policies(setup: NodeSetup, robot: RobotSpec, folders: Sequence[Path]) -> RecordedPolicies:
    """The policies of a recording.

    Args:
        setup: as recorded.
        robot: the robot.
        folders: where bundles are looked for first.

    Raises:
        BagError: one is not there or cannot be loaded.
    """
    first: dict[str, PolicyBehaviour] = {}
    added: dict[tuple[str, str], PolicyBehaviour] = {}
    for source in setup.policies:
        behaviour = make_behaviour(find_recorded_bundle(source, folders), robot, source.entry_blend)
        if source.added:
            added[source.short_name, source.key] = behaviour
        else:
            first[source.short_name] = behaviour
    get_up = first.pop("", None)
    return RecordedPolicies(first, added, get_up)


class RecordedPolicyControl(PolicyControl):
    """The control of a policy node as it was; policies that were added while it ran are added when they are used.

    Args:
        setup: as recorded.
        folders: where bundles are looked for first.
        outlet: takes what it says.

    Attributes:
        recorded: all its policies.
        on_added: is called when one was added.

    Raises:
        BagError: it cannot be made here.
    """

    NOT_STATE = PolicyControl.NOT_STATE | {"recorded", "on_added"}
    STATE_NAME = PolicyControl.__name__

    def __init__(self, setup: NodeSetup, folders: Sequence[Path], outlet: Outlet) -> None:
        robot = recorded_robot(setup)
        self.recorded = recorded_policies(setup, robot, folders)
        self.on_added: Callable[[], None] = lambda: None
        if not self.recorded.first:
            raise BagError("the recorded setup names no policy")
        super().__init__(robot, setup.policy_settings(), self.recorded.first, self.recorded.get_up, outlet)

    def take(self, entry: Entry, now_ns: int, data: bytes = b"") -> tuple[bool, str] | None:
        """As of `PolicyControl`."""
        if entry is Entry.SWITCH:
            name, _, key = data.decode(errors="replace").partition("\0")
            self.know(name, key)
        return super().take(entry, now_ns, data)

    def before_restore(self, state: Mapping[str, Any]) -> None:
        """A recorded state is to be set: the policies that it knows must be there."""
        for name, _ in state["state"].get("policies", {"dict": ()})["dict"]:
            if name not in self.policies:
                self.know(str(name))

    def know(self, name: str, key: str = "") -> None:
        """Add the policy of that short name and key, if it is one of those; without a key, the last of that name."""
        fitting = [p for (n, k), p in self.recorded.added.items() if n == name and key in ("", k)]
        if fitting:
            self.add(name, fitting[-1])
            self.on_added()


def make_safety_control(setup: NodeSetup, outlet: Outlet) -> SafetyControl:
    """The control of a safety monitor.

    Raises:
        BagError: it cannot be made here.
    """
    try:
        limits = setup.safety_limits()
    except HumanoidError as error:
        raise BagError(f"limits of the recording: {error}") from None
    return SafetyControl(recorded_robot(setup), limits, setup.safety_settings(), outlet)
