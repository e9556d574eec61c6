from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from humanoid_rl_ros.bags.bundles import BundleKeeper, bundles_of


def bundle(folder: Path) -> dict[str, Any]:
    """A bundle's folder, and what a node says of it."""
    (folder / "parts").mkdir(parents=True)
    files = {"policy.yaml": b"name: walk\n", "policy.onnx": b"\x00" * 1000, "parts/more.bin": b"more"}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return {"name": "walk", "folder": str(folder), "files": digests}


def setup(*policies: dict[str, Any]) -> str:
    return json.dumps({"policies": list(policies), "robot": "reference"})


def copied(bag: Path) -> dict[str, bytes]:
    (folder,) = (bag / "bundles").iterdir()
    assert folder.name.startswith("walk-")
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_is_copied_file_by_file(tmp_path: Path) -> None:
    keeper = BundleKeeper()
    said = setup(bundle(tmp_path / "walk"))
    assert keeper.see(said)
    assert not keeper.see(said)
    assert keeper.copy_into(tmp_path / "bag") == []
    assert copied(tmp_path / "bag")["policy.onnx"] == b"\x00" * 1000
    assert set(copied(tmp_path / "bag")) == {"policy.yaml", "policy.onnx", "parts/more.bin"}
    assert keeper.copy_into(tmp_path / "bag") == []  # is there already


def test_a_bundle_that_changed_since_is_not_copied(tmp_path: Path) -> None:
    keeper = BundleKeeper()
    keeper.see(setup(bundle(tmp_path / "walk")))
    (tmp_path / "walk/policy.onnx").write_bytes(b"another")
    (line,) = keeper.copy_into(tmp_path / "bag")
    assert "policy.onnx has changed since it was loaded" in line
    assert list((tmp_path / "bag/bundles").iterdir()) == []


def test_a_bundle_that_is_too_large_or_gone_is_not_copied(tmp_path: Path) -> None:
    keeper = BundleKeeper(largest_bytes=500)
    keeper.see(setup(bundle(tmp_path / "walk"), {"name": "gone", "folder": str(tmp_path / "gone"), "files": {"a": ""}}))
    lines = keeper.copy_into(tmp_path / "bag")
    assert len(lines) == 2
    assert not (tmp_path / "bag/bundles").exists()


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../secret"])
def test_nothing_outside_of_the_folder_is_copied_or_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk/a").mkdir()
    (tmp_path / "secret").write_text("secret")
    digest = hashlib.sha256(b"secret").hexdigest()
    keeper = BundleKeeper()
    keeper.see(setup({"name": "../../up", "folder": str(tmp_path / "walk"), "files": {name: digest}}))
    (line,) = keeper.copy_into(tmp_path / "bag")
    assert "outside" in line
    assert not any(path.is_file() for path in (tmp_path / "bag").rglob("*"))


@pytest.mark.parametrize("said", ["", "no JSON", "[]", "{}", '{"policies": 3}', '{"policies": [3, {"name": "a"}]}'])
def test_a_setup_that_names_no_bundle(said: str) -> None:
    assert bundles_of(said) == []
