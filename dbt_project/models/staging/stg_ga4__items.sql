-- Straight from raw, for the events that won; an event that was exported twice would bring its items twice. What was
-- bought is left to the shop's own orders, and most of the items are there.
{{ config(materialized=kept_table(), kept_by='table_name', kept_ranges=true, kept_from=['stg_ga4__events']) }}
{% call keys_that_changed() %}
select table_name from {{ changes_of('stg_ga4__events') }}
{% endcall -%}
with raw_events as (
  select
    {{ ga4_event_id() }} as event_id,
    _table as table_name,
    _row_hash,
    _landed_at,
    items
  from {{ raw_rows_of('raw_ga4', 'events', '_table') }}
  where event_name <> 'purchase'
),

unnested as (
  select
    raw_events.event_id,
    raw_events.table_name,
    raw_events._row_hash as row_hash,
    raw_events._landed_at as landed_at,
    {{ place_of('item') }} as item_position,
    item.item_id as sku,
    item.item_name as item_name,
    item.item_category as category,
    coalesce(item.quantity, 1) as quantity,
    {{ money('item.price') }} as price
  from raw_events
  {{ unnest_with_place('raw_events.items', 'item') }}
),

distinct_items as (
  select distinct * from unnested
),

-- spelled as the shop's own products are; few names, many items
categories as (
  select
    category,
    nullif({{ fold_width('category') }}, '') as folded_category
  from distinct_items
  group by category
)

select
  items.event_id,
  items.table_name,
  items.item_position,
  events.event_name,
  events.event_at,
  events.session_id,
  events.user_pseudo_id,
  items.sku,
  items.item_name,
  categories.folded_category as category,
  items.quantity,
  items.price
from distinct_items as items
inner join {{ rows_of('stg_ga4__events', 'table_name') }} as events
  on
    items.event_id = events.event_id
    and items.row_hash = events.row_hash
    and items.landed_at = events.landed_at
left join categories on items.category = categories.category
