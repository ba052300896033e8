{{ config(materialized=kept_table(), kept_by='row') }}
-- everything anybody has recorded about a customer and marketing: who said it, where, when, and whether it is a yes or
-- a no. States that say neither (never asked, asked and not confirmed, an order form's tick box) are no statement.
with clusters as (
  select * from {{ ref('identity_clusters') }}
),

addresses as (
  select customer_id, identifier
  from {{ ref('customer_addresses') }}
  where identifier_type = 'email'
),

accounts as (
  select
    clusters.customer_id,
    stg.*
  from {{ ref('stg_shopify__customers') }} as stg
  inner join clusters on clusters.record_type = 'shopify.customers' and stg.shopify_customer_id = clusters.record_id
),

contacts as (
  select
    clusters.customer_id,
    stg.*
  from {{ ref('stg_hubspot__contacts') }} as stg
  inner join clusters on clusters.record_type = 'hubspot.contacts' and stg.hubspot_contact_id = clusters.record_id
),

-- the CRM's record behind an address, so that evidence names a record and not an address
contact_numbers as (
  select
    email,
    min(hubspot_contact_id) as hubspot_contact_id
  from contacts
  where email is not null
  group by email
),

stated as (
  select
    customer_id,
    'email' as channel,
    email as identifier,
    'shopify' as source_system,
    case when email_marketing_state = 'SUBSCRIBED' then 'yes' else 'no' end as verdict,
    -- staff can tick the box too; only an opt-in with a level is the person's own act
    email_marketing_state = 'SUBSCRIBED' and coalesce(email_opt_in_level, 'UNKNOWN') <> 'UNKNOWN' as is_own_act,
    concat_ws(' ', 'shopify', shopify_customer_id, email_marketing_state, email_opt_in_level) as evidence,
    coalesce(email_marketing_updated_at, case when email_marketing_state = 'SUBSCRIBED' then created_at else updated_at end)
      as stated_at,
    is_deleted
  from accounts
  where email_marketing_state in ('SUBSCRIBED', 'UNSUBSCRIBED', 'INVALID', 'REDACTED')
  union all
  select
    customer_id,
    'sms',
    phone,
    'shopify',
    case when sms_marketing_state = 'SUBSCRIBED' then 'yes' else 'no' end,
    sms_marketing_state = 'SUBSCRIBED' and coalesce(sms_opt_in_level, 'UNKNOWN') <> 'UNKNOWN',
    concat_ws(' ', 'shopify', shopify_customer_id, sms_marketing_state, sms_opt_in_level),
    coalesce(sms_marketing_updated_at, case when sms_marketing_state = 'SUBSCRIBED' then created_at else updated_at end),
    is_deleted
  from accounts
  where sms_marketing_state in ('SUBSCRIBED', 'UNSUBSCRIBED', 'REDACTED')
  union all
  select
    addresses.customer_id,
    'email',
    consents.email,
    'hubspot',
    case when consents.status = 'SUBSCRIBED' then 'yes' else 'no' end,
    consents.status = 'SUBSCRIBED' and consents.status_source in ('FORM', 'PREFERENCE_PAGE', 'SUBSCRIBER'),
    concat_ws(
      ' ', 'hubspot contact', contact_numbers.hubspot_contact_id, 'subscription', consents.subscription_id,
      consents.status, consents.status_source
    ),
    consents.stated_at,
    false
  from {{ ref('stg_hubspot__consents') }} as consents
  inner join addresses on consents.email = addresses.identifier
  left join contact_numbers on consents.email = contact_numbers.email
  where
    consents.status in ('SUBSCRIBED', 'UNSUBSCRIBED')
    and coalesce(consents.channel, 'EMAIL') = 'EMAIL'
    -- mail about an order or a question asked is no marketing, whichever way it was answered
    and not {{ matches_pattern("lower(coalesce(consents.subscription_name, ''))", 'service|transactional|one to one|support') }}
  union all
  select
    customer_id,
    'email',
    email,
    'hubspot',
    'no',
    false,
    concat_ws(' ', 'hubspot contact', hubspot_contact_id, 'hs_email_optout'),
    updated_at,
    is_deleted
  from contacts
  where has_opted_out
  union all
  select
    addresses.customer_id,
    'email',
    members.email,
    'mailchimp',
    case when members.status = 'subscribed' then 'yes' else 'no' end,
    members.status = 'subscribed' and members.opted_in_at is not null,
    concat_ws(' ', 'mailchimp member', members.unique_email_id, members.status),
    case when members.status = 'subscribed' then coalesce(members.opted_in_at, members.signed_up_at) else members.changed_at end,
    members.is_deleted
  from {{ ref('stg_mailchimp__members') }} as members
  inner join addresses on members.email = addresses.identifier
  where members.status in ('subscribed', 'unsubscribed', 'cleaned')
)

-- a deleted record's yes is gone with it, its no stays
select
  customer_id,
  channel,
  identifier,
  source_system,
  verdict,
  is_own_act,
  evidence,
  stated_at
from stated
where verdict = 'no' or not is_deleted
