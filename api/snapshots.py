"""Snapshots of an index: what readers open.

The files of an index come and go while it is written, and a reader that has not opened one yet finds it gone. A
snapshot is a folder of links to the files of one moment, which takes milliseconds; the file `version` names the newest.
"""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

import pyoxigraph as ox

KEPT = 60.0  # seconds that a snapshot outlives the next one: no query that reads it takes as long


def publish(data: Path, store: ox.Store | None) -> None:
    """Let readers see what a store holds now; without one, only that there is something new."""
    number = version(data) + 1
    folder = data / "snapshots"
    if store is not None:
        folder.mkdir(exist_ok=True)
        shutil.rmtree(folder / str(number), ignore_errors=True)  # left by a process that was killed
        store.backup(str(folder / str(number)))
    part = data / "version.part"
    part.write_text(f"{number}\n")
    part.replace(data / "version")
    with suppress(FileNotFoundError):
        os.utime(folder / str(number - 1))  # the moment from which it is old
    for old in folder.glob("*"):
        if old.name != str(number) and old.stat().st_mtime < time.time() - KEPT:
            shutil.rmtree(old, ignore_errors=True)


def version(data: Path) -> int:
    """Return the number of the newest snapshot, 0 where there is none yet."""
    try:
        return int((data / "version").read_text())
    except (OSError, ValueError):
        return 0


def newest(data: Path) -> tuple[int, ox.Store]:
    """Open the newest snapshot, and return its number with it; raise OSError where there is none."""
    number = version(data)
    return number, ox.Store.read_only(str(data / "snapshots" / str(number)))
