"""`humanoid_rl bag replay --policy … --safety …`: what would another have done?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from humanoid_rl_ros.bags.diff import diff_bags
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.run_difference import RunDifference, as_json
from humanoid_rl_ros.bags.scene import Scene, WhatIf
from humanoid_rl_ros.bags.what_if import scene_of
from humanoid_rl_ros.bags.what_if_bag import write_what_if
from humanoid_rl_ros.cli.bag_diff import show_difference
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.core.errors import BagError
from humanoid_rl_ros.interfaces import topics

REFUSALS_SHOWN = 3
ANSWERS = ("policy/", "commands")
"""How the names of those signals begin that are said and not measured."""


def run_what_if(
    bag_path: Path, asked: WhatIf, output: Path | None, *, json_file: Path | None, console: Console
) -> None:
    """Feed the recording to what is asked, and print how its answers differ from those recorded.

    Args:
        bag_path: the bag.
        asked: what is asked.
        output: bag to make of the answers, or None.
        json_file: where the result goes, or None.
        console: where it is shown.

    Raises:
        HumanoidError: the recording does not hold what is needed, or policy, robot and limits do not fit each other.
    """
    with Bag(bag_path) as bag:
        scene = scene_of(bag, asked)
        with _folder(output) as folder:
            with console.status("feeding it") if console.is_terminal else _nothing():
                counts = write_what_if(bag, scene, folder)
            with Bag(folder) as answers:
                found = _answers(diff_bags(bag, answers, align="clock", namespaces=(scene.namespace,) * 2))
    _show(scene, counts, found, bag_path, console)
    for text, count in sorted(scene.refusals.items(), key=lambda item: -item[1])[:REFUSALS_SHOWN]:
        console.print(f"note: {count} times: {text}", markup=False, soft_wrap=True)
    if output is not None:
        console.print(f"written: {output}", markup=False, soft_wrap=True)
    if json_file is not None:
        result = {"bag": str(bag_path), "policy": scene.policy, "robot": scene.robot.name, "said": counts}
        write_json(json_file, {**result, "refusals": scene.refusals, **as_json(found)})
    if not counts.get(topics.POLICY_EFFORT.name):
        why = max(scene.refusals, key=lambda text: scene.refusals[text], default="no state was complete")
        raise BagError(f"{bag_path}: '{scene.policy}' gave no effort at all: {why}")


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    if output is not None:
        yield output
        return
    with TemporaryDirectory() as scratch:
        yield Path(scratch) / "answers"


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _answers(found: RunDifference) -> RunDifference:
    """Without what was measured, which is the same in both."""
    said = tuple(signal for signal in found.signals if signal.name.startswith(ANSWERS))
    missing = tuple(line for line in found.missing if line.startswith(ANSWERS))
    return replace(found, signals=said, missing=missing)


def _show(scene: Scene, counts: dict[str, int], found: RunDifference, bag: Path, console: Console) -> None:
    how = "from the journals of the nodes" if scene.has_journal else "from sensors alone, armed whenever that can be"
    console.print(f"'{scene.policy}' on '{scene.robot.name}', fed {how}", markup=False, soft_wrap=True)
    said = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    console.print(f"said: {said or 'nothing'}", markup=False, soft_wrap=True)
    show_difference(found, (str(bag), "what if"), console)
    if not found.signals:
        console.print("nothing of this kind was recorded to hold it against", markup=False, soft_wrap=True)
