{{ config(kept_by='session_id', kept_from=['stg_ga4__events', 'identity_clusters', 'customers']) }}
{% call keys_that_changed() %}
select session_id from {{ changes_of('stg_ga4__events') }}
union all
select session_id from {{ ref('stg_ga4__events') }}
where user_id in (
  select record_id from {{ changes_of('identity_clusters') }} where record_type = 'ga4.user_id'
  union all
  select record_id from {{ ref('identity_clusters') }}
  where record_type = 'ga4.user_id' and customer_id in (select customer_id from {{ changes_of('customers') }})
)
union all
select session_id from {{ ref('stg_ga4__events') }}
where user_pseudo_id in (
  select record_id from {{ changes_of('identity_clusters') }} where record_type = 'ga4.user_pseudo_id'
  union all
  select record_id from {{ ref('identity_clusters') }}
  where record_type = 'ga4.user_pseudo_id' and customer_id in (select customer_id from {{ changes_of('customers') }})
)
{% endcall -%}
-- a visit of the shop's site, as GA4 counts sessions: a browser and its session number
with events as (
  select
    *,
    row_number() over (partition by session_id order by event_at asc, event_id asc) as event_rank
  from {{ rows_of('stg_ga4__events', 'session_id') }}
  where session_id is not null
),

visits as (
  select
    session_id,
    min(user_pseudo_id) as user_pseudo_id,
    min_by(user_id, case when user_id is not null then event_rank end) as user_id,
    min(event_at) as started_at,
    max(event_at) as ended_at,
    min_by(page, case when page is not null then event_rank end) as landing_page,
    min_by(source, case when source is not null then event_rank end) as source,
    min_by(medium, case when medium is not null then event_rank end) as medium,
    min_by(campaign, case when campaign is not null then event_rank end) as campaign,
    min_by(device_category, case when device_category is not null then event_rank end) as device_category,
    min_by(country, case when country is not null then event_rank end) as country,
    count(*) as event_count,
    sum(case when event_name = 'page_view' then 1 else 0 end) as page_view_count,
    sum(case when event_name = 'view_item' then 1 else 0 end) as product_view_count,
    sum(case when event_name = 'add_to_cart' then 1 else 0 end) as cart_addition_count,
    sum(case when event_name = 'begin_checkout' then 1 else 0 end) as checkout_count,
    count(distinct case when event_name = 'purchase' then coalesce(transaction_id, event_id) end) as purchase_count
  from events
  group by session_id
),

people as (
  select record_type, record_id, customer_id
  from {{ ref('identity_clusters') }}
  where record_type in ('ga4.user_id', 'ga4.user_pseudo_id')
),

-- who signed in during the visit, else whose browser it is
placed as (
  select
    visits.*,
    coalesce(accounts.customer_id, browsers.customer_id) as cluster_id
  from visits
  left join people as accounts on accounts.record_type = 'ga4.user_id' and visits.user_id = accounts.record_id
  left join people as browsers
    on browsers.record_type = 'ga4.user_pseudo_id' and visits.user_pseudo_id = browsers.record_id
)

select
  placed.session_id,
  placed.user_pseudo_id,
  customers.customer_id,
  placed.started_at,
  placed.ended_at,
  placed.landing_page,
  placed.source,
  placed.medium,
  placed.campaign,
  placed.device_category,
  placed.country,
  cast(placed.event_count as bigint) as event_count,
  cast(placed.page_view_count as bigint) as page_view_count,
  cast(placed.product_view_count as bigint) as product_view_count,
  cast(placed.cart_addition_count as bigint) as cart_addition_count,
  cast(placed.checkout_count as bigint) as checkout_count,
  cast(placed.purchase_count as bigint) as purchase_count
from placed
-- a browser nobody has signed in or bought with belongs to no customer
left join {{ ref('customers') }} as customers on placed.cluster_id = customers.customer_id
