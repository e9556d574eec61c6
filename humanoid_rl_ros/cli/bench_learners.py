"""`humanoid_rl bench learners`: the learners that suit a task, several seeds each, as curves with confidence bands."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from humanoid_rl_ros.cli.band_chart import Band, draw_bands
from humanoid_rl_ros.cli.files import write_json
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.config import read_yaml
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, did_you_mean
from humanoid_rl_ros.envs.gymnasium_task import ARGUMENT, gymnasium_arguments, gymnasium_id
from humanoid_rl_ros.learning.checkpoint import newest_checkpoint, steps_of
from humanoid_rl_ros.learning.learner_config import parse_setting
from humanoid_rl_ros.learning.learners import CHOICES, LEARNERS, VECTORS, require_actions, require_algorithm
from humanoid_rl_ros.learning.metrics_file import read_metrics
from humanoid_rl_ros.learning.run_folder import RunFolder
from humanoid_rl_ros.resources import share_folder

EVALUATIONS = 20
"""Of a run, where nobody says otherwise."""
# t of Student at 97.5 %, by degrees of freedom: the mean of so few seeds is not normal.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
MEASURES = ("evaluation/return", "evaluation/score")


@dataclass(frozen=True)
class LearnersOptions:
    """What `humanoid_rl bench learners` was asked.

    Attributes:
        task: as `humanoid_rl train` takes it.
        learners: which; empty for all that suit the task.
        seeds: of each, from 0.
        steps: environment steps of each run.
        out: folder of all runs and of the picture.
        every: environment steps between two evaluations; None for a twentieth of a run.
        settings: ``key=value`` for all, or ``learner:key=value`` for one.
        jobs: runs at once.
        json_file: where to write the result, or None.
    """

    task: str
    learners: tuple[str, ...]
    seeds: int
    steps: int
    out: Path
    every: int | None = None
    settings: tuple[str, ...] = ()
    jobs: int = 1
    json_file: Path | None = None


@dataclass(frozen=True, eq=False)
class Curves:
    """What the seeds of one learner earned.

    Attributes:
        learner: its name.
        steps: of the evaluations that every seed has [Shape (k,)].
        returns: mean return of an evaluation, or its score [Shape (seeds, k)].
        seconds: that a run took, a mean [s].
        measure: which of the two, ``return`` or ``score``.
    """

    learner: str
    steps: FloatArray
    returns: FloatArray
    seconds: float
    measure: str

    def band(self) -> Band:
        """Mean over the seeds, with the interval that holds the true one with 95 % (Student, 1908)."""
        mean = self.returns.mean(axis=0)
        n = len(self.returns)
        if n < 2:
            return Band(self.learner, self.steps, mean, mean, mean)
        half = _t(n - 1) * self.returns.std(axis=0, ddof=1) / np.sqrt(n)
        return Band(self.learner, self.steps, mean, mean - half, mean + half)


@dataclass(frozen=True)
class Reference:
    """A return to compare with.

    Attributes:
        value: the return.
        text: what it is.
        steps: that it took, or None.
    """

    value: float
    text: str
    steps: int | None = None


def run_learners(options: LearnersOptions, console: Console) -> list[Curves]:
    """Train every learner with every seed, each as a run of its own; draw and print what came of it.

    A run that is complete is not repeated, and one that was stopped goes on: stop this command and start it again.

    Returns:
        The curves, as `options.learners` orders them.

    Raises:
        HumanoidError: the task or a learner is unknown, a learner does not suit the task, or a run failed.
    """
    learners = suitable(options)
    every = options.every or max(1, options.steps // EVALUATIONS)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HumanoidError(f"cannot write {options.out}: {error.strerror}") from None
    runs = [(learner, seed) for seed in range(options.seeds) for learner in learners]
    runs = [run for run in runs if not _complete(options, *run)]
    _train_all(options, runs, every, console)
    curves = [_curves(learner, options) for learner in learners]
    references = reference_returns(options)
    picture = options.out / "learners.png"
    title = f"{options.task}: {options.seeds} seeds each, mean and its 95 % confidence"
    levels = [(r.text, r.value) for r in references.values()]
    draw_bands([c.band() for c in curves], title, levels, picture, f"{curves[0].measure} of an evaluation")
    console.print(_table(curves, options, references))
    console.print(f"curves: {picture}", markup=False, soft_wrap=True)
    if options.json_file is not None:
        write_json(options.json_file, _result(options, every, curves, references))
    return curves


def suitable(options: LearnersOptions) -> tuple[str, ...]:
    """The learners that were asked for, or all that suit the task.

    Raises:
        ConfigError: one is unknown, or does not suit it.
    """
    id = gymnasium_id(options.task)
    actions, states = VECTORS, False
    if id is not None:
        from humanoid_rl_ros.envs.gymnasium_batch import GymnasiumChoices, gymnasium_copies  # robots need no Gymnasium

        env = gymnasium_copies(id, 1, threads=1, **_arguments(options))
        if isinstance(env, GymnasiumChoices):
            actions, states = CHOICES, env.n_states is not None
        env.close()
    if options.learners:
        for name in options.learners:
            require_algorithm(name)
            require_actions(name, actions, f"'{options.task}'")
        return options.learners
    tables = ("q_learning", "sarsa")
    return tuple(name for name, kind in LEARNERS.items() if actions in kind.actions and (states or name not in tables))


def reference_returns(options: LearnersOptions) -> dict[str, Reference]:
    """What is known of the task: published returns by learner, and the best there is, where the world is known."""
    found: dict[str, Reference] = {}
    top = read_yaml(share_folder() / "config" / "benchmark" / "published.yaml")
    if options.task in top:
        section = top.section(options.task)
        learners = section.section("learners")
        for name in learners.keys():
            row = learners.section(name)
            steps = row.integer("steps", least=1)
            text = f"{name}, {section.text('source').split(',')[0]} ({steps / 1000:g} k steps)"
            found[name] = Reference(row.number("return"), text, steps)
    best = _best_possible(options)
    return {"exact": Reference(best, "best possible, by dynamic programming"), **found} if best is not None else found


def _best_possible(options: LearnersOptions) -> float | None:
    """The expected return of the best policy from where episodes begin, in a world without discount that is known."""
    id = gymnasium_id(options.task)
    if id is None:
        return None
    from humanoid_rl_ros.envs.gymnasium_registry import make_environment
    from humanoid_rl_ros.learning.dynamic_programming import model_of, optimal_values

    env = make_environment(id, _arguments(options))
    try:
        world, begin = getattr(env.unwrapped, "P", None), getattr(env.unwrapped, "initial_state_distrib", None)
        # A time limit is not in P: what it cuts off would be counted.
        if world is None or begin is None or (env.spec is not None and env.spec.max_episode_steps is not None):
            return None
        return float(np.asarray(begin) @ optimal_values(model_of(world), 1.0).max(axis=1))
    finally:
        env.close()


def _train_all(options: LearnersOptions, runs: Sequence[tuple[str, int]], every: int, console: Console) -> None:
    waiting, running = list(runs), list[tuple[str, int, subprocess.Popen[bytes], Path]]()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        shown = progress.add_task("training", total=len(runs))
        try:
            while waiting or running:
                while waiting and len(running) < options.jobs:
                    learner, seed = waiting.pop(0)
                    log = options.out / f"{learner}_{seed}.log"
                    with log.open("ab") as file:
                        process = subprocess.Popen(
                            _command(options, learner, seed, every), stdout=file, stderr=subprocess.STDOUT
                        )
                    running.append((learner, seed, process, log))
                time.sleep(0.1)
                for run in [run for run in running if run[2].poll() is not None]:
                    running.remove(run)
                    learner, seed, process, log = run
                    if process.returncode:
                        raise HumanoidError(f"{learner} with seed {seed} failed: {_last_line(log)}")
                    progress.advance(shown)
                    if not console.is_terminal:
                        console.print(f"{learner}, seed {seed}: done", soft_wrap=True)
        finally:
            for *_, process, _log in running:
                process.terminate()  # it saves, and goes on when this command is started again
            for *_, process, _log in running:
                process.wait()


def _command(options: LearnersOptions, learner: str, seed: int, every: int) -> list[str]:
    folder = RunFolder(_folder(options, learner, seed))
    words = [sys.executable, "-m", "humanoid_rl_ros", "train", learner, "--steps", str(options.steps)]
    words += ["--out", str(folder.path), "--evaluate-every", str(every), "--no-export"]
    if folder.record_file.exists():
        return [*words, "--resume"]
    settings = [word for text in _settings_of(options, learner) for word in ("--set", text)]
    return [*words, "--task", options.task, "--seed", str(seed), *settings]


def _complete(options: LearnersOptions, learner: str, seed: int) -> bool:
    newest = newest_checkpoint(RunFolder(_folder(options, learner, seed)).checkpoints())
    return newest is not None and steps_of(newest) >= options.steps


def _settings_of(options: LearnersOptions, learner: str) -> list[str]:
    """Those for all, and those that begin with the learner's name and a colon.

    Raises:
        ConfigError: one is for a learner that does not exist.
    """
    chosen = []
    for text in options.settings:
        key = text.partition("=")[0]
        name, colon, _ = key.partition(":")
        if not colon:
            chosen.append(text)
        elif name not in LEARNERS:
            raise ConfigError(f"--set {key}: no learner named '{name}'; {did_you_mean(name, LEARNERS)}")
        elif name == learner:
            chosen.append(text.removeprefix(f"{name}:"))
    return chosen


def _arguments(options: LearnersOptions) -> dict[str, Any]:
    """Of the environment."""
    pairs = (parse_setting(text) for text in options.settings if text.startswith(f"{ARGUMENT}."))
    return gymnasium_arguments(dict(pairs))


def _curves(learner: str, options: LearnersOptions) -> Curves:
    """What the metrics of the learner's runs say."""
    rows, steps, seconds, measure = [], [], [], ""
    for seed in range(options.seeds):
        file = RunFolder(_folder(options, learner, seed)).metrics
        metrics = read_metrics(file)
        name = next((name for name in MEASURES if name in metrics), None)
        if name is None:
            raise HumanoidError(f"{file}: no evaluation is in there; ask for one more often by --every")
        measure = name.rpartition("/")[2]
        there = np.isfinite(metrics[name])
        rows.append(metrics[name][there])
        steps.append(metrics["steps"][there])
        seconds.append(float(metrics["seconds"][-1]))
    count = min(map(len, rows))
    return Curves(
        learner,
        np.mean([row[:count] for row in steps], axis=0),
        np.array([row[:count] for row in rows]),
        float(np.mean(seconds)),
        measure,
    )


