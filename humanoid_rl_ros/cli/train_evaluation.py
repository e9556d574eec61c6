"""What `humanoid_rl train` measures now and then, without exploration.

Of a robot a short walk under each command, pushed; in a Gymnasium environment whole episodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from humanoid_rl_ros.control.formation_deciders import by_policy
from humanoid_rl_ros.core.command import AXES, CommandSpec
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.evaluation import COMMANDS, CommandResult, EvaluationSpec, evaluate
from humanoid_rl_ros.envs.formation_evaluation import evaluate_formation
from humanoid_rl_ros.envs.formation_spec import FormationSpec
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.learning.actor_state import act_with
from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.learning.run_folder import RunRecord
from humanoid_rl_ros.learning.trainer import Evaluate
from humanoid_rl_ros.resources import find_robot

REPEATS, SECONDS, PUSH_SPEED = 4, 12.0, 0.4
EPISODES, EPISODES_SEED = 10, 0
TEAMS, TEAM_SECONDS = 16, 24.0
HAND_WEIGHT = 5.0
LOST = 1.0
"""What a command counts for under which nobody stood long enough to be measured [m/s], [m]."""


def evaluator(record: RunRecord, env: HumanoidBatch, threads: int | None) -> Evaluate | None:
    """What measures a policy of this run, or None for a task that does not begin on its feet.

    Args:
        record: of the run.
        env: in which it learns; the evaluation has robots of its own.
        threads: of the physics.
    """
    if env.task.episode.start != "standing":
        return None
    commands = [command for command in COMMANDS if _within(command, env.task.commands.full)]
    spec = EvaluationSpec(
        commands or [(0.0, 0.0, 0.0)], repeats=REPEATS, seconds=SECONDS, push_speed=PUSH_SPEED, noise=1.0
    )
    robot = find_robot(record.robot)

    def measure(actor: ActorNetwork) -> dict[str, float]:
        found = evaluate(robot, record.task, act_with(actor), spec, contract=env.contract, threads=threads)
        return summarise(found)

    return measure


def episodes_evaluator(id: str, threads: int | None, arguments: Mapping[str, Any]) -> Evaluate:
    """What measures a policy in a Gymnasium environment: the same episodes each time, in copies of its own.

    Args:
        id: of the environment.
        threads: of the physics.
        arguments: that it is made with.
    """
    from humanoid_rl_ros.envs.gymnasium_evaluation import run_episodes  # Gymnasium; a robot's training needs none

    def measure(actor: ActorNetwork) -> dict[str, float]:
        found = run_episodes(id, act_with(actor), EPISODES, seed=EPISODES_SEED, threads=threads, **arguments)
        mean = float(found.returns.mean())
        return {"return": mean, "length": float(found.lengths.mean()), "score": mean}

    return measure


def formation_evaluator(robot: RobotSpec, spec: FormationSpec, threads: int) -> Evaluate:
    """What measures a policy of a team: the same teams each time, with all the chance that the task has.

    Args:
        robot, spec: of the run.
        threads: of the physics.
    """

    def measure(actor: ActorNetwork) -> dict[str, float]:
        decider = partial(by_policy, act_with(actor), spec.action_scale)
        found = evaluate_formation(robot, spec, [decider], teams=TEAMS, seconds=TEAM_SECONDS, threads=threads)
        everyone = found[0].result.everyone
        names = ("survival", "slot_error", "velocity_error", "heading_error", "close_share", "score")
        return {name: getattr(everyone, name) for name in names}

    return measure


def summarise(results: Sequence[CommandResult]) -> dict[str, float]:
    """Means over the commands, and a score: survival less velocity error [m/s] less half the yaw error [rad/s].

    Where hands have targets, their mean distance [m] counts `HAND_WEIGHT` times.
    """
    velocity = [LOST if math.isnan(r.velocity_error) else r.velocity_error for r in results]
    yaw = [LOST if math.isnan(r.yaw_error) else r.yaw_error for r in results]
    means = {
        "survival": float(np.mean([r.survival for r in results])),
        "velocity_error": float(np.mean(velocity)),
        "yaw_error": float(np.mean(yaw)),
    }
    score = means["survival"] - means["velocity_error"] - 0.5 * means["yaw_error"]
    if hands := [r.hands.mean for r in results if r.hands is not None]:
        means["hand_error"] = float(np.mean([LOST if math.isnan(error) else error for error in hands]))
        score -= HAND_WEIGHT * means["hand_error"]
    return means | {"score": score}


def _within(command: Sequence[float], ranges: CommandSpec) -> bool:
    bounds = (getattr(ranges, axis) for axis in AXES)
    return all(low <= value <= high for value, (low, high) in zip(command, bounds, strict=True))
