{# `units` (a whole number) handed out in proportion to whole `weights` within a group: everybody their whole part, and
   what is left one by one to the largest remainders, the earliest first where they are equal. The sum is exact.
   Two columns for a select; then `largest_remainder` over them in the next one. #}
{% macro proportional_parts(units, weight, total, part) -%}
  {{ whole_division(units ~ ' * ' ~ weight, total) }} as {{ part }},
  ({{ units }} * {{ weight }}) % {{ total }} as {{ part }}_remainder
{%- endmacro %}

{% macro largest_remainder(units, part, keys, place) -%}
  {{ part }} + case
    when
      row_number() over (partition by {{ keys }} order by {{ part }}_remainder desc, {{ place }} asc)
      <= {{ units }} - sum({{ part }}) over (partition by {{ keys }}) then 1
    else 0
  end
{%- endmacro %}
