{# A model's `primary_key` constraint, held where it is built: no column of it is null and no combination comes twice. A
   model that breaks it fails, and what the build before made of it stands. One statement a model, where a data test would
   be one node a model: most of what a build of a small shop costs. #}

{# The columns of the model's primary key; none when it has none. #}
{% macro primary_key_of_model() %}
  {%- for constraint in model.constraints if constraint.type == 'primary_key' -%}
    {{ return(constraint.columns) }}
  {%- endfor -%}
{% endmacro %}

{# The statement that fails when these rows break the model's key; nothing for a model without one. Only the rows whose key's
   hash comes more than once are grouped by the key itself: hashes take two thirds of the time and a tenth of the memory. #}
{% macro primary_key_check(rows) -%}
  {%- set key = primary_key_of_model() -%}
  {%- if key -%}
    {%- set columns = key | join(', ') -%}
    {%- set told = ' values of its primary key (' ~ columns ~ ') are null or come more than once' -%}
    select
      case when count(*) > 0 then {{ fail_with("'" ~ this.identifier ~ ": ' || count(*) || '" ~ told ~ "'") }} end
    from (
      select 1 as found
      from {{ rows }}
      where
        hash({{ columns }}) in (select hash({{ columns }}) from {{ rows }} group by hash({{ columns }}) having count(*) > 1)
        {%- for column in key %} or {{ column }} is null{% endfor %}
      group by {{ columns }}
      having count(*) > 1 {% for column in key %} or {{ column }} is null {% endfor %}
    ) as broken
  {%- endif -%}
{%- endmacro %}

{# The same for what dbt's own materialisations build: views, and everything on Spark. `check_keys: false` leaves it out, and
   so does `key_was_held` of a view that cannot break what the build before has held. #}
{% macro hold_to_primary_key() -%}
  {%- set is_unheld_view = config.get('materialized') == 'view' and not config.get('key_was_held', false) -%}
  {%- if var('check_keys', true) and (target.type == 'spark' or is_unheld_view) -%}
    {{ primary_key_check(this) }}
  {%- endif -%}
{%- endmacro %}

{% macro fail_with(message) %}{{ return(adapter.dispatch('fail_with', 'kizuna')(message)) }}{% endmacro %}
{% macro default__fail_with(message) %}error({{ message }}){% endmacro %}
{% macro spark__fail_with(message) %}raise_error({{ message }}){% endmacro %}
