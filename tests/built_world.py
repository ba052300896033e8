"""The small world, built once for all tests that only read it, whichever worker they run on."""

import fcntl
from pathlib import Path

from connectors.sandbox.world import World
from tests.dbt_build import dbt
from tests.world_lake import write_world

BUILT = "built"


def built_world(world: World, shared_folder: Path) -> Path:
    """The lake of the small world under a folder that all workers share, with every data test and unit test passed.

    Who comes first builds it, the others wait. A build that failed left its word, and everybody fails with it.
    """
    root = shared_folder / "built-world"
    shared_folder.mkdir(parents=True, exist_ok=True)
    with (shared_folder / "built-world.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = shared_folder / "built-world.txt"
        if not told.exists():
            try:
                dbt(write_world(root, world.path), "build")
            except AssertionError as failed:
                told.write_text(str(failed), "utf-8")
            else:
                told.write_text(BUILT, "utf-8")
    assert told.read_text("utf-8") == BUILT, told.read_text("utf-8")
    return root
