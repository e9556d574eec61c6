"""What the Makefile's stamps are named after: keys of the interpreter, the dependencies and the package's files.

Prints `interpreter dependencies package version`, or nothing for a Python that is too old or too new.
"""

import hashlib
import os
import sys

PACKAGE = ("humanoid_rl_ros", "launch", "config", "resource")
OLDEST, NEWEST = (3, 10), (3, 13)


def key(*parts):
    """A short name for some content."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def read(path):
    """A file's content."""
    with open(path, "rb") as file:
        return file.read()


def files(top):
    """Every file of a folder that an installation would see, in a fixed order."""
    for folder, subfolders, names in os.walk(top):
        subfolders[:] = sorted(s for s in subfolders if not s.startswith((".", "__")))
        for name in sorted(names):
            path = os.path.join(folder, name)
            if not name.endswith(".pyc") and os.path.isfile(path):
                yield path


def main():
    """Print the keys."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    interpreter = key(sys.version.encode(), sys.base_prefix.encode())
    dependencies = key(interpreter.encode(), read("setup.py"), read("setup.cfg"))
    paths = [*(path for top in PACKAGE for path in files(top)), "package.xml", "LICENSE"]
    contents = (p.encode() + (b" x " if os.access(p, os.X_OK) else b" - ") + read(p) for p in paths)
    package = key(dependencies.encode(), *contents)
    sys.stdout.write("{} {} {} {}.{}\n".format(interpreter, dependencies, package, *sys.version_info[:2]))


main()
