"""Resolves 10 million person records with three identifier kinds, from scratch and from a day's changes, on two cores.

`python bench/identity_scale.py [--records 10000000] [--rounds 3] [--folder PATH]`. Beside it, on the same file and in
the same run, the same guards and plain label propagation in SQL (DuckDB, a round a step, no pointer jumping), whose
partition must be the same. And the 1 % day: new, changed and deleted records, resolved from the state that yesterday's
build has written and added to it as a file of changed rows. Base and changes together must be what a rebuild from the
same earlier ids gives, and every id what the product's rule says. Every time counts reading its input and writing its
result, with files as warm as the step before has left them. Prints what it does; the last line is one JSON object.
"""

import argparse
import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np

# Run as a script from any folder: `python bench/identity_scale.py`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.resolving import assignments, engine, propagation, state
from bench.resolving.arrays import Array
from bench.resolving.people import write_people

MEMORY = "6GB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="of rebuild and day; figures are medians")
    parser.add_argument("--sql-rounds", type=int, default=1, help="of label propagation, which takes minutes")
    parser.add_argument("--folder", type=Path, help="where the files go; default: a temporary folder")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="kizuna-identity-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        result = measure(arguments.records, arguments.rounds, arguments.sql_rounds, folder)
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result))
    return 0 if result["identical"] and result["ids_stable"] else 1


def measure(records: int, rounds: int, sql_rounds: int, folder: Path) -> dict[str, object]:
    """Everything the last line says."""
    started = time.monotonic()
    seconds: dict[str, list[float]] = defaultdict(list)

    def tell(text: str) -> None:
        print(f"{time.monotonic() - started:7.1f} s  {text}", flush=True)

    def timed(what: str, clock: float) -> None:
        seconds[what].append(time.perf_counter() - clock)
        tell(f"{what}: {seconds[what][-1]:.2f} s")

    with duckdb.connect() as connection:
        connection.execute(f"SET threads = 2; SET memory_limit = '{MEMORY}'; SET temp_directory = '{folder}/spill'")
        connection.execute("SET preserve_insertion_order = false")
        yesterday, day, today = write_people(connection, records, folder)
        tell(f"{records:,} records and a day's changes written")
        kept = folder / "kept"
        clock = time.perf_counter()
        state.write_base(*engine.rebuild(engine.read_people(connection, yesterday)), kept)
        timed("first_build", clock)
        verdicts = [one_round(connection, kept, day, today, folder, timed, tell) for _ in range(rounds)]
        identical, ids_stable = (all(verdict[place] for verdict in verdicts) for place in (0, 1))
        engines_peak = peak_mib()
        ours = state.read_base(folder / "rebuilt", ("record", "customer"))
        for _ in range(sql_rounds):
            clock = time.perf_counter()
            theirs, steps = propagation.propagate(connection, today, folder / "propagated.parquet", tell)
            timed("label_propagation", clock)
            same = np.array_equal(labels_of(ours["record"], ours["customer"]), labels_of(*theirs))
            tell(f"{steps} rounds of label propagation; partition {'identical' if same else 'DIFFERS'}")
            identical &= same
    medians = {what: round(statistics.median(times), 3) for what, times in seconds.items()}
    return {
        "records": records,
        "customers": len(np.unique(ours["customer"])),
        "largest_cluster": int(np.unique(ours["customer"], return_counts=True)[1].max()),
        "rounds": rounds,
        **{f"{what}_seconds": value for what, value in medians.items()},
        "ratio": round(medians.get("label_propagation", 0) / medians["rebuild"], 2),
        "day_ratio": round(medians["day"] / medians["rebuild"], 4),
        "identical": identical,
        "ids_stable": ids_stable,
        "peak_memory_mib": engines_peak,
        "peak_memory_with_sql_mib": peak_mib(),
    }


def one_round(
    connection: duckdb.DuckDBPyConnection,
    kept: Path,
    day: Path,
    today: Path,
    folder: Path,
    timed: Callable[[str, float], None],
    tell: Callable[[str], None],
) -> tuple[bool, bool]:
    """The day from the kept state, the rebuild from the same earlier ids; whether they agree, whether ids are right."""
    changes = kept / "day-0001.npz"
    changes.unlink(missing_ok=True)
    clock = time.perf_counter()
    changed = engine.update(state.Kept(kept), engine.read_people(connection, day))
    state.write_changes(changed, changes)
    timed("day", clock)
    tell(f"{len(changed['record']):,} rows of the state changed")
    clock = time.perf_counter()
    before = state.read_base(kept, ("record", "customer"))
    state.write_base(*engine.rebuild(engine.read_people(connection, today), before), folder / "rebuilt")
    timed("rebuild", clock)
    updated, rebuilt = state.read_state(kept), state.read_base(folder / "rebuilt")
    identical = all(np.array_equal(updated[name], rebuilt[name]) for name in state.COLUMNS)
    tell(f"state after the day {'identical to' if identical else 'DIFFERS from'} the rebuild's, customer ids included")
    ids_stable, count = assignments.follow_the_rule(connection, before, rebuilt)
    tell(f"{'every id as' if ids_stable else 'ids NOT as'} the rule says; {count:,} records are of changed customers")
    return identical, ids_stable


def labels_of(records: Array, groups: Array) -> Array:
    """A partition as the place of every record's first fellow, records in order of their keys."""
    groups = groups[np.argsort(records)]
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    return first[number]


def peak_mib() -> int:
    """The most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    raise SystemExit(main())
