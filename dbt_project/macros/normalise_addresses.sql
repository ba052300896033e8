{# A Japanese address taken apart: prefecture, city (county and ward included), town, block as 1-2-3, building.

   Cities need a list (市川市, 四日市市, 余市町 cannot be cut by rule): the seed municipalities. Towns do not: the town ends
   where the house number begins, and the 丁目 is the first number of the block whether it is written 三丁目12番5号 or
   3-12-5, because only a register of towns could tell the second from 番地 3. The address to send things to stays as
   given; these parts are for comparing and counting. #}

{% macro prefectures() -%}
  {{ return('北海道 青森県 岩手県 宮城県 秋田県 山形県 福島県 茨城県 栃木県 群馬県 埼玉県 千葉県 東京都 神奈川県 新潟県 富山県 石川県 福井県 '
    ~ '山梨県 長野県 岐阜県 静岡県 愛知県 三重県 滋賀県 京都府 大阪府 兵庫県 奈良県 和歌山県 鳥取県 島根県 岡山県 広島県 山口県 徳島県 '
    ~ '香川県 愛媛県 高知県 福岡県 佐賀県 長崎県 熊本県 大分県 宮崎県 鹿児島県 沖縄県') }}
{%- endmacro %}

{# The prefecture of an ISO 3166-2 code (JP-13), or null. #}
{% macro prefecture_of_code(code) -%}
  nullif(split_part('{{ prefectures() }}', ' ', cast(nullif(regexp_extract({{ code }}, '^JP-(0[1-9]|[1-3][0-9]|4[0-7])$', 1), '') as int)), '')
{%- endmacro %}

{# What a municipality may be called at the start of an address: its name, with or without the county, a designated city
   without its ward, the prefecture's name without its last character before it (千葉市川市). Without a prefecture only
   a name that stands once in the country says which one it is in. #}
{% macro municipality_names() %}
  with listed as (
    select prefecture, city as meant, translate(city, 'ヶヵ', 'ケカ') as written
    from {{ ref('municipalities') }}
  ),

  named as (
    select prefecture, meant, written from listed
    union
    select prefecture, meant, {{ replace_pattern('written', '^.+?郡(.+[町村])$', first_group()) }} from listed
    union
    select prefecture, {{ replace_pattern('meant', '^(.+?市).+区$', first_group()) }}, {{ replace_pattern('written', '^(.+?市).+区$', first_group()) }}
    from listed
  ),

  placed as (
    select prefecture as asked_prefecture, prefecture, meant, written from named
    union all
    select '', case when count(distinct prefecture) = 1 then min(prefecture) end,
      case when count(distinct meant) = 1 then min(meant) else written end, written
    from named
    group by written
    union all
    select '', prefecture, meant, left(prefecture, length(prefecture) - 1) || written
    from named
    where prefecture <> '北海道'
  )

  -- two towns of one name in one prefecture: the county is not known then
  select
    asked_prefecture,
    left(written, 2) as head,
    written,
    case when count(distinct prefecture) = 1 then min(prefecture) end as prefecture,
    case when count(distinct meant) = 1 then min(meant) else written end as city
  from placed
  group by asked_prefecture, written
{% endmacro %}

{# One row a Japanese address of `relation`: its `key`, then the parts. The others are expressions over the relation
   (null where the source has none); a line may repeat the prefecture and the city. A line in Latin letters, which runs
   the other way round, is left alone. #}
{% macro address_parts(relation, key, country, prefecture, city, line, second_line) %}
  {%- set known = prefectures() | replace(' ', '|') -%}
  {%- set kanji = '[〇一二三四五六七八九十百千]+' -%}
  {#- where the block begins; 3条, 14線, 2地割, 三番町 and 10号線 are parts of a town's name -#}
  {%- set start = kanji ~ '丁目|' ~ kanji ~ '番地|' ~ kanji ~ '番' ~ kanji ~ '号|' ~ kanji ~ '番' ~ kanji ~ '$|' ~ kanji ~ '丁[0-9]|'
    ~ '[〇一二三四五六七八九十百千]' ~ kanji ~ '$|'
    ~ '[0-9]+($|[^0-9条線番地号区町]|番($|[^町丁])|地[^割]|号($|[^線東西南北]))' -%}
  {%- set separator = '(番地?[のノ之-]?|号の|[のノ之-])' -%}
  {%- set ending = '(番地|番|号)?' -%}
  {%- set chome = '([0-9]+丁目?|' ~ kanji ~ '丁目?)[のノ之-]?' -%}
  {%- set kanji_numbers = kanji ~ '番地?の?(' ~ kanji ~ '号|[0-9]+号?|' ~ kanji ~ '$)?|' ~ kanji ~ '$' -%}
  {%- set block = '^(' ~ chome ~ '([0-9]+(' ~ separator ~ '[0-9]+)?(' ~ separator ~ '[0-9]+)?' ~ ending ~ '|' ~ kanji_numbers ~ ')?|'
    ~ '[0-9]+(' ~ separator ~ '[0-9]+)?(' ~ separator ~ '[0-9]+)?' ~ ending ~ '|' ~ kanji_numbers ~ ')' -%}
  with names as (
    {{ municipality_names() }}
  ),

  folded as (
    select
      {{ key }} as address_of,
      coalesce(regexp_extract({{ fold_characters(prefecture) }}, '^({{ known }}|{{ known | replace("県", "") | replace("府", "") | replace("都|", "|") }})$', 0), '') as given_prefecture,
      replace(coalesce({{ fold_width(city) }}, ''), ' ', '') as given_city,
      {{ trimmed("concat_ws(' ', " ~ fold_width(line) ~ ", " ~ fold_width(second_line) ~ ")") }} as given_line
    from {{ relation }}
    where coalesce({{ country }}, '{{ var("shop_country") }}') = 'JP'
  ),

  legible as (
    select
      address_of,
      given_prefecture,
      given_city,
      case
        when {{ matches_pattern('given_line', '[ぁ-んァ-ヶ一-鿿]|^[0-9-]+$') }}
          then {{ replace_pattern('given_line', '^〒?[0-9]{3}-?[0-9]{4} *([^0-9])', first_group()) }}
        else ''
      end as line
    from folded
  ),

  -- up to the first digit spaces mean nothing
  squeezed as (
    select
      *,
      replace({{ replace_pattern('line', '[0-9].*$', '') }}, ' ', '') as line_start,
      substring(line, length({{ replace_pattern('line', '[0-9].*$', '') }}) + 1) as line_end
    from legible
  ),

  composed as (
    select
      address_of,
      given_prefecture,
      given_city,
      line_end,
      case
        when {{ matches_pattern('line_start', '^(' ~ known ~ ')') }} then line_start
        when given_city <> '' and left(line_start, length(given_city)) = given_city then given_prefecture || line_start
        when {{ matches_pattern('given_city', '^(' ~ known ~ ')') }} then given_city || line_start
        -- a city in Latin letters beside a Japanese line
        when {{ matches_pattern('given_city', '^[ -~]*$') }} then given_prefecture || line_start
        else given_prefecture || given_city || line_start
      end as line_start
    from squeezed
  ),

  in_prefectures as (
    select
      address_of,
      given_city,
      line_end,
      regexp_extract(line_start, '^({{ known }})', 1) as prefecture,
      translate({{ replace_pattern('line_start', '^(' ~ known ~ ')', '') }}, 'ヶヵ', 'ケカ') as in_prefecture,
      {{ replace_pattern('line_start', '^(' ~ known ~ ')', '') }} as local_start
    from composed
  ),

  ranked as (
    select
      address.*,
      coalesce(nullif(address.prefecture, ''), names.prefecture) as found_prefecture,
      names.city,
      length(names.written) as matched,
      row_number() over (
        partition by address.address_of order by length(names.written) desc nulls last, names.written asc
      ) as match_rank
    from in_prefectures as address
    left join names
      on
        address.prefecture = names.asked_prefecture
        and left(address.in_prefecture, 2) = names.head
        and left(address.in_prefecture, length(names.written)) = names.written
  ),

  local as (
    select
      address_of,
      found_prefecture as prefecture,
      coalesce(city, nullif(given_city, '')) as city,
      substring(local_start, coalesce(matched, 0) + 1) || {{ plain_numbers('line_end') }} as local_part
    from ranked
    where match_rank = 1
  ),

  -- a city followed at once by 十二丁目 has a town of that name
  towns as (
    select
      *,
      case
        when {{ matches_pattern('local_part', '^([0-9]+|' ~ kanji ~ ')丁目') }}
          then regexp_extract(local_part, '^(([0-9]+|{{ kanji }})丁目)', 1)
        else {{ replace_pattern('local_part', '(' ~ start ~ ').*$', '') }}
      end as written_town
    from local
  ),

  blocks as (
    select
      *,
      substring(local_part, length(written_town) + 1) as after_town,
      regexp_extract(substring(local_part, length(written_town) + 1), '{{ block }}', 0) as written_block
    from towns
  ),

  parts as (
    select
      address_of,
      prefecture,
      city,
      nullif({{ normalise_town('written_town') }}, '') as town,
      nullif({{ normalise_block('written_block') }}, '') as block,
      nullif({{ replace_pattern('substring(after_town, length(written_block) + 1)', '^[-、,・ ]+', '') }}, '') as building
    from blocks
  )

  -- the key leaves out what people leave out: 大字 and 字, and which ケ, の or older character a town is written with
  select
    *,
    {{ town_key('town') }} || ' ' || block as block_key
  from parts
{% endmacro %}

{# Hyphens of every kind between numbers as one, spaces beside 丁目, 番地, 番 and 号 away, a room apart from the block. #}
{% macro plain_numbers(value) -%}
  {%- set plain = replace_pattern(value, '([0-9]) *[‐‑‒–—―−ー─━-] *', first_group() ~ '-') -%}
  {%- set plain = replace_pattern(plain, '([0-9]) +(丁目|番地|番|号)', first_group() ~ second_group()) -%}
  {%- set plain = replace_pattern(plain, '(丁目|番地|番|の) +([0-9])', first_group() ~ second_group()) -%}
  {#- a fourth number of three digits and more is a room -#}
  {%- set plain = replace_pattern(plain, '([0-9](丁目?|-)[0-9]+-[0-9]+)-([0-9]{3,})', first_group() ~ ' ' ~ third_group()) -%}
  {{ replace_pattern(plain, '[-のノ之]([A-Za-z]?[0-9]+)(号室|号棟|号館|室|階|F|棟)', ' ' ~ first_group() ~ second_group()) }}
{%- endmacro %}

{# A town as registers write it: numbers in kanji; what names only the way there (河原町二条下ル) is left out. #}
{% macro normalise_town(value) -%}
  {%- set town = "replace(" ~ value ~ ", ' ', '')" -%}
  {%- set town = replace_pattern(town, '(^|[^0-9])([2-9])([0-9])([^0-9]|$)', first_group() ~ second_group() ~ '十' ~ third_group() ~ fourth_group()) -%}
  {%- set town = replace_pattern(town, '(^|[^0-9])1([0-9])([^0-9]|$)', first_group() ~ '十' ~ second_group() ~ third_group()) -%}
  {%- set town = "translate(replace(" ~ town ~ ", '十0', '十'), '0123456789', '〇一二三四五六七八九')" -%}
  {{ replace_pattern(town, '^.*(上る|下る|上ル|下ル|上がる|下がる|東入る|西入る|東入ル|西入ル|東入|西入)(.+)$', second_group()) }}
{%- endmacro %}

{% macro town_key(town) -%}
  translate({{ replace_pattern(town, '大字|小字|字', '') }}, 'ヶケヵカがガノ之{{ older_forms() }}', 'ケケケケケケのの{{ newer_forms() }}')
{%- endmacro %}

{# 二丁目10番3号, 千二百三十四番地の5 → 2-10-3, 1234-5. #}
{% macro normalise_block(value) -%}
  {%- set block = replace_pattern(value, '丁目?|番地?|号|[のノ之]', '-') -%}
  {#- every unit gets its digit, then every digit its place -#}
  {%- set block = "translate(" ~ block ~ ", '〇一二三四五六七八九', '0123456789')" -%}
  {%- set places = [
    ('(^|[^0-9])千', first_group() ~ '1千'),
    ('(^|[^0-9])百', first_group() ~ '1百'),
    ('(^|[^0-9])十', first_group() ~ '1十'),
    ('千([0-9])?(-|$)', '千0百0十' ~ first_group() ~ second_group()),
    ('千([0-9])十', '千0百' ~ first_group() ~ '十'),
    ('百([0-9])?(-|$)', '百0十' ~ first_group() ~ second_group()),
    ('([千百十])(-|$)', first_group() ~ '0' ~ second_group()),
    ('[千百十]', ''),
    ('-+', '-'),
    ('^-|-$', ''),
    ('(^|-)0+([0-9])', first_group() ~ second_group()),
  ] -%}
  {%- set read = namespace(sql=block) -%}
  {%- for pattern, replacement in places -%}{%- set read.sql = replace_pattern(read.sql, pattern, replacement) -%}{%- endfor -%}
  {{ read.sql }}
{%- endmacro %}

{# Seven digits as 123-4567; anything else as it is, folded. #}
{% macro normalise_postal_code(value) -%}
  {{ replace_pattern(fold_characters(value), '^〒? *([0-9]{3}) *[‐‑‒–—―−ー─-]? *([0-9]{4})$', first_group() ~ '-' ~ second_group()) }}
{%- endmacro %}

{# What is left of an address line when spelling is folded: digits and letters only, 丁目, 番地, 番 and 号 as hyphens. #}
{% macro address_key(value) -%}
  {%- set folded = "lower(" ~ to_hiragana(fold_width(value)) ~ ")" -%}
  {%- set folded = replace_pattern(folded, '丁目|番地の|番地|番|号', '-') -%}
  {%- set folded = "translate(" ~ folded ~ ", '〇一二三四五六七八九‐−–—ー', '0123456789-----')" -%}
  {%- set folded = replace_pattern(replace_pattern(folded, '[^0-9a-zぁ-ゖ一-龠-]', ''), '-+', '-') -%}
  {{ replace_pattern(folded, '^-|-$', '') }}
{%- endmacro %}
