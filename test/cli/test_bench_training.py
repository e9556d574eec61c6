"""`humanoid_rl bench training`: what it measures, and that every side is given the same robots."""

from __future__ import annotations

import importlib.metadata
import json
import multiprocessing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")  # the `train` extra brings it
pytest.importorskip("mujoco")

from toy_envs import Cliff, PointMass
from typer.testing import CliRunner

from humanoid_rl_ros.cli import bench_instruments, bench_training, bench_walking
from humanoid_rl_ros.cli.bench_instruments import RecordedPhysics, Stopwatch
from humanoid_rl_ros.cli.bench_peers import PEERS, legged_settings
from humanoid_rl_ros.cli.bench_sides import Side
from humanoid_rl_ros.cli.bench_walking import Look, time_to_walk
from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError
from humanoid_rl_ros.learning.ppo_config import PPOConfig

RUNNER = CliRunner()
CONFIG = PPOConfig(steps_per_iteration=6, epochs=2, minibatches=2, actor_hidden=(8,), critic_hidden=(8,))
SMALL = [
    *("--environments", "4", "--threads", "1"),
    *("--set", "steps_per_iteration=8", "--set", "epochs=1", "--set", "minibatches=1"),
    *("--set", "actor_hidden=[8]", "--set", "critic_hidden=[8]"),
]
COLLECTING = ("physics", "observation, reward, reset", "inference", "rest of collecting")
UPDATES = {
    True: ("update", "critic, beside these"),
    False: ("update of the policy", "update of the critic"),
}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No peer is installed."""
    found = importlib.metadata.version
    absent = {peer.distribution for peer in PEERS.values()}

    def version(name: str) -> str:
        if name in absent:
            raise importlib.metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


@pytest.mark.parametrize("overlap", [True, False])
def test_our_side_says_where_its_time_goes(alone: None, tmp_path: Path, overlap: bool) -> None:
    result = tmp_path / "result.json"
    words = ["bench", "training", *SMALL, "--set", f"overlap={overlap}".lower()]
    words += ["--seconds", "0.05", "--rounds", "2", "--json", str(result)]
    done = RUNNER.invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for peer in PEERS.values():
        assert f"{peer.distribution} is not installed: pip install 'humanoid_rl_ros" in done.output
    found = json.loads(result.read_text())
    assert found["missing"] == list(PEERS)
    assert found["overrides"]["control.held_joints"] == "welded"
    (ours,) = found["sides"].values()
    assert ours["ours_over_it"] == [1.0, 1.0]
    assert all(0.0 < cpu < 1.0 for cpu in ours["cpu_per_step"])
    parts = {name: np.array(seconds) for name, seconds in found["parts"].items()}
    whole = parts.pop("all")
    assert set(parts) == {*COLLECTING, *UPDATES[overlap]}
    np.testing.assert_allclose(whole, 1.0 / np.array(ours["steps_per_second"]))
    assert all((seconds > 0.0).all() for seconds in parts.values())
    assert (sum(seconds for name, seconds in parts.items() if "beside" not in name) < whole).all()
    collecting = sum(parts[name] for name in COLLECTING)
    np.testing.assert_allclose(
        np.array(found["collecting_share"]) * found["bare_physics"] * collecting, [1.0, 1.0], rtol=1e-9
    )


def test_ratios_are_of_rounds_and_the_order_turns(alone: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    order: list[str] = []

    class Scripted(Side):
        def __init__(self, name: str, *paces: float) -> None:
            super().__init__(name, "1", "so", SimpleNamespace(close=lambda: None), 1)
            self.paces = paces

        def iterate(self) -> None:
            order.append(f"{self.title} first")

        def turn(self, seconds: float) -> None:
            order.append(self.title)
            self.steps_per_second.append(self.paces[len(self.steps_per_second)])
            self.cpu_per_step.append(2e-3)
            self.episode_seconds.append(float("nan"))

    sides = {"ours": Scripted("A", 300.0, 200.0), "sb3": Scripted("B", 100.0, 50.0)}
    monkeypatch.setattr(bench_training, "_chosen", lambda only: (list(sides), []))
    monkeypatch.setattr(bench_training, "_side", lambda name, *rest: sides[name])
    monkeypatch.setattr(bench_training.BenchOptions, "robots", lambda *_: None)
    result = tmp_path / "result.json"
    words = ["bench", "training", "--rounds", "2", "--json", str(result)]
    done = RUNNER.invoke(app, words, catch_exceptions=False, env={"COLUMNS": "120"})
    (row,) = (line.split("│") for line in done.output.splitlines() if "│ B " in line)
    # Name, version, median, range, the ratios' median, 2 ms, and no episode that ended.
    assert [cell.strip() for cell in row[1:-1]] == ["B", "1", "so", "75", "50–100", "3.50", "2000", "nan"]
    assert order == ["A first", "B first", "A", "B", "B", "A"]
    found = json.loads(result.read_text())["sides"]
    assert (found["ours"]["median"], found["sb3"]["median"]) == (250.0, 75.0)
    assert found["sb3"]["ours_over_it"] == [3.0, 4.0]
    assert found["sb3"]["episode_seconds"] == [None, None]


def test_who_is_not_there_is_refused_by_name(alone: None, refuses: Any) -> None:
    with refuses(ConfigError, "sb4", "'sb3'"):
        RUNNER.invoke(app, ["bench", "training", "--only", "ours,sb4"], catch_exceptions=False)
    with refuses(MissingDependencyError, "rsl-rl-lib", "pip install"):
        RUNNER.invoke(app, ["bench", "training", "--only", "rsl_rl"], catch_exceptions=False)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time that passes only when told."""
    now = SimpleNamespace(at=100.0)
    monkeypatch.setattr(bench_instruments.time, "perf_counter", lambda: now.at)
    return now


