{# The journey's rules, all in one place; _journeys.yml says them in words.

   `journey_signals_of` has everything that may move a customer: what they did, and the moments at which time alone counts,
   those to come as well. A stage is a function of what has last happened to a customer (in a category): `journey_moments_of`
   has one row for every moment at which it may change, with the newest of each kind of event up to then, and
   `journey_stage` says the stage there. Nothing of it is stored but the changes of stage (journey_events); the views
   journey_signals and journey_moments show the rest. #}
{% macro journey_stage(moment) %}
  {%- set never = "cast('1900-01-01 00:00:00' as timestamp)" -%}
  {%- set last_ordered = "coalesce(ordered_at, " ~ never ~ ")" -%}
  {%- set arrived_at = days_after('ordered_at', var('journey_arrival_days')) -%}
  {%- set interest = var('journey_interest_days') -%}
  {%- set considers -%}
    (
      -- two looks since the last order arrived, the second no later than this after the first
      (
        previous_viewed_at > coalesce({{ arrived_at }}, {{ never }})
        and viewed_at <= {{ days_after('previous_viewed_at', interest) }}
        and {{ moment }} < {{ days_after('viewed_at', interest) }}
      )
      or (carted_at > {{ last_ordered }} and {{ moment }} < {{ days_after('carted_at', interest) }})
    )
  {%- endset -%}
  case
    when carted_at > {{ last_ordered }} and {{ moment }} < {{ days_after('carted_at', var('journey_decision_days')) }}
      then 'decision'
    when kept_order_count > 0 and ordered_at > coalesce(silent_at, {{ never }}) then
      case
        when kept_order_count >= {{ var('journey_loyal_orders') }} and ordered_at > restarted_at then 'loyalty'
        when {{ moment }} < {{ arrived_at }} and ordered_at > coalesce(returned_ordered_at, {{ never }}) then 'purchase'
        when {{ considers }} then 'consideration'
        else 'evaluation'
      end
    when {{ considers }} then 'consideration'
    when kept_order_count > 0 then 'lapse'
    when {{ moment }} < {{ days_after('returned_at', interest) }} then 'consideration'
    else 'awareness'
  end
{%- endmacro %}

{# The silence after which a customer counts as lapsed, in seconds: so many times their own mean time between orders so
   far, within bounds; a fixed time after a first order, which shows no rhythm. #}
{% macro journey_patience_seconds(order_number, first_ordered_at, ordered_at) -%}
  case
    when {{ order_number }} = 1 then {{ var('journey_lapse_first_days') * 86400 }}
    else greatest(
      least(
        cast(floor(
          cast({{ var('journey_lapse_gaps') }} * ({{ epoch_seconds(ordered_at) }} - {{ epoch_seconds(first_ordered_at) }}) as double)
          / ({{ order_number }} - 1)
        ) as bigint),
        {{ var('journey_lapse_longest_days') * 86400 }}
      ),
      {{ var('journey_lapse_shortest_days') * 86400 }}
    )
  end
{%- endmacro %}

{% macro journey_signals_of(contacts, browsing, orders) -%}
{%- set columns = 'customer_id, category, event_id' %}
with browsing as (
  select
    *,
    lag(event_at) over (partition by customer_id, category, kind order by event_at asc, event_id asc) as previous_at,
    lead(event_at) over (partition by customer_id, category, kind order by event_at asc, event_id asc) as next_at
  from {{ browsing }}
),

orders as (
  select
    *,
    {{ days_after('ordered_at', var('journey_arrival_days')) }} as arrived_at
  from {{ orders }}
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
from {{ contacts }}
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
{%- endmacro %}

{% macro journey_moments_of(signals) -%}
{%- set latest = 'over (partition by customer_id, category order by event_at asc, cause_rank asc, event_id asc, cause asc '
  ~ 'rows between unbounded preceding and current row)' %}
with happened as (
  select * from {{ signals }}
  where event_at < {{ as_of() }}
),

known_then as (
  select
    customer_id,
    category,
    event_id,
    event_at,
    cause,
    max(case when cause = 'viewed' then event_at end) {{ latest }} as viewed_at,
    max(previous_viewed_at) {{ latest }} as previous_viewed_at,
    max(case when cause = 'carted' then event_at end) {{ latest }} as carted_at,
    max(case when cause = 'ordered' then event_at end) {{ latest }} as ordered_at,
    max(case when is_restart then event_at end) {{ latest }} as restarted_at,
    max(case when cause = 'silence' then event_at end) {{ latest }} as silent_at,
    max(case when cause = 'order_returned' then event_at end) {{ latest }} as returned_at,
    max(returned_ordered_at) {{ latest }} as returned_ordered_at,
    sum(case cause when 'ordered' then 1 when 'order_returned' then -1 else 0 end) {{ latest }} as kept_order_count,
    lead(event_at) over (
      partition by customer_id, category order by event_at asc, cause_rank asc, event_id asc, cause asc
    ) as next_at
  from happened
)

select
  customer_id,
  category,
  event_id,
  event_at,
  cause,
  {{ journey_stage('event_at') }} as stage
from known_then
-- of what falls on one moment, only where it ends
where next_at is null or next_at > event_at
{%- endmacro %}
