"""The warehouse's graph engine: a change leaves what a build from nothing gives, and ids go where they should."""

import sys
from pathlib import Path

import duckdb
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dbt_project" / "plugins"))
from identity_graph import component_labels, components_after, kept_ids

Links = set[tuple[str, str]]


def components(links: Links) -> dict[str, str]:
    """Record → smallest record that hangs together with it, by the shortest code that can say it."""
    smallest = {record: record for record, _ in links}
    while True:
        nodes: dict[str, str] = {}
        for record, link in links:
            nodes[link] = min(nodes.get(link, smallest[record]), smallest[record])
        better = {record: min(nodes[link] for one, link in links if one == record) for record in smallest}
        if better == smallest:
            return smallest
        smallest = better


def test_hundreds_of_edits_equal_a_build_from_nothing() -> None:
    chance = np.random.default_rng(11)
    links: Links = set()
    merges = splits = 0
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE links (record_key VARCHAR, link_key VARCHAR)")
        connection.execute("CREATE TABLE kept (record_key VARCHAR, link_key VARCHAR, component_key VARCHAR)")
        before: dict[str, str] = {}
        for step in range(300):
            for _ in range(chance.integers(0, 6)):
                # as sparse as people's identifiers are, or everything would hang together
                links -= {sorted(links)[chance.integers(0, len(links))]} if len(links) > 40 else set()
                links ^= {(f"r{chance.integers(0, 40):02d}", f"n{chance.integers(0, 45)}")}
            if chance.random() < 0.1:  # a record is deleted with all it hung on
                links = {link for link in links if link[0] != f"r{chance.integers(0, 40):02d}"}
            connection.execute("DELETE FROM links")
            if links:
                connection.executemany("INSERT INTO links VALUES (?, ?)", sorted(links))
            found = components_after(connection, connection.table("kept"), connection.table("links"))
            now = dict(zip(*(found.column(name).to_pylist() for name in ("record_key", "component_key")), strict=True))
            assert found.num_rows == len(now) and now == components(links), step
            connection.register("found", found)
            connection.execute("DELETE FROM kept")
            connection.execute(
                "INSERT INTO kept SELECT links.*, component_key FROM links JOIN found USING (record_key)"
            )
            connection.unregister("found")
            if step % 90 == 89:  # the state is lost: everything is computed again
                connection.execute("DELETE FROM kept")
            merges += len(set(before.values())) > len(set(now.values()))
            splits += len(set(before.values())) < len(set(now.values()))
            before = now
    assert merges > 50 and splits > 50


def test_an_edge_stated_often_is_still_an_edge() -> None:
    once = np.zeros(256, dtype=np.int32)
    assert component_labels(3, once, once + 2).tolist() == [0, 1, 0]


def test_an_id_goes_to_the_larger_part_and_a_part_split_off_is_named_after_what_it_lost() -> None:
    # component 0 has two of customer 5's records and one of customer 3's, component 4 one of 5's, component 7 is new
    groups, before = np.array([0, 0, 0, 4, 7]), np.array([5, 5, 3, 5, -1])
    components, kept, losers, lost = kept_ids(groups, before)
    assert dict(zip(components.tolist(), kept.tolist(), strict=True)) == {0: 5}
    assert dict(zip(losers.tolist(), lost.tolist(), strict=True)) == {0: 3, 4: 5}
