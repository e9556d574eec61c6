"""Environments whose physics runs behind ROS topics: the same to the bit, and what happens when simulators do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")
pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

from gymnasium.utils.env_checker import check_env  # noqa: E402

import humanoid_rl_ros.envs.registration  # noqa: E402, F401  # makes the names known
from humanoid_rl_ros.cli.processes import domains_to_take  # noqa: E402
from humanoid_rl_ros.core.errors import ConfigError, SimulatorError  # noqa: E402
from humanoid_rl_ros.envs.ros_simulators import BRIDGE, bridge_arguments  # noqa: E402
from humanoid_rl_ros.node_processes import node_environment  # noqa: E402

Refuses = Callable[..., AbstractContextManager[None]]
pytestmark = pytest.mark.ros
PERIOD_NS = 5_000_000
# Everything that chance decides, and pushes every half second.
WILD = {"randomisation.push_period": [0.2, 0.5], "curriculum": None}
PATIENT = {"timeout": 30.0, "start_timeout": 60.0}


@pytest.fixture(autouse=True)
def _domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domains_to_take()[0]))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


def over_ros(**options: Any) -> Any:
    return gymnasium.make("humanoid_rl_ros/RosWalk-v0", overrides=WILD, **{**PATIENT, **options})


@pytest.fixture
def simulators(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a simulator as a user does; what still runs is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def start(namespace: str, **changes: str) -> subprocess.Popen[bytes]:
        more = [word for name, value in changes.items() for word in ("-p", f"{name}:={value}")]
        command = [sys.executable, "-m", BRIDGE, *bridge_arguments("reference", namespace, PERIOD_NS), *more]
        with (tmp_path / f"simulator_{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen(command, env=node_environment(), stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(10)


def actions(env: Any, steps: int) -> list[Any]:
    rng = np.random.default_rng(4)
    return [rng.uniform(-0.5, 0.5, env.action_space.shape).astype(np.float32) for _ in range(steps)]


def test_one_robot_over_ros_is_one_in_this_process_to_the_bit() -> None:
    with closing(gymnasium.make("humanoid_rl_ros/Walk-v0", overrides=WILD)) as here, closing(over_ros()) as there:
        assert here.observation_space == there.observation_space
        assert here.action_space == there.action_space
        ends = pushed = 0
        over = True
        for step, action in enumerate(actions(here, 1000)):
            if over:
                seen, info = here.reset(seed=ends)
                seen_there, info_there = there.reset(seed=ends)
                np.testing.assert_array_equal(seen_there, seen)
                np.testing.assert_array_equal(info_there["critic_observation"], info["critic_observation"])
            pushed += int(there.unwrapped.batch._pushes.steps_left[0] == 1)
            *result, told = here.step(action)
            *result_there, told_there = there.step(action)
            for mine, other in zip(result, result_there, strict=True):
                np.testing.assert_array_equal(other, mine)
            assert told_there["reward_terms"] == told["reward_terms"]
            np.testing.assert_array_equal(told_there["critic_observation"], told["critic_observation"])
            over = result[2]
            ends += int(over)
            if step >= 150 and ends >= 2 and pushed >= 3:
                break
        assert ends >= 2
        assert pushed >= 3


def _ends_of_two(steps: int, overrides: dict[str, Any]) -> Any:
    """How often each of two robots ended, after every number was compared."""
    kind = {"num_envs": 2, "vectorization_mode": "vector_entry_point", "overrides": overrides}
    here = gymnasium.make_vec("humanoid_rl_ros/Walk-v0", **kind, threads=1)
    there = gymnasium.make_vec("humanoid_rl_ros/RosWalk-v0", **kind, **PATIENT)
    ends = np.zeros(2, dtype=int)
    with closing(here), closing(there):
        np.testing.assert_array_equal(there.reset(seed=2)[0], here.reset(seed=2)[0])
        for action in actions(here, steps):
            *result, _ = here.step(action)
            *result_there, _ = there.step(action)
            for mine, other in zip(result, result_there, strict=True):
                np.testing.assert_array_equal(other, mine)
            ends += result[2] | result[3]
    return ends


def test_two_robots_over_ros_are_two_in_this_process_and_begin_anew_in_the_same_step() -> None:
    assert _ends_of_two(150, WILD).min() >= 1


@pytest.mark.slow
def test_physics_that_leaves_the_finite_ends_the_episode_as_in_this_process() -> None:
    # No model of a joint or a contact stands a start at ten times the speed of sound.
    assert (_ends_of_two(3, {**WILD, "randomisation.start_velocity": 3e4}) == 3).all()


def test_a_closed_environment_says_so(refuses: Refuses) -> None:
    env = over_ros()
    env.reset(seed=1)
    env.close()
    for use in (lambda: env.reset(seed=1), lambda: env.step(np.zeros(env.action_space.shape, np.float32))):
        with refuses(SimulatorError, "closed"):
            use()
    env.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*(infinity|symmetric|render).*:UserWarning")
def test_gymnasiums_own_checker_is_content() -> None:
    with closing(over_ros()) as env:
        check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.slow
def test_a_started_simulator_that_fails_is_told_in_time_and_another_takes_its_place(refuses: Refuses) -> None:
    with closing(over_ros(timeout=10.0)) as env:
        first, _ = env.reset(seed=1)
        still = np.zeros(env.action_space.shape, np.float32)
        walked = [env.step(still)[0] for _ in range(5)]
        for number, words in ((signal.SIGKILL, "SIGKILL"), (signal.SIGSTOP, "hangs")):
            (node,) = env.unwrapped.batch.simulation._fleet._owner._processes[0].nodes
            os.kill(node.process.pid, number)
            began = time.monotonic()
            with refuses(SimulatorError, words, "reset the environment"):
                env.step(still)
            assert time.monotonic() - began < 40.0
            with refuses(SimulatorError, "lost", "reset the environment"):
                env.step(still)
            np.testing.assert_array_equal(env.reset(seed=1)[0], first)
            np.testing.assert_array_equal([env.step(still)[0] for _ in range(5)], walked)
            assert node.process.poll() is not None
        # One that ended while nobody asked it for anything is no reason for a reset to fail.
        (node,) = env.unwrapped.batch.simulation._fleet._owner._processes[0].nodes
        node.process.kill()
        node.process.wait(20)
        np.testing.assert_array_equal(env.reset(seed=1)[0], first)


def test_a_simulator_that_is_started_anew_by_its_user_is_noticed_and_found_again(
    simulators: Callable[..., subprocess.Popen[bytes]], refuses: Refuses
) -> None:
    simulator = simulators("one")
    with closing(over_ros(namespace="one")) as env:
        first, _ = env.reset(seed=3)
        still = np.zeros(env.action_space.shape, np.float32)
        env.step(still)
        simulator.terminate()
        simulator.wait(20)
        second = simulators("one")
        with refuses(SimulatorError, "/one", "reset the environment"):
            for _ in range(3):
                env.step(still)
        np.testing.assert_array_equal(env.reset(seed=3)[0], first)
        # Before the first step both stand at time 0, and only one was put where the episode begins.
        second.terminate()
        second.wait(20)
        simulators("one")
        robot = env.unwrapped.batch.simulation._fleet.robots[0]
        env.unwrapped.batch.simulation._fleet._until(lambda: not robot.lacks(), lambda: "nobody", 60.0)
        with refuses(SimulatorError, "/one was started anew", "reset the environment"):
            env.step(still)
        np.testing.assert_array_equal(env.reset(seed=3)[0], first)
        env.step(still)


def test_a_started_simulator_ends_with_who_started_it(tmp_path: Path) -> None:
    program = (
        "import os, signal, gymnasium, humanoid_rl_ros.envs.registration\n"
        "env = gymnasium.make('humanoid_rl_ros/RosWalk-v0', start_timeout=60.0)\n"
        "(node,) = env.unwrapped.batch.simulation._fleet._owner._processes[0].nodes\n"
        "print(node.process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        env=node_environment(),
        capture_output=True,
        text=True,
        timeout=120.0,
    )
    simulator = Path(f"/proc/{int(run.stdout)}")
    until = time.monotonic() + 30.0
    while simulator.exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not simulator.exists()


@pytest.mark.slow
def test_a_simulator_that_cannot_be_stepped_says_what_it_needs(
    simulators: Callable[..., subprocess.Popen[bytes]], refuses: Refuses
) -> None:
    simulators("free", mode="realtime")
    simulators("mute", publish_root_state="false")
    simulators("fast", state_rate="400.0", physics_timestep="0.0025")
    for namespace, expected in (
        ("free", ["/free", "mode:=lockstep"]),
        ("mute", ["/mute", "publish_root_state:=true"]),
        ("fast", ["/fast", "state_rate"]),
    ):
        patience = {"timeout": 3.0, "start_timeout": 6.0 if namespace == "mute" else 60.0}
        with refuses(SimulatorError, *expected), closing(over_ros(namespace=namespace, **patience)) as env:
            env.reset(seed=0)
            for _ in range(2):
                env.step(np.zeros(env.action_space.shape, np.float32))


def test_what_cannot_be_connected_is_refused_before_anything_is_started(refuses: Refuses) -> None:
    with refuses(SimulatorError, "/nobody", "nobody publishes /nobody/joint_states"):
        over_ros(namespace="nobody", start_timeout=0.3)
    with refuses(ConfigError, "timeout", "above 0"):
        over_ros(timeout=0.0)
    with refuses(ConfigError, "'a b' is no ROS namespace"):
        over_ros(namespace="a b")
    with refuses(ConfigError, "harness"):
        gymnasium.make("humanoid_rl_ros/RosWalk-v0", task="get_up")
    with refuses(ConfigError, "over ROS", "terrain, randomisation.payload, randomisation.weak_joint", "null"):
        gymnasium.make("humanoid_rl_ros/RosWalk-v0", task="walk_adaptive")
    with refuses(ConfigError, "2 robots", "namespaces"):
        gymnasium.make_vec(
            "humanoid_rl_ros/RosWalk-v0",
            num_envs=2,
            vectorization_mode="vector_entry_point",
            namespaces=["same", "same"],
        )
    with refuses(ConfigError, "control.held_joints=simulated"):
        gymnasium.make("humanoid_rl_ros/RosWalk-v0", overrides={"control.held_joints": "welded"}, namespace="nobody")
