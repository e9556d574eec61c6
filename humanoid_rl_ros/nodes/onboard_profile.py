"""How the nodes run on a robot's own computer: a YAML file, read into parameters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from humanoid_rl_ros.behaviours.start_gate import ANY_DISTANCE
from humanoid_rl_ros.core.config import Section, read_yaml
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.resources import share_folder

FORMAT = 1
NONE = "none"


@dataclass(frozen=True)
class MachineProfile:
    """What a node asks of the machine.

    Attributes:
        realtime_priority: of SCHED_FIFO, from 1 to 98; 0 for none.
        lock_memory: whether its memory is locked.
        cpus: it runs on; empty for any.
    """

    realtime_priority: int = 0
    lock_memory: bool = False
    cpus: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.realtime_priority <= 98:
            raise ConfigError(f"realtime_priority must be from 0 to 98, found {self.realtime_priority}")
        if any(cpu < 0 for cpu in self.cpus):
            raise ConfigError(f"cpus must be at least 0, found {min(self.cpus)}")

    def parameters(self) -> dict[str, Any]:
        """Of the node."""
        # A launch file cannot say an empty list.
        return {key: list(value) if key == "cpus" else value for key, value in asdict(self).items() if value != ()}


@dataclass(frozen=True)
class StartProfile:
    """How a policy begins.

    Attributes:
        warm_up: inferences before the node is configured.
        entry_blend: time to take over from the measured pose, where nobody says another [s]; None: the bundle's own.
        speed: joint speed towards its start pose above which it does not take over [rad/s].
        distance: distance of a joint from that pose that needs no blend [rad].
    """

    warm_up: int = 20
    entry_blend: float | None = None
    speed: float = 2.0
    distance: float = 0.1

    def __post_init__(self) -> None:
        ranges = {
            "warm_up": (0, 10_000),
            "entry_blend": (0.0, 60.0),
            "speed": (0.1, 100.0),
            "distance": (0.0, ANY_DISTANCE),
        }
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ConfigError(f"{name} must be from {least:g} to {most:g}, found {value:g}")

    def parameters(self) -> dict[str, Any]:
        """Of `policy_node`."""
        blend = {} if self.entry_blend is None else {"entry_blend": self.entry_blend}
        return {"warm_up": self.warm_up, **blend, "start_speed": self.speed, "start_distance": self.distance}


@dataclass(frozen=True)
class OnboardProfile:
    """How policy node and safety monitor run.

    Attributes:
        safety_monitor, policy_node: what each asks of the machine.
        start: how a policy begins.
    """

    safety_monitor: MachineProfile = MachineProfile()
    policy_node: MachineProfile = MachineProfile()
    start: StartProfile = StartProfile()

    def __post_init__(self) -> None:
        monitor, policy = self.safety_monitor.realtime_priority, self.policy_node.realtime_priority
        if policy and policy >= monitor:
            raise ConfigError(
                f"the safety monitor must not wait for the policy: its realtime_priority {monitor} must be above that "
                f"of policy_node, {policy}"
            )

    def policy_parameters(self) -> dict[str, Any]:
        """Of `policy_node`."""
        return {**self.policy_node.parameters(), **self.start.parameters()}

    def monitor_parameters(self) -> dict[str, Any]:
        """Of `safety_monitor`."""
        return self.safety_monitor.parameters()


def load_profile(path: str | Path) -> OnboardProfile:
    """Read a profile; what it leaves out is not asked for.

    Raises:
        ConfigError: the file is missing or malformed, or a key is unknown or out of range.
    """
    top = read_yaml(path)
    version = top.integer("format")
    if version != FORMAT:
        raise ConfigError(f"{top.where}: profile format {version} is not known; this version reads format {FORMAT}")
    monitor, policy = (_machine(top.section(name, {})) for name in ("safety_monitor", "policy_node"))
    start = _start(top.section("start", {}))
    top.finish()
    try:
        return OnboardProfile(monitor, policy, start)
    except ConfigError as error:
        raise ConfigError(f"{top.where}: {error}") from None


def find_profile(name: str) -> OnboardProfile | None:
    """The profile of that path; empty: the one shipped; ``none``: none.

    Raises:
        ConfigError: as of `load_profile`.
    """
    if name.strip() == NONE:
        return None
    return load_profile(Path(name).expanduser() if name.strip() else share_folder() / "config" / "onboard.yaml")


def _machine(section: Section) -> MachineProfile:
    default = MachineProfile()
    priority = section.integer("realtime_priority", default.realtime_priority)
    lock = section.boolean("lock_memory", default.lock_memory)
    cpus = section.raw("cpus", [])
    if not isinstance(cpus, list) or not all(type(cpu) is int for cpu in cpus):
        raise ConfigError(f"{section.where}: 'cpus' must be a list of CPU numbers, found {cpus!r:.80}")
    section.finish()
    try:
        return MachineProfile(priority, lock, tuple(cpus))
    except ConfigError as error:
        raise ConfigError(f"{section.where}: {error}") from None


def _start(section: Section) -> StartProfile:
    default = StartProfile()
    warm_up = section.integer("warm_up", default.warm_up)
    blend = section.number("entry_blend") if "entry_blend" in section else default.entry_blend
    speed, distance = (section.number(key, getattr(default, key)) for key in ("speed", "distance"))
    section.finish()
    try:
        return StartProfile(warm_up, blend, speed, distance)
    except ConfigError as error:
        raise ConfigError(f"{section.where}: {error}") from None
