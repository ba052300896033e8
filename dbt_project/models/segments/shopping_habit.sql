-- how a customer shops, from four orders up: when, how much at a time, and how widely; one may have several habits
with habits as (
  select *
  from {{ ref('customer_snapshots') }}
  where as_of = {{ as_of() }} and order_count >= 4
)

{%- set rules = {
  'weekend': 'weekend_order_rate >= 0.5',
  'evening': 'evening_order_rate >= 0.5',
  'weekly': 'mean_gap_days <= 8 and gap_deviation_days <= mean_gap_days',
  'big_basket': 'mean_basket_items >= 20',
  'small_basket': 'mean_basket_items <= 5',
  'explorer': 'new_categories_60d >= 15',
} %}

{% for habit, rule in rules.items() %}
{{ 'union all' if not loop.first }}
select
  customer_id,
  '{{ habit }}' as part
from habits
where {{ rule }}
{% endfor %}
