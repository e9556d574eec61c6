"""What `humanoid_rl train` was asked, and the run that this makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from humanoid_rl_ros import __version__
from humanoid_rl_ros.core.config import Section, read_yaml
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.task_spec import TaskSpec
from humanoid_rl_ros.envs.tasks import task_for, task_names
from humanoid_rl_ros.learning.digest import digest_of
from humanoid_rl_ros.learning.learner_config import ENVIRONMENTS, LearnerSettings, parse_setting
from humanoid_rl_ros.learning.learners import CONFIGS
from humanoid_rl_ros.learning.run_folder import RunRecord, require_equal
from humanoid_rl_ros.resources import find_robot, share_folder

TASK, ROBOT, SEED = "walk", "reference", 0
TASK_KEYS = tuple(field.name for field in fields(TaskSpec) if field.name != "source")
FILES = (".yaml", ".yml", ".xml", ".mjcf", ".urdf")


@dataclass(frozen=True)
class TrainOptions:
    """What `humanoid_rl train` was asked.

    Attributes:
        algorithm: ``ppo`` or ``sac``.
        steps: environment steps of the whole run.
        out: its folder.
        task, robot, seed, environments: None for the defaults, or when resuming for what the run began with.
        config: a learner YAML to lay over the shipped one.
        settings: ``key=value`` of the learner or the task.
        resume: go on with the run in `out`.
        threads: of the physics; None for one per core.
        torch_threads: of the learner.
        checkpoint_seconds: time between two checkpoints [s].
        evaluate_every: environment steps between two evaluations; 0 for none.
        json_file: where to write the result, or None.
        export: whether to write the policy bundle at the end.
    """

    algorithm: str
    steps: int
    out: Path
    task: str | None = None
    robot: str | None = None
    seed: int | None = None
    environments: int | None = None
    config: Path | None = None
    settings: tuple[str, ...] = ()
    resume: bool = False
    threads: int | None = None
    torch_threads: int = 1
    checkpoint_seconds: float = 120.0
    evaluate_every: int = 2_000_000
    json_file: Path | None = None
    export: bool = True


def resolve(options: TrainOptions, known: RunRecord | None, processes: int) -> tuple[RunRecord, Any]:
    """The run that was asked for, and the learner's configuration.

    Args:
        options: what was asked.
        known: the run to go on with: what was not asked is as there.
        processes: that share the robots.

    Raises:
        HumanoidError: a task, robot or key is unknown, a value is malformed, or `known` is another run.
    """
    task_name, robot_name = _named(options.task), _named(options.robot)
    if known is not None:
        asked = (options.algorithm, task_name, robot_name, options.environments, options.seed)
        for name, value in zip(("algorithm", "task", "robot", "environments", "seed"), asked, strict=True):
            if value is not None:
                require_equal(name, value, getattr(known, name), str(options.out))
    task_name, robot_name = (
        task_name or (known.task if known else TASK),
        robot_name or (known.robot if known else ROBOT),
    )
    robot, kind = find_robot(robot_name), CONFIGS[options.algorithm]
    as_it_was = known if options.config is None and not options.settings else None
    wanted, overrides = _split(options.settings, LearnerSettings(kind, "", ()).keys)
    if as_it_was is not None:
        overrides = dict(as_it_was.overrides)
    task = task_for(task_name, robot, overrides)
    settings = LearnerSettings(kind, task.name, task_names())
    if as_it_was is not None:
        settings.set(Section({**as_it_was.learner, ENVIRONMENTS: as_it_was.environments}, str(options.out)))
    else:
        settings.add(read_yaml(share_folder() / "config" / "learning" / f"{options.algorithm}.yaml"))
        if options.config is not None:
            settings.add(read_yaml(options.config))
        settings.set(Section(wanted, "--set"))
    config = settings.build()
    environments = options.environments if options.environments is not None else settings.environments
    if environments % processes:
        raise ConfigError(f"{environments} environments cannot be shared evenly by {processes} processes")
    seed = options.seed if options.seed is not None else known.seed if known is not None else SEED
    task_digest, robot_digest = digests(task, robot)
    record = RunRecord(
        algorithm=options.algorithm,
        task=task_name,
        robot=robot_name,
        seed=seed,
        environments=environments,
        processes=processes,
        learner=asdict(config),
        overrides=overrides,
        task_digest=task_digest,
        robot_digest=robot_digest,
        version=__version__,
    )
    if known is not None:
        record.require_same(known, str(options.out))
    return record, config


def digests(task: TaskSpec, robot: RobotSpec) -> tuple[str, str]:
    """Of a task, and of a robot with its model file.

    Raises:
        ConfigError: the model is not there.
    """
    try:
        model = robot.model.locate().read_bytes() if robot.model is not None else b""
    except OSError as error:
        raise ConfigError(f"model of robot '{robot.name}': {error.strerror}") from None
    return digest_of(task), digest_of(robot, model)


def _named(name: str | None) -> str | None:
    """A file by its absolute path, so that it is found from another folder too."""
    return str(Path(name).expanduser().absolute()) if name and Path(name).suffix.lower() in FILES else name


def _split(texts: Sequence[str], learner_keys: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is set of the learner, and what of the task."""
    learner: dict[str, Any] = {}
    task: dict[str, Any] = {}
    for text in texts:
        key, value = parse_setting(text)
        first = key.partition(".")[0]
        if key in learner_keys:
            learner[key] = value
        elif first in TASK_KEYS:
            task[key] = value
        else:
            hint = did_you_mean(first, (*learner_keys, *TASK_KEYS))
            raise ConfigError(f"--set {key}: neither the learner nor the task has such a key; {hint}")
    return learner, task