def _table(curves: Sequence[Curves], options: LearnersOptions, references: Mapping[str, Reference]) -> Table:
    table = Table(title=f"{options.task}, {options.seeds} seeds", title_style="bold")
    for heading in (
        "learner",
        f"{curves[0].measure} at the end\nmean, 95 %",
        "best of the\nway, mean",
        "steps",
        "time\ns",
    ):
        table.add_column(heading, justify="left" if heading == "learner" else "right", no_wrap=True)
    table.add_column("published", overflow="fold")
    for c in curves:
        band, known = c.band(), references.get(c.learner)
        published = (
            "–" if known is None else f"{known.value:g}" + (f" ({known.steps / 1000:g} k)" if known.steps else "")
        )
        table.add_row(
            c.learner,
            f"{band.mean[-1]:.1f} ± {band.high[-1] - band.mean[-1]:.1f}",
            f"{band.mean.max():.1f}",
            f"{c.steps[-1] / 1000:.3g} k",
            f"{c.seconds:.0f}",
            published,
        )
    if "exact" in references:
        table.caption = f"{references['exact'].text}: {references['exact'].value:.2f}"
    return table


def _result(
    options: LearnersOptions, every: int, curves: Sequence[Curves], references: Mapping[str, Reference]
) -> dict[str, Any]:
    return {
        "task": options.task,
        "seeds": options.seeds,
        "steps": options.steps,
        "every": every,
        "measure": curves[0].measure,
        "settings": list(options.settings),
        "learners": {
            c.learner: {
                "steps": c.steps.tolist(),
                "returns": c.returns.tolist(),
                "mean": c.band().mean.tolist(),
                "low": c.band().low.tolist(),
                "high": c.band().high.tolist(),
                "seconds": c.seconds,
            }
            for c in curves
        },
        "references": {name: {"return": r.value, "what": r.text} for name, r in references.items()},
    }


def _folder(options: LearnersOptions, learner: str, seed: int) -> Path:
    return options.out / f"{learner}_{seed}"


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{lines[-1]} (all of it: {shlex.quote(str(log))})" if lines else f"see {log}"


def _t(freedom: int) -> float:
    return _T[freedom - 1] if freedom <= len(_T) else 1.96 + 2.4 / freedom
