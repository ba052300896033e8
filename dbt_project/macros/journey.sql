{# The journey's rules, all in one place; _journeys.yml says them in words.

   A stage is a function of what has last happened to a customer (in a category): `journey_moments` has one row for every
   moment at which it may change, with the newest of each kind of event up to then, and this says the stage there. #}
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
