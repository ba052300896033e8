with versions as (
  select
    *,
    row_number() over (partition by campaign_id, email_id order by _landed_at desc nulls last, _row_hash desc) as version_rank
  from {{ source('raw_mailchimp', 'email_activity') }}
)

select
  campaign_id,
  email_id,
  {{ normalise_email('email_address') }} as email
from versions
where version_rank = 1
