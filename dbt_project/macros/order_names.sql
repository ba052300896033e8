{# Which order a shop's tag means: it sends the order's id, the number at the end of that, or its name with or without the
   #. One row per row of `events` whose transaction_id names an order of `orders`, with that order; a name that several
   carry is taken for the first of them. Three equalities, for an OR cannot be hashed. #}
{% macro orders_named(events, event_key, orders, condition='true') -%}
  select
    {{ event_key }},
    min(order_id) as order_id
  from (
    {% for equality in [
      "events.transaction_id = orders.order_id",
      "'gid://shopify/Order/' || events.transaction_id = orders.order_id",
      "replace(events.transaction_id, '#', '') = replace(orders.order_name, '#', '')"
    ] -%}
    select events.{{ event_key }}, orders.order_id
    from {{ events }} as events
    inner join {{ orders }} as orders on {{ equality }}
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
  ) as named
  group by {{ event_key }}
{%- endmacro %}
