{{ config(materialized=kept_table(), kept_by='table_name', kept_ranges=true, kept_files=['raw_ga4.events']) }}
{#- a day's two tables decide together: the final one replaces the intraday one -#}
{% call keys_that_changed() %}
select replace(name, 'intraday_', '') as table_name from {{ changed_files('raw_ga4', 'events') }}
union all
select 'intraday_' || replace(name, 'intraday_', '') from {{ changed_files('raw_ga4', 'events') }}
{% endcall -%}
with tables as (
  select distinct _table from {{ source('raw_ga4', 'events') }}
),

complete_days as (
  select distinct {{ replace_pattern('_table', '[^0-9]', '') }} as table_date
  from tables
  where _table not like '%intraday%'
),

-- the intraday table is best effort and stands for a day only until that day's own table has come
chosen_tables as (
  select tables._table
  from tables
  left join complete_days on {{ replace_pattern('tables._table', '[^0-9]', '') }} = complete_days.table_date
  where tables._table not like '%intraday%' or complete_days.table_date is null
),

-- few columns first: what is sorted below is large
events as (
  select
    {{ ga4_event_id() }} as event_id,
    raw_events._table as table_name,
    raw_events.event_name,
    {{ from_microseconds('raw_events.event_timestamp') }} as event_at,
    nullif(raw_events.user_pseudo_id, '') as user_pseudo_id,
    nullif({{ trimmed('raw_events.user_id') }}, '') as user_id,
    {{ event_parameter('ga_session_id') }} as ga_session_id,
    split_part({{ event_parameter('page_location') }}, '?', 1) as page,
    raw_events.collected_traffic_source.manual_source as source,
    raw_events.collected_traffic_source.manual_medium as medium,
    raw_events.collected_traffic_source.manual_campaign_name as campaign,
    raw_events.device.category as device_category,
    raw_events.geo.country as country,
    raw_events.privacy_info.ads_storage as ads_storage,
    nullif(nullif(raw_events.ecommerce.transaction_id, '(not set)'), '') as transaction_id,
    {{ money('raw_events.ecommerce.purchase_revenue') }} as purchase_revenue,
    raw_events._row_hash as row_hash,
    raw_events._landed_at as landed_at
  from {{ raw_rows_of('raw_ga4', 'events', '_table') }} as raw_events
  inner join chosen_tables on raw_events._table = chosen_tables._table
),

numbered as (
  select
    *,
    row_number() over (partition by event_id order by landed_at desc nulls last, row_hash desc) as version_rank
  from events
)

select
  event_id,
  table_name,
  event_name,
  event_at,
  user_pseudo_id,
  user_id,
  ga_session_id,
  page,
  source,
  medium,
  campaign,
  device_category,
  country,
  ads_storage,
  transaction_id,
  purchase_revenue,
  row_hash,
  landed_at,
  user_pseudo_id || '.' || ga_session_id as session_id
from numbered
where version_rank = 1
