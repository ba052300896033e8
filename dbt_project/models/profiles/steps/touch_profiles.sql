{{ config(materialized=kept_table(), kept_by='customer_id', kept_from=['sessions', 'order_totals'], kept_log=false) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('sessions') }}
union all
select customer_id from {{ ref('sessions') }} where {{ has_passed('started_at') }}
union all
select customer_id from {{ changes_of('order_totals') }}
{% endcall -%}
-- the visit that first brought a customer and the last one before they first bought; for somebody who has not bought,
-- the last one so far
with visits as (
  select
    sessions.*,
    row_number() over (
      partition by sessions.customer_id order by sessions.started_at asc, sessions.session_id asc
    ) as visit_rank,
    row_number() over (
      partition by sessions.customer_id order by sessions.started_at desc, sessions.session_id desc
    ) as visit_rank_back
  from {{ rows_of('sessions', 'customer_id') }} as sessions
  left join {{ ref('order_totals') }} as orders on sessions.customer_id = orders.customer_id
  where
    sessions.customer_id is not null
    and sessions.started_at < coalesce(orders.first_ordered_at, {{ as_of() }})
)

select
  customer_id,
  {% for touch, rank in [('first_touch', 'visit_rank'), ('last_touch', 'visit_rank_back')] -%}
  {% for column in ['source', 'medium', 'campaign', 'landing_page', 'device_category'] -%}
  max(case when {{ rank }} = 1 then {{ column }} end) as {{ touch }}_{{ column }},
  {% endfor -%}
  max(case when {{ rank }} = 1 then started_at end) as {{ touch }}_at,
  {% endfor -%}
  count(*) as visits_before_first_order
from visits
group by customer_id
