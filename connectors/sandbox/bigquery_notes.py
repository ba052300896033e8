"""When each table of the export last changed, as `tables.get` tells it."""

from datetime import datetime, timedelta

from connectors.sandbox.bigquery_sql import DayTable
from connectors.sandbox.state import State

_SETTLED_HOURS = 24 - 9 + 26
"""A daily table is last written 26 hours after the end of its day in Tokyo, unless its rows change later."""

_ROWS_OF = "count(*) as row_count, coalesce(sum(hash(e) % 1099511627776), 0)::hugeint as digest"


class TableNotes:
    """What every table holds and since when: a look that finds other rows than the look before is a change.

    Only SQL behind the vendors' backs changes events, so a table is read again only after some.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._noted_at: dict[str, int] = {}
        with state.lock, state.cursor() as cursor:
            cursor.execute(
                "create table if not exists bigquery_tables"
                " (table_id varchar primary key, row_count bigint, digest hugeint, modified_at timestamp)"
            )
            # tables whose rows are not those of the last note, which at first is all of them
            changed = cursor.execute(
                f"""with held as (
                    select 'events_' || case when is_intraday then 'intraday_' else '' end || table_date as table_id,
                        {_ROWS_OF}, case when is_intraday then ? else least(?, strptime(table_date, '%Y%m%d')
                            + to_hours({_SETTLED_HOURS})) end as settled_at
                    from ga4_events e group by table_date, is_intraday)
                select held.*, noted.modified_at from held left join bigquery_tables noted using (table_id)
                where (held.row_count, held.digest) is distinct from (noted.row_count, noted.digest)""",
                [state.now(), state.now()],
            ).fetchall()
            for_the_first_time = [row[:4] for row in changed if row[4] is None]
            if for_the_first_time:
                cursor.executemany("insert into bigquery_tables values (?, ?, ?, ?)", for_the_first_time)
        for table_id, count, digest, _, noted_at in changed:
            if noted_at is not None:
                self._note(table_id, count, digest)
        self._noted_at_start = state.changes_behind_vendors

    def look(self, day: DayTable) -> tuple[int, datetime]:
        """(number of rows, time of the last change) of a table."""
        changes = self._state.changes_behind_vendors
        if self._noted_at.get(day.table_id, self._noted_at_start) != changes:
            rows = self._state.rows(f"select {_ROWS_OF} from ga4_events e where {day.condition}")[0]
            self._note(day.table_id, rows[0], rows[1])
            self._noted_at[day.table_id] = changes
        found = self._state.rows(
            "select row_count, modified_at from bigquery_tables where table_id = ?", [day.table_id]
        )[0]
        return int(found[0]), found[1]

    def _note(self, table_id: str, count: int, digest: int) -> None:
        with self._state.lock, self._state.cursor() as cursor:
            known = cursor.execute(
                "select row_count, digest, modified_at from bigquery_tables where table_id = ?", [table_id]
            ).fetchone()
            if known is not None and known[:2] == (count, digest):
                return
            now = self._state.now()
            modified = now if known is None else max(now, known[2] + timedelta(seconds=1))
            cursor.execute(
                "insert or replace into bigquery_tables values (?, ?, ?, ?)", [table_id, count, digest, modified]
            )