def test_a_stopwatch_times_single_objects(clock: SimpleNamespace) -> None:
    class Worker:
        def work(self, hours: float, *, fail: bool = False) -> str:
            clock.at += hours
            if fail:
                raise ValueError("tired")
            return "done"

    watch, watched, other = Stopwatch("work"), Worker(), Worker()
    watch.attach(watched, "work", "work")
    assert watched.work(2.0) == "done"
    other.work(10.0)
    with pytest.raises(ValueError, match="tired"):
        watched.work(0.5, fail=True)
    assert watch.seconds == {"work": 2.5}
    watch.restart()
    assert watch.seconds == {"work": 0.0}


class Counter:
    """A simulation of three robots whose state is the sum of its targets."""

    n = 3

    def __init__(self, clock: SimpleNamespace) -> None:
        self.state = np.zeros(1)
        self.asked: list[tuple[float, float, Any]] = []
        self.clock = clock

    def snapshot(self) -> dict[str, Any]:
        return {"state": self.state.copy()}

    def restore(self, snapshot: dict[str, Any]) -> None:
        self.clock.at += 7.0  # which no step took
        self.state[...] = snapshot["state"]

    def step(self, target: Any, *, previous: Any = None, delay: Any = None) -> None:
        self.clock.at += 0.5
        self.asked.append((float(self.state[0]), float(target[0]), None if delay is None else float(delay[0])))
        self.state += target


def test_recorded_physics_asks_the_same_again(clock: SimpleNamespace) -> None:
    simulation = Counter(clock)
    recorded = RecordedPhysics(simulation)  # type: ignore[arg-type]
    simulation.step(np.array([5.0]))
    target, delay = np.array([1.0]), np.array([2.0])

    def learn() -> None:
        simulation.step(target, previous=None, delay=delay)
        target[...], delay[...] = 20.0, 0.0  # an array that is used again
        simulation.step(target)

    recorded.record(learn)
    simulation.step(np.array([100.0]))
    simulation.asked.clear()
    # Two steps of three robots in one second.
    assert recorded.replay(1.5) == pytest.approx(6.0)
    assert simulation.asked == [(5.0, 1.0, 2.0), (6.0, 20.0, None)] * 2
    assert simulation.state[0] == 126.0


def bounded(env: PointMass | Cliff) -> Any:
    """Stable-Baselines3 takes finite bounds only."""
    env.action_low, env.action_high = np.full(env.n_actions, -2.0), np.full(env.n_actions, 2.0)
    return env


