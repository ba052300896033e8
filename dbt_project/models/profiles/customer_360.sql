-- everything known of a customer at the as-of time, one row each; the steps have worked it out, here it is put together
{% set taken = {
  'people': [
    'display_name', 'first_name', 'last_name', 'country', 'region', 'prefecture', 'city', 'postal_code', 'birth_date',
    'age_years', 'age_band', 'gender', 'locale', 'household_id', 'household_customer_count', 'crm_stage', 'first_seen_at',
    'is_guest'
  ],
  'contacts': [
    'email', 'has_email', 'mobile_phone', 'has_mobile_phone', 'can_email', 'can_text', 'can_show_ads', 'reachable_channels',
    'email_consent', 'email_consent_reason', 'email_consent_evidence', 'email_consent_at', 'sms_consent',
    'sms_consent_reason', 'sms_consent_evidence', 'sms_consent_at', 'ad_consent', 'ad_consent_reason',
    'ad_consent_evidence', 'ad_consent_at'
  ],
  'orders': ['first_ordered_at', 'last_ordered_at', 'largest_order_total'],
  'habits': [
    'weekend_order_rate', 'favourite_weekday', 'favourite_hour_band', 'median_gap_days', 'longest_gap_days',
    'expected_next_order_date'
  ],
  'snapshots': ['mean_gap_days', 'category_count'],
  'prices': ['discounted_item_rate', 'saved_rate', 'price_index', 'price_tier', 'private_label_rate'],
  'gifts': ['last_gift_ordered_at'],
  'favourites': ['favourite_category', 'second_category', 'third_category', 'favourite_vendor'],
  'interests': [
    'interests', 'top_category', 'top_category_share', 'favourite_brands', 'top_brand', 'top_brand_share',
    'unbought_interest'
  ],
  'visits': ['last_visited_at', 'devices', 'favourite_device', 'favourite_visit_hour_band'],
  'touches': [
    'first_touch_at', 'first_touch_source', 'first_touch_medium', 'first_touch_campaign', 'first_touch_landing_page',
    'first_touch_device_category', 'last_touch_at', 'last_touch_source', 'last_touch_medium', 'last_touch_campaign',
    'last_touch_landing_page', 'last_touch_device_category'
  ],
  'emails': ['last_email_sent_at', 'last_email_opened_at', 'last_email_clicked_at', 'last_email_bounced_at'],
  'scores': ['churn_probability', 'purchase_probability', 'next_best_category', 'next_category_probability']
} -%}
{% set counts = {
  'orders': [
    'order_count', 'placed_order_count', 'cancelled_order_count', 'refunded_order_count', 'guest_order_count',
    'currency_count'
  ],
  'gifts': ['gift_order_count'],
  'interests': ['interest_count'],
  'visits': ['session_count', 'sessions_30d', 'product_views_30d', 'browser_count'],
  'touches': ['visits_before_first_order'],
  'carts': ['open_cart_count'],
  'emails': [
    'emails_sent_30d', 'emails_opened_30d', 'emails_clicked_30d', 'emails_sent_90d', 'emails_opened_90d',
    'emails_clicked_90d'
  ]
} -%}
with open_carts as (
  select
    customer_id,
    count(*) as open_cart_count
  from {{ ref('carts') }}
  where is_open and customer_id is not null and created_at >= {{ days_before(as_of(), 30) }} and created_at < {{ as_of() }}
  group by customer_id
),

joined as (
  select
    people.customer_id,
    {% for step, columns in taken.items() %}{% for column in columns -%}
    {{ step }}.{{ column }},
    {% endfor %}{% endfor -%}
    {% for step, columns in counts.items() %}{% for column in columns -%}
    cast(coalesce({{ step }}.{{ column }}, 0) as bigint) as {{ column }},
    {% endfor %}{% endfor -%}
    {% for column in ['lifetime_spend', 'spend_365d', 'refunded_total'] -%}
    {{ money('coalesce(orders.' ~ column ~ ', 0)') }} as {{ column }},
    {% endfor -%}
    {% for column in ['recency_quintile', 'frequency_quintile', 'spend_quintile', 'spend_decile'] -%}
    cast(orders.{{ column }} as bigint) as {{ column }},
    {% endfor -%}
    {{ days_between('orders.first_ordered_at', as_of()) }} as days_since_first_order,
    {{ days_between('orders.last_ordered_at', as_of()) }} as days_since_last_order,
    {{ ratio('orders.lifetime_spend', 'orders.shop_currency_order_count') }} as mean_order_value,
    {{ ratio('prices.item_count', 'orders.order_count') }} as mean_order_items,
    {{ ratio('orders.discount_order_count', 'orders.order_count') }} as discount_order_rate,
    {{ ratio('orders.coupon_order_count', 'orders.order_count') }} as coupon_order_rate,
    {{ ratio('orders.refunded_order_count', 'orders.order_count') }} as refunded_order_rate,
    {{ ratio('orders.refunded_total', 'orders.ordered_total') }} as refund_rate,
    {{ ratio('orders.cancelled_order_count', 'orders.placed_order_count') }} as cancelled_order_rate,
    {{ ratio('gifts.gift_order_count', 'orders.order_count') }} as gift_order_rate
  from {{ ref('demographic_profiles') }} as people
  inner join {{ ref('contact_profiles') }} as contacts on people.customer_id = contacts.customer_id
  left join {{ ref('order_profiles') }} as orders on people.customer_id = orders.customer_id
  left join {{ ref('order_habits') }} as habits on people.customer_id = habits.customer_id
  left join {{ ref('customer_snapshots') }} as snapshots
    on people.customer_id = snapshots.customer_id and snapshots.as_of = {{ as_of() }}
  left join {{ ref('price_profiles') }} as prices on people.customer_id = prices.customer_id
  left join {{ ref('gift_profiles') }} as gifts on people.customer_id = gifts.customer_id
  left join {{ ref('favourite_categories') }} as favourites on people.customer_id = favourites.customer_id
  left join {{ ref('interest_profiles') }} as interests on people.customer_id = interests.customer_id
  left join {{ ref('visit_profiles') }} as visits on people.customer_id = visits.customer_id
  left join {{ ref('touch_profiles') }} as touches on people.customer_id = touches.customer_id
  left join open_carts as carts on people.customer_id = carts.customer_id
  left join {{ ref('email_profiles') }} as emails on people.customer_id = emails.customer_id
  left join {{ ref('score_profiles') }} as scores on people.customer_id = scores.customer_id
)

select
  *,
  '{{ var("shop_currency") }}' as currency,
  {{ lifecycle_stage() }} as lifecycle_stage,
  cast(recency_quintile as string) || cast(frequency_quintile as string) || cast(spend_quintile as string) as rfm_score,
  {{ price_sensitivity() }} as price_sensitivity,
  {{ coupon_sensitivity() }} as coupon_sensitivity,
  {{ email_engagement() }} as email_engagement,
  {{ as_of() }} as as_of
from joined
