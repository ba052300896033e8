"""Killed at any moment, the next run ends where an undisturbed one ends: at the vendors and in the receipts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectors import sync
from connectors.audience import Audience
from connectors.destinations import DESTINATIONS, configured
from connectors.http import Session
from connectors.lake import Lake
from tests.shop import AS_OF, empty, empty_sandbox, people, put_on_list, write_audience, write_people

AUDIENCE = Audience(name="vip", fields={"CHURN": "churn_probability"}, maximum_added_share=None)


# Every moment takes a quarter of an hour (STEP = 1; passed when this was written). An odd step meets both the moments
# before something happens and those after.
STEP = 7


class Killed(BaseException):
    """Like SIGKILL, nothing catches it; unlike SIGKILL, the test goes on."""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with empty_sandbox(tmp_path_factory.mktemp("kills")) as sandbox:
        yield sandbox


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, moment: int) -> Iterator[list[int]]:
    """Die at the given moment: before or after a request leaves, before or after a file is committed."""
    seen = [0]

    def tick() -> None:
        seen[0] += 1
        if seen[0] == moment:
            raise Killed

    send, commit = Session._send, Lake.commit

    def mortal_send(*arguments, **keywords):
        tick()
        answer = send(*arguments, **keywords)
        tick()
        return answer

    @contextmanager
    def mortal_commit(*arguments, **keywords):
        with commit(*arguments, **keywords) as path:
            yield path
            tick()
        tick()

    with monkeypatch.context() as patch:
        patch.setattr(Session, "_send", mortal_send)
        patch.setattr(Lake, "commit", mortal_commit)
        yield seen


def push(sandbox, lake, name):
    destination = configured(sandbox.environment())[name]
    return sync.apply(lake, sync.make_plan(lake, AUDIENCE, destination, AS_OF), destination)


def prepare(sandbox, lake, name, is_change):
    """A shop before the push that will be disturbed: empty, or filled once and then changed in every way."""
    empty(sandbox)
    persons = people(8)
    put_on_list(sandbox, persons[1].email, "subscribed")
    put_on_list(sandbox, persons[2].email, "unsubscribed")
    persons[7].email = "admin@shop.example"  # the vendor refuses this one
    write_people(lake, persons)
    write_audience(lake, "vip", {person.customer_id: 0.5 for person in persons})
    if is_change:
        push(sandbox, lake, name)
        persons += people(3, start=20)
        persons[3].email_consent = persons[3].ad_consent = "denied"
        persons[4].phone = "+819099999999"
        write_people(lake, persons)
        write_audience(lake, "vip", {person.customer_id: 0.75 for person in persons[1:]})
        put_on_list(sandbox, persons[5].email, "cleaned")


def outcome(sandbox, lake, name):
    """What must not depend on kills: everything the vendor holds, and what the receipts say of each person."""
    with lake.connect() as connection:
        receipts = connection.execute(
            f"""SELECT member_key, customer_id, action, payload_hash, state, reason, is_ours
            FROM read_parquet('{lake.glob(f"receipts/{name}/vip")}')
            QUALIFY row_number() OVER (PARTITION BY member_key ORDER BY sequence DESC) = 1 ORDER BY member_key"""
        ).fetchall()
    return sandbox.dump()[name], receipts


@pytest.mark.parametrize("is_change", [False, True], ids=["first fill", "change"])
@pytest.mark.parametrize("name", sorted(DESTINATIONS))
def test_killed_at_any_moment_the_next_run_ends_the_same(running, tmp_path, monkeypatch, name, is_change):
    lake = Lake(tmp_path / "undisturbed")
    prepare(running, lake, name, is_change)
    with killed_at(monkeypatch, 0) as moments:
        push(running, lake, name)
    push(running, lake, name)
    expected = outcome(running, lake, name)
    assert moments[0] > 15

    for moment in range(1, moments[0] + 1, STEP):
        lake = Lake(tmp_path / f"killed-{moment}")
        prepare(running, lake, name, is_change)
        with killed_at(monkeypatch, moment), pytest.raises(Killed):
            push(running, lake, name)
        result = push(running, lake, name)
        assert result.is_in_step and result.unknown == 0, moment
        assert outcome(running, lake, name) == expected, f"killed at moment {moment} of {moments[0]}"
        again = push(running, lake, name)
        assert (again.added, again.updated, again.removed) == (0, 0, 0), moment
        assert len(lake.files(f"receipts/{name}/vip")) == 1
