"""Connected components of the identity graph on DuckDB: one row a record that hangs on anything, with the smallest
record key of its component, as on Spark. Only components that a change touches are computed again.
"""

from identity_graph import components_after


def model(dbt, session):  # type: ignore[no-untyped-def]
    dbt.config(materialized="table")
    return components_after(session, dbt.ref("stg_previous__identity_nodes"), dbt.ref("identity_links"))
