{{ config(materialized=kept_table(), kept_by='customer_id', kept_from=['sessions'], kept_log=false) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('sessions') }}
union all
select customer_id from {{ ref('sessions') }} where {{ has_passed('started_at', [0, 30]) }}
{% endcall -%}
-- a customer's visits of the site up to the as-of time, and what they visit it with
with visits as (
  select
    *,
    started_at > {{ days_before(as_of(), 30) }} as is_recent,
    {{ hour_band('extract(hour from ' ~ shop_time('started_at') ~ ')') }} as hour_band
  from {{ rows_of('sessions', 'customer_id') }}
  where customer_id is not null and started_at < {{ as_of() }}
),

by_device as (
  select
    customer_id,
    device_category,
    row_number() over (partition by customer_id order by count(*) desc, device_category asc) as device_rank
  from visits
  where device_category is not null
  group by customer_id, device_category
),

favourite_devices as (
  select
    customer_id,
    {{ distinct_text('device_category') }} as devices,
    max(case when device_rank = 1 then device_category end) as favourite_device
  from by_device
  group by customer_id
),

totals as (
  select
    count(*) as session_count,
    max(started_at) as last_visited_at,
    sum(case when is_recent then 1 else 0 end) as sessions_30d,
    sum(case when is_recent then product_view_count else 0 end) as product_views_30d,
    count(distinct user_pseudo_id) as browser_count,
    {% for name in (hour_bands() | list) + ['night'] -%}
    sum(case when hour_band = '{{ name }}' then 1 else 0 end) as {{ name }}_count,
    {% endfor -%}
    customer_id
  from visits
  group by customer_id
)

select
  totals.customer_id,
  totals.session_count,
  totals.last_visited_at,
  totals.sessions_30d,
  totals.product_views_30d,
  totals.browser_count,
  {{ largest_of((hour_bands() | list) + ['night'], '_count') }} as favourite_visit_hour_band,
  favourite_devices.devices,
  favourite_devices.favourite_device
from totals
left join favourite_devices on totals.customer_id = favourite_devices.customer_id
