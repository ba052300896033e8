{# E.164, or null when the number cannot be one. `country` is the two-letter code of the address beside it; a number
   without a calling code is read in that country, or in the shop's when there is none. Japan and North America are read
   in full; of other countries only what carries its calling code, because each has its own rules of the trunk prefix
   and a guess would call a stranger. The patterns are the phonenumbers library's own (phone_patterns.sql), so a number
   whose length or first digits no country uses is null too. A Japanese number may lack its leading 0 where a spreadsheet
   has eaten it. Letters are a label before the number or an extension after it; anywhere else there is no number. #}
{% macro normalise_phone(value, country) -%}
  {%- set read = namespace(sql=lower_case(fold_characters(value))) -%}
  {%- for pattern, replacement in [
    ('[ ;,(（-]*(extension|extn|ext|内線|内|int|x|#)[.:= ]*[0-9]{1,7}[ )）]*$', ''),
    ('^[a-z .:]+', ''),
    ('^.*[a-z].*$', ''),
    ('[^0-9+]', ''),
  ] -%}
    {%- set read.sql = replace_pattern(read.sql, pattern, replacement) -%}
  {%- endfor -%}
  {#- the country stands before the digits until it is known how to read them -#}
  {%- set read.sql = "coalesce(" ~ country ~ ", '" ~ var('shop_country') ~ "') || ':' || " ~ read.sql -%}
  {%- for pattern, replacement in [
    ('^[A-Z]+:(010|00)([1-689]|7[0-689])', ':+' ~ second_group()),
    ('^JP:(81)?0?([1-9]0[0-9]{8}|[1-9][0-9]{8})$', ':+81' ~ second_group()),
    ('^(US|CA):1?([2-9][0-9]{2}[2-9][0-9]{6})$', ':+1' ~ second_group()),
    ('^([A-Z]*):[+](' ~ codes_dropping_zero() ~ ')0', ':+' ~ second_group()),
  ] -%}
    {%- set read.sql = replace_pattern(read.sql, pattern, replacement) -%}
  {%- endfor -%}
  nullif(regexp_extract({{ read.sql }}, ':([+](?:81(?:{{ japanese_numbers() }})|{{ numbers_abroad() }}))$', 1), '')
{%- endmacro %}
