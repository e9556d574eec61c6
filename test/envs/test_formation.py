"""Teams in formation: task files, worlds, rewards, the learners' batch and the measuring of it."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

from humanoid_rl_ros.control.formation_deciders import by_law
from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.formation_view import OBSERVATION_SIZE, ProportionalGains, TeamView, proportional
from humanoid_rl_ros.envs.formation_batch import FormationBatch
from humanoid_rl_ros.envs.formation_evaluation import evaluate_formation
from humanoid_rl_ros.envs.formation_rewards import REWARDS, formation_rewards
from humanoid_rl_ros.envs.formation_spec import FormationRewards, formation_task, is_formation
from humanoid_rl_ros.envs.formation_step import formation_step
from humanoid_rl_ros.envs.formation_worlds import FormationWorlds
from humanoid_rl_ros.resources import find_robot

CALM = {
    "bodies": "stand_in",
    "shapes": ["line"],
    "spacing": [1.0, 1.0],
    "randomisation": None,
    "stand_in.sway": [0.0, 0.0, 0.0],
    "stand_in.gain_spread": 0.0,
}
"""Nothing left to chance."""


def worlds(n=2, **changed):
    return FormationWorlds(find_robot("reference"), formation_task("formation", {**CALM, **changed}), n)


def batch(n=6, **changed):
    overrides = {"bodies": "stand_in", **changed}
    return FormationBatch(find_robot("reference"), formation_task("formation", overrides), n)


def test_a_team_task_is_told_from_a_robots():
    assert is_formation("formation")
    assert not is_formation("walk")
    assert not is_formation("gymnasium:Humanoid-v5")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"robot": 3}, "unknown key 'robot'"),
        ({"robots": 1}, "at least 2"),
        ({"robots": 99}, "at most"),
        ({"shapes": ["lien"]}, "'lien'"),
        ({"spacing": [1.3, 0.9]}, "the larger last"),
        ({"randomisation.slow_share": 1.5}, "at most 1"),
        ({"randomisation.pushes": 1.0}, "unknown key 'pushes'"),
        ({"rewards.slot_width": 0.0}, "above 0"),
        ({"stand_in.lag": [0.0, 1.0, 1.0]}, "above 0 s"),
        ({"bodies": "real"}, "physics, stand_in"),
    ],
)
def test_a_wrong_task_is_refused(overrides, said):
    with pytest.raises(ConfigError, match=said):
        formation_task("formation", overrides)


def test_a_period_that_the_walking_policy_does_not_divide_is_refused():
    with pytest.raises(ConfigError, match="whole multiple"):
        worlds(period=0.05)


def test_robots_follow_their_commands_with_a_lag():
    there = worlds(1, **{"stand_in.gain": [1.0, 1.0, 1.0], "stand_in.lag": [0.5, 0.5, 0.5]})
    there.reset(np.random.default_rng(0))
    start = there.truth()
    for _ in range(5):
        there.step(np.tile([0.4, 0.0, 0.0], (1, 3, 1)))
    # A first-order lag T reaches v t − v T (1 − exp(−t/T)) after t, here 0.4 · (1 − 0.5 · 0.8647) m.
    gone = np.linalg.norm(there.truth().position - start.position, axis=-1)
    assert gone == pytest.approx(0.4 * (1.0 - 0.5 * (1.0 - np.exp(-2.0))), abs=0.01)


def test_a_slow_robot_walks_a_share_of_its_command():
    there = worlds(8, **{"randomisation.slow_share": 1.0, "randomisation.slow_factor": [0.5, 0.5]})
    there.reset(np.random.default_rng(0))
    assert sorted(set(there.factor.ravel())) == [0.5, 1.0]
    assert (there.factor == 0.5).sum(axis=1).tolist() == [1] * 8
    start = there.truth().position
    for _ in range(5):
        there.step(np.tile([0.4, 0.0, 0.0], (8, 3, 1)))
    gone = np.linalg.norm(there.truth().position - start, axis=-1)
    assert gone[there.factor == 0.5] == pytest.approx(0.5 * gone.max(), abs=1e-9)


def test_odometry_is_late_and_wrong_as_the_task_says():
    there = worlds(4, **{"randomisation.delay": 0.2})
    there.reset(np.random.default_rng(3))
    there.hold_command(np.array([0.5, 0.0, 0.0]))
    for _ in range(4):
        there.step(np.tile([0.5, 0.0, 0.0], (4, 3, 1)))
    truth, seen = there.truth(), there.view()
    behind = np.linalg.norm(truth.position - seen.position, axis=-1)[:, 0]
    speed = np.linalg.norm(there.bodies.pose().linear_velocity, axis=-1)[:, 0]
    assert behind == pytest.approx(0.02 * there.late * speed, rel=0.1)
    assert there.view() is seen


def test_the_same_seed_gives_the_same_worlds_and_another_others():
    def played(seed):
        there = FormationWorlds(find_robot("reference"), formation_task("formation"), 3)
        there.reset(np.random.default_rng(seed))
        for _ in range(4):
            there.step(proportional(there.view(), ProportionalGains(), there.ranges))
        return there.truth().position

    assert np.array_equal(played(1), played(1))
    assert not np.allclose(played(1), played(2))


def test_rewards_by_hand():
    spec = FormationRewards()
    slot = np.array([[[0.0, 0.5], [0.0, -0.5]]])
    # Both look ahead; the first is 0.2 m ahead of the second, so each is 0.1 m from its slot.
    view = TeamView(
        np.array([[[0.2, 0.5], [0.0, -0.5]]]), np.zeros((1, 2)), np.zeros((1, 2, 3)), slot, np.array([[0.2, 0.0, 0.0]]),
        np.array([[[0.2, 0.0, 0.0], [0.3, 0.0, 0.0]]]),
    )  # fmt: skip
    nobody, whole = np.zeros((1, 2), dtype=bool), np.zeros(1, dtype=bool)
    step = formation_step(view, np.array([[[0.2, 0.0, 0.0], [0.2, 0.0, 0.0]]]), nobody, whole, np.ones((1, 2)))
    found = dict(zip(REWARDS, formation_rewards(step, spec, 0.2)[0].T, strict=True))
    assert found["slot"] == pytest.approx(0.2 * np.exp(-0.25))
    assert found["team_slot"] == pytest.approx(found["slot"])
    assert found["distance"] == pytest.approx(-0.02)
    assert found["team_velocity"] == pytest.approx(0.2 * 1.5 * np.exp(-1.0))
    assert found["team_turn"] == pytest.approx(0.1)
    assert found["heading"] == pytest.approx(0.1)
    assert found["closeness"] == pytest.approx(0.0)
    assert found["change"] == pytest.approx([0.0, -0.2 * 0.3 * 0.01])
    assert found["fall"] == pytest.approx(0.0)
    one = np.array([[True, False]])
    fell = formation_rewards(replace(step, fallen=one), spec, 0.2)[0, :, REWARDS.index("fall")]
    assert fell == pytest.approx([-10.0, -10.0])


def test_a_batch_has_a_row_for_each_robot_and_ends_as_teams():
    env = batch(6, **{"stand_in.contact": 0.0, "episode.length": 0.6})
    seen = env.reset(0)
    assert seen.policy.shape == (6, OBSERVATION_SIZE)
    assert seen.critic.shape == (6, env.critic_size)
    ended = []
    for _ in range(4):
        step = env.step(np.zeros((6, 3), dtype=np.float32))
        assert not step.terminated.any()
        cut = step.truncated.reshape(2, 3)
        assert (cut == cut[:, :1]).all()
        ended.append(cut[:, 0])
        same = (step.observation.policy == step.final.policy).all(axis=1).reshape(2, 3)
        assert (same == ~cut).all()
    assert np.array(ended).any(axis=0).all()
    assert env.statistics()["episode/count"] >= 6


def test_a_fall_of_one_ends_it_for_its_team():
    env = batch(9, **{"stand_in.contact": 0.95, "spacing": [0.9, 0.9], "shapes": ["line"], "randomisation": None})
    env.reset(0)
    step = env.step(np.zeros((9, 3), dtype=np.float32))
    assert step.terminated.all()
    assert (step.reward < -9.0).all()
    assert env.statistics()["end/fall"] == 1.0


def test_a_batch_goes_on_from_its_state_to_the_bit():
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (8, 6, 3)).astype(np.float32)
    env = batch(6)
    env.reset(5)
    for action in actions[:4]:
        env.step(action)
    state = env.state_dict()
    expected = [env.step(action) for action in actions[4:]]
    other = batch(6)
    other.reset(99)
    other.load_state_dict(state)
    for action, then in zip(actions[4:], expected, strict=True):
        now = other.step(action)
        assert np.array_equal(now.observation.policy, then.observation.policy)
        assert np.array_equal(now.observation.critic, then.observation.critic)
        assert np.array_equal(now.reward, then.reward)
    with pytest.raises(ConfigError, match="was saved for"):
        batch(9).load_state_dict(state)


def test_robots_that_make_no_whole_teams_are_refused():
    with pytest.raises(ConfigError, match="teams of 3"):
        batch(7)


def test_the_law_keeps_a_calm_team_together_in_physics():
    spec = formation_task("formation", {"shapes": ["line"], "randomisation": None, "randomisation.start_position": 0.2})
    made = [by_law, partial(by_law, gains=ProportionalGains(0.0, 0.0))]
    law, nothing = (
        run.result.everyone for run in evaluate_formation(find_robot("reference"), spec, made, teams=2, seconds=4.0)
    )
    assert law.survival == 1.0
    assert law.slot_error < nothing.slot_error
    assert law.closest > 0.6


def test_a_beam_hangs_between_two_robots():
    there = FormationWorlds(
        find_robot("reference"), formation_task("carry", {"randomisation": None, "bodies": "physics"}), 1
    )
    there.reset(np.random.default_rng(0))
    there.hold_command(np.zeros(3))
    for _ in range(10):
        step = there.step(np.zeros((1, 2, 3)))
    # At rest each sling bears half of the beam's 2 kg, but for its lean of about 0.1 rad.
    assert there.bodies.load().tension[0] == pytest.approx([9.81, 9.81], rel=0.1)
    assert there.bodies.load().tilt[0] < 0.1
    assert step.clearance[0] > 0.2
    there.close()


def test_a_beam_that_nobody_holds_is_dropped():
    overrides = {"randomisation": None, "bodies": "physics", "beam.stiffness": 1.0}
    there = FormationWorlds(find_robot("reference"), formation_task("carry", overrides), 1)
    there.reset(np.random.default_rng(0))
    least = min(float(there.step(np.zeros((1, 2, 3))).clearance[0]) for _ in range(5))
    assert least < 0.02
    there.close()


@pytest.mark.parametrize(
    ("overrides", "error", "said"),
    [
        ({"robots": 3}, ConfigError, "carried by 2 robots"),
        ({"beam.holds": ["right_elbow_link"]}, ConfigError, "two bodies"),
        ({"beam.mass": 0.0}, ConfigError, "above 0"),
        ({"beam.holds": ["right_elbow", "left_elbow_link"], "bodies": "physics"}, ModelError, "right_elbow_link"),
    ],
)
def test_a_beam_that_cannot_be_carried_is_refused(overrides, error, said):
    with pytest.raises(error, match=said):
        FormationWorlds(find_robot("reference"), formation_task("carry", overrides), 1)
