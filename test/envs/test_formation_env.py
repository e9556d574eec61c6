"""The team as an environment of several agents, by PettingZoo's own tests and ours."""

import warnings
from functools import partial

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")
pytest.importorskip("pettingzoo")

from pettingzoo.test import parallel_api_test, parallel_seed_test

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.formation_env import FormationEnv

QUICK = {"bodies": "stand_in"}


def test_pettingzoo_finds_nothing_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(FormationEnv(overrides={"episode.length": 2.0, **QUICK}), num_cycles=60)


def test_pettingzoo_finds_nothing_wrong_in_physics():
    env = FormationEnv(overrides={"robots": 2, "episode.length": 1.0})
    parallel_api_test(env, num_cycles=8)
    env.close()


def test_the_same_seed_gives_the_same_episode():
    parallel_seed_test(partial(FormationEnv, overrides=QUICK), num_cycles=20)


def still(env):
    return {name: np.zeros(3, dtype=np.float32) for name in env.agents}


def test_one_who_falls_ends_it_for_everyone():
    calm = {"shapes": ["line"], "spacing": [0.9, 0.9], "randomisation": None, "stand_in.contact": 0.95}
    env = FormationEnv(overrides={**QUICK, **calm})
    env.reset(seed=0)
    seen, reward, terminated, truncated, info = env.step(still(env))
    assert set(terminated) == {"robot_1", "robot_2", "robot_3"} == set(seen) == set(info)
    assert all(terminated.values())
    assert not any(truncated.values())
    assert all(value < -9.0 for value in reward.values())
    assert env.agents == []
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_time_cuts_it_for_everyone():
    env = FormationEnv(overrides={**QUICK, "episode.length": 0.4, "stand_in.contact": 0.0})
    env.reset(seed=0)
    assert not any(env.step(still(env))[3].values())
    assert all(env.step(still(env))[3].values())
    assert env.agents == []


def test_an_episode_goes_on_from_its_state():
    env = FormationEnv(overrides=QUICK)
    env.reset(seed=3, options={"command": (0.4, 0.0, 0.1)})
    env.step(still(env))
    state = env.state_dict()
    then = env.step(still(env))[0]
    other = FormationEnv(overrides=QUICK)
    other.reset(seed=8)
    other.load_state_dict(state)
    now = other.step(still(other))[0]
    assert all(np.array_equal(now[name], then[name]) for name in then)
    assert env.state().shape == env.state_space.shape


@pytest.mark.parametrize("wrong", [np.zeros(2), np.array([0.0, np.nan, 0.0])])
def test_a_wrong_action_is_refused(wrong):
    env = FormationEnv(overrides=QUICK)
    env.reset(seed=0)
    with pytest.raises(ConfigError, match="robot_2"):
        env.step({**still(env), "robot_2": wrong})
    with pytest.raises(ConfigError, match="'robot_3' has no action"):
        env.step({"robot_1": np.zeros(3), "robot_2": np.zeros(3)})


def test_a_team_is_drawn():
    env = FormationEnv(overrides={"robots": 2}, render_mode="rgb_array", width=160, height=120)
    env.reset(seed=0)
    try:
        picture = env.render()
    finally:
        env.close()
    assert picture.shape == (120, 160, 3)
    assert picture.std() > 5.0
