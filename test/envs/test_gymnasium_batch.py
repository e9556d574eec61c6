"""Gymnasium environments as a batch: first and last observations, statistics, exact states, refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError  # noqa: E402
from humanoid_rl_ros.envs.gymnasium_batch import GymnasiumBatch  # noqa: E402

Refuses = Callable[..., AbstractContextManager[None]]


class _Count(gymnasium.Env):
    """Sees [episode, steps taken, action]; the reward is the number of the step; falls when the action is above 1."""

    observation_space = gymnasium.spaces.Box(-1e6, 1e6, (3,), np.float64)
    action_space = gymnasium.spaces.Box(-2.0, 2.0, (1,), np.float32)

    def __init__(self, first: int = 0) -> None:
        self.episode, self.steps = first, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.episode, self.steps = self.episode + 1, 0
        return np.array([self.episode, 0.0, 0.0]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.array([self.episode, self.steps, action[0]]), float(self.steps), bool(action[0] > 1.0), False, {}


class _Noise(_Count):
    """Adds noise to what it sees, and holds something that cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.world = object()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, *rest = super().step(action)
        observation[2] = self.np_random.normal()
        return observation, *rest


class _Image(_Count):
    observation_space = gymnasium.spaces.Box(0, 255, (4, 4, 3), np.uint8)


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    for name, kind in (("Count", _Count), ("Noise", _Noise), ("Image", _Image)):
        gymnasium.register(f"{name}-v0", entry_point=kind, max_episode_steps=4)
    yield
    for name in ("Count", "Noise", "Image"):
        del gymnasium.registry[f"{name}-v0"]


def _actions(*values: float) -> Any:
    return np.array(values, dtype=np.float32)[:, None]


