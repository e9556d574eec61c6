"""`humanoid_rl policy sign`: not a byte of a bundle may change any more."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.signature import SIGNATURE, sign


def sign_policy(folder: Path, console: Console) -> None:
    """Sign a bundle that loads.

    Args:
        folder: the bundle.
        console: where to say it.

    Raises:
        HumanoidError: the bundle or its network cannot be loaded, or the digests cannot be written.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: not the folder of a bundle")
    before = folder / SIGNATURE
    text = before.read_bytes() if before.is_file() else None
    before.unlink(missing_ok=True)
    try:
        bundle = load_bundle(folder)
        bundle.load_network()
        sign(folder, bundle.files())
    except BaseException:
        if text is not None:
            before.write_bytes(text)  # what was signed stays refused
        raise
    console.print(
        f"signed {', '.join(bundle.files())} in {before}; (cd {folder} && sha256sum -c {SIGNATURE}) checks it too",
        markup=False,
        soft_wrap=True,
    )
