{# Where a customer stands with the shop. Silence is measured against the customer's own rhythm: someone who buys twice a
   week is at risk after a month, someone who buys twice a year is not. #}
{% macro lifecycle_stage() -%}
  case
    when order_count = 0 then 'lead'
    when days_since_first_order < 30 then 'new'
    when days_since_last_order >= 180 or days_since_last_order >= greatest(10 * coalesce(mean_gap_days, 30), 90) then 'lost'
    when days_since_last_order >= greatest(3 * coalesce(mean_gap_days, 20), 30) then 'at_risk'
    when frequency_quintile >= 4 and spend_quintile >= 4 then 'loyal'
    else 'active'
  end
{%- endmacro %}
