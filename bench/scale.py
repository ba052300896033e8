"""Builds the whole warehouse for a million customers, ten million orders, fifty million events, and one day more.

`python bench/scale.py [--customers 1000000] [--memory 12GB]`. The raw lake is written in each source's own shape
(`large_shop.py`), first for a tenth of the customers, then for all of them, so that one run shows how the cost grows.
Then a day comes (a hundredth of everything, new and changed), is built as the product builds it, and must equal a
build of everything from nothing. Prints seconds and bytes of every layer; the last line is one JSON object.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import psutil

# Run as a script from any folder: `python bench/scale.py`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.large_shop import DAYS, NOW, Size, write_day, write_shop
from connectors.lake import Lake

PROJECT = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.5
KEPT_BETWEEN_BUILDS = ("identity_clusters", "customer_history", "identity_nodes", "segment_changes")
CLOCKS = ("landed_at",)


class Progress:
    """Lines with the seconds since the start; a stream that grows is told once in a while."""

    def __init__(self) -> None:
        self.began, self.told = time.monotonic(), 0.0

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:7.0f}s {text}", flush=True)

    def rows(self, stream: str, count: int) -> None:
        if time.monotonic() - self.told > 5:
            self.told = time.monotonic()
            self.say(f"  {stream} {count:,}")


class PeakMemory:
    """The largest resident memory of a process and its children, in MiB, sampled while it runs."""

    def __init__(self, pid: int) -> None:
        self.process, self.mib, self._is_over = psutil.Process(pid), 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._is_over.wait(SAMPLE_SECONDS):
            try:
                tree = [self.process, *self.process.children(recursive=True)]
                self.mib = max(self.mib, sum(process.memory_info().rss for process in tree) / 2**20)
            except psutil.NoSuchProcess:
                continue

    def stop(self) -> float:
        self._is_over.set()
        self._thread.join()
        return round(self.mib)


def build(lake: Lake, as_of: str, memory: str, progress: Progress) -> dict[str, Any]:
    """Run `dbt build` on a lake; returns seconds in all and a layer, bytes a layer and the peak memory."""
    target = Path(lake.root) / "target"
    environment = os.environ | {
        "KIZUNA_LAKE": lake.root,
        "KIZUNA_AS_OF": as_of,
        "KIZUNA_WAREHOUSE_MEMORY": memory,
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target),
        "DBT_LOG_FORMAT": "json",
    }
    dbt = str(Path(sys.executable).parent / "dbt")
    began = time.monotonic()
    process = subprocess.Popen(
        [dbt, "build", "--profiles-dir", ".", "--exclude-resource-type", "unit_test"],
        cwd=PROJECT / "dbt_project",
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    memory_peak = PeakMemory(process.pid)
    assert process.stdout is not None
    for line in process.stdout:
        told = json.loads(line) if line.startswith("{") else {"data": {}, "info": {"msg": line}}
        node, seconds = told["data"].get("node_info", {}), told["data"].get("execution_time", 0)
        if told["info"].get("name") == "LogModelResult" or seconds > 10:
            progress.say(f"  {node.get('node_name', '')} {seconds:.1f} s")
        elif told["info"].get("level") == "error":
            progress.say(f"  {told['info']['msg']}")
    status, seconds, peak = process.wait(), time.monotonic() - began, memory_peak.stop()
    results = json.loads((target / "run_results.json").read_text("utf-8"))["results"]
    failed = [result["unique_id"] for result in results if result["status"] in ("error", "fail", "skipped")]
    if status or failed:
        raise RuntimeError(f"the build failed: {', '.join(failed[:5]) or 'see above'}")
    manifest = json.loads((target / "manifest.json").read_text("utf-8"))["nodes"]
    by_layer: dict[str, float] = defaultdict(float)
    for result in results:
        by_layer[layer_of(manifest.get(result["unique_id"], {}))] += result["execution_time"]
    return {
        "seconds": round(seconds, 1),
        "seconds_by_layer": {name: round(value, 1) for name, value in sorted(by_layer.items())},
        "bytes_by_layer": bytes_by_layer(lake, manifest),
        "peak_memory_mib": peak,
    }


def layer_of(node: dict[str, Any]) -> str:
    """The folder of a model, `tests` for every test."""
    return "tests" if node.get("resource_type") in ("test", "unit_test", None) else node["fqn"][1]


def bytes_by_layer(lake: Lake, manifest: dict[str, Any]) -> dict[str, int]:
    """What the raw lake, the marts of every folder and the warehouse file between them take on disk."""
    sizes: dict[str, int] = defaultdict(int)
    sizes["raw"] = folder_bytes(Path(lake.path("raw")))
    sizes["warehouse file"] = Path(lake.path("warehouse.duckdb")).stat().st_size
    for node in manifest.values():
        folder = Path(lake.path("marts", node["name"]))
        if node["resource_type"] == "model" and folder.is_dir():
            sizes[node["fqn"][1]] += folder_bytes(folder)
    return dict(sorted(sizes.items()))


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def digests(lake: Lake) -> dict[str, tuple[int, int]]:
    """How many rows every mart has, and the sum of their hashes: equal rows give equal ones in whatever order."""
    with duckdb.connect() as connection:
        told = {}
        for folder in sorted(Path(lake.path("marts")).iterdir()):
            if folder.is_dir():
                rows = f"read_parquet('{folder}/*.parquet')"
                columns = [name for name in connection.sql(f"FROM {rows}").columns if name not in CLOCKS]
                told[folder.name] = connection.execute(
                    f"SELECT count(*), sum(hash(t)) FROM (SELECT {', '.join(columns)} FROM {rows}) AS t"
                ).fetchall()[0]
        return told


def full_refresh_copy(lake: Lake, folder: Path, before: Path) -> Lake:
    """The same raw lake with nothing built but what the last build handed on: the ids and their history."""
    for source in (Path(lake.root) / "raw").rglob("*.parquet"):
        target = folder / source.relative_to(lake.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
    shutil.copytree(before, folder / "marts")
    return Lake(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--memory", default="12GB", help="what DuckDB may use before it spills to disk")
    parser.add_argument("--folder", type=Path, help="where to work (default: a new temporary folder)")
    options = parser.parse_args()
    root = options.folder or Path(tempfile.mkdtemp(prefix="kizuna-scale-"))
    progress, told = Progress(), {}
    as_of = [(NOW + timedelta(days=day)).isoformat() + "Z" for day in (0, 1)]
    for name, customers in (("tenth", options.customers // 10), ("full", options.customers)):
        size, lake = Size(customers), Lake(root / name)
        progress.say(f"writing {customers:,} customers, {size.orders:,} orders, {size.events:,} events")
        began = time.monotonic()
        write_shop(lake, size, progress.rows)
        progress.say(f"written in {time.monotonic() - began:.0f} s; building")
        told[name] = build(lake, as_of[0], options.memory, progress)
        if name == "tenth":
            shutil.rmtree(root / name)
    before = root / "before"
    for mart in KEPT_BETWEEN_BUILDS:
        shutil.copytree(lake.path("marts", mart), before / mart)
    progress.say(f"day {DAYS + 1}: a hundredth is new or has changed")
    write_day(lake, size, progress.rows)
    told["day"] = build(lake, as_of[1], options.memory, progress)
    progress.say("the same from nothing")
    refreshed, of_day = full_refresh_copy(lake, root / "refreshed", before), digests(lake)
    shutil.rmtree(lake.root)  # both lakes at a time are more than many a disk holds
    told["full_refresh"] = build(refreshed, as_of[1], options.memory, progress)
    anew = digests(refreshed)
    unequal = sorted(name for name in of_day.keys() | anew.keys() if of_day.get(name) != anew.get(name))
    result = {
        "customers": options.customers,
        "orders": size.orders,
        "events": size.events,
        **told,
        "growth": round(told["full"]["seconds"] / told["tenth"]["seconds"], 2),
        "day_ratio": round(told["day"]["seconds"] / told["full_refresh"]["seconds"], 3),
        "equal": not unequal,
        "unequal_marts": unequal,
        "peak_memory_mib": max(part["peak_memory_mib"] for part in told.values()),
    }
    print(json.dumps(result), flush=True)
    if not options.folder:
        shutil.rmtree(root)
    return 0 if not unequal else 1


if __name__ == "__main__":
    raise SystemExit(main())
