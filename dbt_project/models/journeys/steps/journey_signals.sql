{{ config(
  materialized=kept_table(),
  kept_by="(customer_id, coalesce(category, ''))", kept_from=['first_contacts', 'journey_browsing', 'journey_orders']
) }}
{% call keys_that_changed() %}
select (customer_id, '') from {{ changes_of('first_contacts') }}
union all
select (customer_id, coalesce(category, '')) from {{ changes_of('journey_browsing') }}
union all
select (customer_id, coalesce(category, '')) from {{ changes_of('journey_orders') }}
{% endcall -%}
-- everything that may move a customer: what they did, and the moments at which time alone counts, those to come as well
{%- set columns = 'customer_id, category, event_id' %}
with browsing as (
  select
    *,
    lag(event_at) over (partition by customer_id, category, kind order by event_at asc, event_id asc) as previous_at,
    lead(event_at) over (partition by customer_id, category, kind order by event_at asc, event_id asc) as next_at
  from {{ rows_of('journey_browsing', "(customer_id, coalesce(category, ''))") }}
),

orders as (
  select
    *,
    {{ days_after('ordered_at', var('journey_arrival_days')) }} as arrived_at
  from {{ rows_of('journey_orders', "(customer_id, coalesce(category, ''))") }}
),

timers as (
  -- a timer that the next event of its kind overtakes never rings
  select {{ columns }}, 'interest_faded' as cause, {{ days_after('event_at', var('journey_interest_days')) }} as event_at
  from browsing
  where next_at is null or next_at > {{ days_after('event_at', var('journey_interest_days')) }}
  union all
  select {{ columns }}, 'basket_went_cold', {{ days_after('event_at', var('journey_decision_days')) }}
  from browsing
  where kind = 'carted' and (next_at is null or next_at > {{ days_after('event_at', var('journey_decision_days')) }})
  union all
  select customer_id, category, order_id, 'order_arrived', arrived_at
  from orders
  where
    (next_ordered_at is null or next_ordered_at > arrived_at)
    -- most orders are those of loyal customers, whom the arrival does not move
    and (surely_kept_count < {{ var('journey_loyal_orders') }} or is_restart)
  union all
  select customer_id, category, order_id, 'silence', silent_at
  from orders
  where next_ordered_at is null or next_ordered_at > silent_at
  union all
  select
    customer_id, category, order_id, 'interest_faded', {{ days_after('returned_at', var('journey_interest_days')) }}
  from orders
  where returned_at is not null
)

select
  customer_id, cast(null as string) as category, event_id, event_at, kind as cause, 0 as cause_rank,
  cast(null as timestamp) as previous_viewed_at, cast(null as timestamp) as returned_ordered_at, false as is_restart
from {{ rows_of('first_contacts', "(customer_id, '')") }}
union all
select
  {{ columns }}, event_at, kind, case kind when 'viewed' then 1 else 2 end,
  case when kind = 'viewed' then previous_at end, cast(null as timestamp), false
from browsing
union all
select customer_id, category, order_id, ordered_at, 'ordered', 3, cast(null as timestamp), cast(null as timestamp), is_restart
from orders
union all
select
  customer_id, category, order_id, greatest(returned_at, ordered_at), 'order_returned', 4,
  cast(null as timestamp), ordered_at, false
from orders
where returned_at is not null
union all
select {{ columns }}, event_at, cause, 5, cast(null as timestamp), cast(null as timestamp), false
from timers
