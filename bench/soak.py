"""Kills the pipeline at random moments and checks that one clean run gives exactly the state of an undisturbed one.

`python bench/soak.py --kills 200 [--seed 7] [--workers 2]`. Two days of a small shop are played: the first, from an
empty lake, and the second, after a day of orders, returns, merges and opt-outs. Each kill is a SIGKILL of the whole
process group while the real jobs pull, build, score or push; the vendors live on. Then the loop runs once, and the
landed rows, rejected rows, marts, the warehouse's steps, scores, models, receipts and the vendors' own state must be
those of a run that nobody killed. Prints a line a kill; the last line is one JSON object; exits 1 when any differed,
and then keeps the state of those.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

# Run as a script from any folder: `python bench/soak.py`.
PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

HOUSEHOLDS = 118
DAYS = ("first", "second")
STAGES = ("pull", "build", "score", "push")


def plan_kills(kills: int, seed: int) -> dict[str, list[tuple[int, str]]]:
    """Day → its kills as (number, stage): as many a day and a stage as can be, in an order drawn by lot."""
    kinds = [(day, stage) for stage in STAGES for day in DAYS]
    drawn = [kinds[number % len(kinds)] for number in range(kills)]
    random.Random(seed).shuffle(drawn)
    planned: dict[str, list[tuple[int, str]]] = {day: [] for day in DAYS}
    for number, (day, stage) in enumerate(drawn):
        planned[day].append((number, stage))
    return planned


def work(folder: Path, day: str, households: int, seed: int, kills: list[tuple[int, str]]) -> None:
    """A worker's process: prepare the day, then kill and recover; tells every result as a line of JSON."""
    from bench.soaking.worker import Worker

    began = time.monotonic()
    worker = Worker(folder, day, households)
    try:
        worker.prepare()
        seconds = round(time.monotonic() - began)
        tell({"prepared": day, "seconds": seconds, "steps": len(worker.steps), "failures": worker.failures})
        for number, stage in kills:
            result = worker.kill_and_recover(stage, random.Random(f"{seed} {number}"))
            if result["differences"]:
                kept = folder.parent / f"kill-{number}"
                shutil.copytree(worker.folders.shop, kept)
                result["kept"] = str(kept)
            tell({"kill": number, "day": day, **result})
    finally:
        worker.stop()


def tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message, ensure_ascii=False) + "\n")
    sys.stdout.flush()


class Soak:
    """The parent: starts the workers, prints what they tell and counts."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.began = time.monotonic()
        self.done, self.converged = 0, 0
        self.by_stage: Counter[str] = Counter()
        self.failed: list[str] = []
        self.lock = threading.Lock()

    def run(self) -> bool:
        planned = plan_kills(self.options.kills, self.options.seed)
        places = threading.Semaphore(self.options.workers)
        watchers = [
            threading.Thread(target=self._watch, args=(places, day, kills)) for day, kills in planned.items() if kills
        ]
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            watcher.join()
        told = {
            "kills": self.done,
            "converged": self.converged,
            "by_stage": {stage: self.by_stage[stage] for stage in STAGES},
            "seconds": round(time.monotonic() - self.began),
        }
        print(json.dumps(told), flush=True)
        return not self.failed and self.done == self.options.kills and self.converged == self.done

    def _watch(self, places: threading.Semaphore, day: str, kills: list[tuple[int, str]]) -> None:
        command = [
            sys.executable,
            str(Path(__file__).resolve()),
            "--day",
            day,
            "--folder",
            str(self.folder / day),
            "--seed",
            str(self.options.seed),
            "--households",
            str(self.options.households),
            "--planned",
            json.dumps(kills),
        ]
        log = self.folder / f"{day}.txt"
        with (
            places,
            log.open("w") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=PROJECT) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                with self.lock:
                    self._take(json.loads(line))
        if process.returncode:
            self.failed.append(day)
            self._say(f"the worker of the {day} day failed: {log.read_text('utf-8')[-2000:]}")

    def _take(self, message: dict[str, Any]) -> None:
        if "prepared" in message:
            self._say(f"{message['prepared']} day prepared in {message['seconds']} s, {message['steps']} steps")
            for failure in message["failures"]:
                self._say(f"  held back with or without a kill: {failure}")
            return
        self.done += 1
        self.by_stage[message["stage"]] += 1
        self.converged += not message["differences"]
        verdict = "DIFFERS" if message["differences"] else "same"
        # until the kill, the clean run, the comparison
        seconds = " + ".join(f"{part:.0f}" for part in message["seconds"])
        self._say(
            f"{self.done:>4}/{self.options.kills} {message['day']:<6} day, {message['stage']:<5} "
            f"killed {message['moment']:7.3f} s into {message['step']:<34} {verdict:<8} {seconds} s"
        )
        for difference in message["differences"]:
            print(f"        {difference}", flush=True)
        if message["differences"]:
            print(f"        kept in {message['kept']}", flush=True)

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:7.0f}s {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2, help="days played side by side: 1 or 2")
    parser.add_argument("--households", type=int, default=HOUSEHOLDS)
    parser.add_argument("--folder", type=Path, help="where to work (default: a new temporary folder)")
    # what the parent asks of a worker's process
    parser.add_argument("--day", choices=DAYS, help=argparse.SUPPRESS)
    parser.add_argument("--planned", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.day:
        work(options.folder, options.day, options.households, options.seed, json.loads(options.planned))
        return 0

    from connectors.sandbox.world import World

    folder = options.folder or Path(tempfile.mkdtemp(prefix="kizuna-soak-"))
    print(f"soaking in {folder}: {options.kills} kills, seed {options.seed}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    World.build(options.households)
    is_good = Soak(options, folder).run()
    if is_good:
        shutil.rmtree(folder)
    return 0 if is_good else 1


if __name__ == "__main__":
    raise SystemExit(main())
