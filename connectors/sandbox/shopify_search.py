"""Shopify's search syntax (`query:` arguments) as a SQL condition.

Terms are `field:value`, `field:>=value`, joined by AND (or a blank), OR, NOT or `-`, with parentheses; values may be
quoted. A field the resource does not know is ignored with a warning, as the vendor does: a filter that silently
matches everything is a trap its clients must notice.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.sandbox.shopify_types import Filter

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<open>\() | (?P<close>\)) |
        (?P<term>(?P<minus>-)?(?P<field>\w+):(?P<operator>>=|<=|>|<|=)?\s*
            (?:'(?P<single>(?:[^'\\]|\\.)*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s()]+))) |
        (?P<word>[^\s()]+)
    )""",
    re.VERBOSE,
)
_TIME_FORMATS = ("%Y-%m-%d", "%Y-%m", "%Y")


@dataclass
class Search:
    """A condition with its parameters, and what the vendor would warn about."""

    sql: str = "true"
    parameters: list[Any] = field(default_factory=list)
    warnings: list[dict[str, str]] = field(default_factory=list)


class SearchError(ValueError):
    """The search text cannot be read; the vendor answers with an error and no data."""


def parse_search(query: str | None, filters: Mapping[str, Filter], alias: str, now: datetime) -> Search:
    """The condition that `query` means for a resource with these search fields; `now` is the sandbox's clock."""
    if not query or not query.strip():
        return Search()
    parser = _Parser(query, filters, alias, now)
    sql = parser.expression()
    if parser.position < len(parser.tokens):
        raise SearchError(f"unexpected {parser.tokens[parser.position].group(0).strip()!r} in {query!r}")
    return Search(sql, parser.parameters, parser.warnings)


class _Parser:
    def __init__(self, query: str, filters: Mapping[str, Filter], alias: str, now: datetime) -> None:
        self.tokens = list(_TOKEN.finditer(query.strip()))
        self.position = 0
        self.filters = filters
        self.alias = alias
        self.now = now
        self.parameters: list[Any] = []
        self.warnings: list[dict[str, str]] = []

    def _peek(self, *names: str) -> re.Match[str] | None:
        if self.position < len(self.tokens):
            token = self.tokens[self.position]
            if token.lastgroup and any(token.group(name) is not None for name in names):
                return token
        return None

    def _takes_word(self, word: str) -> bool:
        token = self._peek("word")
        if token and token.group("word").upper() == word:
            self.position += 1
            return True
        return False

    def expression(self) -> str:
        parts = [self._conjunction()]
        while self._takes_word("OR"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else f"({' or '.join(parts)})"

    def _conjunction(self) -> str:
        parts = [self._negation()]
        while True:
            self._takes_word("AND")
            token = self._peek("open", "term", "word")
            if token is None or (token.group("word") or "").upper() == "OR":
                return parts[0] if len(parts) == 1 else f"({' and '.join(parts)})"
            parts.append(self._negation())

    def _negation(self) -> str:
        if self._takes_word("NOT"):
            return f"(not {self._negation()})"
        if self._peek("open"):
            self.position += 1
            inside = self.expression()
            if not self._peek("close"):
                raise SearchError("a parenthesis is not closed")
            self.position += 1
            return f"({inside})"
        token = self._peek("term", "word")
        if token is None:
            raise SearchError("a search term is missing")
        self.position += 1
        if token.group("word"):
            self.warnings.append(
                {"field": "default", "message": "The sandbox does not search free text.", "code": "invalid_field"}
            )
            return "true"
        condition = self._term(token)
        return f"(not {condition})" if token.group("minus") else condition

    def _term(self, token: re.Match[str]) -> str:
        name = token.group("field")
        value = next(v for v in (token.group("single"), token.group("double"), token.group("bare")) if v is not None)
        declared = self.filters.get(name)
        if declared is None:
            self.warnings.append(
                {"field": name, "message": "Invalid search field for this query.", "code": "invalid_field"}
            )
            return "true"
        return self._condition(declared, token.group("operator") or "=", value)

    def _condition(self, declared: Filter, operator: str, value: str) -> str:
        sql = declared.sql.format(t=self.alias)
        if declared.kind == "day":
            return self._in_days(sql, operator, self._time(value))
        if declared.kind == "time":
            return self._compared(sql, operator, self._time(value))
        if declared.kind == "id":
            return self._compared(sql, operator, int(value.rsplit("/", 1)[-1]))
        if declared.kind == "number":
            return self._compared(sql, operator, float(value))
        if declared.kind == "boolean":
            return self._compared(sql, "=", value.lower() == "true")
        if declared.kind == "tag":
            self.parameters.append(value.lower())
            return f"list_contains(list_transform(coalesce({sql}, []), lambda x: lower(x)), ?)"
        choices = [choice.strip().lower() for choice in value.split(",")]
        return f"({' or '.join(self._matched(sql, choice) for choice in choices)})"

    def _matched(self, sql: str, choice: str) -> str:
        if choice.endswith("*"):
            self.parameters.append(choice[:-1])
            return f"starts_with(lower({sql}), ?)"
        return self._compared(f"lower({sql})", "=", choice)

    def _compared(self, sql: str, operator: str, value: Any) -> str:
        self.parameters.append(value)
        return f"{sql} {operator} ?"

    def _in_days(self, sql: str, operator: str, moment: datetime) -> str:
        """A filter that knows whole days only: the time of day is ignored."""
        start = datetime(moment.year, moment.month, moment.day)
        end = start + timedelta(days=1)
        if operator == "=":
            self.parameters.extend([start, end])
            return f"({sql} >= ? and {sql} < ?)"
        bound = {">=": start, "<": start, ">": end, "<=": end}[operator]
        return self._compared(sql, {">=": ">=", "<": "<", ">": ">=", "<=": "<"}[operator], bound)

    def _time(self, value: str) -> datetime:
        if value.lower() == "now":
            return self.now
        for pattern in _TIME_FORMATS:
            try:
                return datetime.strptime(value, pattern)
            except ValueError:
                continue
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise SearchError(f"{value!r} is not a time") from error
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
