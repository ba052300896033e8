"""Ten million invented person records and one day's changes, made by DuckDB as Parquet.

Persons with one to five records, some chains of 50 where each record shares one identifier with the next, households
on one phone, office mailboxes, one mailbox on a thousandth of all records, a dummy number, typing errors in names, and
gaps. Same `records`, same bytes.
"""

from math import gcd
from pathlib import Path

import duckdb

BLOCK = 224  # records of a hundred persons: 35 have one, 30 two, 18 three, 10 four, 7 five
SIZES = [1] * 35 + [2] * 30 + [3] * 18 + [4] * 10 + [5] * 7

RECORDS = """
    WITH numbered AS (
      SELECT range AS n, (range // {block}) * 100 + slots.person AS person, range // {block} AS block_number,
        range % {block} AS slot, hash(range, 'kizuna') AS chance
      FROM range({first}, {last}) JOIN slots ON slots.slot = range % {block}
    ), stated AS (
      SELECT *, block_number % 1000 = 7 AND slot < 200 AS is_chain,
        'chain' || block_number || '.' || slot // 50 AS chain, chance % 1000 AS email_chance,
        (chance // 1000) % 1000 AS phone_chance, (chance // 1000000) % 1000 AS other_chance
      FROM numbered
    )
    SELECT 'record|' || n AS record_key,
      CASE WHEN is_chain THEN chain WHEN other_chance < 30 THEN NULL
        ELSE 'family' || person % 5000 || ' given' || (person * 7919) % 40000
          || CASE WHEN other_chance >= 980 THEN 'x' ELSE '' END END AS name_key,
      CASE WHEN is_chain THEN chain || '.' || (slot % 50 + 1) // 2 || '@mail.example' WHEN email_chance < 100 THEN NULL
        WHEN email_chance = 100 THEN 'noreply@shop.example'
        WHEN email_chance < 107 THEN 'info@office' || (chance // 7) % 2000 || '.example'
        WHEN email_chance < 250 THEN 'person' || person || '.b@mail' || person % 97 || '.example'
        ELSE 'person' || person || '@mail' || person % 97 || '.example' END AS email,
      CASE WHEN is_chain THEN '+8170' || block_number || slot // 50 || (slot % 50) // 2
        WHEN phone_chance < 300 THEN NULL
        WHEN phone_chance < 302 THEN '000-0000-0000' WHEN phone_chance < 380 THEN '+813' || 10000000 + person // 3
        ELSE '+8190' || 10000000 + person END AS phone,
      CASE WHEN is_chain OR other_chance < 450 THEN NULL ELSE 'crm-' || person END AS external_id
    FROM stated
"""

# A tenth as many rows as the letters say: n new person, k new record of a known person, m a record that ties two
# persons together, l an address lost (a split), p a new phone, t another's address (a merge), r a new name, d deleted.
KINDS = "nnkmlptrdd"

CHANGES = """
    WITH chosen AS (
      SELECT range AS number, substr('{kinds}', (range % 10)::INTEGER + 1, 1) AS kind,
        -- a stride without common divisor: every record at most once
        'record|' || (range * {stride} + 11) % {records} AS record_key,
        (hash(range, 'other') % {persons})::BIGINT AS other, (hash(range, 'third') % {persons})::BIGINT AS third
      FROM range({changes})
    )
    SELECT CASE WHEN kind IN ('n', 'k', 'm') THEN 'record|new' || number ELSE record_key END AS record_key,
      CASE kind WHEN 'n' THEN 'new' || number WHEN 'r' THEN 'family0 given' || number
        WHEN 'k' THEN 'family' || other % 5000 || ' given' || (other * 7919) % 40000 ELSE old.name_key END AS name_key,
      CASE kind WHEN 'n' THEN 'new' || number || '@mail.example' WHEN 'l' THEN NULL
        WHEN 'd' THEN NULL WHEN 'p' THEN old.email WHEN 'r' THEN old.email
        ELSE 'person' || other || '@mail' || other % 97 || '.example' END AS email,
      CASE kind WHEN 'n' THEN NULL WHEN 'k' THEN '+8190' || 10000000 + other WHEN 'm' THEN NULL WHEN 'd' THEN NULL
        WHEN 'p' THEN '+8180' || number ELSE old.phone END AS phone,
      CASE kind WHEN 'n' THEN NULL WHEN 'k' THEN NULL WHEN 'm' THEN 'crm-' || third WHEN 'd' THEN NULL
        ELSE old.external_id END AS external_id,
      kind = 'd' AS is_deleted
    FROM chosen LEFT JOIN read_parquet('{source}') AS old USING (record_key)
"""


def write_people(connection: duckdb.DuckDBPyConnection, records: int, folder: Path) -> tuple[Path, Path, Path]:
    """Write yesterday's records, the day's changes (1 %) and today's records; the three files."""
    yesterday, day, today = (folder / f"{name}.parquet" for name in ("yesterday", "day", "today"))
    slots = [(person, place) for person, size in enumerate(SIZES) for place in range(size)]
    connection.execute("CREATE OR REPLACE TEMP TABLE slots (slot BIGINT, person BIGINT)")
    values = ", ".join(f"({slot}, {person})" for slot, (person, _) in enumerate(slots))
    connection.execute(f"INSERT INTO slots VALUES {values}")
    made = RECORDS.format(block=BLOCK, first=0, last=records)
    connection.execute(f"COPY ({made}) TO '{yesterday}' (FORMAT parquet)")
    changes = CHANGES.format(
        kinds=KINDS,
        stride=_stride(records),
        records=records,
        persons=max(records // BLOCK * 100, 100),
        changes=max(records // 100, 10),
        source=yesterday,
    )
    connection.execute(f"COPY ({changes}) TO '{day}' (FORMAT parquet)")
    kept = f"FROM read_parquet('{yesterday}') WHERE record_key NOT IN (SELECT record_key FROM read_parquet('{day}'))"
    arrived = f"SELECT * EXCLUDE (is_deleted) FROM read_parquet('{day}') WHERE NOT is_deleted"
    connection.execute(f"COPY (SELECT * {kept} UNION ALL BY NAME {arrived}) TO '{today}' (FORMAT parquet)")
    return yesterday, day, today


def _stride(records: int) -> int:
    """A step through the records that visits each at most once, with neighbours far apart."""
    return next(step for step in range(97, 197) if gcd(step, records) == 1)
