-- the decision for each single address of a customer
with decided as (
  {{ decide_consent(ref('consent_statements'), ['customer_id', 'channel', 'identifier']) }}
)

select * from decided
