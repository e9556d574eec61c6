"""The policy of a checkpoint, or of a run's newest one, with the contract that a robot's task promises."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from humanoid_rl_ros.cli.train_settings import known_by
from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.envs.evaluation import Act
from humanoid_rl_ros.envs.formation_contract import team_contract
from humanoid_rl_ros.envs.formation_spec import formation_task, is_formation
from humanoid_rl_ros.envs.gymnasium_task import gymnasium_id
from humanoid_rl_ros.envs.task_contract import task_contract
from humanoid_rl_ros.envs.tasks import task_for
from humanoid_rl_ros.learning.actor_state import act_with, actor_from_state
from humanoid_rl_ros.learning.checkpoint import load_checkpoint
from humanoid_rl_ros.learning.networks import ActorNetwork
from humanoid_rl_ros.learning.run_checkpoints import checkpoint_record, checkpoints_in
from humanoid_rl_ros.learning.run_folder import RunFolder, RunRecord
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.team_bundle import TeamBundle
from humanoid_rl_ros.resources import find_robot


@dataclass(frozen=True)
class CheckpointPolicy:
    """What a checkpoint has learned.

    Attributes:
        path: the checkpoint.
        record: of its run.
        steps: environment steps it learned from.
        actor: the policy.
        contract: all of its bundle but the weights; None where it learned in a Gymnasium environment, or for a team.
        team: the same of a team bundle; None where it is not one of a team.
    """

    path: Path
    record: RunRecord
    steps: int
    actor: ActorNetwork
    contract: PolicyBundle | None
    team: TeamBundle | None = None

    @property
    def robot(self) -> str:
        """As `find_robot` takes it."""
        return self.record.robot

    @property
    def task(self) -> str:
        """As `task_for` takes it."""
        return self.record.task

    def robot_contract(self) -> PolicyBundle:
        """All of its bundle but the weights.

        Raises:
            ConfigError: no robot can run it.
        """
        if self.team is not None:
            raise ConfigError(f"{self.path}: a policy of {self.task} decides for a team and drives no joint")
        if self.contract is None:
            raise ConfigError(f"{self.path}: a policy of {self.task} drives no robot, so there is no bundle of it")
        return self.contract

    @property
    def act(self) -> Act:
        """Actions for observations."""
        return act_with(self.actor)


def is_checkpoint(source: str | Path) -> bool:
    """Whether this is a checkpoint file or a run folder, and no policy bundle."""
    path = Path(source).expanduser()
    return (path.is_file() and path.suffix == ".pt") or (path.is_dir() and RunFolder(path).record_file.is_file())


def checkpoint_policy(source: Path) -> CheckpointPolicy:
    """Read a policy.

    Args:
        source: a checkpoint, or a run folder for its newest.

    Raises:
        HumanoidError: there is no checkpoint, it cannot be read, or its task or robot is not what it was.
    """
    path = _newest(source.expanduser())
    content = load_checkpoint(path)
    record = checkpoint_record(content, path)
    _, task_digest, robot_digest = known_by(record.task, record.robot, record.overrides)
    replace(record, task_digest=task_digest, robot_digest=robot_digest).require_same(record, str(path))
    try:
        actor, steps = actor_from_state(content["policy"]), int(content["steps"])
    except KeyError as error:
        raise TrainingError(f"{path}: the checkpoint lacks {error}") from None
    return CheckpointPolicy(path, record, steps, actor, _contract(record), _team(record))


def _contract(record: RunRecord) -> PolicyBundle | None:
    if gymnasium_id(record.task) is not None or is_formation(record.task):
        return None
    robot = find_robot(record.robot)
    return task_contract(task_for(record.task, robot, record.overrides), robot)


def _team(record: RunRecord) -> TeamBundle | None:
    if not is_formation(record.task):
        return None
    return team_contract(formation_task(record.task, record.overrides), find_robot(record.robot))


def _newest(source: Path) -> Path:
    if source.is_file():
        return source
    if not source.exists():
        raise ConfigError(f"{source}: no such checkpoint or run folder")
    folder = RunFolder(source).checkpoints()
    found = checkpoints_in(folder if folder.is_dir() else source)
    if not found:
        raise ConfigError(f"{source} holds no checkpoint")
    return found[0]
