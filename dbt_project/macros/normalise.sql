{# Contact data is normalised here and nowhere else in the warehouse, in a way that gives the same text on every engine:
   plain translate and replace from tables that equal Unicode NFKC for the characters they name. Spark has no NFKC, and
   where an engine has one its Unicode version is its own. tests/integration/test_dbt_normalise.py holds these macros
   against unicodedata and the phonenumbers library. This file folds characters, dates and countries; e-mails, phones,
   names and addresses have a file each. #}

{# Every macro uses what it is given once, or once more in a test of it: repeated, the nested replaces multiply and
   planning takes seconds. #}

{# Full-width ASCII and half-width kana to the other width, compatibility kanji to the plain one, every kind of space to
   one, marks nobody sees away (zero width, direction, variation selectors, control characters). Most text holds none of
   these, and finding that out is ten times as fast as translating it. #}
{% macro fold_characters(value) -%}
  {%- if target.name == 'lint' -%}{{ return(value) }}{%- endif -%}
  {%- set wide = '！＃＄％＆（）＊＋，－．／０１２３４５６７８９：；＜＝＞？＠ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ［］＾＿｀ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ｛｜｝～' -%}
  {%- set ascii = '!#$%&()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~' -%}
  {%- set half_kana = '｡｢｣､･ｦｧｨｩｪｫｬｭｮｯｰｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜﾝ' -%}
  {%- set full_kana = '。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン' -%}
  {#- half-width and combining sound marks become the spacing ones, which compose_kana joins -#}
  {%- set marks = 'ﾞﾟ' ~ '\u3099\u309A' -%}
  {%- set spacing_marks = '゛゜゛゜' -%}
  {#- the second code points that Japanese character sets gave to some kanji; escaped, for editors compose them away -#}
  {%- set compatible = '\uF91D\uF928\uF929\uF936\uF970\uF9D0\uF9DC\uFA10\uFA12\uFA15\uFA16\uFA17\uFA18\uFA19\uFA1A\uFA1B\uFA1C\uFA1D\uFA1E\uFA20\uFA22\uFA25\uFA26\uFA2A\uFA2B\uFA2C\uFA2D\uFA30\uFA31\uFA32\uFA33\uFA34\uFA35\uFA36\uFA37\uFA38\uFA39\uFA3A\uFA3B\uFA3C\uFA3D\uFA3E\uFA3F\uFA40\uFA41\uFA42\uFA43\uFA44\uFA45\uFA46\uFA47\uFA48\uFA49\uFA4A\uFA4B\uFA4C\uFA4D\uFA4E\uFA4F\uFA50\uFA51\uFA52\uFA53\uFA54\uFA55\uFA56\uFA57\uFA58\uFA59\uFA5A\uFA5B\uFA5C\uFA5D\uFA5E\uFA5F\uFA60\uFA61\uFA62\uFA63\uFA64\uFA65\uFA66\uFA67\uFA68\uFA69\uFA6A' -%}
  {%- set unified = '欄廊朗虜殺類隆塚晴凞猪益礼神祥福靖精羽蘒諸逸都飯飼館鶴侮僧免勉勤卑喝嘆器塀墨層屮悔慨憎懲敏既暑梅海渚漢煮爫琢碑社祉祈祐祖祝禍禎穀突節練縉繁署者臭艹艹著褐視謁謹賓贈辶逸難響頻' -%}
  {%- set spaces = '\t\n\u000B\u000C\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000' -%}
  {%- set clean = '^[ -~ぁ-ゖァ-ヺー々〆〇一-\u9FFF]*$' -%}
  {%- set unseen = '[^\t-\r -~\u0085\u00A0-\u00AC\u00AE-\u180D\u180F-\u200A\u2010-\u2029\u202F-\u205F\u2070-\uFDFF\uFE10-\uFEFE\uFF00-\U000E00FF\U000E01F0-\U0010FFFF]' -%}
  {%- set seen = replace_pattern(value, unseen) -%}
  {%- set folded = "translate(" ~ seen ~ ", '" ~ wide ~ half_kana ~ marks ~ compatible ~ spaces ~ "', '" ~ ascii ~ full_kana ~ spacing_marks ~ unified ~ ' ' * spaces | length ~ "')" -%}
  {{ trimmed("case when " ~ matches_pattern(value, clean) ~ " then " ~ value ~ " else " ~ compose_kana(folded) ~ " end") }}
{%- endmacro %}

{# Without the spaces at both ends, U+0020 and no other: what else a bare trim takes away differs between engines. #}
{% macro trimmed(value) -%}
  trim(both ' ' from {{ value }})
{%- endmacro %}

{# The same with runs of spaces made one: for text that people read. #}
{% macro fold_width(value) -%}
  {{ replace_pattern(fold_characters(value), ' +', ' ') }}
{%- endmacro %}

{# Lower case. The two letters that engines lower differently are settled first. #}
{% macro lower_case(value) -%}
  lower(translate({{ value }}, 'İΣς', 'iσσ'))
{%- endmacro %}

{# One replace a pair, nested; none for sqlfluff, whose parser gives up on deep nesting. #}
{% macro replace_each(value, pairs) -%}
  {%- set replaced = namespace(sql=value) -%}
  {%- for old, new in pairs if target.name != 'lint' -%}
    {%- set replaced.sql = "replace(" ~ replaced.sql ~ ", '" ~ old ~ "', '" ~ new ~ "')" -%}
  {%- endfor -%}
  {{ return(replaced.sql) }}
{%- endmacro %}

{# カ + ゛ → ガ, for katakana and hiragana. #}
{% macro compose_kana(value) -%}
  {%- set plain = 'カキクケコサシスセソタチツテトハヒフヘホウかきくけこさしすせそたちつてとはひふへほう' -%}
  {%- set voiced = 'ガギグゲゴザジズゼゾダヂヅデドバビブベボヴがぎぐげござじずぜぞだぢづでどばびぶべぼゔ' -%}
  {%- set breathed = 'ハヒフヘホはひふへほ' -%}
  {%- set popped = 'パピプペポぱぴぷぺぽ' -%}
  {%- set pairs = [] -%}
  {%- for letter in plain -%}{%- do pairs.append((letter ~ '゛', voiced[loop.index0])) -%}{%- endfor -%}
  {%- for letter in breathed -%}{%- do pairs.append((letter ~ '゜', popped[loop.index0])) -%}{%- endfor -%}
  {{ return(replace_each(value, pairs)) }}
{%- endmacro %}

{% macro to_hiragana(value) -%}
  {%- set katakana = 'ァアィイゥウェエォオカガキギクグケゲコゴサザシジスズセゼソゾタダチヂッツヅテデトドナニヌネノハバパヒビピフブプヘベペホボポマミムメモャヤュユョヨラリルレロヮワヰヱヲンヴヵヶ' -%}
  {%- set hiragana = 'ぁあぃいぅうぇえぉおかがきぎくぐけげこごさざしじすずせぜそぞただちぢっつづてでとどなにぬねのはばぱひびぴふぶぷへべぺほぼぽまみむめもゃやゅゆょよらりるれろゎわゐゑをんゔゕゖ' -%}
  translate({{ value }}, '{{ katakana }}', '{{ hiragana }}')
{%- endmacro %}

{# The two-letter code of a country as people write it, or null. #}
{% macro normalise_country(value) -%}
  {%- set japan = '^(JP|JPN|JAPAN|日本|日本国)$' -%}
  {%- set america = '^(US|USA|U[.]S[.]A[.]|UNITED STATES|UNITED STATES OF AMERICA|アメリカ)$' -%}
  {%- set known = replace_pattern(replace_pattern(upper_ascii(fold_characters(value)), japan, 'JP'), america, 'US') -%}
  nullif(regexp_extract({{ known }}, '^([A-Z]{2})$', 1), '')
{%- endmacro %}

{# Capitals for the letters of English and no others: of ß the engines make different ones. #}
{% macro upper_ascii(value) -%}
  translate({{ value }}, 'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ')
{%- endmacro %}

{# A calendar day written 1980-01-02, 1980/1/2, 19800102 or 1980年1月2日, or null. #}
{% macro normalise_date(value) -%}
  {%- set compact = replace_pattern(fold_characters(value), '^([12][0-9]{3})([01][0-9])([0-3][0-9])$', first_group() ~ '-' ~ second_group() ~ '-' ~ third_group()) -%}
  {%- set marked = replace_pattern(replace_pattern(compact, '[/.年月]', '-'), '日|T.*$', '') -%}
  try_cast(nullif(regexp_extract({{ marked }}, '^([12][0-9]{3}-[01]?[0-9]-[0-3]?[0-9])$', 1), '') as date)
{%- endmacro %}

{# How a replacement names the groups of its pattern. #}
{% macro first_group() %}{{ return(adapter.dispatch('group', 'kizuna')(1)) }}{% endmacro %}
{% macro second_group() %}{{ return(adapter.dispatch('group', 'kizuna')(2)) }}{% endmacro %}
{% macro third_group() %}{{ return(adapter.dispatch('group', 'kizuna')(3)) }}{% endmacro %}
{% macro fourth_group() %}{{ return(adapter.dispatch('group', 'kizuna')(4)) }}{% endmacro %}
{% macro default__group(number) %}{{ return('\\' ~ number) }}{% endmacro %}
{% macro spark__group(number) %}{{ return('$' ~ number) }}{% endmacro %}
