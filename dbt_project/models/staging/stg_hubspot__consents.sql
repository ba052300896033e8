with versions as (
  select *
  from (
    select
      *,
      row_number() over (
        partition by subscriberIdString, subscriptionId, channel
        order by timestamp desc nulls last, _landed_at desc nulls last, _row_hash desc
      ) as version_rank
    from {{ source('raw_hubspot', 'consents') }}
    where not coalesce(_is_deleted, false)
  ) as ranked
  where version_rank = 1
)

select
  subscriberIdString as address_as_given,
  {{ normalise_email('subscriberIdString') }} as email,
  subscriptionId as subscription_id,
  subscriptionName as subscription_name,
  upper(channel) as channel,
  upper(status) as status,
  upper(source) as status_source,
  upper(legalBasis) as legal_basis,
  timestamp as stated_at
from versions
