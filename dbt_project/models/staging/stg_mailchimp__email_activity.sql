with versions as (
  select
    *,
    row_number() over (partition by campaign_id, email_id order by _landed_at desc nulls last, _row_hash desc) as version_rank
  from {{ source('raw_mailchimp', 'email_activity') }}
),

acts as (
  select
    versions.campaign_id,
    versions.email_id,
    act.action as action,
    act.timestamp as occurred_at,
    -- what stands behind the question mark may name the reader
    split_part(act.url, '?', 1) as link_url,
    act.type as bounce_kind,
    act.ip as ip
  from versions
  {{ unnest_list('versions.activity', 'act') }}
  where versions.version_rank = 1
)

select
  md5(concat_ws(
    '|', campaign_id, email_id, action, cast({{ epoch_seconds('occurred_at') }} as string), coalesce(link_url, ''),
    coalesce(bounce_kind, '')
  )) as activity_id,
  campaign_id,
  email_id,
  action,
  occurred_at,
  link_url,
  bounce_kind,
  -- Apple's own network: its mail program fetches the pictures of every mail, read or not
  bool_or(coalesce(ip like '17.%', false)) as is_by_proxy
from acts
group by campaign_id, email_id, action, occurred_at, link_url, bounce_kind
