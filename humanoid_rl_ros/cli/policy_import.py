"""`humanoid_rl policy import`: a bundle from what somebody else published."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.prompt import Prompt

from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, MissingDependencyError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.policies.bundle import FILE_NAME
from humanoid_rl_ros.policies.importers.answers import answer, form_of
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.finish import write_bundle
from humanoid_rl_ros.policies.importers.plain import ask_for_parts
from humanoid_rl_ros.policies.importers.registry import read_source
from humanoid_rl_ros.policies.importers.source import open_source
from humanoid_rl_ros.policies.networks import TORCHSCRIPT
from humanoid_rl_ros.policies.trial import try_bundle
from humanoid_rl_ros.resources import find_robot

WEIGHTS = "policy.onnx"
_CHECKPOINTS = (".zip", ".pt", ".pth")


@dataclass(frozen=True)
class ImportOptions:
    """What `humanoid_rl policy import` was asked.

    Attributes:
        weights: ONNX, TorchScript, or a checkpoint of Stable-Baselines3 or rsl_rl.
        configs: YAML or JSON files that go with it.
        out: the bundle's folder.
        format: of the configurations; empty to judge by their keys.
        robot: as `humanoid_rl_ros.resources.find_robot` takes it; empty for none.
        settings: texts ``KEY=VALUE``.
        name: of the policy; empty for the folder's.
        overwrite: whether a complete bundle in the folder is replaced.
        ask: whether to ask for what is missing.
        trust: whether files that hold pickles may be read.
        normaliser: statistics of a Stable-Baselines3 policy.
        activation, head: of an rsl_rl checkpoint, where it does not say.
    """

    weights: Path
    configs: Sequence[Path]
    out: Path
    format: str = ""
    robot: str = ""
    settings: Sequence[str] = ()
    name: str = ""
    overwrite: bool = False
    ask: bool = False
    trust: bool = False
    normaliser: Path | None = None
    activation: str | None = None
    head: str | None = None


def run_import(options: ImportOptions, console: Console) -> bool:
    """Write a bundle, and say what was inferred and what is missing.

    Args:
        options: what to import.
        console: where to say it.

    Returns:
        Whether the bundle is complete.

    Raises:
        HumanoidError: a file is missing, malformed, of no known format or not safe to read; nothing was written.
    """
    robot = find_robot(options.robot) if options.robot else None
    with tempfile.TemporaryDirectory() as scratch:
        return _import(options, robot, Path(scratch), console)


def _import(options: ImportOptions, robot: RobotSpec | None, scratch: Path, console: Console) -> bool:
    draft, format_name = _draft(options, robot, scratch)
    draft.say("name", options.name or options.out.absolute().name)
    for text in options.settings:
        key, sign, value = text.partition("=")
        if not sign:
            raise ConfigError(f"--set takes KEY=VALUE, found '{text}'")
        answer(draft, key.strip(), value, robot)
    ask_for_parts(draft)
    console.print(f"{options.weights}: read as [bold]{format_name}[/]", soft_wrap=True)
    _show(draft, console)
    answers = _ask(draft, robot, console) if options.ask and draft.missing else {}
    try:
        bundle = write_bundle(draft, options.out, overwrite=options.overwrite, try_network=try_bundle)
    except HumanoidError:
        if answers:
            words = " ".join(f"--set {shlex.quote(f'{key}={text}')}" for key, text in answers.items())
            console.print(f"nothing was written; what you answered: {words}", markup=False, soft_wrap=True)
        raise
    file = options.out / FILE_NAME
    if bundle is None:
        console.print(
            f"wrote {file}, which is not complete: fill in the {len(draft.missing)} places marked ???, or say them "
            "with --set KEY=VALUE",
            markup=False,
            soft_wrap=True,
        )
        return False
    console.print(
        f"wrote {options.out}: {bundle.observation_size()} numbers observed, {len(bundle.joints)} joints driven, "
        f"{1.0 / bundle.control_period:g} Hz",
        markup=False,
        soft_wrap=True,
    )
    console.print(
        f"next: humanoid_rl policy check {options.out} --robot {options.robot or 'ROBOT'}",
        markup=False,
        soft_wrap=True,
    )
    return True


def _draft(options: ImportOptions, robot: RobotSpec | None, scratch: Path) -> tuple[Draft, str]:
    configs = tuple(options.configs)
    if options.weights.suffix not in (".onnx", *TORCHSCRIPT, ".zip"):
        known = ", ".join((".onnx", *TORCHSCRIPT, ".zip"))
        raise ConfigError(
            f"{options.weights}: no weights by its name, which would end in {known}; YAML goes to --config"
        )
    if options.weights.suffix in _CHECKPOINTS and options.weights.is_file():
        try:
            from humanoid_rl_ros.cli.import_checkpoint import draft_checkpoint, is_checkpoint
        except ModuleNotFoundError as error:
            raise MissingDependencyError(f"{options.weights} needs {error.name}, which is not installed") from None
        if is_checkpoint(options.weights):
            converted = draft_checkpoint(options, scratch / WEIGHTS, configs, robot)
            return converted, "a checkpoint, converted to ONNX"
    return read_source(open_source(options.weights, configs, robot), options.format)


def _show(draft: Draft, console: Console) -> None:
    for style, what, lines in (
        ("cyan", "inferred", [f"{key}: {why}" for key, why in draft.inferred.items()]),
        ("yellow", "note", draft.notes),
        ("red", "missing", [f"{key}: {question}" for key, question in draft.missing.items()]),
    ):
        for line in lines:
            console.print(f"[{style}]{what}[/] {escape(' '.join(line.split()))}", soft_wrap=True)


def _ask(draft: Draft, robot: RobotSpec | None, console: Console) -> dict[str, str]:
    """Put the questions; gives what was answered."""
    given: dict[str, str] = {}
    console.print("Answer what is missing; an empty answer leaves it open.")
    put: set[str] = set()
    while open_keys := [key for key in draft.missing if key not in put]:
        key = open_keys[0]
        put.add(key)
        while key in draft.missing:
            console.print(f"[bold]{key}[/]: {escape(draft.missing[key])} [dim]({escape(form_of(key))})[/]")
            try:
                text = Prompt.ask("  ", console=console, default="", show_default=False)
            except EOFError:
                return given
            if not text.strip():
                break
            try:
                answer(draft, key, text, robot)
                given[key] = text
                ask_for_parts(draft)
            except HumanoidError as error:
                console.print(f"  {error}", style="red", markup=False, soft_wrap=True)
    return given


def may_ask() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()
