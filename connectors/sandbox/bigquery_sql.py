"""BigQuery's SQL on the embedded engine: sqlglot translates, each table becomes a filter on the events.

`events_20261018` and `events_intraday_20261018` are one day's rows; `events_*` is all of them with `_TABLE_SUFFIX`.
"""

import re
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from connectors.sandbox import credentials
from connectors.sandbox.state import State

DATASET = f"analytics_{credentials.GA4_PROPERTY_ID}"
_DAY_TABLE = re.compile(r"events_(intraday_)?(\d{8})")
_OWN_COLUMNS = ("table_date", "is_intraday")


class QueryError(ValueError):
    """A query BigQuery refuses: HTTP status, `reason`, and its message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class DayTable:
    """One table of the export."""

    date: str
    is_intraday: bool

    @property
    def table_id(self) -> str:
        return f"events_{'intraday_' if self.is_intraday else ''}{self.date}"

    @property
    def condition(self) -> str:
        return f"table_date = '{self.date}' and is_intraday = {str(self.is_intraday).lower()}"


def day_tables(state: State) -> list[DayTable]:
    """The tables there are, by name. A day's intraday table is gone once its daily table exists."""
    found = state.rows(
        "select table_date, bool_and(is_intraday) from ga4_events group by table_date order by 2, table_date"
    )
    return [DayTable(str(date), bool(is_intraday)) for date, is_intraday in found]


def day_table(state: State, table_id: str) -> DayTable | None:
    """The table of this name, if it exists."""
    named = _DAY_TABLE.fullmatch(table_id)
    if named is None:
        return None
    wanted = DayTable(named.group(2), named.group(1) is not None)
    found = state.value(
        "select bool_and(is_intraday) from ga4_events where table_date = ? having count(*) > 0", [wanted.date]
    )
    return wanted if found is not None and bool(found) == wanted.is_intraday else None


def event_columns(state: State) -> list[str]:
    """The export's columns, without the two that say in which table a row lies."""
    names = [row[0] for row in state.rows("describe ga4_events")]
    return [name for name in names if name not in _OWN_COLUMNS]


def not_found(table_id: str) -> QueryError:
    name = f"{credentials.GA4_PROJECT}:{DATASET}.{table_id}"
    return QueryError(404, "notFound", f"Not found: Table {name} was not found in location US")


def translate(query: str, state: State) -> str:
    """The DuckDB query for a GoogleSQL `SELECT` over the export. Raises `QueryError`."""
    try:
        tree = sqlglot.parse_one(query, read="bigquery")
    except sqlglot.errors.SqlglotError as error:
        raise QueryError(400, "invalidQuery", f"Syntax error: {str(error).splitlines()[0]}") from error
    if isinstance(tree, exp.DML | exp.DDL | exp.Command) and not isinstance(tree, exp.Query):
        raise QueryError(403, "accessDenied", "Access Denied: the account may only read (bigquery.readonly)")
    if not isinstance(tree, exp.Query):
        raise QueryError(400, "invalidQuery", "Syntax error: Expected keyword SELECT")
    named = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    columns = event_columns(state)
    wildcards = set()
    for table in list(tree.find_all(exp.Table)):
        if not table.db and (table.name in named or isinstance(table.this, exp.Func)):
            continue
        alias = table.alias_or_name
        if "*" in table.name:
            wildcards.add(alias := table.alias or "wildcard")
        table.replace(exp.alias_(_source(table, columns, state), alias, table=True))
    if wildcards:
        _hide_suffix(tree, wildcards, columns)
    for shown in list(tree.find_all(exp.JSONFormat)):
        _strip_nulls(shown)
    for unnest in list(tree.find_all(exp.Unnest)):
        _spread(unnest)
    for number, shown in enumerate(tree.expressions if isinstance(tree, exp.Select) else []):
        if not shown.alias_or_name:
            shown.replace(exp.alias_(shown.copy(), f"f{number}_"))
    return tree.sql(dialect="duckdb")


