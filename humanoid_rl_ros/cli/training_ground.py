"""What a run learns in: a robot's task, or a Gymnasium environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from humanoid_rl_ros.cli.train_evaluation import episodes_evaluator, evaluator, formation_evaluator
from humanoid_rl_ros.envs.batch_env import BatchEnv, ChoiceEnv
from humanoid_rl_ros.envs.formation_batch import FormationBatch
from humanoid_rl_ros.envs.formation_contract import team_contract
from humanoid_rl_ros.envs.formation_spec import formation_task, is_formation
from humanoid_rl_ros.envs.gymnasium_task import gymnasium_arguments, gymnasium_id
from humanoid_rl_ros.envs.tasks import make_batch, task_for
from humanoid_rl_ros.learning.learners import CHOICES, VECTORS, require_actions
from humanoid_rl_ros.learning.run_folder import RunRecord
from humanoid_rl_ros.learning.trainer import Evaluate
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.team_bundle import TeamBundle
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation


@dataclass(frozen=True)
class TrainingGround:
    """What a run learns in, and what goes with it.

    Attributes:
        env: this process's share of the robots or environments.
        title: what is learned.
        evaluate: measures a policy, in robots or environments of its own; None for a task that is not measured.
        evaluate_every: environment steps between two evaluations, where nobody says otherwise.
        contract: of the bundle that comes of it; None where no robot can run what is learned.
        control_period: length of a step [s]; None where only steps are counted.
        team: of the team bundle that comes of it; None where it is not one of a team.
    """

    env: BatchEnv | ChoiceEnv
    title: str
    evaluate: Evaluate | None
    evaluate_every: int
    contract: PolicyBundle | None
    control_period: float | None
    team: TeamBundle | None = None


def training_ground(
    record: RunRecord, rank: int, threads: int | None, *, over_ros: bool = False, namespaces: Sequence[str] = ()
) -> TrainingGround:
    """Make it.

    Args:
        record: of the run.
        rank: which of its processes this is.
        threads: of the physics; None for one per core, which processes share.
        over_ros: whether the physics runs in simulators behind ROS topics.
        namespaces: of those that run, one for each robot; without, they are started.

    Raises:
        HumanoidError: there is no such task, robot or environment, they do not fit, or something is not installed.
    """
    share = record.environments // record.processes
    own_threads = threads if threads is not None or record.processes == 1 else _share_of_cores()
    if (id := gymnasium_id(record.task)) is not None:
        return _of_gymnasium(record, id, share, rank, own_threads)
    if is_formation(record.task):
        return _formation_ground(record, share, rank, own_threads or len(os.sched_getaffinity(0)))
    make = partial(
        make_batch, record.task, record.robot, share, overrides=record.overrides, threads=own_threads, stream=rank
    )
    env = make(simulate=_over_ros(record, namespaces)) if over_ros else make()
    return TrainingGround(
        env,
        f"{record.algorithm} · {Path(record.task).stem} · {Path(record.robot).stem} · "
        f"{record.environments} robots, seed {record.seed}",
        evaluator(record, env, threads),
        2_000_000,
        env.contract,
        env.control_period,
    )


def _of_gymnasium(record: RunRecord, id: str, share: int, rank: int, threads: int | None) -> TrainingGround:
    from humanoid_rl_ros.envs.gymnasium_batch import (  # a robot's training needs no Gymnasium
        GymnasiumBatch,
        gymnasium_copies,
    )

    arguments = gymnasium_arguments(record.overrides)
    env = gymnasium_copies(id, share, threads=threads, stream=rank, **arguments)
    in_vectors = isinstance(env, GymnasiumBatch)
    require_actions(record.algorithm, VECTORS if in_vectors else CHOICES, f"'{id}'")
    return TrainingGround(
        env,
        f"{record.algorithm} · {id.rpartition(':')[2]} · {record.environments} environments, seed {record.seed}",
        episodes_evaluator(id, threads, arguments),
        100_000 if in_vectors else 20_000,
        None,
        None,
    )


def _formation_ground(record: RunRecord, share: int, rank: int, threads: int) -> TrainingGround:
    spec, robot = formation_task(record.task, record.overrides), find_robot(record.robot)
    return TrainingGround(
        FormationBatch(robot, spec, share, threads=threads, stream=rank),
        f"{record.algorithm} · {spec.name} · {Path(record.robot).stem} · "
        f"{record.environments // spec.robots} teams of {spec.robots} robots, seed {record.seed}",
        formation_evaluator(robot, spec, threads),
        150_000 if spec.bodies == "physics" else 2_000_000,
        None,
        spec.period,
        team_contract(spec, robot),
    )


def _over_ros(record: RunRecord, namespaces: Sequence[str]) -> Callable[..., BatchSimulation]:
    from humanoid_rl_ros.envs.ros_simulation import RosSimulation, require_over_ros  # rclpy; other trainings need none
    from humanoid_rl_ros.envs.ros_simulators import START, RosSimulators

    require_over_ros(task_for(record.task, find_robot(record.robot), record.overrides))
    simulators = RosSimulators(record.robot, record.environments, namespaces or START)
    return partial(RosSimulation, connect=simulators.connect)


def _share_of_cores() -> int:
    """Of this machine's cores, for one of the processes that torchrun started here."""
    return max(1, len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
