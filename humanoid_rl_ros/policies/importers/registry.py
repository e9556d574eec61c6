"""Every format that can be imported."""

from __future__ import annotations

from dataclasses import replace

from humanoid_rl_ros.core.errors import ConfigError, did_you_mean
from humanoid_rl_ros.policies.importers.berkeley import BerkeleyImporter
from humanoid_rl_ros.policies.importers.booster import BoosterImporter
from humanoid_rl_ros.policies.importers.csv_metadata import CsvMetadataImporter
from humanoid_rl_ros.policies.importers.draft import KEYS, Draft
from humanoid_rl_ros.policies.importers.holosoma import HolosomaImporter
from humanoid_rl_ros.policies.importers.plain import PlainImporter, lay_over
from humanoid_rl_ros.policies.importers.rl_sar import RlSarImporter
from humanoid_rl_ros.policies.importers.source import Importer, Source
from humanoid_rl_ros.policies.importers.unitree_deploy import UnitreeDeployImporter
from humanoid_rl_ros.policies.importers.unitree_gym import UnitreeGymImporter

# Judged by their keys, from the most telling on; `plain` takes what nobody else knows.
IMPORTERS: tuple[Importer, ...] = (
    HolosomaImporter(),
    CsvMetadataImporter(),
    RlSarImporter(),
    BerkeleyImporter(),
    BoosterImporter(),
    UnitreeGymImporter(),
    UnitreeDeployImporter(),
    PlainImporter(),
)
FORMATS = tuple(importer.name for importer in IMPORTERS)


def find_importer(source: Source, name: str = "") -> Importer:
    """The importer for these files.

    Args:
        source: the files.
        name: one of `FORMATS`, or empty to judge by the files.

    Raises:
        ConfigError: there is none of that name, or no format has configurations like these.
    """
    if name:
        if name not in FORMATS:
            raise ConfigError(f"no format '{name}'; {did_you_mean(name, FORMATS)}")
        return next(importer for importer in IMPORTERS if importer.name == name)
    for importer in IMPORTERS:
        if importer.recognises(source):
            return importer
    config = next(config for config in source.configs if not set(config.data) <= set(KEYS))
    key = next(key for key in config.data if key not in KEYS)
    if any(known in KEYS for known in config.data):
        raise ConfigError(f"{config.path}: no key '{key}' in a policy.yaml; {did_you_mean(key, KEYS)}")
    raise ConfigError(
        f"{config.path}: of no known format (its first key is '{key}'); name it with --format: {', '.join(FORMATS)}"
    )


def read_source(source: Source, name: str = "") -> tuple[Draft, str]:
    """What all the files say: a partial `policy.yaml` among them has the last word.

    Args:
        source: the files.
        name: one of `FORMATS`, or empty to judge by the files.

    Returns:
        The draft, and the format's name.

    Raises:
        ConfigError: as of `find_importer` and `Importer.read`.
    """
    own = tuple(config for config in source.configs if set(config.data) <= set(KEYS))
    foreign = replace(source, configs=tuple(config for config in source.configs if config not in own))
    importer = find_importer(foreign, name)
    if importer.name == PlainImporter.name:
        return importer.read(source), importer.name
    draft = importer.read(foreign)
    for config in own:
        lay_over(draft, config)
    return draft, importer.name
