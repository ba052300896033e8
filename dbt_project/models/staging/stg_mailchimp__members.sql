with versions as (
  {{ newest_version(source('raw_mailchimp', 'members'), 'id, list_id', 'last_changed') }}
)

select
  id as mailchimp_member_id,
  list_id,
  unique_email_id,
  {{ normalise_email('email_address') }} as email,
  lower(status) as status,
  unsubscribe_reason,
  timestamp_signup as signed_up_at,
  timestamp_opt as opted_in_at,
  last_changed as changed_at,
  is_deleted
from versions