def _source(table: exp.Table, columns: list[str], state: State) -> exp.Subquery:
    if table.catalog not in ("", credentials.GA4_PROJECT):
        raise QueryError(
            403, "accessDenied", f"Access Denied: Project {table.catalog}: User does not have bigquery.tables.getData"
        )
    if table.db != DATASET:
        name = f"{credentials.GA4_PROJECT}:{table.db}"
        raise QueryError(404, "notFound", f"Not found: Dataset {name} was not found in location US")
    listed = ", ".join(f'"{name}"' for name in columns)
    if "*" not in table.name:
        day = day_table(state, table.name)
        if day is None:
            raise not_found(table.name)
        return _subquery(f"select {listed} from ga4_events where {day.condition}")
    prefix = table.name.removesuffix("*")
    found = [day for day in day_tables(state) if day.table_id.startswith(prefix)]
    if not found:
        raise QueryError(400, "invalidQuery", f"{table.db}.{table.name} does not match any table.")
    found = _with_asked_suffix(found, prefix, table, state)
    if not found:
        return _subquery(f"select {listed}, '' as \"_TABLE_SUFFIX\" from ga4_events where false")
    suffix = f"""substr('events_' || case when is_intraday then 'intraday_' else '' end || table_date,
        {len(prefix) + 1})"""
    dates = sorted({day.date for day in found})
    tables = ", ".join(f"('{day.date}', {str(day.is_intraday).lower()})" for day in found)
    return _subquery(
        f"""select {listed}, {suffix} as "_TABLE_SUFFIX" from ga4_events
        where table_date between '{dates[0]}' and '{dates[-1]}' and (table_date, is_intraday) in ({tables})"""
    )


def _with_asked_suffix(found: list[DayTable], prefix: str, table: exp.Table, state: State) -> list[DayTable]:
    """The tables that the conditions on `_TABLE_SUFFIX` alone leave: as at the vendor, the others are not read."""
    select = table.parent_select
    where = select.args.get("where") if select else None
    if where is None:
        return found
    parts = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    asked = [
        part.sql(dialect="duckdb")
        for part in parts
        if {column.name for column in part.find_all(exp.Column)} == {"_TABLE_SUFFIX"} and not part.find(exp.Query)
    ]
    aliases = {column.table for part in parts for column in part.find_all(exp.Column) if column.table}
    if not asked or aliases:
        return found
    rows = state.rows(
        f"""select "_TABLE_SUFFIX" from (select unnest(?) as "_TABLE_SUFFIX") where {" and ".join(asked)}""",
        [[day.table_id.removeprefix(prefix) for day in found]],
    )
    left = {row[0] for row in rows}
    return [day for day in found if day.table_id.removeprefix(prefix) in left]


def _subquery(sql: str) -> exp.Subquery:
    return exp.Subquery(this=sqlglot.parse_one(sql, read="duckdb"))


def _hide_suffix(tree: exp.Query, aliases: set[str], columns: list[str]) -> None:
    """`_TABLE_SUFFIX` is a pseudo-column: in no `*` and in no row turned into JSON."""
    for star in list(tree.find_all(exp.Star)):
        select = star.parent_select
        is_selected = isinstance(star.parent, exp.Select) and star.arg_key == "expressions"
        if select is None or not is_selected:
            continue
        if any(source.alias_or_name in aliases for source in select.find_all(exp.Subquery)):
            star.set("except_", [*(star.args.get("except_") or []), exp.to_identifier("_TABLE_SUFFIX", quoted=True)])
    for shown in list(tree.find_all(exp.JSONFormat)):
        if isinstance(shown.this, exp.Column) and not shown.this.table and shown.this.name in aliases:
            alias = shown.this.name
            packed = ", ".join(f'"{name}" := "{alias}"."{name}"' for name in columns)
            shown.set("this", sqlglot.parse_one(f"struct_pack({packed})", read="duckdb"))


def _strip_nulls(shown: exp.JSONFormat) -> None:
    """`TO_JSON_STRING(JSON_STRIP_NULLS(TO_JSON(t)))` for rows: drop fields that are null (no list holds a bare null).

    Quotes inside JSON strings are escaped, so a quoted name before `:null` is always a field's.
    """
    if isinstance(shown.this, exp.JSONStripNulls):
        inner = shown.this.this.sql(dialect="duckdb")
        without_later = f"""regexp_replace({inner}, ',"[A-Za-z0-9_]+":null', '', 'g')"""
        without_first = f"""regexp_replace({without_later}, '\\{{"[A-Za-z0-9_]+":null,?', '{{', 'g')"""
        shown.replace(sqlglot.parse_one(without_first, read="duckdb"))


def _spread(unnest: exp.Unnest) -> None:
    """`FROM UNNEST(event_params)` without an alias names the records' own fields, as in every GA4 example."""
    if unnest.args.get("alias") is not None or not isinstance(unnest.parent, exp.From):
        return
    listed = unnest.expressions[0].sql(dialect="duckdb")
    unnest.replace(_subquery(f"select unnest({listed}, max_depth := 2)"))
