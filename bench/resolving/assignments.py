"""Whether customers are called what the product's own rule calls them: its model, run on the bench's records."""

import re
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from bench.resolving.arrays import Array, Rows, is_among, positions

MODEL = Path(__file__).parents[2] / "dbt_project" / "models" / "identity" / "steps" / "identity_assignments.sql"
RECORD_TYPE = "shopify.customers"
"""All records are persons, whose number is what the rule goes by first."""


def follow_the_rule(connection: duckdb.DuckDBPyConnection, before: Rows, now: Rows) -> tuple[bool, int]:
    """Whether every id is the one the rule gives, and how many records are of customers that are not what they were.

    A customer with the same records as before must have the same id. All the others (merged, split, grown, shrunk) are
    put to `identity_assignments.sql`: what it lets keep an id must have that one, what it names anew an id that no
    customer had. `before` and `now` are `record` and `customer`, sorted by record.
    """
    at, is_known = positions(before["record"], now["record"])
    earlier = np.zeros(len(now["record"]), dtype=np.uint64)
    earlier[is_known] = before["customer"][at[is_known]]
    customers, first, number, sizes = np.unique(
        now["customer"], return_index=True, return_inverse=True, return_counts=True
    )
    is_whole = np.bincount(number, earlier != earlier[first][number]) == 0
    names, counts = np.unique(before["customer"], return_counts=True)
    place, is_old = positions(names, earlier[first])
    is_whole &= is_old
    is_whole[is_whole] = counts[place[is_whole]] == sizes[is_whole]
    is_right = bool((customers == earlier[first])[is_whole].all())
    open_records = ~is_whole[number]
    keys = now["record"]
    ruled = assigned(connection, keys[open_records], keys[first][number][open_records], earlier[open_records])
    given = now["customer"][open_records]
    is_new = np.array([text.startswith("c_") for text in ruled], dtype=bool)
    kept = np.array([int(text, 16) for text in ruled[~is_new]], dtype=np.uint64)
    is_right &= np.array_equal(given[~is_new], kept) and not is_among(given[is_new], names).any()
    return is_right, int(open_records.sum())


def assigned(connection: duckdb.DuckDBPyConnection, records: Array, components: Array, previous: Array) -> Array:
    """The customer ids that the model gives these records: an earlier id as 16 hexadecimal digits, or a new `c_…`.

    `components` is the smallest record of each one's component, `previous` its earlier customer (0: it had none).
    """
    given = pa.table({"number": np.arange(len(records)), "record": records, "component": components, "was": previous})
    connection.register("given", given)
    connection.execute(f"""
        CREATE OR REPLACE TEMP VIEW identity_edges AS
        SELECT '{RECORD_TYPE}' AS record_type, format('{{:016x}}', record) AS record_id FROM given;
        CREATE OR REPLACE TEMP VIEW identity_components AS
        SELECT '{RECORD_TYPE}|' || format('{{:016x}}', record) AS record_key,
          '{RECORD_TYPE}|' || format('{{:016x}}', component) AS component_key FROM given;
        CREATE OR REPLACE TEMP VIEW stg_previous__identity_clusters AS
        SELECT '{RECORD_TYPE}' AS record_type, format('{{:016x}}', record) AS record_id,
          format('{{:016x}}', was) AS customer_id FROM given WHERE was <> 0
    """)
    model = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"\1", MODEL.read_text(encoding="utf-8"))
    found = connection.execute(f"""
        SELECT assignments.customer_id FROM ({model}) AS assignments
        JOIN given ON assignments.record_id = format('{{:016x}}', given.record) ORDER BY given.number
    """).fetchnumpy()
    connection.unregister("given")
    return np.asarray(found["customer_id"])
