-- the gender a customer has stated, where a record holds it: a tag of the account such as gender:female or 性別:女性.
-- Nothing is guessed from names; records that contradict each other say nothing.
with stated as (
  select
    clusters.customer_id,
    regexp_extract(
      lower(translate(accounts.tags, '：', ':')), '(gender|sex|性別): *(female|male|other|女性|男性|その他)', 2
    ) as word
  from {{ ref('stg_shopify__customers') }} as accounts
  inner join {{ ref('identity_clusters') }} as clusters
    on clusters.record_type = 'shopify.customers' and accounts.shopify_customer_id = clusters.record_id
),

named as (
  select
    customer_id,
    case
      when word in ('female', '女性') then 'female'
      when word in ('male', '男性') then 'male'
      when word in ('other', 'その他') then 'other'
    end as gender
  from stated
)

select
  customer_id,
  min(gender) as gender
from named
where gender is not null
group by customer_id
having count(distinct gender) = 1
