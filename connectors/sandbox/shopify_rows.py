"""SQL that writes Shopify's objects as JSON text: the fields a query selects of a row, nested objects and lists."""

from collections.abc import Iterator, Mapping, Sequence

from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode, SelectionSetNode

from connectors.sandbox.shopify_types import ENTITIES, Field, Leaf, Many, Object, One, gid


class Selection:
    """A query's selections with its fragments, walked field by field."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments

    def fields(self, selections: SelectionSetNode | None) -> Iterator[FieldNode]:
        """Every field of a selection set, with fragments spread out."""
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                yield from self.fields(node.selection_set)
            elif isinstance(node, FragmentSpreadNode):
                yield from self.fields(self._fragments[node.name.value].selection_set)

    def node_fields(self, connection: FieldNode) -> list[FieldNode]:
        """What a connection selects of its nodes, through `nodes` and `edges { node }` alike."""
        found: list[FieldNode] = []
        for child in self.fields(connection.selection_set):
            if child.name.value == "nodes":
                found.extend(self.fields(child.selection_set))
            elif child.name.value == "edges":
                for edge in self.fields(child.selection_set):
                    if edge.name.value == "node":
                        found.extend(self.fields(edge.selection_set))
        return found


def response_key(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def json_text(members: Sequence[tuple[str, str]]) -> str:
    """SQL of a JSON object from (name, SQL of its JSON text)."""
    if not members:
        return "'{}'"
    pieces = [("{" if i == 0 else ",") + f'"{name}":' for i, (name, _) in enumerate(members)]
    joined = " || ".join(f"'{piece}' || {sql}" for piece, (_, sql) in zip(pieces, members, strict=True))
    return f"({joined} || '}}')"


def whole_object(fields: Mapping[str, Field], alias: str, wanted: set[str] | None = None) -> list[tuple[str, str]]:
    """The members of an object made of one row: leaves and objects in full; relations are left to the caller."""
    members = []
    for name, declared in fields.items():
        if wanted is not None and name not in wanted:
            continue
        if isinstance(declared, Leaf):
            members.append((name, declared.sql.format(t=alias)))
        elif isinstance(declared, Object):
            members.append((name, _nullable(declared, json_text(whole_object(declared.fields, alias)), alias)))
    return members


def selected_object(
    fields: Mapping[str, Field], type_name: str, nodes: Sequence[FieldNode], selection: Selection, alias: str
) -> list[tuple[str, str]]:
    """The members a bulk query selects of one row, under the query's own names; connections are left out."""
    members: list[tuple[str, str]] = []
    for node in nodes:
        name, key = node.name.value, response_key(node)
        if name == "__typename":
            members.append((key, f"""'"{type_name}"'"""))
            continue
        declared = fields[name]
        inner = list(selection.fields(node.selection_set))
        if isinstance(declared, Leaf):
            members.append((key, declared.sql.format(t=alias)))
        elif isinstance(declared, Object):
            inside = json_text(selected_object(declared.fields, declared.type_name, inner, selection, alias))
            members.append((key, _nullable(declared, inside, alias)))
        elif isinstance(declared, One):
            members.append((key, _referenced(declared, inner, selection, alias)))
        elif isinstance(declared, Many):
            members.append((key, _listed(declared, inner, selection, alias)))
    return members


def _nullable(declared: Object, sql: str, alias: str) -> str:
    if declared.present is None:
        return sql
    return f"case when {declared.present.format(t=alias)} then {sql} else 'null' end"


def _referenced(declared: One, nodes: Sequence[FieldNode], selection: Selection, alias: str) -> str:
    target = ENTITIES[declared.entity]
    key = f"{alias}.{declared.key}"
    if all(node.name.value in {"id", "__typename"} for node in nodes):
        # the usual case of a million lines: the id is in the row, only its existence must be looked up
        members = [
            (response_key(n), gid(declared.entity, key).sql if n.name.value == "id" else f"""'"{declared.entity}"'""")
            for n in nodes
        ]
        return f"case when {key} in (select id from {target.table}) then {json_text(members)} else 'null' end"
    inside = json_text(selected_object(target.fields, declared.entity, nodes, selection, f"{alias}o"))
    return f"coalesce((select {inside} from {target.table} {alias}o where {alias}o.id = {key}), 'null')"


def _listed(declared: Many, nodes: Sequence[FieldNode], selection: Selection, alias: str) -> str:
    target = ENTITIES[declared.entity]
    child = f"{alias}m"
    inside = json_text(selected_object(target.fields, declared.entity, nodes, selection, child))
    return (
        f"coalesce((select '[' || string_agg({inside}, ',' order by {child}.id) || ']' from {target.table} {child}"
        f" where {child}.{declared.key} = {alias}.id), '[]')"
    )
