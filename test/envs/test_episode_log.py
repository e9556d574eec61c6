"""What is counted of episodes, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from humanoid_rl_ros.envs.episode_log import EpisodeLog

NOBODY = np.zeros(3, dtype=bool)


def three() -> EpisodeLog:
    """Three robots, two rewards, two steps of 0.5 s; robot 2 earns nothing and follows its command."""
    log = EpisodeLog(3, ("walk", "fall"), 0.5)
    log.add(np.array([[1.0, -0.5], [2.0, 0.0], [0.0, 0.0]]), np.array([0.2, 0.4, 0.0]), np.array([0.1, -0.5, 0.0]))
    log.add(np.array([[3.0, 0.0], [0.0, -1.0], [0.0, 0.0]]), np.array([0.4, 0.8, 0.0]), np.array([-0.3, 0.3, 0.0]))
    return log


def test_lengths_and_errors_are_of_the_episodes_that_ended() -> None:
    log = three()
    lengths, errors = log.end(np.array([1, 0]), NOBODY, NOBODY)
    assert lengths.tolist() == [2, 2]
    assert errors.tolist() == pytest.approx([0.6, 0.3])
    assert log.steps.tolist() == [0, 0, 2]
    log.add(np.zeros((3, 2)), np.array([0.1, 0.1, 0.9]), np.zeros(3))
    lengths, errors = log.end(np.array([0, 2]), NOBODY, NOBODY)
    assert lengths.tolist() == [1, 3]
    assert errors.tolist() == pytest.approx([0.1, 0.3])


def test_statistics_are_means_since_they_were_last_asked_for() -> None:
    log = three()
    fallen, diverged = np.array([True, True, False]), np.array([False, True, False])
    log.end(np.array([0, 1, 2]), fallen, diverged)
    found = log.statistics()
    # Returns are 3.5, 1 and 0; 6 samples earned 6 and -1.5, each in half a second.
    expected = {"episode/return": 1.5, "episode/length": 2.0, "episode/count": 3.0}
    expected |= {"end/fall": 1.0 / 3.0, "end/time": 1.0 / 3.0, "end/diverged": 1.0 / 3.0}
    expected |= {"reward/walk": 2.0, "reward/fall": -0.5, "task/velocity_error": 0.3, "task/yaw_error": 0.2}
    assert found == pytest.approx(expected)
    assert log.statistics() == {}
    log.add(np.ones((3, 2)), np.ones(3), np.ones(3))
    assert set(log.statistics()) == {"reward/walk", "reward/fall", "task/velocity_error", "task/yaw_error"}


def test_running_episodes_go_on_in_another_log() -> None:
    first, second = three(), EpisodeLog(3, ("walk", "fall"), 0.5)
    second.load_state_dict(first.state_dict())
    assert second.statistics() == {}
    first.statistics()
    for log in (first, second):
        log.add(np.ones((3, 2)), np.full(3, 0.3), np.zeros(3))
        log.end(np.array([0]), np.array([True, False, False]), NOBODY)
    assert second.statistics() == first.statistics()
    assert second.steps.tolist() == [0, 3, 3]
