{{ config(materialized=kept_table(), kept_by='visitor_id', kept_from=['touches'], kept_log=false) }}
{% call keys_that_changed() %}
select visitor_id from {{ changes_of('touches') }}
{% endcall -%}
-- touches that led to no order within the look-back, in paths: a silence longer than the look-back ends one
with unsold as (
  select
    *,
    case
      when
        {{ days_after("lag(touched_at) over (partition by visitor_id order by touched_at asc, touch_id asc)",
          var('attribution_lookback_days')) }} >= touched_at then 0
      else 1
    end as is_start
  from {{ rows_of('touches', 'visitor_id') }}
  where not is_within_lookback
),

stretches as (
  select
    *,
    sum(is_start) over (
      partition by visitor_id order by touched_at asc, touch_id asc rows between unbounded preceding and current row
    ) as stretch
  from unsold
),

ruled as (
  select
    *,
    max(case when channel = 'direct' then 0 else 1 end) over (partition by visitor_id, stretch) as has_campaign
  from stretches
)

select
  touch_id,
  visitor_id,
  visitor_id || '.' || cast(stretch as string) as path_id,
  channel,
  row_number() over (partition by visitor_id, stretch order by touched_at asc, touch_id asc) as touch_number,
  count(*) over (partition by visitor_id, stretch) as touch_count,
  coalesce(lead(channel) over (partition by visitor_id, stretch order by touched_at asc, touch_id asc), 'no_order')
    as next_state
from ruled
where channel <> 'direct' or has_campaign = 0
