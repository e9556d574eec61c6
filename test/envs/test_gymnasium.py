"""The tasks as Gymnasium knows environments: its own checker, its vector API, seeds, ends, pictures and refusals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
pytest.importorskip("mujoco")
from gymnasium.utils.env_checker import check_env  # noqa: E402

from humanoid_rl_ros.core.arrays import Float32Array  # noqa: E402
from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError, ModelError  # noqa: E402
from humanoid_rl_ros.core.rotations import projected_gravity  # noqa: E402
from humanoid_rl_ros.envs.humanoid_env import HumanoidEnv  # noqa: E402
from humanoid_rl_ros.envs.registration import TASKS, register  # noqa: E402
from humanoid_rl_ros.envs.vector_env import HumanoidVectorEnv  # noqa: E402

Refuses = Callable[..., AbstractContextManager[None]]
PLAIN = {"randomisation": None, "curriculum": None, "episode.random_first": False}
FORWARD = {"command": (0.3, 0.0, 0.0)}


def make(task: str = "Walk", **options: Any) -> Any:
    return gymnasium.make(f"humanoid_rl_ros/{task}-v0", robot="reference", **options)


def make_vec(n: int, **options: Any) -> HumanoidVectorEnv:
    made = gymnasium.make_vec(
        "humanoid_rl_ros/Walk-v0", num_envs=n, vectorization_mode="vector_entry_point", robot="reference", **options
    )
    assert isinstance(made.unwrapped, HumanoidVectorEnv)
    return made


def some_actions(env: Any, steps: int) -> list[Float32Array]:
    rng = np.random.default_rng(0)
    return [rng.uniform(-0.5, 0.5, env.action_space.shape).astype(np.float32) for _ in range(steps)]


@pytest.mark.filterwarnings("ignore:.*(infinity|symmetric|render).*:UserWarning")
@pytest.mark.parametrize("task", TASKS)
def test_gymnasiums_own_checker_is_content(task: str) -> None:
    env = make(task)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()


def test_names_are_known_once() -> None:
    register()
    register()
    for task in TASKS:
        spec = gymnasium.spec(f"humanoid_rl_ros/{task}-v0")
        assert spec.kwargs == {"task": TASKS[task]}
    from_module = (
        "import gymnasium; "
        "env = gymnasium.make('humanoid_rl_ros.envs.registration:humanoid_rl_ros/Walk-v0', robot='reference'); "
        "print(env.reset(seed=0)[0].shape, env.spec.id)"
    )
    done = subprocess.run([sys.executable, "-c", from_module], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["(52,)", "humanoid_rl_ros/Walk-v0"]


def test_a_seed_is_a_whole_episode() -> None:
    env = make()
    todo = some_actions(env, 20)

    def run(seed: int | None) -> Float32Array:
        seen = [env.reset(seed=seed)[0]]
        seen += [env.step(action)[0] for action in todo]
        return np.array(seen)

    first, after, again, other = run(3), run(None), run(3), run(4)
    np.testing.assert_array_equal(again, first)
    assert (after != first).any()  # the next episode is another, and follows from the seed too
    assert (other != first).any()
    env.close()


def test_what_a_step_tells() -> None:
    env = make(overrides=PLAIN)
    seen, info = env.reset(seed=0, options=FORWARD)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(info["command"], FORWARD["command"])
    assert info["critic_observation"].shape == (env.unwrapped.batch.critic_size,)
    for action in some_actions(env, 5):
        seen, reward, terminated, truncated, info = env.step(action)
        assert sum(info["reward_terms"].values()) == pytest.approx(reward)
        assert info["fallen"] == terminated
        assert not truncated
    assert set(info["reward_terms"]) == set(env.unwrapped.batch.reward_names)
    assert info["velocity_error"] == pytest.approx(0.3, abs=0.25)
    np.testing.assert_array_equal(info["command"], FORWARD["command"])
    assert env.unwrapped.metadata["render_fps"] == 50
    env.close()
    env.close()


def test_time_that_runs_out_is_no_fall() -> None:
    env = make(overrides={**PLAIN, "episode.length": 0.1})
    env.reset(seed=0, options=FORWARD)
    ends = [env.step(np.zeros(env.action_space.shape, dtype=np.float32)) for _ in range(5)]
    assert [step[3] for step in ends] == [False] * 4 + [True]
    assert not any(step[2] for step in ends)
    assert not ends[-1][4]["fallen"]
    env.close()


def test_a_robot_thrown_down_falls() -> None:
    env = make(overrides=PLAIN)
    env.reset(seed=0, options=FORWARD)
    simulation = env.unwrapped.batch.simulation
    simulation.qvel[0, 4] = 20.0  # pitching forward [rad/s]
    for _ in range(20):
        _, _, terminated, truncated, info = env.step(np.zeros(env.action_space.shape, dtype=np.float32))
        if terminated:
            break
    assert terminated
    assert not truncated
    assert info["fallen"]
    assert info["reward_terms"]["alive"] == 0.0
    # It stays as it fell until it is reset: that is its last picture.
    assert projected_gravity(simulation.base_orientation)[0, 2] > -0.7
    env.close()


# Vectors.


def test_a_vector_is_as_many_single_robots() -> None:
    many, one = make_vec(3, overrides=PLAIN), make(overrides=PLAIN)
    assert many.observation_space.shape == (3, *one.observation_space.shape)
    assert many.action_space.shape == (3, *one.action_space.shape)
    assert many.single_observation_space == one.observation_space
    seen, _ = many.reset(seed=0, options=FORWARD)
    single, _ = one.reset(seed=9, options=FORWARD)
    np.testing.assert_array_equal(seen[1], single)
    for action in some_actions(many, 10):
        seen, reward, terminated, truncated, info = many.step(action)
        single, alone, *_, told = one.step(action[1])
        np.testing.assert_array_equal(seen[1], single)
        assert reward[1] == alone
        for name in ("critic_observation", "command", "velocity_error", "fallen"):
            np.testing.assert_array_equal(info[name][1], told[name])
            np.testing.assert_array_equal(info[f"_{name}"], True)
        assert not (terminated | truncated).any()
        assert "final_obs" not in info
    many.close()
    one.close()


def test_the_last_observation_of_an_episode_and_the_first_of_the_next() -> None:
    many = make_vec(2, overrides={**PLAIN, "episode.length": 0.1})
    one = make(overrides={**PLAIN, "episode.length": 0.1})
    first, _ = many.reset(seed=0, options=FORWARD)
    one.reset(seed=0, options=FORWARD)
    for k, action in enumerate(some_actions(many, 5)):
        if k == 2:
            # Robot 1 is put on its nose, and ends before its time.
            many.unwrapped.batch.simulation.qvel[1, 4] = 1e5
        seen, _, terminated, truncated, info = many.step(action)
        last, *_, told = one.step(action[0])
        if k == 2:
            np.testing.assert_array_equal(terminated, [False, True])
            np.testing.assert_array_equal(info["_final_obs"], [False, True])
            np.testing.assert_array_equal(info["_final_info"], [False, True])
            np.testing.assert_array_equal(seen[1], first[1])
            assert (info["final_obs"][1] != first[1]).any()
            np.testing.assert_array_equal(info["final_info"]["_fallen"], [False, True])
            assert info["final_info"]["fallen"][1]
    np.testing.assert_array_equal(truncated, [True, False])
    np.testing.assert_array_equal(info["_final_obs"], [True, False])
    np.testing.assert_array_equal(seen[0], first[0])
    np.testing.assert_array_equal(info["final_obs"][0], last)
    np.testing.assert_array_equal(info["final_info"]["critic_observation"][0], told["critic_observation"])
    assert not info["final_info"]["fallen"][0]
    assert many.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.SAME_STEP
    many.close()
    one.close()


@pytest.mark.parametrize("seed", [3, [1, 2]])
def test_seeds_of_a_vector(seed: int | list[int]) -> None:
    env = make_vec(2)
    other = [1, 3] if isinstance(seed, list) else 4
    first, again, another = (env.reset(seed=s)[0] for s in (seed, seed, other))
    np.testing.assert_array_equal(first, again)
    assert (first != another).any()
    assert (first[0] != first[1]).any()
    nobodys = [env.reset(seed=[None, None])[0] for _ in range(2)]
    assert (nobodys[0] != nobodys[1]).any()
    env.close()


# Pictures.


def test_a_picture_shows_the_robot() -> None:
    env = make(overrides=PLAIN, render_mode="rgb_array", width=160, height=120)
    env.reset(seed=0)
    try:
        standing = env.render()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    assert standing.shape == (120, 160, 3)
    assert standing.dtype == np.uint8
    env.unwrapped.batch.simulation.qpos[0, 2] += 50.0
    gone = env.render()
    assert (np.abs(standing.astype(int) - gone).sum(axis=2) > 60).sum() > 200
    env.close()
    many = make_vec(2, render_mode="rgb_array", width=160, height=120)
    many.reset(seed=0)
    (picture,) = many.render()
    assert picture.shape == (120, 160, 3)
    many.close()


def test_without_a_render_mode_there_is_no_picture() -> None:
    env = HumanoidEnv(overrides=PLAIN)
    env.reset(seed=0)
    assert env.render() is None
    env.close()


# Refusals.


def _robot(folder: Path, model: str = "") -> str:
    (folder / "model.xml").write_text(
        """<mujoco><worldbody><geom type="plane" size="1 1 1" contype="2" conaffinity="2"/>
        <body name="trunk"><freejoint/><geom type="box" size="0.1 0.1 0.1"/>
        <body><joint name="hip"/><geom size="0.1"/></body></body></worldbody></mujoco>"""
    )
    file = folder / "robot.yaml"
    joint = "{limits: [-1.0, 1.0], effort: 10.0, kp: 20.0, kd: 2.0, armature: 0.01}"
    file.write_text(f"format: 1\nname: stump\n{model}joints:\n  hip: {joint}\n")
    return str(file)


def test_what_cannot_be_made_is_refused_in_a_line(tmp_path: Path, refuses: Refuses) -> None:
    for kind in (HumanoidEnv, lambda **options: HumanoidVectorEnv(2, **options)):
        with refuses(ConfigError, "no task named 'wlak'", "did you mean 'walk'?"):
            kind(task="wlak")
        with refuses(ConfigError, "no robot named 'referense'", "did you mean 'reference'?"):
            kind(robot="referense")
        with refuses(ConfigError, "walk.yaml", "unknown reward 'uprigth'", "did you mean 'upright'?"):
            kind(overrides={"rewards.uprigth": 1.0})
        with refuses(ConfigError, "walk.yaml", "unknown key 'gait_clock'"):
            kind(overrides={"gait_clock": 1.0})
        with refuses(ConfigError, "render_mode must be rgb_array", "'human'"):
            kind(render_mode="human")
    everything = {"control.driven": ["*"], "rewards.pose": None}
    with refuses(ModelError, "robot 'stump'", "no physics model"):
        HumanoidEnv(robot=_robot(tmp_path), overrides=everything)
    with refuses(ModelError, "body 'trunk'", "can touch the floor"):
        HumanoidEnv(robot=_robot(tmp_path, f"model: {{path: {tmp_path / 'model.xml'}}}\n"), overrides=everything)
    with refuses(ConfigError, "number of robots", "found 0"):
        HumanoidVectorEnv(0)
    env = HumanoidEnv(overrides=PLAIN)
    with refuses(ConfigError, "3 finite numbers", "shape (2,)"):
        env.reset(options={"command": (0.5, 0.0)})
    env.close()
