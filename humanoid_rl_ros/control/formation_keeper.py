"""What one robot of a team does to keep its place in the formation; no ROS, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from humanoid_rl_ros.control.formation_deciders import Decide
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.core.formation import slots
from humanoid_rl_ros.core.formation_view import TeamView, slot_error
from humanoid_rl_ros.core.member_motion import MeanMotion, MemberMotion
from humanoid_rl_ros.core.state import VelocityCommand

ON_SILENCE = ("stop", "go_on")
LAW = "law"
"""Instead of a team bundle: the hand-written law."""


class Activity(Enum):
    """What a keeper does."""

    WAITING = "waiting"
    KEEPING = "keeping"
    STOPPED = "stopped"


@dataclass(frozen=True)
class KeeperSettings:
    """How a formation is kept.

    Attributes:
        shape: of the formation, one of `humanoid_rl_ros.core.formation.SHAPES`.
        spacing: between neighbours [m].
        period: between two decisions [s].
        averaging: time constant of the velocities that odometry gives [s].
        odometry_timeout_ns: age from which on a robot's odometry is silent [ns].
        command_timeout_ns: age of the team's command from which on `team_command` is followed [ns].
        team_command: velocity of the formation while nobody says another [m/s, m/s, rad/s].
        tilt_limit: a robot that leans further lies [rad].
        drop_limit: and so does one whose base is that much lower than it was: a damped robot may go down upright [m].
        on_silence: what becomes of the others when one is silent or lies: all ``stop``, or they ``go_on`` on the slots
            that they have.
        rest: commands below this on every axis are zero, so that a robot that is where it belongs stands still
            [m/s, rad/s].
    """

    shape: str = "line"
    spacing: float = 1.2
    period: float = 0.2
    averaging: float = 0.5
    odometry_timeout_ns: int = 500_000_000
    command_timeout_ns: int = 500_000_000
    tilt_limit: float = 1.0
    drop_limit: float = 0.25
    on_silence: str = "stop"
    rest: float = 0.05
    team_command: tuple[float, ...] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if len(self.team_command) != 3 or not np.isfinite(self.team_command).all():
            raise ConfigError(f"the command of a team is 3 finite numbers, x y yaw, found {list(self.team_command)}")
        if self.on_silence not in ON_SILENCE:
            raise ConfigError(f"on_silence must be one of {', '.join(ON_SILENCE)}, found '{self.on_silence}'")


@dataclass(frozen=True)
class KeeperDecision:
    """What the robot is told.

    Attributes:
        command: its velocity.
        activity: why so, in a word.
        reason: and in a line.
        absent: robots that the formation does without, or waits for.
        slot_error: distance to its slot; NaN where it has none [m].
    """

    command: VelocityCommand
    activity: Activity
    reason: str
    absent: tuple[str, ...] = ()
    slot_error: float = float("nan")


class FormationKeeper:
    """Hears the odometry of every robot of a team and decides for one.

    Nothing is agreed upon between the robots: each works out the same frame of the same odometry, so one that is
    started anew has its place at once.

    Args:
        members: all robots of the team, in the order of the slots.
        own: which of them this is.
        decide: the commands of a team; of these the own one is taken.
        settings: how.

    Raises:
        ConfigError: the members do not make a team, or this robot is none of them.
    """

    def __init__(self, members: Sequence[str], own: str, decide: Decide, settings: KeeperSettings) -> None:
        self.members = tuple(members)
        if len(set(self.members)) != len(self.members):
            raise ConfigError(f"a robot is named twice among the members: {', '.join(self.members)}")
        if own not in self.members:
            raise ConfigError(f"robot '{own}' is no member of its team; {did_you_mean(own, self.members)}")
        self._own, self._at, self._decide, self._settings = own, self.members.index(own), decide, settings
        self._motions = {name: MeanMotion(settings.averaging) for name in self.members}
        self.take_shape(settings.shape, settings.spacing)
        self.forget()

    def take_shape(self, shape: str, spacing: float) -> None:
        """Another formation from now on.

        Raises:
            ConfigError: there is no such shape, or the spacing is not above 0; the old one stays.
        """
        self._slots = slots(shape, len(self.members), spacing)

    def forget(self) -> None:
        """As if nothing had been heard."""
        for motion in self._motions.values():
            motion.forget()
        self._team_command, self._command_ns = np.zeros(3), -1
        self._told: FloatArray = np.zeros((len(self.members), 3))
        self._decided_ns: int | None = None
        self._decision = self._stand(Activity.WAITING, "nothing heard yet")

    def command_team(self, command: VelocityCommand, now_ns: int) -> None:
        """The velocity that the formation is to have, along its own axes; what is not finite counts as zero."""
        self._team_command = np.nan_to_num(command.as_array(), nan=0.0, posinf=0.0, neginf=0.0)
        self._command_ns = now_ns

    def hear(self, member: str, motion: MemberMotion, now_ns: int) -> None:
        """An odometry of a member came [ns]."""
        self._motions[member].hear(motion, now_ns)

    def update(self, now_ns: int) -> KeeperDecision:
        """The decision that holds now; a new one once a period, by the stamps of the own odometry.

        Call it at every own odometry, and from time to time when none comes.

        Args:
            now_ns: monotonic time [ns].
        """
        own = self._motions[self._own]
        if trouble := self._trouble(now_ns):
            self._decided_ns, self._told[...] = None, 0.0
            self._decision = trouble
        elif own.last is not None:
            since = None if self._decided_ns is None else own.last.stamp_ns - self._decided_ns
            if since is None or since < 0 or 1e-9 * since >= self._settings.period - 1e-3:
                self._decided_ns = own.last.stamp_ns
                self._decision = self._keep(now_ns)
        return self._decision

    def _trouble(self, now_ns: int) -> KeeperDecision | None:
        """Why the robot has to stand, or None."""
        unheard = tuple(name for name, motion in self._motions.items() if motion.last is None)
        if unheard:
            return self._stand(Activity.WAITING, f"no odometry yet of {', '.join(unheard)}", unheard)
        own = self._motions[self._own].last
        for name, motion in self._motions.items():
            assert own is not None
            assert motion.last is not None
            if motion.last.frame != own.frame:
                text = f"odometry of {name} is in frame '{motion.last.frame}', its own in '{own.frame}'"
                return self._stand(Activity.STOPPED, f"{text}; all must be in one", (name,))
        absent = self._absent(now_ns)
        if self._own in absent:
            return self._stand(Activity.STOPPED, f"its own odometry is {absent[self._own]}", tuple(absent))
        said = ", ".join(f"{name} is {why}" for name, why in absent.items())
        if absent and self._settings.on_silence == "stop":
            return self._stand(Activity.STOPPED, said, tuple(absent))
        if len(absent) > len(self.members) - 2:
            return self._stand(Activity.STOPPED, f"nobody is left: {said}", tuple(absent))
        return None

    def _absent(self, now_ns: int) -> dict[str, str]:
        """Who is silent or lies."""
        found: dict[str, str] = {}
        for name, motion in self._motions.items():
            assert motion.last is not None
            if now_ns - motion.heard_ns > self._settings.odometry_timeout_ns:
                found[name] = "silent"
            elif self._is_down(motion, motion.last):
                found[name] = "down"
        return found

    def _is_down(self, motion: MeanMotion, last: MemberMotion) -> bool:
        limits = self._settings
        return last.tilt > limits.tilt_limit or last.height < motion.highest - limits.drop_limit

    def _keep(self, now_ns: int) -> KeeperDecision:
        absent = self._absent(now_ns)
        there = [i for i, name in enumerate(self.members) if name not in absent]
        motions = [self._motions[self.members[i]] for i in there]
        places = [motion.last for motion in motions if motion.last is not None]
        fresh = self._command_ns >= 0 and now_ns - self._command_ns <= self._settings.command_timeout_ns
        view = TeamView(
            np.array([place.position for place in places]),
            np.array([place.heading for place in places]),
            np.array([motion.velocity for motion in motions]),
            self._slots[there],
            self._team_command if fresh else np.array(self._settings.team_command),
            self._told[there],
        )
        at = there.index(self._at)
        told = self._decide(view)
        self._told[there] = told
        command = told[at]
        if np.abs(command).max() < self._settings.rest:
            command = np.zeros(3)
        idle = not fresh and not any(self._settings.team_command)
        reason = "in formation, where it stands: no command of the team" if idle else "in formation"
        if absent:
            reason += f"; without {', '.join(absent)}"
        error = float(np.linalg.norm(slot_error(view)[at]))
        x, y, yaw = (float(value) for value in command)
        return KeeperDecision(VelocityCommand(x, y, yaw), Activity.KEEPING, reason, tuple(absent), error)

    def _stand(self, activity: Activity, reason: str, absent: tuple[str, ...] = ()) -> KeeperDecision:
        return KeeperDecision(VelocityCommand(), activity, reason, absent)
