{# Where the lake is and what time it is: the only two things a build takes from outside. #}

{% macro lake_root() -%}
  {{ return(var('lake', env_var('KIZUNA_LAKE', '../lake')).rstrip('/')) }}
{%- endmacro %}

{% macro marts_root() -%}
  {{ return(var('marts', lake_root() ~ '/marts').rstrip('/')) }}
{%- endmacro %}

{# The pipeline's clock in UTC: var as_of, else KIZUNA_AS_OF, else the moment dbt was started. No model asks the engine. #}
{% macro as_of() -%}
  {%- set given = var('as_of', env_var('KIZUNA_AS_OF', '')) | string -%}
  {%- if given -%}
    {%- set moment = modules.datetime.datetime.fromisoformat(given.replace('Z', '+00:00')) -%}
    {%- if moment.tzinfo -%}{%- set moment = moment.astimezone(modules.pytz.utc) -%}{%- endif -%}
  {%- else -%}
    {%- set moment = run_started_at.astimezone(modules.pytz.utc) -%}
  {%- endif -%}
  cast('{{ moment.strftime("%Y-%m-%d %H:%M:%S") }}' as timestamp)
{%- endmacro %}

{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
