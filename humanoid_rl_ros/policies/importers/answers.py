"""What a person answers to the questions of a draft, as text: on the command line, or when asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.core.observation_terms import find_term
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.policies.importers.draft import COLUMNS, KEYS, Draft

ROBOT = "robot"
"""The answer that takes what the robot itself has."""
FORMS = {
    "joints": "names, apart by spaces, or 'robot' for the robot's own order",
    "gait": "such as {period: 0.8}, or {period: 0.8, phases: [0.0, 3.14159]} for two legs",
    "base_velocity": "estimator or ground_truth",
    "observation.terms": "such as: base_ang_vel*0.25 projected_gravity velocity_commands*[2,2,0.25] joint_pos_rel",
}
"""How an answer looks, where it is more than a number."""
_TERM = re.compile(r"([A-Za-z_]\w*)(?:\*(\[[^\]]*\]|[^\s\[\]]+))?")


def form_of(key: str) -> str:
    """How an answer to this key looks, for people."""
    if key in FORMS:
        return FORMS[key]
    if key.startswith("joints."):
        return "one number, one for each driven joint, or 'robot' for the robot's own"
    return "one number, or one for each driven joint" if key == "action.scale" else "as in policy.yaml"


def answer(draft: Draft, key: str, text: str, robot: RobotSpec | None = None) -> None:
    """Take an answer.

    Args:
        draft: takes the answer.
        key: dotted key of `policy.yaml`, or ``joints.kp`` and its like for a column.
        text: as `form_of` says.
        robot: what 'robot' stands for.

    Raises:
        ConfigError: the key is unknown, or the text is no such answer.
    """
    first = key.partition(".")[0]
    if first not in KEYS or first in ("format", "inferred"):
        raise ConfigError(f"no key '{key}' in a policy.yaml; {did_you_mean(first, KEYS)}")
    text = text.strip()
    if not text:
        raise ConfigError(f"'{key}': no value is given")
    if key == "joints":
        _answer_joints(draft, text, robot)
    elif key.startswith("joints."):
        _answer_column(draft, key.removeprefix("joints."), text, robot)
    elif key == "observation.terms":
        draft.say(key, read_terms(text))
    elif key in ("action.scale", "action.offset"):
        value = _value(key, text)
        numbers = _numbers(key, text) if isinstance(value, str) else value
        draft.say(key, draft.by_joint(numbers) if isinstance(numbers, list) and len(numbers) > 1 else _one(numbers))
    else:
        draft.say(key, _value(key, text))


def read_terms(text: str) -> list[dict[str, Any]]:
    """Terms apart by spaces, each with its scale behind a ``*``.

    Args:
        text: such as ``base_ang_vel*0.25 projected_gravity velocity_commands*[2,2,0.25]``; a YAML list is taken too.

    Returns:
        Items of ``observation.terms``.

    Raises:
        ConfigError: a word is no term; names the nearest.
    """
    if text.startswith("["):
        value = _value("observation.terms", text)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise ConfigError(f"'observation.terms' must be a list of mappings, found {text}")
        return value
    items: list[dict[str, Any]] = []
    for word in re.sub(r"\s*,\s*", ",", text.replace("* ", "*")).split():
        match = _TERM.fullmatch(word)
        if match is None:
            raise ConfigError(f"'observation.terms': '{word}' is no term with a scale, such as base_ang_vel*0.25")
        name, scale = match.groups()
        try:
            find_term(name)
        except ConfigError as error:
            raise ConfigError(f"'observation.terms': {error}") from None
        items.append({"term": name} | ({} if scale is None else {"scale": _value("observation.terms", scale)}))
    return items


def _answer_joints(draft: Draft, text: str, robot: RobotSpec | None) -> None:
    if text == ROBOT:
        draft.drive(_robot("joints", robot).joint_names, why="the robot's own order, by the person who imported it")
        return
    names = [word for word in re.split(r"[\s,]+", text.strip("[]")) if word]
    if draft.n_joints not in (None, len(names)):
        raise ConfigError(f"'joints': {len(names)} names, but the network drives {draft.n_joints} joints")
    draft.drive(names)


def _answer_column(draft: Draft, column: str, text: str, robot: RobotSpec | None) -> None:
    if column not in COLUMNS:
        raise ConfigError(f"no key 'joints.{column}'; {did_you_mean(column, COLUMNS)}")
    if text == ROBOT:
        attribute = {"default": "default_position", "effort": "effort_limit"}.get(column, column)
        values = {joint.name: getattr(joint, attribute) for joint in _robot(f"joints.{column}", robot).joints}
        draft.column(column, values, why="the robot's own, by the person who imported it")
        return
    numbers = _numbers(f"joints.{column}", text)
    draft.column(column, numbers[0] if len(numbers) == 1 else numbers)


def _robot(key: str, robot: RobotSpec | None) -> RobotSpec:
    if robot is None:
        raise ConfigError(f"'{key}': which robot? name it with --robot")
    return robot


def _numbers(key: str, text: str) -> list[float]:
    try:
        return [float(word) for word in re.split(r"[\s,]+", text.strip("[] ")) if word]
    except ValueError:
        raise ConfigError(f"'{key}' must be numbers, found '{text}'") from None


def _one(value: Any) -> Any:
    return value[0] if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1 else value


def _value(key: str, text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"'{key}': not a YAML value: {' '.join(str(error).split())}") from None
    if isinstance(value, str) and key.rpartition(".")[2] in ("control_period", "pd_rate", "scale"):
        return _one(_numbers(key, value))  # YAML reads 1e-3 as text
    return value
