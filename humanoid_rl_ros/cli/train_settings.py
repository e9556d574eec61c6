"""What `humanoid_rl train` was asked, and the run that this makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from humanoid_rl_ros import __version__
from humanoid_rl_ros.core.config import Section, read_yaml
from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.envs.formation_spec import FORMATION_KEYS, formation_task, is_formation, team_task_names
from humanoid_rl_ros.envs.gymnasium_task import ARGUMENT, crosses_floor, gymnasium_arguments, gymnasium_id
from humanoid_rl_ros.envs.task_spec import TaskSpec
from humanoid_rl_ros.envs.tasks import task_for, task_names
from humanoid_rl_ros.learning.digest import digest_of
from humanoid_rl_ros.learning.exploration import EpsilonGreedy
from humanoid_rl_ros.learning.learner_config import ENVIRONMENTS, LearnerSettings, parse_setting
from humanoid_rl_ros.learning.learners import CONFIGS, VECTORS, require_actions
from humanoid_rl_ros.learning.run_folder import RunRecord, require_equal
from humanoid_rl_ros.resources import find_map, find_policy, find_robot, share_folder

TASK, ROBOT, SEED = "walk", "reference", 0
ENVS = ("process", "ros")
TASK_KEYS = tuple(field.name for field in fields(TaskSpec) if field.name != "source")
FILES = (".yaml", ".yml", ".xml", ".mjcf", ".urdf")


@dataclass(frozen=True)
class TrainOptions:
    """What `humanoid_rl train` was asked.

    Attributes:
        algorithm: how to learn, of `humanoid_rl_ros.learning.learners.LEARNERS`.
        steps: environment steps of the whole run.
        out: its folder.
        task, robot, seed, environments: None for the defaults, or when resuming for what the run began with. The task
            may be a Gymnasium environment, ``gymnasium:Humanoid-v5``; then there is no robot.
        config: a learner YAML to lay over the shipped one.
        settings: ``key=value`` of the learner or the task.
        resume: go on with the run in `out`.
        threads: of the physics; None for one per core.
        torch_threads: of the learner.
        checkpoint_seconds: time between two checkpoints [s].
        evaluate_every: environment steps between two evaluations; 0 for none; None for what suits the task.
        json_file: where to write the result, or None.
        export: whether to write the policy bundle at the end.
        env: where the physics runs: ``process``, this one, or ``ros``, simulators behind topics. What is learned does
            not depend on it, and a run may go on in the other.
        namespaces: of simulators that run, one for each robot; without, they are started.
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
    evaluate_every: int | None = None
    json_file: Path | None = None
    export: bool = True
    env: str = ENVS[0]
    namespaces: tuple[str, ...] = ()


def resolve(options: TrainOptions, known: RunRecord | None, processes: int) -> tuple[RunRecord, Any]:
    """The run that was asked for, and the learner's configuration.

    Args:
        options: what was asked.
        known: the run to go on with: what was not asked is as there.
        processes: that share the robots.

    Raises:
        HumanoidError: a task, robot or key is unknown, a value is malformed, or `known` is another run.
    """
    task_name, robot_name = _names(options, known)
    if options.env not in ENVS:
        raise ConfigError(f"--env {options.env}: no such way; {did_you_mean(options.env, ENVS)}")
    of_one_robot = gymnasium_id(task_name) is None and not is_formation(task_name)
    if options.env == "ros" and (processes > 1 or not of_one_robot):
        raise ConfigError("--env ros is for the tasks of a robot, in one process")
    if options.namespaces and options.env != "ros":
        raise ConfigError("--namespace is for simulators over ROS; add --env ros")
    kind = CONFIGS[options.algorithm]
    as_it_was = known if options.config is None and not options.settings else None
    if gymnasium_id(task_name) is None:
        require_actions(options.algorithm, VECTORS, f"task '{task_name}'")
    task_keys = TASK_KEYS if of_one_robot else FORMATION_KEYS if is_formation(task_name) else (ARGUMENT,)
    wanted, overrides = _split(options.settings, LearnerSettings(kind, "", ()).keys, task_keys)
    if as_it_was is not None:
        overrides = dict(as_it_was.overrides)
    section, task_digest, robot_digest = known_by(task_name, robot_name, overrides)
    settings = LearnerSettings(kind, section, (*task_names(), *team_task_names()))
    if as_it_was is not None:
        settings.set(Section({**as_it_was.learner, ENVIRONMENTS: as_it_was.environments}, str(options.out)))
    else:
        settings.add(read_yaml(share_folder() / "config" / "learning" / f"{options.algorithm}.yaml"))
        if options.env == "ros":
            settings.add(read_yaml(share_folder() / "config" / "learning" / "ros" / f"{options.algorithm}.yaml"))
        if options.config is not None:
            settings.add(read_yaml(options.config))
        settings.set(Section(wanted, "--set"))
    config = _for_run(settings.build(), options.steps, known)
    environments = options.environments if options.environments is not None else settings.environments
    if environments % processes:
        raise ConfigError(f"{environments} environments cannot be shared evenly by {processes} processes")
    seed = options.seed if options.seed is not None else known.seed if known is not None else SEED
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