def test_stable_baselines_learns_from_what_the_batch_says() -> None:
    pytest.importorskip("stable_baselines3")
    from humanoid_rl_ros.cli.bench_sb3 import BatchVecEnv, StableBaselines

    robots = BatchVecEnv(bounded(PointMass(3, episode_steps=2)), seed=4)
    first = robots.reset()
    robots.step(np.zeros((3, 1), dtype=np.float32))
    seen, reward, done, infos = robots.step(np.ones((3, 1), dtype=np.float32))
    assert done.tolist() == [True] * 3
    assert [info["TimeLimit.truncated"] for info in infos] == [True] * 3
    # x' = x + 0.2 v + 0.02 u,  v' = v + 0.2 u, twice, of which only the second was pushed.
    x, v = first.T
    last = np.array([info["terminal_observation"] for info in infos])
    np.testing.assert_allclose(last, np.stack([x + 0.4 * v + 0.02, v + 0.2], axis=1), rtol=1e-5)
    assert not np.allclose(seen, last)
    np.testing.assert_allclose(reward, -((x + 0.2 * v) ** 2) - 0.1 * v**2 - 0.1, rtol=1e-5)
    env = bounded(Cliff(4))
    learner = StableBaselines(env, CONFIG, 0)
    learner.iterate()
    learner.iterate()
    assert env.steps_taken == 2 * CONFIG.steps_per_iteration
    policy = learner._learner.policy
    assert [layer.out_features for layer in policy.mlp_extractor.value_net if hasattr(layer, "out_features")] == [8]
    assert learner._learner._n_updates == 2 * CONFIG.epochs


def test_stable_baselines_as_shipped_learns_in_processes(tmp_path: Path) -> None:
    stable_baselines3 = pytest.importorskip("stable_baselines3")
    result = tmp_path / "result.json"
    words = ["bench", "training", "--only", "sb3_own", "--seconds", "0.01", "--rounds", "1", "--json", str(result)]
    done = RUNNER.invoke(app, words, catch_exceptions=False, env={"COLUMNS": "140"})
    assert done.exit_code == 0, done.output
    (side,) = json.loads(result.read_text())["sides"].values()
    assert side["version"] == stable_baselines3.__version__
    assert side["cpu_per_step"] == [None]
    assert 0.1 < side["episode_seconds"][0] < 20.0
    assert not multiprocessing.active_children()


def test_legged_settings_are_only_of_what_rsl_rl_is_given() -> None:
    config = PPOConfig(discount=0.97, epochs=2, learning_rate=2e-4, actor_hidden=(8,))
    legged = legged_settings(config)
    assert (legged.discount, legged.epochs, legged.actor_hidden) == (0.97, 5, (512, 256, 128))


def test_rsl_rl_learns_from_what_the_batch_says() -> None:
    pytest.importorskip("rsl_rl")
    import torch

    from humanoid_rl_ros.cli.bench_rsl_rl import BatchVecEnv, RslRl

    robots = BatchVecEnv(Cliff(2, episode_steps=2), seed=4)
    start = robots.get_observations()["policy"].clone()
    # One falls at once, the other goes on and is cut by time.
    _, reward, done, extras = robots.step(torch.tensor([[10.0], [0.0]]))
    assert (reward.tolist(), done.tolist(), extras["time_outs"].tolist()) == ([1.0, 1.0], [True, False], [False] * 2)
    seen = robots.get_observations()
    assert seen["policy"][1] == start[1]
    assert seen["critic"][:, 1].tolist() == [0.0, 0.5]
    _, _, done, extras = robots.step(torch.zeros(2, 1))
    assert (done.tolist(), extras["time_outs"].tolist()) == ([False, True], [False, True])
    env = Cliff(4)
    learner = RslRl(env, CONFIG, 0)
    learner.iterate()
    learner.iterate()
    assert env.steps_taken == 2 * CONFIG.steps_per_iteration


def look(episode: float, error: float, survival: float, worst: float) -> Look:
    return Look(1.0, 1, episode, error, survival, worst)


