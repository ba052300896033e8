{# Snapshots on a later build: the one at the clock is worked out anew, the earlier ones only of customers about whom
   something before them has changed. `kept_by=snapshot_key()` says so of a model's rows, `rows_then` of what they are
   worked out from, and `past_snapshots()` is all that the log needs: what stands at the clock changes every day. A mart of
   snapshots keeps the earlier ones alone (`kept_anew=snapshot_at_the_clock()`). #}

{% macro snapshot_key() -%}
  case when {{ past_snapshots() }} then customer_id else 'clock' end
{%- endmacro %}

{% macro past_snapshots() -%}as_of <= {{ newest_past_snapshot() }}{%- endmacro %}

{% macro snapshot_at_the_clock(moment='as_of') -%}{{ moment }} > {{ newest_past_snapshot() }}{%- endmacro %}

{% macro newest_past_snapshot() -%}
  {{ return(snapshot_moments()[1:] | max or "cast('1970-01-01' as timestamp)") }}
{%- endmacro %}

{# The latest moment that says anything about an earlier snapshot: the newest of them or, if that is later, the end of
   the last outcome's window that has closed. When it moves, what reads it is built in full. #}
{% macro last_known_outcome() -%}
  {%- set ends = [newest_past_snapshot()] -%}
  {%- for moment in snapshot_moments()[1:] -%}
    {%- for days in [var('churn_window_days'), var('propensity_window_days')] -%}
      {%- set end = utc_moment(moment.split("'")[1]) + modules.datetime.timedelta(days=days) -%}
      {%- do ends.append("cast('" ~ utc_text(end) ~ "' as timestamp)") -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- set clock = as_of() -%}
  {{ return(ends | select('le', clock) | max) }}
{%- endmacro %}

{# The rows of `relation`, which has a customer_id, beside every date of `dates` at which they count. #}
{% macro rows_then(relation, condition, dates) -%}
  (
    select
      dates.as_of,
      facts.*
    from /*<*/ {{ relation }} /*>'clock'*/ as facts
    inner join {{ dates }} as dates on {{ snapshot_at_the_clock('dates.as_of') }} and {{ condition }}
    union all
    select
      dates.as_of,
      facts.*
    from /*<*/ {{ relation }} /*>customer_id*/ as facts
    inner join {{ dates }} as dates on dates.as_of <= {{ newest_past_snapshot() }} and {{ condition }}
  )
{%- endmacro %}
