"""What can be seen of a weights file before any library opens it: is it what it says, and is it safe to open?"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from humanoid_rl_ros.core.errors import PolicyError

LARGEST = 2 * 2**30
"""Bytes of a weights file, packed or not."""
LARGEST_RATIO = 100.0
"""Of unpacked to packed size. Weights hardly shrink, and torch does not pack at all."""
SPARE_MEMORY = 4 * 2**30
"""Bytes that a network may take while it is loaded and tried."""

# A StringStringEntryProto of a tensor's `external_data`: key (field 1) "location", value (field 2) and its length.
_LOCATION = re.compile(rb"\x0a\x08location\x12(?:([\x01-\x7f])|([\x80-\xff])([\x01-\x7f]))", re.DOTALL)
# Of TorchScript: operators that read or write files; a policy has no use for them.
_FILE_OPERATORS = re.compile(rb"\b(?:from_file|torch\.save|torch\.load|aten\.save|_load_from_file|PythonOp)\b")


def external_files(onnx: bytes) -> tuple[str, ...]:
    """The files beside an ONNX file that hold tensors of it, as it names them.

    Args:
        onnx: the file's content.
    """
    found: dict[str, None] = {}
    for match in _LOCATION.finditer(onnx):
        short, low, high = match.groups()
        length = short[0] if short else (low[0] & 0x7F) | (high[0] << 7)
        name = onnx[match.end() : match.end() + length]
        found[name.decode("utf-8", errors="replace")] = None
    return tuple(found)


def require_torchscript(path: Path) -> None:
    """Refuse what `torch.jit.load` should not see: other files, plain pickles, zip bombs, code that opens files.

    Raises:
        PolicyError: it is one of those.
    """
    members = archive_members(path, "not a TorchScript archive")
    code = [name for name in members if re.match(r"[^/]+/code/.*\.py$", name)]
    if not code:
        what = "a pickle of weights" if any(name.endswith("data.pkl") for name in members) else "a zip of other things"
        raise PolicyError(
            f"{path}: not a TorchScript archive but {what}; a checkpoint becomes a bundle by humanoid_rl policy import"
        )
    with zipfile.ZipFile(path) as archive:
        for name in code:
            if found := _FILE_OPERATORS.search(archive.read(name)):
                raise PolicyError(f"{path}: its code uses {found.group().decode()}, which no policy needs; not loaded")


def archive_members(path: Path, otherwise: str) -> tuple[str, ...]:
    """The names in a zip that is safe to unpack.

    Args:
        path: the file.
        otherwise: what to say of a file that is no zip.

    Raises:
        PolicyError: the file cannot be read, is no zip, or is much larger inside than outside.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError, OSError) as error:
        raise PolicyError(f"{path}: {otherwise}: {error}") from None
    unpacked = sum(member.file_size for member in members)
    packed = max(path.stat().st_size, 1)
    if unpacked > LARGEST or unpacked > LARGEST_RATIO * packed:
        raise PolicyError(
            f"{path}: {packed} bytes that unpack to {unpacked}: no policy is packed like this; not opened"
        )
    return tuple(member.filename for member in members)


@contextmanager
def limited_memory(spare: int = SPARE_MEMORY) -> Iterator[None]:
    """Let this process take only so much more memory [bytes], so that a hostile network ends in an exception."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        before = resource.getrlimit(resource.RLIMIT_AS)
        wanted = pages * resource.getpagesize() + spare
    except (ImportError, OSError, ValueError):  # no such limit on this system
        yield
        return
    low = [limit for limit in before if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *low]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
