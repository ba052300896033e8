{# Where the lake is and what time it is: the only two things a build takes from outside. #}

{% macro lake_root() -%}
  {{ return(var('lake', env_var('KIZUNA_LAKE', '../lake')).rstrip('/')) }}
{%- endmacro %}

{% macro marts_root() -%}
  {{ return(var('marts', lake_root() ~ '/marts').rstrip('/')) }}
{%- endmacro %}

{# The marts as the build before this one left them; somewhere else only when two builds are compared. #}
{% macro previous_root() -%}
  {{ return(var('previous', marts_root()).rstrip('/')) }}
{%- endmacro %}

{# Where a mart is written before it is renamed into place: beside the marts, on the same file system. #}
{% macro writing_root() -%}
  {{ return(marts_root().rpartition('/')[0] ~ '/_writing') }}
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