def test_a_fall_and_a_time_limit_by_hand() -> None:
    env = GymnasiumBatch("Count-v0", 2)
    first = env.reset(0)
    assert first.policy.dtype == np.float32
    np.testing.assert_array_equal(first.policy, [[1, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(first.critic, first.policy)
    quiet = env.step(_actions(0.5, -0.5))
    np.testing.assert_array_equal(quiet.observation.policy, [[1, 1, 0.5], [1, 1, -0.5]])
    np.testing.assert_array_equal(quiet.final.critic, quiet.observation.policy)
    assert not quiet.terminated.any()
    assert not quiet.truncated.any()
    fall = env.step(_actions(1.5, 0.0))
    assert fall.terminated.tolist() == [True, False]
    assert fall.truncated.tolist() == [False, False]
    np.testing.assert_array_equal(fall.observation.policy, [[2, 0, 0], [1, 2, 0]])
    np.testing.assert_array_equal(fall.final.policy, [[1, 2, 1.5], [1, 2, 0]])
    np.testing.assert_array_equal(fall.final.critic, fall.final.policy)
    assert fall.reward.tolist() == [2.0, 2.0]
    env.step(_actions(0.0, 0.0))
    cut = env.step(_actions(0.0, 0.25))
    assert cut.terminated.tolist() == [False, False]
    assert cut.truncated.tolist() == [False, True]
    np.testing.assert_array_equal(cut.observation.critic, [[2, 2, 0], [2, 0, 0]])
    np.testing.assert_array_equal(cut.final.critic, [[2, 2, 0], [1, 4, 0.25]])
    # What was handed out before is not written over.
    np.testing.assert_array_equal(quiet.observation.policy, [[1, 1, 0.5], [1, 1, -0.5]])


def test_statistics_are_means_over_ended_episodes_and_cleared() -> None:
    env = GymnasiumBatch("Count-v0", 2)
    env.reset(0)
    assert env.statistics() == {}
    for action in (0.0, 2.0, 0.0, 0.0):
        env.step(_actions(action, 0.0))
    # Returns: 1 + 2 after two steps, and 1 + 2 + 3 + 4 after four.
    assert env.statistics() == {"episode/return": 6.5, "episode/length": 3.0, "episode/count": 2.0}
    assert env.statistics() == {}


def test_an_action_is_clipped_to_its_bounds() -> None:
    env = GymnasiumBatch("Count-v0", 1)
    env.reset(0)
    assert env.action_low.tolist() == [-2.0]
    assert env.action_high.tolist() == [2.0]
    assert env.step(_actions(-7.0)).observation.policy[0, 2] == -2.0


def test_sizes_and_no_mirror() -> None:
    env = GymnasiumBatch("Pendulum-v1", 3)
    assert (env.n_envs, env.observation_size, env.critic_size, env.mirror) == (3, 3, 3, None)


def _run(env: GymnasiumBatch, steps: int, seed: int) -> list[Any]:
    random, seen = np.random.default_rng(seed), []
    for _ in range(steps):
        half = 0.5 * (env.action_high - env.action_low)
        step = env.step((random.uniform(-1.0, 1.0, (env.n_envs, len(half))) * half).astype(np.float32))
        seen += [step.observation.policy, step.final.critic, step.reward, step.terminated, step.truncated]
    return seen


def _assert_same(one: list[Any], other: list[Any]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_seed_decides_and_the_threads_do_not() -> None:
    envs = [GymnasiumBatch("Pendulum-v1", 5, threads=threads) for threads in (1, 2, 8)]
    first = [env.reset(3).policy for env in envs]
    assert len(np.unique(first[0], axis=0)) == 5
    runs = [_run(env, 30, 0) for env in envs]
    _assert_same([*first[:1], *runs[0]], [*first[1:2], *runs[1]])
    _assert_same(runs[0], runs[2])
    assert not np.isin(envs[0].reset(4).policy, first[0]).any()
    np.testing.assert_array_equal(envs[0].reset(3).policy, first[1])
    for env in envs:
        env.close()


def _goes_on(id: str, steps: int, folder: Path, **kwargs: Any) -> None:
    """A state in the middle of episodes, through a file, into a new environment in the middle of others."""
    pytest.importorskip("torch")
    from humanoid_rl_ros.learning.checkpoint import load_checkpoint, save_checkpoint

    original, copy = GymnasiumBatch(id, 3, **kwargs), GymnasiumBatch(id, 3, threads=2, **kwargs)
    original.reset(5)
    _run(original, steps, 1)
    save_checkpoint(folder / "state.pt", original.state_dict())
    copy.reset(6)
    _run(copy, 3, 2)
    copy.load_state_dict(load_checkpoint(folder / "state.pt"))
    expected = _run(original, 2 * steps, 3)
    assert any(ended.any() for ended in expected[3::5] + expected[4::5])  # resets drew random numbers
    _assert_same(expected, _run(copy, 2 * steps, 3))
    assert original.statistics() == copy.statistics() != {}
    copy.close()


def test_classic_control_goes_on_exactly(tmp_path: Path) -> None:
    _goes_on("Pendulum-v1", 7, tmp_path, max_episode_steps=10)


def test_mujoco_goes_on_exactly(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    pytest.importorskip("imageio")
    _goes_on("Humanoid-v5", 15, tmp_path)
    _goes_on("Reacher-v5", 30, tmp_path)
    _goes_on("Ant-v5", 15, tmp_path, max_episode_steps=20)


def test_what_cannot_be_copied_starts_new_episodes() -> None:
    original, copy = GymnasiumBatch("Noise-v0", 2), GymnasiumBatch("Noise-v0", 2)
    original.reset(0)
    last = original.step(_actions(0.0, 0.0)).observation.policy
    copy.reset(1)
    copy.load_state_dict(original.state_dict())
    cut = copy.step(_actions(2.0, 2.0))
    assert cut.truncated.all()
    assert not cut.terminated.any()
    assert not cut.reward.any()
    np.testing.assert_array_equal(cut.final.policy, last)
    assert cut.observation.policy[:, 1].tolist() == [0.0, 0.0]
    assert copy.statistics() == {}
    after, expected = copy.step(_actions(0.0, 0.0)), original.step(_actions(0.0, 0.0))
    assert after.observation.policy[:, 1].tolist() == [1.0, 1.0]
    # The randomness goes on.
    np.testing.assert_array_equal(after.observation.policy[:, 2], expected.observation.policy[:, 2])


def test_a_state_of_something_else_is_refused(refuses: Refuses) -> None:
    state = GymnasiumBatch("Count-v0", 2).state_dict()
    with refuses(ConfigError, "2 × Count-v0", "expected 3 × Count-v0"):
        GymnasiumBatch("Count-v0", 3).load_state_dict(state)
    with refuses(ConfigError, "Count-v0", "expected 2 × Noise-v0"):
        GymnasiumBatch("Noise-v0", 2).load_state_dict(state)
    with refuses(ConfigError, "Count-v0", '{"first": 7}'):
        GymnasiumBatch("Count-v0", 2, first=7).load_state_dict(state)
    state["environments"][0]["random"] = [{}, {}]
    with refuses(ConfigError, "'Count-v0'", "does not fit"):
        GymnasiumBatch("Count-v0", 2).load_state_dict(state)


@pytest.mark.parametrize(
    ("id", "words"),
    [
        ("CartPole-v1", ["action of 'CartPole-v1'", "Discrete(2)"]),
        ("Image-v0", ["observation of 'Image-v0'", "(4, 4, 3)", "uint8"]),
        ("NoSuchThing-v0", ["NoSuchThing"]),
    ],
)
def test_what_is_no_vector_of_real_numbers_is_refused(id: str, words: list[str], refuses: Refuses) -> None:
    with refuses(ConfigError, *words):
        GymnasiumBatch(id, 2)


def test_wrong_arguments_are_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "Pendulum-v1", "wobble"):
        GymnasiumBatch("Pendulum-v1", 2, wobble=1)
    with refuses(ConfigError, "n_envs", "0"):
        GymnasiumBatch("Pendulum-v1", 0)


def test_what_is_not_installed_is_named(refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise gymnasium.error.DependencyNotInstalled("Box2D is not installed,\nrun pip")

    monkeypatch.setattr(gymnasium, "make", missing)
    with refuses(MissingDependencyError, "BipedalWalker-v3", "Box2D is not installed, run pip"):
        GymnasiumBatch("BipedalWalker-v3", 1)