def test_what_counts_as_walking() -> None:
    assert look(15.1, 0.19, 0.0, 1.0).trains_walking
    assert not look(14.9, 0.19, 1.0, 0.1).trains_walking
    assert not look(19.0, 0.21, 1.0, 0.1).trains_walking
    assert look(1.0, 1.0, 0.96, 0.19).walks
    assert not look(19.0, 0.1, 0.94, 0.1).walks
    assert not look(19.0, 0.1, 1.0, 0.21).walks
    assert not look(float("nan"), 0.1, 1.0, float("nan")).walks
    # A robot that stands still is nowhere as near as that to what it is told.
    assert all(np.hypot(x, y) > bench_walking.VELOCITY_ERROR for x, y, _ in bench_walking.COMMANDS)


def test_a_training_ends_when_both_readings_have_seen_it_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    class Learner:
        steps = 0

        def __init__(self, *_: Any) -> None:
            pass

        def iterate(self) -> dict[str, float]:
            self.steps += 100
            now.at += 12.0  # two of them between two looks
            found = {"task/velocity_error": 0.3 if self.steps < 500 else 0.1}
            if self.steps > 300:
                found |= {"episode/count": float(self.steps), "episode/length": 800.0 if self.steps < 600 else 900.0}
            return found

        def state_dict(self) -> None:
            now.at += 6.0

        def actor(self) -> None:
            return None

        def close(self) -> None:
            closed.append(True)

    def evaluated(*_: Any, **__: Any) -> list[SimpleNamespace]:
        now.at += 1000.0
        return [SimpleNamespace(survival=s, velocity_error=e) for s, e in results.pop(0)]

    now, closed = SimpleNamespace(at=50.0), []
    results = [[(1.0, 0.1), (0.5, 0.1)], [(1.0, 0.1), (1.0, 0.1)], [(0.0, float("nan")), (1.0, 0.1)], []]
    monkeypatch.setattr(bench_walking.time, "perf_counter", lambda: now.at)
    monkeypatch.setattr(bench_walking, "PPO", Learner)
    monkeypatch.setattr(bench_walking, "evaluate", evaluated)
    monkeypatch.setattr(bench_walking, "act_with", lambda actor: None)
    env: Any = SimpleNamespace(control_period=0.02, contract=None)
    seen = time_to_walk(env, CONFIG, "walk", "reference", 0, 10.0, None, lambda look: None)
    assert closed == [True]
    assert [one.minutes for one in seen] == pytest.approx([0.5, 1.0, 1.5])
    assert [one.steps for one in seen] == [200, 400, 600]
    assert np.isnan(seen[0].episode_seconds)
    # Episodes of 500 steps' iteration and of 600's: (500 · 800 + 600 · 900) / 1100 · 0.02 s.
    assert [one.episode_seconds for one in seen[1:]] == pytest.approx([16.0, 17.0909], rel=1e-4)
    assert [one.velocity_error for one in seen] == pytest.approx([0.3, 0.3, 0.1])
    assert [one.walks for one in seen] == [False, True, False]
    assert [one.trains_walking for one in seen] == [False, False, True]
    assert np.isnan(seen[2].worst_error)


def test_time_to_walk_gives_up_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refuses: Any) -> None:
    monkeypatch.setattr(bench_walking, "EVALUATE_EVERY_S", 0.01)
    monkeypatch.setattr(bench_walking, "EPISODE_S", 2.1)
    monkeypatch.setattr(bench_walking, "REPEATS", 1)
    result = tmp_path / "result.json"
    words = ["bench", "training", "--time-to-walk", *SMALL]
    done = RUNNER.invoke(app, [*words, "--minutes", "0.001", "--json", str(result)], catch_exceptions=False)
    assert done.output.count("not in 0.001 min") == 2
    (seen,) = json.loads(result.read_text())["looks"].values()
    assert seen[-1]["minutes"] >= 0.001
    assert not seen[-1]["walks"]
    with refuses(ConfigError, "'stand'", "linear_x", "0.5"):
        RUNNER.invoke(app, [*words, "--task", "stand"], catch_exceptions=False)
