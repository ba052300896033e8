-- what happened to a campaign on a day, from four sides: visits, orders, advertisements, mails
{% set measures = [
  'session_count', 'purchase_session_count', 'order_count', 'kept_order_count', 'new_customer_count', 'gross_sales',
  'net_sales', 'impression_count', 'click_count', 'spend', 'sent_count', 'bounced_count', 'opened_count',
  'clicked_count', 'unsubscribed_count'
] -%}
with visits as (
  select
    activity_date, channel, campaign, cast(null as string) as currency,
    session_count, purchase_session_count
  from {{ ref('dated_visits') }}
  where campaign is not null
),

sales as (
  select
    order_date as activity_date, channel, campaign, currency,
    {{ order_sums() }},
    {{ customer_sums() }}
  from {{ ref('dated_orders') }}
  where campaign is not null
  group by order_date, channel, campaign, currency
),

ads as (
  select
    activity_date, channel, campaign, currency,
    impression_count, click_count, spend
  from {{ ref('dated_ads') }}
),

mails as (
  select
    {{ shop_date('occurred_at') }} as activity_date, 'email' as channel, campaign_name as campaign,
    cast(null as string) as currency,
    sum(case when event_type = 'sent' then 1 else 0 end) as sent_count,
    sum(case when event_type = 'bounced' then 1 else 0 end) as bounced_count,
    sum(case when event_type = 'opened' then 1 else 0 end) as opened_count,
    sum(case when event_type = 'clicked' then 1 else 0 end) as clicked_count,
    sum(case when event_type = 'unsubscribed' then 1 else 0 end) as unsubscribed_count
  from {{ ref('email_events') }}
  where occurred_at < {{ as_of() }} and not is_automatic
  group by {{ shop_date('occurred_at') }}, campaign_name
),

sides as (
  {% for side, known in [
    ('visits', measures[:2]), ('sales', measures[2:7]), ('ads', measures[7:10]), ('mails', measures[10:])
  ] -%}
  select
    activity_date, channel, campaign, currency,
    {% for name in measures[:-1] -%}
    {{ name if name in known else '0' }} as {{ name }},
    {% endfor -%}
    {{ measures[-1] if side == 'mails' else '0' }} as {{ measures[-1] }}
  from {{ side }}
  {{ 'union all' if not loop.last }}
  {% endfor %}
)

select
  concat_ws('|', cast(activity_date as string), channel, campaign, coalesce(currency, '')) as activity_id,
  activity_date,
  channel,
  campaign,
  currency,
  {% for name in measures[:-1] -%}
  sum({{ name }}) as {{ name }},
  {% endfor -%}
  sum({{ measures[-1] }}) as {{ measures[-1] }}
from sides
group by activity_date, channel, campaign, currency
