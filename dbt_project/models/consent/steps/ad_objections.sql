-- customers whose newest answer to the site's cookie banner keeps their data from ad platforms
with answers as (
  select
    sessions.customer_id,
    events.ads_storage,
    events.event_at,
    row_number() over (partition by sessions.customer_id order by events.event_at desc, events.event_id asc) as answer_rank
  from {{ ref('stg_ga4__events') }} as events
  inner join {{ ref('sessions') }} as sessions on events.session_id = sessions.session_id
  where events.ads_storage is not null and sessions.customer_id is not null
)

select
  customer_id,
  event_at as objected_at
from answers
where answer_rank = 1 and lower(ads_storage) = 'no'
