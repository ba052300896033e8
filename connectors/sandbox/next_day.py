"""One more day in the shop: people order, return, unsubscribe and are merged; a second run has something to see.

Every change is chosen by order of ids, never by chance: the same state gives the same next day.
"""

from datetime import timedelta

from connectors.sandbox.state import WORLD_NOW, State

NEXT_NOW = WORLD_NOW + timedelta(days=1)
"""The present after it (UTC, no zone)."""

BUYERS, RETURNED, UNSUBSCRIBED = 12, 3, 2

# Each statement happens at an hour of the day; `$at` is that moment.
_CHANGES: tuple[tuple[int, str], ...] = (
    # Twelve people order once more what they ordered last.
    (
        2,
        f"""create or replace temp table again as
        select o.*, (select max(id) from shopify_orders) + row_number() over (order by o.id) as new_id
        from shopify_orders o
        where o.customer_id is not null and not o.test and o.cancelled_at is null
        qualify row_number() over (partition by o.customer_id order by o.created_at desc, o.id desc) = 1
        order by o.id desc limit {BUYERS}""",
    ),
    (
        2,
        """insert into shopify_order_lines
        select l.* replace (
            (select max(id) from shopify_order_lines) + row_number() over (order by l.id) as id,
            a.new_id as order_id, l.quantity as current_quantity)
        from shopify_order_lines l join again a on a.id = l.order_id""",
    ),
    (
        2,
        """insert into shopify_orders
        select * exclude (new_id) replace (
            new_id as id, '#N' || new_id as name, $at as created_at, $at as updated_at, $at as processed_at,
            0 as total_refunded, 'PAID' as financial_status, 'UNFULFILLED' as fulfillment_status)
        from again""",
    ),
    # Three of the orders before them come back, in part.
    (
        3,
        f"""create or replace temp table returned as
        select id, round(total_price / 2, 2) as amount from shopify_orders
        where created_at < $at - interval 1 day and total_refunded = 0 and total_price > 1 and not test
            and cancelled_at is null
        order by created_at desc, id desc limit {RETURNED}""",
    ),
    (
        3,
        """insert into shopify_refunds
        select (select coalesce(max(id), 0) from shopify_refunds) + row_number() over (order by id), id, $at, $at,
            amount
        from returned""",
    ),
    (
        3,
        """update shopify_orders
        set total_refunded = r.amount, financial_status = 'PARTIALLY_REFUNDED', updated_at = $at
        from returned r where r.id = shopify_orders.id""",
    ),
    # The shop's staff delete a customer who never bought, and merge two who bear one name into the older of them.
    (
        4,
        """delete from shopify_customers where id = (
            select max(id) from shopify_customers
            where id not in (select customer_id from shopify_orders where customer_id is not null))""",
    ),
    (
        4,
        """create or replace temp table merged as
        select min(id) as kept, max(id) as gone from shopify_customers
        group by first_name, last_name having count(*) = 2 order by 1 limit 1""",
    ),
    (
        4,
        """update shopify_orders set customer_id = m.kept, updated_at = $at from merged m
        where shopify_orders.customer_id = m.gone""",
    ),
    (4, "delete from shopify_customers where id in (select gone from merged)"),
    (4, "update shopify_customers set updated_at = $at where id in (select kept from merged)"),
    # In the CRM one contact goes, one gets another address, one says no.
    (
        5,
        """update hubspot_contacts set archived = true, archived_at = $at, updated_at = $at
        where id = (select min(id) from hubspot_contacts where not archived)""",
    ),
    (
        5,
        """update hubspot_contacts set email = 'new.' || email, updated_at = $at
        where id = (select max(id) from hubspot_contacts where not archived and email is not null)""",
    ),
    (
        5,
        """update hubspot_consents set status = 'UNSUBSCRIBED', updated_at = $at
        where (email, subscription_id) = (
            select (email, subscription_id) from hubspot_consents where status = 'SUBSCRIBED'
            order by email, subscription_id limit 1)""",
    ),
    # Two of the people whom we had put into an audience unsubscribe in the e-mail tool; without audiences, any two.
    (
        6,
        f"""update mailchimp_members
        set status = 'unsubscribed', self_unsubscribed = true, timestamp_opt = $at, last_changed = $at
        where email in (
            select email from mailchimp_members m where status = 'subscribed'
            order by md5(lower(email)) in (select hash from mailchimp_segment_members) desc, email
            limit {UNSUBSCRIBED})""",
    ),
    # The intraday table becomes the day's, a late event turns up in the day before, and in Tokyo a new day begins.
    (7, "update ga4_events set is_intraday = false where is_intraday"),
    (
        7,
        """insert into ga4_events
        select * replace (batch_event_index + 1000 as batch_event_index, event_timestamp + 1 as event_timestamp)
        from ga4_events where table_date = (select max(table_date) from ga4_events
            where table_date < (select max(table_date) from ga4_events))
        order by event_timestamp, batch_page_id, batch_event_index, event_name limit 1""",
    ),
    (
        8,
        """insert into ga4_events
        select * replace (
            strftime($at + interval 9 hour, '%Y%m%d') as table_date,
            strftime($at + interval 9 hour, '%Y%m%d') as event_date, true as is_intraday,
            event_timestamp + 86400000000 as event_timestamp)
        from ga4_events where table_date = (select max(table_date) from ga4_events)""",
    ),
)


def live_one_day(state: State) -> None:
    """Let the day after the world's last happen; afterwards the sandbox's clock stands at `NEXT_NOW`."""
    with state.lock, state.cursor() as cursor:
        cursor.begin()
        for hour, change in _CHANGES:
            moment = WORLD_NOW + timedelta(hours=hour)
            cursor.execute(change, {"at": moment} if "$at" in change else {})
        cursor.commit()
    state.tick(max(0, int((NEXT_NOW - state.now()).total_seconds())))
