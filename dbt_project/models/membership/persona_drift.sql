-- each trait of a planned persona against those who actually buy its categories
{%- set traits = ['age_years', 'basket_value', 'channel_rate', 'category_rate', 'sales_rate'] %}
with planned as (
  {{ planned_personas() }}
),

shop as (
  select {{ money('sum(spend_365d)') }} as spend_365d
  from {{ ref('customer_360') }}
),

totals as (
  select
    persona,
    count(*) as customer_count,
    sum(age_years) as age_years,
    count(age_years) as age_count,
    {{ money('sum(spend_365d)') }} as spend_365d,
    {{ money('sum(order_total)') }} as order_total,
    sum(order_count) as order_count,
    sum(session_count) as session_count,
    sum(channel_session_count) as channel_session_count,
    {{ money('sum(line_total)') }} as line_total,
    {{ money('sum(category_total)') }} as category_total
  from {{ ref('persona_buyers') }}
  group by persona
),

actual as (
  select
    planned.persona,
    coalesce(totals.customer_count, 0) as customer_count,
    {{ ratio('totals.age_years', 'totals.age_count') }} as age_years,
    {{ ratio('totals.order_total', 'totals.order_count') }} as basket_value,
    {{ ratio('totals.channel_session_count', 'totals.session_count') }} as channel_rate,
    {{ ratio('totals.category_total', 'totals.line_total') }} as category_rate,
    coalesce({{ ratio('totals.spend_365d', 'shop.spend_365d') }}, 0) as sales_rate
  from planned
  cross join shop
  left join totals on planned.persona = totals.persona
),

compared as (
  {% for trait in traits %}
  {{ 'union all' if not loop.first }}
  select
    planned.persona,
    '{{ trait }}' as trait,
    planned.{{ trait }} as planned,
    actual.{{ trait }} as actual,
    actual.customer_count
  from planned
  inner join actual on planned.persona = actual.persona
  {% endfor %}
)

select
  persona,
  trait,
  planned,
  actual,
  actual - planned as drift,
  (actual - planned) / nullif(planned, 0) as relative_drift,
  cast(customer_count as bigint) as customer_count
from compared
