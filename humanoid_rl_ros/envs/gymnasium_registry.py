"""Gymnasium's environments by id, and one line for whatever is wrong with one."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from humanoid_rl_ros.core.errors import ConfigError, MissingDependencyError, did_you_mean

try:
    import gymnasium
    from gymnasium.envs.registration import load_env_creator
except ModuleNotFoundError as error:
    raise MissingDependencyError("Gymnasium is not installed; pip install 'gymnasium[mujoco]'") from error

Env = gymnasium.Env[Any, Any]
Box = gymnasium.spaces.Box
Discrete = gymnasium.spaces.Discrete
MultiDiscrete = gymnasium.spaces.MultiDiscrete
Tuple = gymnasium.spaces.Tuple

_OF_MUJOCO = ("mujoco", "imageio")


def make_environment(id: str, kwargs: dict[str, Any]) -> Env:
    """One environment.

    Raises:
        ConfigError: there is none of that id, or it does not take the arguments.
        MissingDependencyError: it needs something that is not installed.
    """
    try:
        return gymnasium.make(id, disable_env_checker=True, **kwargs)
    except ModuleNotFoundError as error:
        if error.name in _OF_MUJOCO:
            text = f"needs {error.name}, which is not installed: pip install 'gymnasium[mujoco]'"
            raise MissingDependencyError(f"environment '{id}' {text}") from None
        raise MissingDependencyError(f"environment '{id}': {one_line(error)}") from None
    except (gymnasium.error.DependencyNotInstalled, ImportError) as error:  # ImportError: what has moved elsewhere
        raise MissingDependencyError(f"environment '{id}': {one_line(error)}") from None
    except gymnasium.error.UnregisteredEnv:
        raise _unknown(id) from None
    except (gymnasium.error.Error, TypeError, ValueError) as error:
        _require_known(id, kwargs)
        raise ConfigError(f"environment '{id}': {one_line(error)}") from None


def chooses(id: str, kwargs: dict[str, Any]) -> bool:
    """Whether an action is a choice among finitely many, and not a vector.

    Raises:
        ConfigError: there is none of that id, or it does not take the arguments.
        MissingDependencyError: it needs something that is not installed.
    """
    env = make_environment(id, kwargs)
    try:
        return isinstance(env.action_space, Discrete)
    finally:
        env.close()


def environment_facts(id: str) -> dict[str, Any]:
    """What is registered under an id, by which an environment is known again.

    Raises:
        ConfigError: nothing is.
    """
    module, _, name = id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        spec = gymnasium.spec(name)
    except (gymnasium.error.Error, ImportError):
        raise _unknown(id) from None
    return {
        "id": spec.id,
        "entry_point": str(spec.entry_point),
        "longest": spec.max_episode_steps,
        "arguments": {name: str(value) for name, value in spec.kwargs.items()},
    }


def require_vector(space: Any, what: str) -> Box:
    """The space, if it is one of vectors.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(space, Box) or len(space.shape) != 1 or space.dtype.kind != "f":
        raise ConfigError(f"the {what} must be a vector of real numbers, found {one_line(space)}")
    return space


def one_line(value: object) -> str:
    """Its text without line breaks."""
    return " ".join(str(value).split())


def _require_known(id: str, kwargs: dict[str, Any]) -> None:
    """Refuse arguments that an environment that could not be made does not have.

    Raises:
        ConfigError: there is one.
    """
    entry_point = gymnasium.spec(id).entry_point
    creator = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    if creator is None:
        return
    parameters = inspect.signature(creator).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.kind in _BY_NAME]
    for name in kwargs:
        if name not in known:
            raise ConfigError(f"environment '{id}' takes no argument '{name}'; {did_you_mean(name, known)}")


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _unknown(id: str) -> ConfigError:
    return ConfigError(f"Gymnasium has no environment '{id}'; {did_you_mean(id, gymnasium.registry)}")
