-- everything known of a customer at the as-of time, one row each
with customers as (
  select * from {{ ref('customers') }}
),

orders as (
  select * from {{ ref('order_profiles') }}
),

snapshots as (
  select * from {{ ref('customer_snapshots') }}
  where as_of = {{ as_of() }}
),

favourites as (
  select * from {{ ref('favourite_categories') }}
),

scores as (
  select * from {{ ref('score_profiles') }}
),

visits as (
  select
    customer_id,
    count(*) as session_count,
    max(started_at) as last_visited_at
  from {{ ref('sessions') }}
  where customer_id is not null and started_at < {{ as_of() }}
  group by customer_id
),

open_carts as (
  select
    customer_id,
    count(*) as open_cart_count
  from {{ ref('carts') }}
  where is_open and customer_id is not null and created_at >= {{ days_before(as_of(), 30) }} and created_at < {{ as_of() }}
  group by customer_id
),

points as (
  select
    customer_id,
    max(case when channel = 'email' and is_primary then identifier end) as email,
    max(case when channel = 'sms' and is_primary then identifier end) as mobile_phone
  from {{ ref('contact_points') }}
  group by customer_id
),

decisions as (
  select
    customer_id,
    max(case when channel = 'email' then decision end) as email_consent,
    max(case when channel = 'sms' then decision end) as sms_consent,
    max(case when channel = 'ad' then decision end) as ad_consent
  from {{ ref('consents') }}
  where purpose = 'marketing'
  group by customer_id
),

joined as (
  select
    customers.*,
    points.email,
    points.mobile_phone,
    coalesce(decisions.email_consent, 'unknown') as email_consent,
    coalesce(decisions.sms_consent, 'unknown') as sms_consent,
    coalesce(decisions.ad_consent, 'unknown') as ad_consent,
    coalesce(orders.order_count, 0) as order_count,
    orders.first_ordered_at,
    orders.last_ordered_at,
    {{ days_between('orders.last_ordered_at', as_of()) }} as days_since_last_order,
    {{ days_between('orders.first_ordered_at', as_of()) }} as days_since_first_order,
    coalesce(orders.lifetime_spend, {{ money('0') }}) as lifetime_spend,
    coalesce(orders.spend_365d, {{ money('0') }}) as spend_365d,
    coalesce(orders.refunded_total, {{ money('0') }}) as refunded_total,
    {{ ratio('orders.discount_order_count', 'orders.order_count') }} as discount_order_rate,
    orders.recency_quintile,
    orders.frequency_quintile,
    orders.spend_quintile,
    orders.spend_decile,
    snapshots.mean_gap_days,
    snapshots.category_count,
    coalesce(snapshots.sessions_30d, 0) as sessions_30d,
    coalesce(snapshots.product_views_30d, 0) as product_views_30d,
    visits.session_count,
    visits.last_visited_at,
    open_carts.open_cart_count,
    favourites.favourite_category,
    favourites.second_category,
    favourites.third_category,
    favourites.favourite_vendor,
    scores.churn_probability,
    scores.purchase_probability,
    scores.next_best_category,
    scores.next_category_probability
  from customers
  left join orders on customers.customer_id = orders.customer_id
  left join snapshots on customers.customer_id = snapshots.customer_id
  left join favourites on customers.customer_id = favourites.customer_id
  left join scores on customers.customer_id = scores.customer_id
  left join visits on customers.customer_id = visits.customer_id
  left join open_carts on customers.customer_id = open_carts.customer_id
  left join points on customers.customer_id = points.customer_id
  left join decisions on customers.customer_id = decisions.customer_id
)

select
  customer_id,
  display_name,
  first_name,
  last_name,
  email,
  mobile_phone,
  country,
  region,
  city,
  postal_code,
  birth_date,
  cast(
    extract(year from {{ shop_time(as_of()) }}) - extract(year from birth_date)
    - case
      when
        extract(month from {{ shop_time(as_of()) }}) * 100 + extract(day from {{ shop_time(as_of()) }})
        < extract(month from birth_date) * 100 + extract(day from birth_date)
        then 1
      else 0
    end as bigint
  ) as age_years,
  locale,
  crm_stage,
  first_seen_at,
  cast(order_count as bigint) as order_count,
  first_ordered_at,
  last_ordered_at,
  days_since_first_order,
  days_since_last_order,
  mean_gap_days,
  lifetime_spend,
  spend_365d,
  refunded_total,
  '{{ var("shop_currency") }}' as currency,
  discount_order_rate,
  category_count,
  favourite_category,
  second_category,
  third_category,
  favourite_vendor,
  cast(coalesce(session_count, 0) as bigint) as session_count,
  sessions_30d,
  product_views_30d,
  last_visited_at,
  cast(coalesce(open_cart_count, 0) as bigint) as open_cart_count,
  cast(recency_quintile as bigint) as recency_quintile,
  cast(frequency_quintile as bigint) as frequency_quintile,
  cast(spend_quintile as bigint) as spend_quintile,
  cast(spend_decile as bigint) as spend_decile,
  {{ lifecycle_stage() }} as lifecycle_stage,
  email is not null as has_email,
  mobile_phone is not null as has_mobile_phone,
  email_consent,
  sms_consent,
  ad_consent,
  email is not null and email_consent = 'granted' as can_email,
  mobile_phone is not null and sms_consent = 'granted' as can_text,
  (email is not null or mobile_phone is not null) and ad_consent = 'granted' as can_show_ads,
  churn_probability,
  purchase_probability,
  next_best_category,
  next_category_probability,
  {{ as_of() }} as as_of
from joined
