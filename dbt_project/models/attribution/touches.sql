{{ config(kept_by='visitor_id', kept_from=['sessions', 'email_events', 'order_journeys']) }}
{% call keys_that_changed() %}
select coalesce(customer_id, 'browser.' || user_pseudo_id) from {{ changes_of('sessions') }}
union all
select coalesce(customer_id, 'browser.' || user_pseudo_id) from {{ ref('sessions') }} where {{ has_passed('started_at') }}
union all
select customer_id from {{ changes_of('email_events') }}
union all
select customer_id from {{ ref('email_events') }} where {{ has_passed('occurred_at') }}
union all
select visitor_id from {{ changes_of('order_journeys') }}
{% endcall -%}
-- what a person did that a channel may have caused: came to the site, or clicked in a mail
with visits as (
  select
    'visit.' || session_id as touch_id,
    coalesce(customer_id, 'browser.' || user_pseudo_id) as visitor_id,
    customer_id,
    'visit' as touch_type,
    started_at as touched_at,
    {{ channel_of('source', 'medium') }} as channel,
    campaign
  from {{ rows_of('sessions', "coalesce(customer_id, 'browser.' || user_pseudo_id)") }}
  where started_at < {{ as_of() }}
),

clicks as (
  select
    'click.' || event_id as touch_id,
    customer_id as visitor_id,
    customer_id,
    'email_click' as touch_type,
    occurred_at as touched_at,
    'email' as channel,
    campaign_name as campaign
  from {{ rows_of('email_events', 'customer_id') }}
  where event_type = 'clicked' and not is_automatic and customer_id is not null and occurred_at < {{ as_of() }}
),

followed as (
  select
    *,
    min(case when touch_type = 'visit' then touched_at end) over (
      partition by visitor_id, channel, campaign
      order by touched_at asc, touch_id asc rows between current row and unbounded following
    ) as next_visit_at
  from (
    select * from visits
    union all
    select * from clicks
  ) as acts
),

-- a click whose visit was counted is one act, and the visit stands for it
touches as (
  select * from followed
  where
    touch_type = 'visit' or next_visit_at is null
    or {{ epoch_seconds('next_visit_at') }} - {{ epoch_seconds('touched_at') }} > 60 * {{ var('click_visit_minutes') }}
),

journeys as (
  select * from {{ rows_of('order_journeys', 'visitor_id') }}
),

-- how many orders the visitor had placed before: touches and the order they led to share this number
placed as (
  select
    touch_id, visitor_id, touched_at, happening,
    sum(case when happening = 'order' then 1 else 0 end) over (
      partition by visitor_id
      order by touched_at asc, happening desc, touch_id asc rows between unbounded preceding and current row
    ) + 1 as journey_number
  from (
    select
      touch_id, visitor_id, touched_at, 'touch' as happening
    from touches
    union all
    select
      order_id, visitor_id, ordered_at, 'order'
    from journeys
  ) as happenings
)

select
  touches.touch_id,
  touches.visitor_id,
  touches.customer_id,
  touches.touch_type,
  touches.touched_at,
  touches.channel,
  touches.campaign,
  journeys.order_id as next_order_id,
  journeys.ordered_at as next_ordered_at,
  coalesce(journeys.ordered_at <= {{ days_after('touches.touched_at', var('attribution_lookback_days')) }}, false)
    as is_within_lookback
from touches
inner join placed on touches.touch_id = placed.touch_id and placed.happening = 'touch'
left join journeys on placed.visitor_id = journeys.visitor_id and placed.journey_number = journeys.journey_number
