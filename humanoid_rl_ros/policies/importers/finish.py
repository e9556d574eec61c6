"""A draft becomes a folder: a bundle when nothing is missing, else a `policy.yaml` to fill in."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.policies.bundle import FILE_NAME, FORMAT, MISSING, PolicyBundle, WeightsSpec
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.bundle_writer import dump_bundle
from humanoid_rl_ros.policies.importers.draft import COLUMNS, KEYS, Draft


def draft_data(draft: Draft) -> dict[str, Any]:
    """The draft as the mapping of a `policy.yaml`; what is missing begins with `MISSING`."""
    data = {"format": FORMAT, **draft.keys}
    data["weights"] = {
        "file": draft.weights.name,
        "sha256": WeightsSpec(draft.weights, external_data=draft.external_data).digest(),
        **draft.keys.get("weights", {}),
    }
    if draft.external_data:
        data["weights"]["external_data"] = [path.name for path in draft.external_data]
    data["joints"] = _joints(draft)
    for key, question in draft.missing.items():
        if not key.startswith("joints"):
            _put(data, key, f"{MISSING} {question}")
    if draft.inferred:
        data["inferred"] = dict(draft.inferred)
    return {key: data[key] for key in (*KEYS, *data) if key in data}


def load_in_this_process(folder: Path) -> None:
    """Try the network of a bundle, see `PolicyBundle.load_network`."""
    load_bundle(folder).load_network()


def write_bundle(
    draft: Draft,
    folder: Path,
    *,
    overwrite: bool = False,
    try_network: Callable[[Path], object] = load_in_this_process,
) -> PolicyBundle | None:
    """Write the weights and the `policy.yaml`.

    Everything is written beside the folder and put in its place at the end, so that there is never half a bundle.

    Args:
        draft: what is known.
        folder: must not exist, or hold what an earlier import left open, which is replaced.
        overwrite: whether a complete bundle is replaced too.
        try_network: loads the network of a bundle's folder, or raises.

    Returns:
        The bundle, as read back; None where something is missing, and a person must fill it in.

    Raises:
        ConfigError: the folder holds something else or cannot be written, or what the draft says contradicts itself.
        PolicyError: the network cannot be loaded, or its sizes are others than the draft says.
        MissingDependencyError: a library that loads it is not installed.
    """
    if folder.exists() and not (folder / FILE_NAME).is_file():
        raise ConfigError(f"{folder} exists and is no bundle; give another folder, or remove it")
    if folder.exists() and not overwrite and MISSING not in (folder / FILE_NAME).read_text(encoding="utf-8"):
        raise ConfigError(f"{folder} is a bundle already; give another folder, or --overwrite to replace it")
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.absolute().parent) as scratch:
            made = Path(scratch) / folder.name
            _write(draft, made)
            if not draft.missing:
                _verify(made, draft, try_network)
            if folder.exists():
                shutil.rmtree(folder)
            made.rename(folder)
    except OSError as error:
        raise ConfigError(f"bundle {folder}: {error.strerror or error}") from None
    return None if draft.missing else load_bundle(folder)


def _write(draft: Draft, folder: Path) -> None:
    folder.mkdir()
    for path in (draft.weights, *draft.external_data):
        shutil.copyfile(path, folder / path.name)
    text = yaml.safe_dump(draft_data(draft), sort_keys=False, allow_unicode=True, width=120)
    (folder / FILE_NAME).write_text(_head(draft) + text, encoding="utf-8")


def _verify(folder: Path, draft: Draft, try_network: Callable[[Path], object]) -> None:
    """Load it as a node would, and write it again as all bundles are written."""
    try:
        bundle = load_bundle(folder)
        try_network(folder)
    except HumanoidError as error:
        raise type(error)(str(error).replace(f"{folder}/", "")) from None
    (folder / FILE_NAME).write_text(dump_bundle(bundle, comment=_head(draft, mark="")), encoding="utf-8")


def _head(draft: Draft, *, mark: str = "# ") -> str:
    lines = [
        *(f"missing: {key}: {question}" for key, question in draft.missing.items()),
        *(f"inferred: {key}: {why}" for key, why in draft.inferred.items()),
        *draft.notes,
    ]
    return "".join(f"{mark}{' '.join(line.split())}\n" for line in lines)


def _joints(draft: Draft) -> Any:
    questions = {name: f"{MISSING} {draft.missing.get(f'joints.{name}', name)}" for name in COLUMNS[:3]}
    names = draft.joints or [f"{MISSING} name of joint {i + 1} of the network" for i in range(draft.n_joints or 1)]
    joints: dict[str, dict[str, Any]] = {}
    for i, name in enumerate(names):
        known = {column: values[i] for column, values in draft.columns.items()}
        joints[name] = {column: known.get(column, questions.get(column)) for column in COLUMNS}
        if joints[name]["effort"] is None:
            del joints[name]["effort"]
    return joints


def _put(data: dict[str, Any], key: str, value: str) -> None:
    *path, last = key.split(".")
    place = data
    for name in path:
        below = place.get(name)
        # A question about the whole stands above one about a part of it.
        if below is not None and not isinstance(below, Mapping):
            return
        place[name] = dict(below or {})
        place = place[name]
    place[last] = value
