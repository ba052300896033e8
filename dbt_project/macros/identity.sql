{# Mailboxes of an office rather than a person. #}
{% macro role_address_pattern() -%}
  {{ return('^(info|sales|support|admin|administrator|office|contact|hello|help|mail|shop|store|order|orders|billing|'
    ~ 'accounting|keiri|soumu|jinji|eigyo|postmaster|webmaster|marketing|press|hr|team)@') }}
{%- endmacro %}

{# Addresses and numbers that people type when they do not want to say theirs. #}
{% macro dummy_email_pattern() -%}
  {{ return('^(test|tests|testing|dummy|sample|example|none|noemail|no-email|nomail|nobody|null|unknown|anonymous|aaa|abc|'
    ~ 'xxx|asdf|noreply|no-reply|no_reply|donotreply|do-not-reply)[0-9]*@') }}
{%- endmacro %}

{% macro dummy_phone_pattern() -%}
  {{ return('(00000000|11111111|22222222|33333333|44444444|55555555|66666666|77777777|88888888|99999999)$') }}
{%- endmacro %}

{# The limit of a kind of identifier; none (null) for numbers a system gives out itself. #}
{% macro identifier_limit(type, what) -%}
  case {{ type }} {% for name, limits in var('identifier_limits').items() -%}
    when '{{ name }}' then {{ limits[what] }} {% endfor -%} end
{%- endmacro %}

{# Connected components by label propagation with pointer jumping: every round a record takes the smallest label on any
   node it hangs on, then its label's own label, until nothing changes. Rounds are tables, because Spark's temporary views
   would run the whole chain again each time. The last round's table is the model's query. #}
{% macro connected_components(links) %}
  {% set state = namespace(current=none, is_stable=false) %}
  {% if execute and flags.WHICH in ('run', 'build') %}
    {% set rounds = [links.incorporate(path={'identifier': 'component_round_a'}),
                     links.incorporate(path={'identifier': 'component_round_b'})] %}
    {% do replace_round(rounds[0], 'select distinct record_key, record_key as component_key from ' ~ links) %}
    {% set state.current = rounds[0] %}
    {% for number in range(64) if not state.is_stable %}
      {% set next = rounds[(number + 1) % 2] %}
      {% do replace_round(next, component_round(links, state.current)) %}
      {% set changed = run_query('select count(*) from ' ~ state.current ~ ' as old inner join ' ~ next
        ~ ' as new on old.record_key = new.record_key where old.component_key <> new.component_key') %}
      {% set state.current = next %}
      {% set state.is_stable = changed.rows[0][0] | int == 0 %}
    {% endfor %}
    {% if not state.is_stable %}
      {% do exceptions.raise_compiler_error('the identity graph did not settle in 64 rounds: look for a cluster-size alarm') %}
    {% endif %}
  {% endif %}
  select record_key, component_key from {{ state.current or links }}
{% endmacro %}

{% macro replace_round(relation, query) %}
  {% do run_query('drop table if exists ' ~ relation) %}
  {% do run_query('create table ' ~ relation ~ ' using parquet as ' ~ query) %}
{% endmacro %}

{% macro component_round(links, labels) %}
  with node_labels as (
    select links.link_key, min(labels.component_key) as component_key
    from {{ links }} as links
    inner join {{ labels }} as labels on links.record_key = labels.record_key
    group by links.link_key
  ),

  spread as (
    select links.record_key, min(node_labels.component_key) as component_key
    from {{ links }} as links
    inner join node_labels on links.link_key = node_labels.link_key
    group by links.record_key
  )

  select spread.record_key, least(spread.component_key, jumped.component_key) as component_key
  from spread
  inner join spread as jumped on spread.component_key = jumped.record_key
{% endmacro %}