def _for_run(config: Any, steps: int, known: RunRecord | None) -> Any:
    """With what depends on the length of the run, where nothing was said; of `known` with what it began with."""
    if not isinstance(config, EpsilonGreedy):
        return config
    if known is None:
        return config.for_run(steps)
    said: dict[str, Any] = {n: known.learner.get(n) for n in config.of_run if getattr(config, n) is None}
    return replace(config, **said)


def known_by(task_name: str, robot_name: str, overrides: Mapping[str, Any]) -> tuple[str, str, str]:
    """The name of a task as learner files have it, and digests of the task and of the robot with its model file.

    Args:
        task_name, robot_name, overrides: as a `RunRecord` has them.

    Raises:
        ConfigError: there is no such task or robot, or its model is not there.
    """
    if (id := gymnasium_id(task_name)) is not None:
        from humanoid_rl_ros.envs.gymnasium_registry import environment_facts  # a robot's training needs no Gymnasium

        floor = (_floor(overrides),) if crosses_floor(task_name) else ()
        return task_name, digest_of(environment_facts(id), *floor), ""
    robot = find_robot(robot_name)
    if is_formation(task_name):
        team = formation_task(task_name, overrides)
        walk = find_policy(team.walk)
        name, task_digest = team.name, digest_of(team, walk.weights.path.read_bytes())
    else:
        task = task_for(task_name, robot, overrides)
        name, task_digest = task.name, digest_of(task)
    try:
        model = robot.model.locate().read_bytes() if robot.model is not None else b""
    except OSError as error:
        raise ConfigError(f"model of robot '{robot.name}': {error.strerror}") from None
    return name, task_digest, digest_of(robot, model)


def _floor(overrides: Mapping[str, Any]) -> str:
    """What the map says of the floor that is to be crossed: a digest."""
    from humanoid_rl_ros.envs.navigation_env import DEFAULT_MAP  # Gymnasium; a robot's training needs none

    given = gymnasium_arguments(overrides).get("map", DEFAULT_MAP)
    return find_map(str(given)).digest


def _names(options: TrainOptions, known: RunRecord | None) -> tuple[str, str]:
    """Of task and robot; of no robot in a Gymnasium environment.

    Raises:
        ConfigError: they do not go together, or `known` is another run.
    """
    task, robot = _named(options.task), _named(options.robot)
    wanted = task or (known.task if known else TASK)
    in_gymnasium = gymnasium_id(wanted) is not None
    if in_gymnasium and robot is not None:
        raise ConfigError(f"--robot {options.robot}: {wanted} has a body of its own; leave --robot out")
    if known is not None:
        asked = (options.algorithm, task, robot, options.environments, options.seed)
        for name, value in zip(("algorithm", "task", "robot", "environments", "seed"), asked, strict=True):
            if value is not None:
                require_equal(name, value, getattr(known, name), str(options.out))
        return known.task, known.robot
    return wanted, robot or ("" if in_gymnasium else ROBOT)


def _named(name: str | None) -> str | None:
    """A file by its absolute path, so that it is found from another folder too."""
    if name and gymnasium_id(name) is not None:
        return name
    return str(Path(name).expanduser().absolute()) if name and Path(name).suffix.lower() in FILES else name


def _split(
    texts: Sequence[str], learner_keys: Sequence[str], task_keys: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is set of the learner, and what of the task."""
    learner: dict[str, Any] = {}
    task: dict[str, Any] = {}
    for text in texts:
        key, value = parse_setting(text)
        first = key.partition(".")[0]
        if key in learner_keys:
            learner[key] = value
        elif first in task_keys:
            task[key] = _named(value) if first == ARGUMENT and isinstance(value, str) else value
        else:
            if ARGUMENT in task_keys:
                who = f"the learner has no such key, and those of the environment begin with '{ARGUMENT}.'"
            else:
                who = "neither the learner nor the task has such a key"
            raise ConfigError(f"--set {key}: {who}; {did_you_mean(first, (*learner_keys, *task_keys))}")
    return learner, task
