{# How behaviour becomes a trait. Every rule stands here once, in whole numbers as far as it goes, so that both engines
   say the same. #}

{# What an event of this age still counts, in millionths: half after 90 days, a quarter after 180, in steps at the
   midnights of the 30-day grid, nothing after two years: a weight stays what it is until the next of those midnights. The weights are rounded here and whole from there on, so that sums of them are exact; a
   power taken row by row would differ in the last bit between engines. #}
{% macro decayed_weight(moment) -%}
  case
    {% for edge in grid_moments(24) -%}
    when {{ moment }} > {{ edge }} then {{ (1000000 * 0.5 ** (loop.index0 / 3)) | round | int }}
    {% endfor -%}
    else 0
  end
{%- endmacro %}

{# The part of the shop's day a moment lies in. #}
{% macro hour_bands() %}
  {{- return({'morning': [5, 11], 'afternoon': [11, 17], 'evening': [17, 22]}) }}
{%- endmacro %}
{% macro hour_band(hour) -%}
  case
    {% for band, hours in hour_bands().items() -%}
    when {{ hour }} >= {{ hours[0] }} and {{ hour }} < {{ hours[1] }} then '{{ band }}'
    {% endfor -%}
    when {{ hour }} is not null then 'night'
  end
{%- endmacro %}

{% macro weekdays() %}
  {{- return(['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']) }}
{%- endmacro %}

{# Which of several counts is the largest, by name; the first named wins a tie, and without any count there is none. #}
{% macro largest_of(counts, suffix='') -%}
  case
    {% for name in counts -%}
    when {{ name }}{{ suffix }} > 0
      {%- for other in counts if other != name %} and {{ name }}{{ suffix }} >= {{ other }}{{ suffix }}{% endfor %} then '{{ name }}'
    {% endfor -%}
  end
{%- endmacro %}

{% macro age_band(years) -%}
  case
    when {{ years }} < 18 then '0-17'
    when {{ years }} < 25 then '18-24'
    when {{ years }} < 35 then '25-34'
    when {{ years }} < 45 then '35-44'
    when {{ years }} < 55 then '45-54'
    when {{ years }} < 65 then '55-64'
    when {{ years }} < 75 then '65-74'
    when {{ years }} >= 75 then '75+'
  end
{%- endmacro %}

{# A region as one name: Shopify says JP-13, the CRM 東京都 or 東京; anything that is no prefecture is left as it came. #}
{% macro prefecture_or_region(region) -%}
  case {{ region }}
    {% for name in prefectures().split(' ') -%}
    when 'JP-{{ '%02d' % loop.index }}' then '{{ name }}'
    {% if name != '北海道' %}when '{{ name[:-1] }}' then '{{ name }}'{% endif %}
    {% endfor -%}
    else {{ region }}
  end
{%- endmacro %}

{# Nobody is born after the as-of day or has lived 120 years. #}
{% macro is_possible_birth_date(day) -%}
  {{ day }} <= cast({{ shop_time(as_of()) }} as date) and {{ day }} > cast({{ days_before(as_of(), 43830) }} as date)
{%- endmacro %}

{# Of the items somebody keeps, how many were bought below the list price. #}
{% macro price_sensitivity() -%}
  case
    when discounted_item_rate < 0.35 then 'low'
    when discounted_item_rate < 0.65 then 'middle'
    when discounted_item_rate >= 0.65 then 'high'
  end
{%- endmacro %}

{# Of the orders somebody keeps, how many were placed with a code. #}
{% macro coupon_sensitivity() -%}
  case
    when coupon_order_rate = 0 then 'none'
    when coupon_order_rate < 0.2 then 'some'
    when coupon_order_rate >= 0.2 then 'high'
  end
{%- endmacro %}

{% macro shop_currency() %}{{ return("'" ~ var('shop_currency') ~ "'") }}{% endmacro %}

{# What somebody makes of the mail they got. A click is a deed; an open may be a picture that a program has fetched. #}
{% macro email_engagement() -%}
  case
    when emails_clicked_30d > 0 then 'active'
    when emails_clicked_90d > 0 or emails_opened_30d > 0 then 'warm'
    when emails_opened_90d > 0 then 'cooling'
    when emails_sent_90d > 0 then 'silent'
    else 'not_mailed'
  end
{%- endmacro %}
