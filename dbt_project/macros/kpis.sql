{# What a KPI mart shows for a day on which nothing happened: zero, in the type of the contract. #}
{% macro counted(value) %}cast(coalesce({{ value }}, 0) as bigint){% endmacro %}
{% macro summed(value) %}{{ money('coalesce(' ~ value ~ ', 0)') }}{% endmacro %}

{# The money of orders, cancelled ones included in `gross_sales`: gross - cancelled - refunded = net. #}
{% macro order_sums() -%}
  count(*) as order_count,
  sum(case when is_cancelled then 1 else 0 end) as cancelled_order_count,
  sum(case when is_cancelled then 0 else 1 end) as kept_order_count,
  sum(order_total) as gross_sales,
  sum(case when is_cancelled then order_total else 0 end) as cancelled_sales,
  sum(refunded_sales) as refunded_sales,
  sum(net_total) as net_sales
{%- endmacro %}

{% macro customer_sums() -%}
  count(distinct case when not is_cancelled then customer_id end) as customer_count,
  sum(case when customer_order_number = 1 then 1 else 0 end) as new_customer_count,
  count(distinct case when not is_cancelled and first_order_date < order_date then customer_id end)
    as returning_customer_count
{%- endmacro %}
