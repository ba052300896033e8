select
  events.event_id,
  {{ place_of('item') }} as item_position,
  events.event_name,
  events.event_at,
  events.session_id,
  events.user_pseudo_id,
  item.item_id as sku,
  item.item_name as item_name,
  item.item_category as category,
  coalesce(item.quantity, 1) as quantity,
  {{ money('item.price') }} as price
from {{ ref('stg_ga4__events') }} as events
{{ unnest_with_place('events.items', 'item') }}
