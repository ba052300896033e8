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
    {%- set moment = utc_text(given) -%}
  {%- else -%}
    {%- set moment = run_started_at.astimezone(modules.pytz.utc).strftime("%Y-%m-%d %H:%M:%S") -%}
  {%- endif -%}
  cast('{{ moment }}' as timestamp)
{%- endmacro %}

{# ISO 8601 as the text of a UTC timestamp; a bare date is its midnight, a time without a zone is UTC. #}
{% macro utc_text(given) -%}
  {{ return(utc_moment(given).strftime("%Y-%m-%d %H:%M:%S")) }}
{%- endmacro %}

{% macro utc_moment(given) -%}
  {%- set moment = modules.datetime.datetime.fromisoformat((given | string).replace('Z', '+00:00')) -%}
  {{ return((moment.astimezone(modules.pytz.utc) if moment.tzinfo else moment).replace(tzinfo=none)) }}
{%- endmacro %}

{# Midnights (UTC) every 30 days, counted from 1970, the newest first: what is looked at every 30 days is looked at then,
   so that a day later it is still what it was. Before the clock. #}
{% macro grid_moments(count) -%}
  {%- set given = var('as_of', env_var('KIZUNA_AS_OF', '')) | string -%}
  {%- set now = utc_moment(given) if given else run_started_at.astimezone(modules.pytz.utc).replace(tzinfo=none) -%}
  {%- set start = modules.datetime.datetime(1970, 1, 1) -%}
  {%- set cell = ((now - start).total_seconds() - 1) // 86400 // 30 -%}
  {%- set moments = [] -%}
  {%- for step in range(count) -%}
    {%- set moment = start + modules.datetime.timedelta(days=30 * (cell - step)) -%}
    {%- do moments.append("cast('" ~ moment.strftime("%Y-%m-%d %H:%M:%S") ~ "' as timestamp)") -%}
  {%- endfor -%}
  {{ return(moments) }}
{%- endmacro %}

{# The moments at which customers are looked at: the clock and every 30 days (of the grid) back from it, or the clock and
   those that were asked for, e.g. `--vars '{snapshot_dates: [2026-01-01, 2026-03-31T15:00:00Z], marts: /tmp/then}'` (with
   `marts` elsewhere, since the models in ml/ learn from the thirteen). A moment after the clock is refused: nobody knows
   it. #}
{% macro snapshot_moments() -%}
  {%- set moments = [as_of()] -%}
  {%- for given in var('snapshot_dates', []) -%}
    {%- set moment = "cast('" ~ utc_text(given) ~ "' as timestamp)" -%}
    {%- if moment > as_of() -%}
      {%- do exceptions.raise_compiler_error('snapshot_dates holds ' ~ given ~ ', which is after the as-of time ' ~ as_of()) -%}
    {%- endif -%}
    {%- if moment not in moments -%}{%- do moments.append(moment) -%}{%- endif -%}
  {%- else -%}
    {%- do moments.extend(grid_moments(var('snapshot_count') - 1)) -%}
  {%- endfor -%}
  {{ return(moments) }}
{%- endmacro %}

{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
