-- how a customer may be reached: address, decision and evidence of every channel side by side
with points as (
  select
    customer_id,
    max(case when channel = 'email' and is_primary then identifier end) as email,
    max(case when channel = 'sms' and is_primary then identifier end) as mobile_phone
  from {{ ref('contact_points') }}
  group by customer_id
),

decisions as (
  select
    {% for channel in ['email', 'sms', 'ad'] -%}
    max(case when channel = '{{ channel }}' then decision end) as {{ channel }}_consent,
    max(case when channel = '{{ channel }}' then reason end) as {{ channel }}_consent_reason,
    max(case when channel = '{{ channel }}' then evidence end) as {{ channel }}_consent_evidence,
    max(case when channel = '{{ channel }}' then decided_at end) as {{ channel }}_consent_at,
    {% endfor -%}
    customer_id
  from {{ ref('consents') }}
  where purpose = 'marketing'
  group by customer_id
),

judged as (
  select
    customers.customer_id,
    points.email,
    points.mobile_phone,
    {% for channel in ['email', 'sms', 'ad'] -%}
    coalesce(decisions.{{ channel }}_consent, 'unknown') as {{ channel }}_consent,
    decisions.{{ channel }}_consent_reason,
    decisions.{{ channel }}_consent_evidence,
    decisions.{{ channel }}_consent_at,
    {% endfor -%}
    points.email is not null as has_email,
    points.mobile_phone is not null as has_mobile_phone,
    points.email is not null and coalesce(decisions.email_consent = 'granted', false) as can_email,
    points.mobile_phone is not null and coalesce(decisions.sms_consent = 'granted', false) as can_text,
    (points.email is not null or points.mobile_phone is not null) and coalesce(decisions.ad_consent = 'granted', false)
      as can_show_ads
  from {{ ref('customers') }} as customers
  left join points on customers.customer_id = points.customer_id
  left join decisions on customers.customer_id = decisions.customer_id
)

select
  *,
  nullif(concat_ws(
    ', ', case when can_email then 'email' end, case when can_text then 'sms' end, case when can_show_ads then 'ad' end
  ), '') as reachable_channels
from judged
