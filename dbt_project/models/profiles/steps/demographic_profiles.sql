-- who a customer is, as far as the records say
with customers as (
  select
    *,
    {{ shop_time(as_of()) }} as today
  from {{ ref('customers') }}
),

aged as (
  select
    *,
    cast(
      extract(year from today) - extract(year from birth_date)
      - case
        when
          extract(month from today) * 100 + extract(day from today)
          < extract(month from birth_date) * 100 + extract(day from birth_date)
          then 1
        else 0
      end as bigint
    ) as age_years
  from customers
)

select
  aged.customer_id,
  aged.display_name,
  aged.first_name,
  aged.last_name,
  aged.country,
  aged.region,
  {{ prefecture_or_region('aged.region') }} as prefecture,
  aged.city,
  aged.postal_code,
  aged.birth_date,
  aged.age_years,
  {{ age_band('aged.age_years') }} as age_band,
  genders.gender,
  aged.locale,
  aged.crm_stage,
  aged.first_seen_at,
  aged.account_count = 0 and aged.guest_order_count > 0 as is_guest,
  households.household_id,
  households.household_customer_count
from aged
left join {{ ref('stated_genders') }} as genders on aged.customer_id = genders.customer_id
left join {{ ref('households') }} as households on aged.customer_id = households.customer_id
