{# The newest version of every key in a raw table, with `is_deleted`: the vendor no longer lists it.

   Reading is at least once, so a key may have landed many times: the vendor's own clock decides, then the landing, then
   the row's hash, which makes the choice the same on every run. A tombstone carries the key and when it was noticed, but
   no fields; it marks the last known version as deleted when nothing of that key has landed since. #}
{% macro newest_version(relation, key, cursor) %}
  select * from (
    select
      *,
      coalesce(
        max(case when _is_deleted then _landed_at end) over (partition by {{ key }})
        >= max(case when not _is_deleted then _landed_at end) over (partition by {{ key }}),
        coalesce(_is_deleted, false)
      ) as is_deleted,
      row_number() over (
        partition by {{ key }}
        order by case when _is_deleted then 1 else 0 end, {{ cursor }} desc nulls last, _landed_at desc nulls last, _row_hash desc
      ) as version_rank
    from {{ relation }}
  ) as versions
  where version_rank = 1
{% endmacro %}

{# One list of every order's newest version, straight from raw: sorting orders with their baskets inside took three
   times as long as finding the rows of the versions that won. #}
{% macro list_of_newest_orders(list) %}
  select
    raw_orders.id as order_id,
    raw_orders.{{ list }}
  from {{ raw_rows_of('raw_shopify', 'orders', 'id') }} as raw_orders
  inner join {{ rows_of('stg_shopify__orders', 'order_id') }} as orders
    on
      raw_orders.id = orders.order_id
      and raw_orders._row_hash = orders.row_hash
      and raw_orders._landed_at = orders.landed_at
{% endmacro %}

{# GA4 has no event id; this is the key the vendor's users have agreed on. #}
{% macro ga4_event_id() -%}
  md5(concat_ws(
    '|', coalesce(user_pseudo_id, ''), cast(event_timestamp as string), event_name,
    coalesce(cast(batch_page_id as string), ''), coalesce(cast(batch_ordering_id as string), ''),
    coalesce(cast(batch_event_index as string), '')
  ))
{%- endmacro %}
