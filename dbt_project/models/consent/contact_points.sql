-- where a customer can be reached on a channel: the address they agreed to first
with addresses as (
  select * from {{ ref('customer_addresses') }}
),

customers as (
  select * from {{ ref('customers') }}
),

address_consents as (
  select * from {{ ref('address_consents') }}
),

consents as (
  select * from {{ ref('consents') }}
),

offered as (
  select customer_id, 'email' as channel, identifier_type, identifier, trust, last_seen_at
  from addresses
  where identifier_type = 'email'
  union all
  select customer_id, 'sms', identifier_type, identifier, trust, last_seen_at
  from addresses
  -- a text message reaches mobile numbers only; of the world's plans the one known here is Japan's
  where identifier_type = 'phone' and (identifier not like '+81%' or {{ matches_pattern('identifier', '^[+]81[6-9]0') }})
  union all
  select customer_id, 'ad', identifier_type, identifier, trust, last_seen_at
  from addresses
),

judged as (
  select
    offered.*,
    customers.country,
    address_consents.decision as address_decision,
    consents.decision as customer_decision
  from offered
  inner join customers on offered.customer_id = customers.customer_id
  left join address_consents
    on
      offered.customer_id = address_consents.customer_id
      and offered.identifier = address_consents.identifier
      and address_consents.channel = case when offered.identifier_type = 'email' then 'email' else 'sms' end
  left join consents on offered.customer_id = consents.customer_id and offered.channel = consents.channel
)

select
  customer_id,
  channel,
  identifier_type,
  identifier,
  row_number() over (
    partition by customer_id, channel, identifier_type
    order by case when address_decision = 'granted' then 0 else 1 end, trust asc, last_seen_at desc, identifier asc
  ) = 1 as is_primary,
  country
from judged
-- an address they have said no to is not used because another address of theirs said yes
where not coalesce(customer_decision = 'granted' and address_decision = 'denied', false)
