"""What a robot of a team does with the odometry that it hears, and without."""

from dataclasses import replace

import numpy as np
import pytest

from humanoid_rl_ros.control.formation_deciders import by_law
from humanoid_rl_ros.control.formation_keeper import Activity, FormationKeeper, KeeperSettings
from humanoid_rl_ros.core.command import CommandSpec
from humanoid_rl_ros.core.errors import ConfigError, StateError
from humanoid_rl_ros.core.formation import slots
from humanoid_rl_ros.core.formation_view import ProportionalGains
from humanoid_rl_ros.core.member_motion import MeanMotion, MemberMotion, member_motion
from humanoid_rl_ros.core.state import VelocityCommand

MS = 1_000_000
NAMES = ("a", "b", "c")
LAW = by_law(CommandSpec((-0.6, 1.0), (-0.4, 0.4), (-1.0, 1.0)), ProportionalGains(1.0, 1.0, 0.5))


class Team:
    """Three robots in a line that stand on their slots, seen by the second."""

    def __init__(self, **changed):
        self.keeper = FormationKeeper(NAMES, "b", LAW, KeeperSettings(spacing=1.0, **changed))
        self.place = slots("line", 3, 1.0)
        self.now = 0
        self.tilt = dict.fromkeys(NAMES, 0.0)
        self.frame = dict.fromkeys(NAMES, "odom")
        self.height = dict.fromkeys(NAMES, 0.66)

    def hear(self, *names):
        for name in names:
            place = self.place[NAMES.index(name)]
            motion = MemberMotion(
                self.now, self.frame[name], place, 0.0, np.zeros(3), self.tilt[name], self.height[name]
            )
            self.keeper.hear(name, motion, self.now)

    def after(self, ms, *names, command=None):
        """The decision when so much later these were heard."""
        for _ in range(max(1, ms // 20)):
            self.now += min(ms, 20) * MS
            self.hear(*names)
            if command is not None:
                self.keeper.command_team(VelocityCommand(*command), self.now)
        return self.keeper.update(self.now)


def test_it_waits_until_everyone_is_heard():
    team = Team()
    assert team.keeper.update(0).activity is Activity.WAITING
    found = team.after(20, "a", "b")
    assert (found.activity, found.absent) == (Activity.WAITING, ("c",))
    assert "c" in found.reason
    assert team.after(20, *NAMES).activity is Activity.KEEPING


def test_in_its_place_it_follows_the_team():
    found = Team().after(20, *NAMES, command=(0.3, 0.0, 0.0))
    assert found.command == VelocityCommand(0.3, 0.0, 0.0)
    assert found.slot_error == pytest.approx(0.0)


def test_it_goes_to_its_slot():
    team = Team()
    team.place = team.place - [[0.0, 0.0], [0.3, 0.0], [0.0, 0.0]]
    # The middle of the three is 0.1 m behind, so its own slot is 0.2 m ahead.
    found = team.after(20, *NAMES)
    assert found.command.linear_x == pytest.approx(0.2)
    assert found.slot_error == pytest.approx(0.2)


def test_a_decision_holds_for_its_period():
    team = Team()
    team.after(20, *NAMES, command=(0.3, 0.0, 0.0))
    assert team.after(100, *NAMES, command=(0.5, 0.0, 0.0)).command.linear_x == pytest.approx(0.3)
    assert team.after(100, *NAMES, command=(0.5, 0.0, 0.0)).command.linear_x == pytest.approx(0.5)


def test_without_a_command_of_the_team_it_stays():
    team = Team()
    team.after(20, *NAMES, command=(0.3, 0.0, 0.0))
    found = team.after(800, *NAMES)
    assert found.command == VelocityCommand()
    assert found.activity is Activity.KEEPING
    assert "no command" in found.reason


def test_a_command_that_is_no_number_is_zero():
    assert Team().after(20, *NAMES, command=(float("nan"), 0.2, float("inf"))).command == VelocityCommand(0.0, 0.2, 0.0)


def test_everyone_stops_for_one_who_is_silent_and_goes_on_with_it():
    team = Team()
    team.after(20, *NAMES, command=(0.3, 0.0, 0.0))
    assert team.after(400, "a", "b", command=(0.3, 0.0, 0.0)).activity is Activity.KEEPING
    found = team.after(200, "a", "b", command=(0.3, 0.0, 0.0))
    assert (found.activity, found.command, found.absent) == (Activity.STOPPED, VelocityCommand(), ("c",))
    assert found.reason == "c is silent"
    assert team.after(20, *NAMES, command=(0.3, 0.0, 0.0)).command.linear_x == pytest.approx(0.3)


def test_everyone_stops_for_one_who_lies():
    team = Team()
    team.tilt["a"] = 1.4
    found = team.after(20, *NAMES, command=(0.3, 0.0, 0.0))
    assert (found.activity, found.reason) == (Activity.STOPPED, "a is down")


def test_everyone_stops_for_one_who_went_down_upright():
    team = Team()
    assert team.after(20, *NAMES).activity is Activity.KEEPING
    team.height["a"] = 0.5
    assert team.after(20, *NAMES).activity is Activity.KEEPING
    team.height["a"] = 0.3
    assert team.after(20, *NAMES).reason == "a is down"


def test_the_others_can_go_on_without_it():
    team = Team(on_silence="go_on")
    team.after(20, *NAMES)
    found = team.after(600, "a", "b", command=(0.3, 0.0, 0.0))
    assert (found.activity, found.absent) == (Activity.KEEPING, ("c",))
    assert found.command == VelocityCommand(0.3, 0.0, 0.0)
    assert found.slot_error == pytest.approx(0.0)
    assert found.reason.endswith("without c")


def test_nobody_goes_on_alone_or_blind():
    alone = Team(on_silence="go_on")
    alone.after(20, *NAMES)
    assert "nobody is left" in alone.after(600, "b", command=(0.3, 0.0, 0.0)).reason
    blind = Team(on_silence="go_on")
    blind.after(20, *NAMES)
    found = blind.after(600, "a", "c", command=(0.3, 0.0, 0.0))
    assert (found.activity, found.command) == (Activity.STOPPED, VelocityCommand())
    assert "its own odometry is silent" in found.reason


def test_odometry_in_several_frames_makes_no_formation():
    team = Team(on_silence="go_on")
    team.frame["c"] = "c/odom"
    found = team.after(20, *NAMES, command=(0.3, 0.0, 0.0))
    assert found.activity is Activity.STOPPED
    assert "'c/odom'" in found.reason
    assert "'odom'" in found.reason


def test_another_shape_moves_its_slot():
    team = Team()
    team.after(20, *NAMES)
    team.keeper.take_shape("column", 1.0)
    # The middle one of a column stands where the middle one of a line stood.
    assert team.after(200, *NAMES).slot_error == pytest.approx(0.0)
    with pytest.raises(ConfigError, match="column"):
        team.keeper.take_shape("colum", 1.0)


@pytest.mark.parametrize(
    ("members", "own", "said"),
    [(("a", "a"), "a", "twice"), (("a", "b"), "c", "no member"), (("a",), "a", "at least 2")],
)
def test_what_is_no_team_is_refused(members, own, said):
    with pytest.raises(ConfigError, match=said):
        FormationKeeper(members, own, LAW, KeeperSettings())


def test_a_word_that_is_no_choice_is_refused():
    with pytest.raises(ConfigError, match="go_on"):
        KeeperSettings(on_silence="panic")


def test_motion_by_hand():
    # Turned left by a right angle, walking ahead at 0.5 m/s and turning.
    quarter = np.array([np.cos(np.pi / 4), 0.0, 0.0, np.sin(np.pi / 4)])
    found = member_motion(5, "odom", np.array([1.0, 2.0, 0.7]), quarter, np.array([0.5, 0.1, 0]), np.array([0, 0, 0.2]))
    assert found.heading == pytest.approx(np.pi / 2)
    assert found.velocity == pytest.approx([0.5, 0.1, 0.2])
    assert found.tilt == pytest.approx(0.0)
    assert found.height == 0.7
    lying = np.array([np.cos(np.pi / 4), np.sin(np.pi / 4), 0.0, 0.0])
    assert member_motion(5, "odom", np.zeros(3), lying, np.zeros(3), np.zeros(3)).tilt == pytest.approx(np.pi / 2)


@pytest.mark.parametrize(
    "bad", [{"position": [np.nan, 0, 0]}, {"position": [1e9, 0, 0]}, {"orientation": [0, 0, 0, 0]}]
)
def test_odometry_that_cannot_be_is_refused(bad):
    given = {
        "position": np.zeros(3),
        "orientation": np.array([1.0, 0, 0, 0]),
        "linear": np.zeros(3),
        "angular": np.zeros(3),
    }
    with pytest.raises(StateError):
        member_motion(0, "odom", **{**given, **{name: np.array(value, dtype=float) for name, value in bad.items()}})


def test_velocities_are_averaged_by_their_stamps():
    mean, motion = MeanMotion(0.5), MemberMotion(0, "odom", np.zeros(2), 0.0, np.zeros(3), 0.0)
    mean.hear(motion, 0)
    mean.hear(replace(motion, stamp_ns=500 * MS, velocity=np.array([1.0, 0.0, 0.0])), 1)
    assert mean.velocity[0] == pytest.approx(1.0 - np.exp(-1.0))
    # The clock of the simulation began anew.
    mean.hear(replace(motion, stamp_ns=0, velocity=np.array([0.2, 0.0, 0.0])), 2)
    assert mean.velocity[0] == pytest.approx(0.2)
