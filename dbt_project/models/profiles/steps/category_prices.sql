-- the middle list price of each category in the year before the as-of time, every kept line counting once
with prices as (
  select
    category,
    original_unit_price as unit_price,
    count(*) as line_count
  from {{ ref('order_lines') }}
  where
    net_quantity > 0
    and original_unit_price > 0
    and currency = '{{ var("shop_currency") }}'
    and ordered_at < {{ as_of() }}
    and ordered_at >= {{ days_before(as_of(), 365) }}
  group by category, original_unit_price
),

counted as (
  select
    category,
    unit_price,
    sum(line_count) over (partition by category order by unit_price asc) as lines_up_to_here,
    sum(line_count) over (partition by category) as line_count
  from prices
)

-- the lower of the two middle prices where there are two: a price somebody has paid, the same on every engine
select
  category,
  min(unit_price) as median_unit_price
from counted
where lines_up_to_here * 2 >= line_count
group by category
