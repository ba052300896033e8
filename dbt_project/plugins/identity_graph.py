"""Connected components of the identity graph and who keeps which id, on arrays: what the warehouse's Python model and
bench/identity_scale.py share.

Records are numbered from 0 in the order of their keys, so the smallest number of a component stands for its smallest
key and every build names a component alike. On Spark macros/identity.sql and steps/identity_assignments.sql say the
same in SQL; the parity run holds them equal.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Integers = NDArray[Any]


def component_labels(size: int, left: Integers, right: Integers) -> Integers:
    """The smallest node of every node's component; `left` and `right` are the ends of each edge, nodes 0 … size-1."""
    # bool, because edges that are stated often are summed and a small integer would come round to zero
    edges = coo_matrix((np.ones(len(left), dtype=bool), (left, right)), shape=(size, size))
    count, labels = connected_components(edges, directed=False)
    smallest = np.empty(count, dtype=np.int32)
    # of several writes to one place the last one stays, so the smallest is written last
    smallest[labels[::-1]] = np.arange(size - 1, -1, -1, dtype=np.int32)
    return smallest[labels]


def kept_ids(components: Integers, previous: Integers) -> tuple[Integers, Integers, Integers, Integers]:
    """Which component goes on under which earlier id.

    An id goes to the component with most of its records, and a component that has won several keeps the one with most
    of its records; ties go to the smaller number. `components` and `previous` (-1: was not there) have one number a
    record. Answers two pairs of arrays: components and the id each keeps; components and the smallest id that any of
    their records had, after which a part that was split off is named.
    """
    known = np.flatnonzero(previous >= 0)
    pairs, counts = np.unique(components[known].astype(np.int64) << 32 | previous[known], return_counts=True)
    claimants, ids = pairs >> 32, pairs & 0xFFFFFFFF
    first = _firsts(claimants)
    losers, lost = claimants[first], ids[first]
    # nearly every component is exactly an earlier one; only the others have anything to decide
    is_alone = np.ones(len(pairs), dtype=bool)
    is_alone[np.flatnonzero(claimants[1:] == claimants[:-1])] = False
    is_alone[1:][claimants[1:] == claimants[:-1]] = False
    is_alone &= np.bincount(ids)[ids] == 1 if len(ids) else False
    open_claims = np.flatnonzero(~is_alone)
    claim = open_claims[np.lexsort((claimants[open_claims], -counts[open_claims], ids[open_claims]))]
    won = claim[_firsts(ids[claim])]
    choice = won[np.lexsort((ids[won], -counts[won], claimants[won]))]
    kept = np.concatenate((np.flatnonzero(is_alone), choice[_firsts(claimants[choice])]))
    return claimants[kept], ids[kept], losers, lost


def _firsts(values: Integers) -> Integers:
    """Places where a run of equal values begins."""
    return np.flatnonzero(np.concatenate((np.ones(min(len(values), 1), dtype=bool), values[1:] != values[:-1])))


def components_after(connection: Any, previous: Any, links: Any) -> Any:
    """Arrow table of `record_key` and `component_key`, the smallest record key that hangs together with it.

    `links` is a relation of `record_key` and `link_key`; `previous` the links as they were, with `component_key`. Only
    components with a link that came or went are computed again, for every other one has the links it had; without a
    past that is all of them.
    """
    connection.execute(f"CREATE OR REPLACE TEMP VIEW links_now AS {links.sql_query()}")
    connection.execute(f"CREATE OR REPLACE TEMP VIEW links_before AS {previous.sql_query()}")
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE touched_components AS
        WITH came AS (
          SELECT record_key, link_key FROM links_now EXCEPT SELECT record_key, link_key FROM links_before
        ), gone AS (
          SELECT record_key, link_key FROM links_before EXCEPT SELECT record_key, link_key FROM links_now
        )
        SELECT DISTINCT component_key FROM links_before
        WHERE record_key IN (SELECT record_key FROM came UNION ALL SELECT record_key FROM gone)
          OR link_key IN (SELECT link_key FROM came)
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE standing_components AS
        SELECT DISTINCT record_key, component_key FROM links_before
        WHERE component_key NOT IN (SELECT component_key FROM touched_components)
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE open_links AS
        SELECT record_key, link_key FROM links_now
        WHERE record_key NOT IN (SELECT record_key FROM standing_components)
    """)
    # numbered in the order of keys, so that the smallest number is the smallest key
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE open_records AS
        SELECT record_key, row_number() OVER (ORDER BY record_key) - 1 AS number
        FROM (SELECT DISTINCT record_key FROM open_links)
    """)
    edges = connection.execute("""
        SELECT left_number, number FROM (
          SELECT number, lag(number) OVER (PARTITION BY link_key ORDER BY number) AS left_number
          FROM open_links JOIN open_records USING (record_key)
        ) WHERE left_number IS NOT NULL
    """).fetchnumpy()
    ((size,),) = connection.execute("SELECT count(*) FROM open_records").fetchall()
    labels = component_labels(size, np.asarray(edges["left_number"]), np.asarray(edges["number"]))
    connection.register("labels", pa.table({"number": np.arange(size), "label": labels.astype(np.int64)}))
    found = connection.execute("""
        SELECT record_key, component_key FROM standing_components
        UNION ALL
        SELECT records.record_key, firsts.record_key
        FROM open_records AS records
        JOIN labels ON labels.number = records.number
        JOIN open_records AS firsts ON firsts.number = labels.label
    """).to_arrow_table()
    connection.unregister("labels")
    return found
