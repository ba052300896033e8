"""Shopify's query cost: what a query asks for before it runs, what it took, and the bucket both are paid from."""

import math
import threading
import time
from collections.abc import Mapping
from typing import Any

from graphql import (
    FieldNode,
    GraphQLList,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_object_type,
)
from graphql.execution.values import get_argument_values

from connectors.sandbox.shopify_rows import Selection, response_key

MAXIMUM_AVAILABLE = 2000.0
RESTORE_RATE = 100.0
SINGLE_QUERY_LIMIT = 1000


def size_factor(count: int) -> float:
    """How many times its node's cost a connection of `count` nodes costs.

    The documentation says "sized by the first and last arguments" and no more; answers quoted in the vendor's developer
    forum show that it grows with the logarithm (variants(first: 250) with one object each: 25 points in all).
    """
    if count <= 1:
        return float(max(count, 0))
    return min(float(count), max(1.0, 2.0 * math.log(count)))


class CostMeter:
    """Walks one operation: a scalar costs nothing, an object 1, a connection 2 and its nodes by their number."""

    def __init__(self, schema: GraphQLSchema, selection: Selection, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._selection = selection
        self._variables = dict(variables)

    def requested(self, nodes: list[FieldNode], parent: GraphQLObjectType) -> float:
        """The cost reserved before execution, from the sizes asked for."""
        return sum(self._field(node, parent, None) for node in nodes)

    def actual(self, nodes: list[FieldNode], parent: GraphQLObjectType, answer: Mapping[str, Any] | None) -> float:
        """The cost of what was returned."""
        return sum(self._field(node, parent, answer or {}) for node in nodes)

    def _field(self, node: FieldNode, parent: GraphQLObjectType, answer: Mapping[str, Any] | None) -> float:
        definition = parent.fields.get(node.name.value)
        if definition is None or is_leaf_type(get_named_type(definition.type)):
            return 0.0
        value = None if answer is None else answer.get(response_key(node))
        if parent is self._schema.mutation_type:
            return 10.0
        named = get_named_type(definition.type)
        children = list(self._selection.fields(node.selection_set))
        if named.name.endswith("Connection"):
            return 2.0 + self._connection(node, named, value, answer is not None)
        if isinstance(get_nullable_type(definition.type), GraphQLList):
            if answer is None:
                arguments = get_argument_values(definition, node, self._variables)
                count = arguments.get("first") or len(arguments.get("ids", [])) or 1
                return size_factor(count) * (1.0 + self._inside(children, named, None))
            return self._listed(children, named, value or [])
        if answer is not None and value is None:
            return 1.0
        return 1.0 + self._inside(children, named, value if answer is not None else None)

    def _inside(self, children: list[FieldNode], named: Any, value: Mapping[str, Any] | None) -> float:
        if not is_object_type(named):
            return 0.0
        return sum(self._field(child, named, value) for child in children)

    def _connection(self, node: FieldNode, named: Any, value: Mapping[str, Any] | None, is_actual: bool) -> float:
        inner = self._selection.node_fields(node)
        entity = get_named_type(named.fields["nodes"].type)
        if is_actual:
            found = (value or {}).get("nodes") or [edge.get("node") for edge in (value or {}).get("edges") or []]
            return self._listed(inner, entity, [item for item in found if item])
        first = next((a.value for a in node.arguments if a.name.value == "first"), None)
        count = _integer(first, self._variables)
        return size_factor(count) * (1.0 + self._inside(inner, entity, None))

    def _listed(self, children: list[FieldNode], named: Any, values: list[Mapping[str, Any]]) -> float:
        if not values:
            return 0.0
        total = sum(1.0 + self._inside(children, named, value) for value in values)
        return total * size_factor(len(values)) / len(values)


def _integer(value: Any, variables: Mapping[str, Any]) -> int:
    if value is None:
        return 0
    if value.kind == "variable":
        return int(variables.get(value.name.value) or 0)
    return int(value.value) if value.kind == "int_value" else 0


class Bucket:
    """The points of one app in one shop: they refill in real time, `pace` times faster than the vendor's."""

    def __init__(self, pace: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._rate = RESTORE_RATE * pace
        self._available = MAXIMUM_AVAILABLE
        self._at = time.monotonic()

    def reserve(self, cost: float) -> bool:
        """Take `cost` points; False, and nothing taken, when they are not there."""
        with self._lock:
            self._refill()
            if cost > self._available:
                return False
            self._available -= cost
            return True

    def refund(self, cost: float) -> None:
        with self._lock:
            self._refill()
            self._available = min(MAXIMUM_AVAILABLE, self._available + cost)

    def status(self) -> dict[str, float]:
        with self._lock:
            self._refill()
            return {
                "maximumAvailable": MAXIMUM_AVAILABLE,
                "currentlyAvailable": math.floor(self._available),
                "restoreRate": self._rate,
            }

    def _refill(self) -> None:
        now = time.monotonic()
        self._available = min(MAXIMUM_AVAILABLE, self._available + (now - self._at) * self._rate)
        self._at = now
