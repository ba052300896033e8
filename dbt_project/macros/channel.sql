{# Marketing channels: the rules of Google Analytics 4's default channel group, first match wins, reduced to the channels
   the shop steers by (https://support.google.com/analytics/answer/9756891). Affiliates, display, unpaid social posts,
   messages and what GA4 calls unassigned are `other`. As there, upper case and lower case are the same. #}

{# Every channel `channel_of` can answer. #}
{% macro channels() %}
  {{ return(['email', 'paid_search', 'paid_social', 'organic_search', 'referral', 'direct', 'other']) }}
{% endmacro %}

{# What a visit's source and medium say about how the person came. Nothing said is direct. GA4 reads the lists of search
   and social sites from its own files; these are the ones a Japanese shop meets. #}
{% macro channel_of(source, medium) -%}
  {%- set source = "lower(trim(coalesce(" ~ source ~ ", '')))" -%}
  {%- set medium = "lower(trim(coalesce(" ~ medium ~ ", '')))" -%}
  {%- set search = '(^|[.])(google|yahoo|bing|baidu|duckduckgo|ecosia|naver|goo|yandex|ask|aol)([.]|$)' -%}
  {%- set social = '(^|[.])(meta|facebook|fb|instagram|ig|threads|twitter|x|t|tiktok|youtube|pinterest|linkedin|line|mixi|reddit)([.]|$)' -%}
  {%- set paid = '^(.*cp.*|ppc|retargeting|paid.*)$' -%}
  {%- set mail = '^e[-_ ]?mail$' -%}
  case
    when {{ source }} in ('', '(direct)', 'direct') and {{ medium }} in ('', '(none)', '(not set)') then 'direct'
    when {{ matches_pattern(medium, paid) }} and {{ matches_pattern(source, search) }} then 'paid_search'
    when {{ medium }} in ('paid_social', 'paid-social', 'paidsocial') then 'paid_social'
    when {{ matches_pattern(medium, paid) }} and {{ matches_pattern(source, social) }} then 'paid_social'
    when {{ matches_pattern(medium, paid) }} then 'other'
    when {{ matches_pattern(source, mail) }} or {{ matches_pattern(medium, mail) }} then 'email'
    when {{ medium }} = 'organic' or {{ matches_pattern(source, search) }} then 'organic_search'
    when {{ medium }} in ('referral', 'app', 'link') then 'referral'
    else 'other'
  end
{%- endmacro %}

{# The channel in which an advertising platform's clicks arrive. #}
{% macro channel_of_platform(platform) -%}
  case {{ platform }} when 'google_ads' then 'paid_search' when 'meta' then 'paid_social' else 'other' end
{%- endmacro %}
