{# Contact data is normalised here and nowhere else in the warehouse, in a way that gives the same text on every engine:
   plain translate and replace from tables that equal Unicode NFKC for the characters they name. Spark has no NFKC, and
   where an engine has one its Unicode version is its own. tests/integration/test_dbt_normalise.py holds these macros
   against unicodedata and the phonenumbers library. #}

{# Every macro below uses its value once: repeated, the nested replaces multiply and planning takes seconds. #}

{# Full-width ASCII and half-width kana to the other width, every kind of space to one, invisible marks away. #}
{% macro fold_characters(value) -%}
  {%- set wide = '！＃＄％＆（）＊＋，－．／０１２３４５６７８９：；＜＝＞？＠ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ［］＾＿｀ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ｛｜｝～' -%}
  {%- set ascii = '!#$%&()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~' -%}
  {%- set half_kana = '｡｢｣､･ｦｧｨｩｪｫｬｭｮｯｰｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜﾝ' -%}
  {%- set full_kana = '。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン' -%}
  {#- half-width and combining sound marks become the spacing ones, which compose_kana joins -#}
  {%- set marks = 'ﾞﾟ' ~ '\u3099\u309A' -%}
  {%- set spacing_marks = '゛゜゛゜' -%}
  {%- set spaces = '\t\n\u000B\u000C\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000' -%}
  {#- last: what has no counterpart is deleted by translate -#}
  {%- set invisible = '\u200B\u200C\u200D\u2060\uFEFF' -%}
  {{ trimmed("translate(" ~ value ~ ", '" ~ wide ~ half_kana ~ marks ~ spaces ~ invisible ~ "', '" ~ ascii ~ full_kana ~ spacing_marks ~ ' ' * spaces | length ~ "')") }}
{%- endmacro %}

{# Without the spaces at both ends, U+0020 and no other: what else a bare trim takes away differs between engines. #}
{% macro trimmed(value) -%}
  trim(both ' ' from {{ value }})
{%- endmacro %}

{# The same, with half-width voiced kana joined and runs of spaces made one: for text that people read. #}
{% macro fold_width(value) -%}
  {{ replace_pattern(compose_kana(fold_characters(value)), ' +', ' ') }}
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

{# A trimmed, half-width, lower-case address, or null when it is none. Addresses that break RFC 5322 but exist (Japanese
   carriers issued local parts with two dots in a row) are kept. #}
{% macro normalise_email(value) -%}
  {%- set address = '^([!#-&*-+./0-9=?^_`a-z{|}~-]+@[a-z0-9-]+([.][a-z0-9-]+)*[.][a-z][a-z0-9-]*[a-z])$' -%}
  nullif(regexp_extract(lower(replace({{ fold_characters(value) }}, ' ', '')), '{{ address }}', 1), '')
{%- endmacro %}

{# E.164, or null when the number cannot be one. `country` is the two-letter code of the address beside it; a number
   without a country code is read in that country, or in the shop's when there is none. A Japanese number may lack its
   leading 0 where a spreadsheet has eaten it. #}
{% macro normalise_phone(value, country) -%}
  {%- set kept = replace_pattern(fold_characters(value), '[^0-9+]', '') -%}
  {#- the country stands before the digits until it is known how to read them -#}
  {%- set read = namespace(sql="coalesce(" ~ country ~ ", '" ~ var('shop_country') ~ "') || ':' || " ~ kept) -%}
  {%- for pattern, replacement in [
    ('^[A-Z]+:(00|010)([1-9])', ':+' ~ second_group()),
    ('^JP:(81)?0?([25-9]0[0-9]{8}|[1-9][1-9][0-9]{7})$', ':+81' ~ second_group()),
    ('^(US|CA):1?([2-9][0-9]{2}[2-9][0-9]{6})$', ':+1' ~ second_group()),
    ('^([A-Z]*):[+]810', ':+81'),
  ] -%}
    {%- set read.sql = replace_pattern(read.sql, pattern, replacement) -%}
  {%- endfor -%}
  {%- set number = ':([+]81[25-9]0[0-9]{8}|[+]81[1-9][1-9][0-9]{7}|[+]1[2-9][0-9]{2}[2-9][0-9]{6}|[+]([2-79]|8[02-9])[0-9]{6,13})$' -%}
  nullif(regexp_extract({{ read.sql }}, '{{ number }}', 1), '')
{%- endmacro %}

{# The two-letter code of a country as people write it, or null. #}
{% macro normalise_country(value) -%}
  {%- set japan = '^(JP|JPN|JAPAN|日本|日本国)$' -%}
  {%- set america = '^(US|USA|U[.]S[.]A[.]|UNITED STATES|UNITED STATES OF AMERICA|アメリカ)$' -%}
  {%- set known = replace_pattern(replace_pattern('upper(' ~ fold_characters(value) ~ ')', japan, 'JP'), america, 'US') -%}
  nullif(regexp_extract({{ known }}, '^([A-Z]{2})$', 1), '')
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
{% macro default__group(number) %}{{ return('\\' ~ number) }}{% endmacro %}
{% macro spark__group(number) %}{{ return('$' ~ number) }}{% endmacro %}

{# Seven digits as 123-4567; anything else as it is, folded. #}
{% macro normalise_postal_code(value) -%}
  {%- set folded = "replace(translate(" ~ fold_characters(value) ~ ", '〒‐−–—ー', ' -----'), ' ', '')" -%}
  {{ replace_pattern(folded, '^([0-9]{3})-?([0-9]{4})$', first_group() ~ '-' ~ second_group()) }}
{%- endmacro %}

{# What is left of an address line when spelling is folded: digits and letters only, 丁目, 番地, 番 and 号 as hyphens. #}
{% macro address_key(value) -%}
  {%- set folded = "lower(" ~ to_hiragana(fold_width(value)) ~ ")" -%}
  {%- set folded = replace_pattern(folded, '丁目|番地の|番地|番|号', '-') -%}
  {%- set folded = "translate(" ~ folded ~ ", '〇一二三四五六七八九‐−–—ー', '0123456789-----')" -%}
  {%- set folded = replace_pattern(replace_pattern(folded, '[^0-9a-zぁ-ゖ一-龠-]', ''), '-+', '-') -%}
  {{ replace_pattern(folded, '^-|-$', '') }}
{%- endmacro %}

{# A name for comparing: order, spaces, width, kana script, honorifics and the spelling of long vowels do not count.
   Kana is read as romaji, so ヤマダ, やまだ and Yamada agree. The characters are sorted, so that 山田 太郎, 太郎 山田 and
   山田太郎 are one; anagrams of each other in addition share a phone or an address with nobody in practice. #}
{% macro name_key(first_name, last_name) -%}
  {%- set full = "concat_ws(' ', nullif(" ~ trimmed(first_name) ~ ", ''), nullif(" ~ trimmed(last_name) ~ ", ''))" -%}
  {%- set full = "lower(" ~ to_hiragana(fold_width(full)) ~ ")" -%}
  {%- set accented = 'āīūēōâîûêôáíúéóàìùèòäëïöüñç' -%}
  {%- set plain = 'aiueoaiueoaiueoaiueoaeiounc' -%}
  {%- set full = "translate(" ~ full ~ ", '" ~ accented ~ ".・-‐−–—=,’', '" ~ plain ~ "         ')" -%}
  {#- the apostrophe of O'Brien is left out by as many as write it; chr, for engines escape quotes differently -#}
  {%- set full = "replace(" ~ full ~ ", chr(39), '')" -%}
  {#- the older forms of characters that families keep in their names -#}
  {%- set full = "translate(" ~ full ~ ", '髙﨑碕嵜齋齊斉邊邉濱澤廣國嶋嶌櫻藏與眞冨', '高崎崎崎斎斎斎辺辺浜沢広国島島桜蔵与真富')" -%}
  {%- set full = replace_pattern(full, '(様|さま|さん|殿|先生|氏)( |$)', ' ') -%}
  {%- set full = replace_pattern(full, '(^| )(mr|mrs|ms|miss|dr|prof)( |$)', ' ') -%}
  {#- a middle initial -#}
  {%- set full = replace_pattern(full, ' [a-z]( |$)', ' ') -%}
  {%- set full = kana_to_romaji(full) -%}
  {%- set full = replace_pattern(full, 'o[ou]', 'o') -%}
  {%- set full = replace_pattern(full, 'oh( |$|[bcdfghjkmnprstvwz])', 'o' ~ first_group()) -%}
  {%- set full = replace_pattern(full, 'uu', 'u') -%}
  nullif({{ sorted_characters("replace(" ~ full ~ ", ' ', '')") }}, '')
{%- endmacro %}

{% macro kana_to_romaji(value) -%}
  {%- set pairs = [
    ('きゃ','kya'),('きゅ','kyu'),('きょ','kyo'),('しゃ','sha'),('しゅ','shu'),('しょ','sho'),
    ('ちゃ','cha'),('ちゅ','chu'),('ちょ','cho'),('にゃ','nya'),('にゅ','nyu'),('にょ','nyo'),
    ('ひゃ','hya'),('ひゅ','hyu'),('ひょ','hyo'),('みゃ','mya'),('みゅ','myu'),('みょ','myo'),
    ('りゃ','rya'),('りゅ','ryu'),('りょ','ryo'),('ぎゃ','gya'),('ぎゅ','gyu'),('ぎょ','gyo'),
    ('じゃ','ja'),('じゅ','ju'),('じょ','jo'),('びゃ','bya'),('びゅ','byu'),('びょ','byo'),
    ('し','shi'),('ち','chi'),('つ','tsu'),
    ('か','ka'),('き','ki'),('く','ku'),('け','ke'),('こ','ko'),('さ','sa'),('す','su'),('せ','se'),('そ','so'),
    ('た','ta'),('て','te'),('と','to'),('な','na'),('に','ni'),('ぬ','nu'),('ね','ne'),('の','no'),
    ('は','ha'),('ひ','hi'),('ふ','fu'),('へ','he'),('ほ','ho'),('ま','ma'),('み','mi'),('む','mu'),('め','me'),('も','mo'),
    ('や','ya'),('ゆ','yu'),('よ','yo'),('ら','ra'),('り','ri'),('る','ru'),('れ','re'),('ろ','ro'),('わ','wa'),('を','o'),
    ('が','ga'),('ぎ','gi'),('ぐ','gu'),('げ','ge'),('ご','go'),('ざ','za'),('じ','ji'),('ず','zu'),('ぜ','ze'),('ぞ','zo'),
    ('だ','da'),('ぢ','ji'),('づ','zu'),('で','de'),('ど','do'),('ば','ba'),('び','bi'),('ぶ','bu'),('べ','be'),('ぼ','bo'),
    ('ぱ','pa'),('ぴ','pi'),('ぷ','pu'),('ぺ','pe'),('ぽ','po')
  ] -%}
  {%- set read = "translate(" ~ replace_each(value, pairs) ~ ", 'あいうえおんゐゑー', 'aiueonie')" -%}
  {#- a small tsu doubles the consonant that follows; both spellings lose the doubling -#}
  {%- set read = replace_each(read, [('っ', ''), ('kk', 'k'), ('tt', 't'), ('pp', 'p'), ('ss', 's'), ('tch', 'ch'), ('cch', 'ch')]) -%}
  {%- set read = replace_each(read, [('mb', 'nb'), ('mp', 'np'), ('mm', 'nm')]) -%}
  {{ return(read) }}
{%- endmacro %}

{% macro sorted_characters(value) %}{{ return(adapter.dispatch('sorted_characters', 'kizuna')(value)) }}{% endmacro %}
{% macro default__sorted_characters(value) %}array_to_string(list_sort(string_split({{ value }}, '')), ''){% endmacro %}
{% macro spark__sorted_characters(value) %}array_join(sort_array(split({{ value }}, '')), ''){% endmacro %}
