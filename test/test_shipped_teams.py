"""The shipped policies of teams: they load, and do better than the hand-written law in the worlds they are for."""

from __future__ import annotations

from functools import partial

import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

from humanoid_rl_ros.control.formation_deciders import by_law, by_policy
from humanoid_rl_ros.envs.formation_evaluation import FormationMeasure, evaluate_formation
from humanoid_rl_ros.envs.formation_spec import formation_task
from humanoid_rl_ros.resources import find_policy, find_robot, find_team, robot_named, team_names


@pytest.mark.parametrize("name", team_names())
def test_a_shipped_team_fits_what_it_names(name: str) -> None:
    bundle = find_team(name)
    assert bundle.name == name
    assert find_robot(robot_named(bundle.robot)).name == bundle.robot
    assert find_policy(bundle.walk).command == bundle.command
    task = formation_task(name)
    assert (task.period, task.averaging, task.action_scale) == (bundle.period, bundle.averaging, bundle.action_scale)
    bundle.load_network()


def measured(name: str) -> tuple[FormationMeasure, FormationMeasure]:
    """By what was learned, and by the law."""
    bundle = find_team(name)
    made = [partial(by_policy, bundle.load_network(), bundle.action_scale), by_law]
    runs = evaluate_formation(find_robot("reference"), formation_task(name), made, teams=12, seconds=20.0, seed=5)
    learned, law = (run.result.everyone for run in runs)
    return learned, law


@pytest.mark.slow
def test_a_formation_is_kept_better_than_by_the_law() -> None:
    learned, law = measured("formation")
    assert learned.survival == 1.0
    assert learned.slot_error < law.slot_error
    assert learned.velocity_error < law.velocity_error
    assert learned.closest > law.closest


@pytest.mark.slow
def test_a_beam_is_carried_and_the_command_followed_better_than_by_the_law() -> None:
    learned, law = measured("carry")
    assert learned.survival == 1.0
    assert learned.dropped == 0.0
    assert learned.velocity_error < law.velocity_error
    assert learned.slot_error < law.slot_error + 0.01
