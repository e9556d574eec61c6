"""The folder of one training run: where everything stands in it, and `run.yaml`, which says what the run is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from humanoid_rl_ros.core.config import Section, read_yaml
from humanoid_rl_ros.core.errors import ConfigError, TrainingError
from humanoid_rl_ros.learning.learners import CONFIGS

FORMAT = 1
FILE_NAME = "run.yaml"


@dataclass(frozen=True)
class RunRecord:
    """What makes a run the run it is; a checkpoint of another one does not go on here.

    Attributes:
        algorithm: of `humanoid_rl_ros.learning.learners.LEARNERS`.
        task, robot: as `humanoid_rl_ros.envs.tasks.make_batch` takes them.
        seed: of everything random.
        environments: robots, of all processes together.
        processes: that share them.
        learner: every key of the learner's configuration; one that a run of an earlier version does not name stands at
            its default.
        overrides: keys of the task that were set otherwise; of a Gymnasium environment its arguments, as ``env.name``.
        task_digest, robot_digest: of what the task and the robot said when the run began.
        version: of this package when the run began; for the reader.
    """

    algorithm: str
    task: str
    robot: str
    seed: int
    environments: int
    processes: int
    learner: Mapping[str, Any]
    overrides: Mapping[str, Any]
    task_digest: str
    robot_digest: str
    version: str

    def __post_init__(self) -> None:
        for name in ("learner", "overrides"):  # equal to what YAML and checkpoints give back
            object.__setattr__(self, name, _plain(getattr(self, name)))

    def as_dict(self) -> dict[str, Any]:
        """The fields as YAML types."""
        return asdict(self)

    def require_same(self, found: RunRecord, where: str) -> None:
        """Refuse what belongs to another run.

        Args:
            found: what a checkpoint or a run folder says of itself.
            where: that checkpoint or folder, for the message.

        Raises:
            ConfigError: with the first difference, both sides named.
        """
        for name in ("algorithm", "task", "robot", "environments", "processes", "seed"):
            require_equal(name, getattr(self, name), getattr(found, name), where)
        for kind, asked, there in (
            ("learner", self._every_learner_key(), found._every_learner_key()),
            ("task", self.overrides, found.overrides),
        ):
            if dict(asked) != dict(there):
                key = next(k for k in (*asked, *there) if _shown(asked, k) != _shown(there, k))
                raise ConfigError(
                    f"{where} was started with {kind} key {key} = {_shown(there, key)}, not {_shown(asked, key)}; "
                    f"start a new run in another folder"
                )
        for kind, name, now, then in (
            ("task", self.task, self.task_digest, found.task_digest),
            ("robot", self.robot, self.robot_digest, found.robot_digest),
        ):
            if now != then:
                raise ConfigError(
                    f"{where} was started with another {kind} '{name}' than there is now "
                    f"(digest {then[:12]}, found {now[:12]}); bring its files back, or start a new run"
                )

    def _every_learner_key(self) -> dict[str, Any]:
        kind = CONFIGS.get(self.algorithm)
        return {**(_plain(asdict(kind())) if kind is not None else {}), **self.learner}


def require_equal(name: str, asked: object, there: object, where: str) -> None:
    """Refuse one difference between two runs.

    Raises:
        ConfigError: it is one.
    """
    if asked != there:
        raise ConfigError(f"{where} is of {name} '{there}', not '{asked}'; start a new run in another folder")


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "its default"


def record_from(data: Section) -> RunRecord:
    """A record from a mapping of `RunRecord.as_dict`.

    Raises:
        ConfigError: a key is missing, unknown or malformed.
    """
    record = RunRecord(
        algorithm=data.text("algorithm"),
        task=data.text("task"),
        robot=data.text("robot"),
        seed=data.integer("seed", least=0),
        environments=data.integer("environments", least=1),
        processes=data.integer("processes", least=1),
        learner=_mapping(data, "learner"),
        overrides=_mapping(data, "overrides"),
        task_digest=data.text("task_digest"),
        robot_digest=data.text("robot_digest"),
        version=data.text("version"),
    )
    data.finish()
    return record


def _mapping(data: Section, key: str) -> dict[str, Any]:
    section = data.section(key)
    return {name: section.raw(name) for name in section.keys()}


@dataclass(frozen=True)
class RunFolder:
    """Where the parts of a run are.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def record_file(self) -> Path:
        """What the run is."""
        return self.path / FILE_NAME

    def checkpoints(self, rank: int = 0) -> Path:
        """The checkpoints of one process."""
        return self.path / "checkpoints" / (f"process_{rank}" if rank else "")

    @property
    def tensorboard(self) -> Path:
        """Event files."""
        return self.path / "tensorboard"

    @property
    def metrics(self) -> Path:
        """One row per report."""
        return self.path / "metrics.csv"

    @property
    def learning_curve(self) -> Path:
        """The picture."""
        return self.path / "learning_curve.png"

    @property
    def policy(self) -> Path:
        """The bundle."""
        return self.path / "policy"

    def require_new(self) -> None:
        """Refuse a folder that holds a run.

        Raises:
            ConfigError: it does.
        """
        if self.record_file.exists():
            raise ConfigError(f"{self.path} holds a run already; go on with it by --resume, or name another folder")

    def create(self, record: RunRecord) -> None:
        """Begin a run.

        Raises:
            ConfigError: the folder holds a run already.
            TrainingError: it cannot be written.
        """
        self.require_new()
        part = self.record_file.with_suffix(".part")
        try:
            self.checkpoints().mkdir(parents=True, exist_ok=True)
            text = yaml.safe_dump({"format": FORMAT, **record.as_dict()}, sort_keys=False)
            part.write_text(text, encoding="utf-8")
            os.replace(part, self.record_file)
        except OSError as error:
            raise TrainingError(f"cannot write {self.path}: {error.strerror}") from None

    def record(self) -> RunRecord:
        """What the run is.

        Raises:
            ConfigError: the folder holds no run, or one of another format.
        """
        if not self.record_file.exists():
            raise ConfigError(f"{self.path} holds no run: it has no {FILE_NAME}")
        data = read_yaml(self.record_file)
        version = data.integer("format")
        if version != FORMAT:
            raise ConfigError(f"{self.record_file}: run format {version} is not known; expected {FORMAT}")
        return record_from(data)


def _plain(value: Any) -> Any:
    """Tuples as lists, which YAML can say."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
