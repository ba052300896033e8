{{ config(materialized=kept_table(), kept_by='table_name', kept_files=['raw_ga4.events']) }}
{#- a day's two tables decide together: the final one replaces the intraday one -#}
{% call keys_that_changed() %}
select replace(name, 'intraday_', '') as table_name from {{ changed_files('raw_ga4', 'events') }}
union all
select 'intraday_' || replace(name, 'intraday_', '') from {{ changed_files('raw_ga4', 'events') }}
{% endcall -%}
with raw_events as (
  select
    *,
    {{ replace_pattern('_table', '[^0-9]', '') }} as table_date,
    _table like '%intraday%' as is_intraday
  from {{ raw_rows_of('raw_ga4', 'events', '_table') }}
),

complete_days as (
  select distinct table_date
  from raw_events
  where not is_intraday
),

-- the intraday table is best effort and stands for a day only until that day's own table has come
chosen_tables as (
  select raw_events.*
  from raw_events
  left join complete_days on raw_events.table_date = complete_days.table_date
  where not raw_events.is_intraday or complete_days.table_date is null
),

keyed as (
  select
    *,
    {{ ga4_event_id() }} as event_id
  from chosen_tables
),

numbered as (
  select
    *,
    row_number() over (partition by event_id order by _landed_at desc nulls last, _row_hash desc) as version_rank
  from keyed
),

named as (
  select
    event_id,
    _table as table_name,
    event_name,
    {{ from_microseconds('event_timestamp') }} as event_at,
    nullif(user_pseudo_id, '') as user_pseudo_id,
    nullif({{ trimmed('user_id') }}, '') as user_id,
    {{ event_parameter('ga_session_id') }} as ga_session_id,
    split_part({{ event_parameter('page_location') }}, '?', 1) as page,
    collected_traffic_source.manual_source as source,
    collected_traffic_source.manual_medium as medium,
    collected_traffic_source.manual_campaign_name as campaign,
    device.category as device_category,
    geo.country as country,
    privacy_info.ads_storage as ads_storage,
    nullif(nullif(ecommerce.transaction_id, '(not set)'), '') as transaction_id,
    {{ money('ecommerce.purchase_revenue') }} as purchase_revenue,
    _row_hash as row_hash,
    _landed_at as landed_at
  from numbered
  where version_rank = 1
)

select
  *,
  user_pseudo_id || '.' || ga_session_id as session_id
from named
