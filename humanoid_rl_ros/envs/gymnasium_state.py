"""The state of one Gymnasium environment: what it needs to go on as if nothing had happened."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

# What MuJoCo's next step starts from, and what an environment may read of the last one before it steps on:
# Humanoid's reward takes the centre of mass of before from `xipos`, which is one physics step older than `qpos`.
_MUJOCO = (
    *("time", "qpos", "qvel", "act", "history", "qacc_warmstart", "ctrl", "qfrc_applied", "xfrc_applied", "eq_active"),
    *("mocap_pos", "mocap_quat", "userdata", "plugin_state", "tree_asleep", "sensordata", "energy"),
    *("xpos", "xquat", "xmat", "xipos", "ximat", "xanchor", "xaxis", "geom_xpos", "geom_xmat", "site_xpos"),
    *("site_xmat", "cam_xpos", "cam_xmat", "subtree_com", "subtree_linvel", "subtree_angmom", "cinert", "cvel", "cacc"),
    *("cfrc_int", "cfrc_ext", "ten_length", "ten_velocity", "actuator_length", "actuator_velocity", "actuator_force"),
    *("act_dot", "qacc", "qfrc_bias", "qfrc_passive", "qfrc_actuator", "qfrc_constraint"),
)
# Said by the arguments the environment is made with.
_FIXED = frozenset({"env", "_saved_kwargs", "_ezpickle_args", "_ezpickle_kwargs", "_cached_spec", "metadata"})
_FIXED_TYPES = (gymnasium.Space, EnvSpec, FunctionType, MethodType)


def read_state(env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    """The state, as arrays, numbers, text, lists and dicts.

    Every attribute of the environment and its wrappers that is a number, text, an array, a random generator or a
    collection of such is copied, and MuJoCo's arrays. ``exact`` is False where there is an attribute of another kind,
    such as a Box2D world; then only ``random`` is there.
    """
    layers = list(_layers(env))
    random = [generator.bit_generator.state for layer in layers for generator in _generators(layer)]
    attributes: list[dict[str, Any]] = []
    for layer in layers:
        attributes.append({})
        for name, value in _variables(layer):
            if not _is_plain(value):
                return {"exact": False, "random": random}
            attributes[-1][name] = copy.deepcopy(value)
    data = _mujoco_data(env)
    physics = {name: np.array(getattr(data, name)) for name in _MUJOCO if hasattr(data, name)}
    return {"exact": True, "random": random, "attributes": attributes, "physics": physics}


def write_state(env: gymnasium.Env[Any, Any], state: dict[str, Any]) -> None:
    """Bring an environment that was reset to a state of `read_state`; where that is not exact, its randomness only.

    Raises:
        KeyError, ValueError: the state is of an environment of another kind.
    """
    layers = list(_layers(env))
    generators = [generator for layer in layers for generator in _generators(layer)]
    for generator, random in zip(generators, state["random"], strict=True):
        generator.bit_generator.state = random
    if not state["exact"]:
        return
    for layer, attributes in zip(layers, state["attributes"], strict=True):
        for name, value in attributes.items():
            present = getattr(layer, name, None)
            if isinstance(present, np.ndarray) and present.shape == np.shape(value) and present.flags.writeable:
                present[...] = value  # in place: another attribute may be a view of it
            else:
                setattr(layer, name, copy.deepcopy(value))
    data = _mujoco_data(env)
    for name, value in state["physics"].items():
        if name == "time":
            data.time = float(value)
        else:
            getattr(data, name)[...] = value


def _layers(env: gymnasium.Env[Any, Any]) -> Iterator[gymnasium.Env[Any, Any]]:
    """The wrappers, outermost first, and the environment."""
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env
    yield env


def _variables(layer: gymnasium.Env[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Attributes that may change while the environment runs, random generators and MuJoCo's apart."""
    mujoco = {"data", "model", "mujoco_renderer"} if _mujoco_data(layer) is not None else set()
    for name, value in vars(layer).items():
        if name not in _FIXED and name not in mujoco and not isinstance(value, (*_FIXED_TYPES, np.random.Generator)):
            yield name, value


def _generators(layer: gymnasium.Env[Any, Any]) -> list[np.random.Generator]:
    return [value for _, value in sorted(vars(layer).items()) if isinstance(value, np.random.Generator)]


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str | int) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    if isinstance(value, np.ndarray):
        return not value.dtype.hasobject
    return value is None or isinstance(value, bool | int | float | str | np.generic)


def _mujoco_data(env: gymnasium.Env[Any, Any]) -> Any:
    """The `mujoco.MjData` of a MuJoCo environment, whose type is not at hand here; else None."""
    data = vars(env.unwrapped).get("data")
    return data if hasattr(data, "qacc_warmstart") else None
