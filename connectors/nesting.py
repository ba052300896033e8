"""Files whose nested rows are lines of their own (Shopify's bulk results), put back into one line a row."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

PARENT_FIELD = re.compile(rb',?\s*"__parentId"\s*:\s*"([^"]*)"')
SORT_MEMORY = "512MB"


class _OutOfOrder(Exception):
    """A child came without its parent just before it."""


def nested_lines(path: Path, children: Mapping[str, str]) -> Iterator[bytes]:
    """Rows as JSON lines, children in the list column that `children` (column → id prefix) names for them.

    Children usually follow their parent and are joined while streaming. Shopify does not promise that
    (`groupObjects` is false by default), so a file in another order is sorted first, on disk. A child whose parent is
    not in the file comes out as a line of its own, with `__parentId`, for landing to reject.
    """
    try:
        # A dry pass over the order costs little beside parsing and keeps half-read rows from leaving twice.
        for _ in _joined(path, children, is_sorted=False):
            pass
    except _OutOfOrder:
        folder = Path(tempfile.mkdtemp(prefix="kizuna-sort-"))
        try:
            yield from _joined(_sorted_by_parent(path, folder), children, is_sorted=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    else:
        yield from _joined(path, children, is_sorted=False)


def _joined(path: Path, children: Mapping[str, str], *, is_sorted: bool) -> Iterator[bytes]:
    prefixes = {prefix.encode(): column for column, prefix in children.items()}
    parent = b""
    lists: dict[str, list[bytes]] = {}
    parent_id = b""
    with path.open("rb") as file:
        for line in file:
            line = line.strip()
            if not line:
                continue
            mark = PARENT_FIELD.search(line) if b"__parentId" in line else None
            if mark is None:
                if parent:
                    yield _row(parent, lists)
                parent, parent_id = line, b""
                lists = {column: [] for column in children}
                continue
            wanted = mark.group(1)
            if wanted != parent_id:
                if not _has_id(parent, wanted):
                    if not is_sorted:
                        raise _OutOfOrder
                    yield line + b"\n"
                    continue
                parent_id = wanted
            child = line[: mark.start()] + line[mark.end() :]
            column = next((c for prefix, c in prefixes.items() if b'"' + prefix in child), None)
            if column is None:
                yield line + b"\n"
                continue
            lists[column].append(child)
    if parent:
        yield _row(parent, lists)


def _row(parent: bytes, lists: Mapping[str, list[bytes]]) -> bytes:
    fields = b",".join(b'"%s":[%s]' % (column.encode(), b",".join(items)) for column, items in lists.items())
    body = parent[: parent.rindex(b"}")] if b"}" in parent else parent
    return body + (b"," if body.strip() != b"{" else b"") + fields + b"}\n"


def _has_id(parent: bytes, wanted: bytes) -> bool:
    # The cheap look first; the parse only decides when the text has unusual spacing.
    if b'"id":"' + wanted + b'"' in parent:
        return True
    try:
        return bool(parent) and json.loads(parent).get("id") == wanted.decode()
    except ValueError:
        return False


def _sorted_by_parent(path: Path, folder: Path) -> Path:
    target = folder / "sorted.jsonl"
    with duckdb.connect(config={"memory_limit": SORT_MEMORY, "temp_directory": str(folder / "spill")}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            f"""
            COPY (
                SELECT line FROM (
                    SELECT json::VARCHAR AS line,
                           json_extract_string(json, '$.__parentId') AS parent,
                           json_extract_string(json, '$.id') AS id,
                           row_number() OVER () AS position
                    FROM read_ndjson_objects(?)
                )
                ORDER BY coalesce(parent, id), parent IS NOT NULL, position
            ) TO '{target}' (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')
            """,
            [str(path)],
        )
    return target
