-- every day of the shop, from its first order or paid advertisement to the last day before the as-of time
with beginnings as (
  select min({{ shop_date('ordered_at') }}) as first_day
  from {{ ref('orders') }}
  where ordered_at < {{ as_of() }}
  union all
  select min(activity_date)
  from {{ ref('dated_ads') }}
),

spans as (
  select
    min(first_day) as first_day,
    {{ shop_date(as_of() ~ " - interval '1' second") }} as last_day
  from beginnings
),

lists as (
  select {{ days_from('first_day', 'last_day') }} as days
  from spans
  where first_day <= last_day
),

currencies as (
  select '{{ var("shop_currency") }}' as currency
  union
  select currency from {{ ref('orders') }}
  where ordered_at < {{ as_of() }}
  union
  select currency from {{ ref('dated_ads') }}
)

select
  day_rows.day as activity_date,
  currencies.currency
from currencies
cross join lists
{{ unnest_list('lists.days', 'day') }}
where currencies.currency is not null
