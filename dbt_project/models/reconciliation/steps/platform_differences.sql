-- why an ad platform's or the e-mail tool's claims are not the orders their clicks ended in, order by order
with orders as (
  select
    *,
    case when is_cancelled then 0 else 1 end as kept_count
  from {{ ref('orders') }}
),

paired as (
  select
    coalesce(replayed.platform, shown.platform) as platform,
    coalesce(replayed.channel, shown.channel) as channel,
    coalesce(replayed.claim_date, shown.claim_date) as activity_date,
    coalesce(replayed.order_id, shown.order_id) as order_id,
    replayed.is_in_journey,
    replayed.platform_count,
    replayed.order_id is not null as is_claimed,
    shown.order_id is not null as is_shown
  from {{ ref('replayed_claims') }} as replayed
  full outer join {{ ref('shown_claims') }} as shown
    on replayed.platform = shown.platform and replayed.order_id = shown.order_id
),

differences as (
  select
    paired.activity_date,
    paired.platform,
    paired.channel,
    orders.currency,
    case
      when paired.is_claimed and paired.is_shown then 'cancelled_or_refunded'
      when paired.is_claimed and orders.is_cancelled then 'cancelled_or_refunded'
      when paired.is_claimed and not paired.is_in_journey then 'outside_lookback'
      when paired.is_claimed and paired.platform_count > 1 then 'claimed_by_two_platforms'
      when paired.is_claimed then 'other_channel'
      when orders.source_name <> 'web' then 'sold_offline'
      else 'outside_platform_window'
    end as reason,
    case when paired.is_claimed then 1 else 0 end - case when paired.is_shown then orders.kept_count else 0 end
      as order_count,
    case when paired.is_claimed then orders.order_total else 0 end
    - case when paired.is_shown then orders.net_total else 0 end as revenue
  from paired
  inner join orders on paired.order_id = orders.order_id
)

select
  activity_date,
  platform,
  channel,
  currency,
  reason,
  sum(order_count) as order_count,
  sum(revenue) as revenue
from differences
where order_count <> 0 or revenue <> 0
group by activity_date, platform, channel, currency, reason
