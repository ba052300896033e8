{# A name for comparing: order, spaces, width, kana script, honorifics and the spelling of long vowels do not count.
   Kana is read as romaji, so ヤマダ, やまだ and Yamada agree. The characters are sorted, so that 山田 太郎, 太郎 山田 and
   山田太郎 are one; anagrams of each other in addition share a phone or an address with nobody in practice. #}
{% macro name_key(first_name, last_name) -%}
  {%- set full = name_letters(first_name, last_name) -%}
  {%- set full = replace_pattern(full, 'o[ou]', 'o') -%}
  {%- set full = replace_pattern(full, 'oh( |$|[bcdfghjkmnprstvwz])', 'o' ~ first_group()) -%}
  {%- set full = replace_pattern(full, 'uu', 'u') -%}
  nullif({{ sorted_characters("replace(" ~ full ~ ", ' ', '')") }}, '')
{%- endmacro %}

{# A name read in Latin letters as loosely as people spell one: Ohno, Oono, Ōno, Ono and おおの agree, so do Shinichi,
   Shin-ichi and Sinniti. Weak evidence (大野 and 小野 agree too), for pairs that something else joins. Null where the
   reading is not known: kanji. #}
{% macro romaji_key(first_name, last_name) -%}
  {%- set read = replace_each(name_letters(first_name, last_name), [
    ('sya', 'sha'), ('syu', 'shu'), ('syo', 'sho'), ('tya', 'cha'), ('tyu', 'chu'), ('tyo', 'cho'), ('cya', 'cha'),
    ('zya', 'ja'), ('zyu', 'ju'), ('zyo', 'jo'), ('jya', 'ja'), ('jyu', 'ju'), ('jyo', 'jo'),
    ('si', 'shi'), ('ti', 'chi'), ('zi', 'ji'), ('di', 'ji'), ('du', 'zu'), ('dzu', 'zu'), ('l', 'r'), ('v', 'b')
  ]) -%}
  {%- set loose = namespace(sql=read) -%}
  {%- for pattern, replacement in [
    ('(^|[^cs])hu', first_group() ~ 'fu'), ('tu', 'tsu'),
    ('([aeiou])h([^aeiouy]|$)', first_group() ~ second_group()),
    ('aa+', 'a'), ('ii+', 'i'), ('uu+', 'u'), ('e[ei]+', 'e'), ('o[ou]+', 'o'), ('nn+', 'n'),
  ] -%}
    {%- set loose.sql = replace_pattern(loose.sql, pattern, replacement) -%}
  {%- endfor -%}
  nullif(regexp_extract({{ sorted_characters("replace(" ~ loose.sql ~ ", ' ', '')") }}, '^[a-z]+$', 0), '')
{%- endmacro %}

{# What is left of a name when width, case, script, marks, older characters, honorifics and initials are taken away: its
   words in the order given, kana as romaji, kanji as they are. #}
{% macro name_letters(first_name, last_name) -%}
  {%- set full = lower_case(to_hiragana(fold_width(full_name(first_name, last_name)))) -%}
  {%- set full = replace_pattern(full, '[\u0300-\u036F]') -%}
  {%- set accented = 'āīūēōâîûêôáíúéóàìùèòäëïöüñçãõåøÿýłśźżćńęąšžčřěďťňůőűığş' -%}
  {%- set plain = 'aiueoaiueoaiueoaiueoaeiouncaoaoyylszzcneaszcredtnuouigs' -%}
  {%- set full = "translate(" ~ full ~ ", '" ~ accented ~ ".・-‐−–—=,、’" ~ older_forms() ~ "', '" ~ plain ~ "          " ~ "’" ~ newer_forms() ~ "')" -%}
  {#- the apostrophe of O'Brien is left out by as many as write it; chr, for engines escape quotes differently -#}
  {%- set full = "replace(replace(" ~ full ~ ", chr(39), ''), '’', '')" -%}
  {#- 佐々木 is 佐佐木 -#}
  {%- set full = replace_pattern(full, '([一-\u9FFF])々', first_group() ~ first_group()) -%}
  {%- set full = replace_pattern(full, '(様|さま|さん|殿|先生|氏)( |$)', ' ') -%}
  {%- set full = replace_pattern(full, '(^| )(mr|mrs|ms|miss|dr|prof)( |$)', ' ') -%}
  {#- a middle initial -#}
  {%- set full = replace_pattern(full, ' [a-z]( |$)', ' ') -%}
  {{ return(plain_consonants(kana_to_romaji(full))) }}
{%- endmacro %}

{% macro full_name(first_name, last_name) -%}
  {{ return("concat_ws(' ', nullif(" ~ trimmed(first_name) ~ ", ''), nullif(" ~ trimmed(last_name) ~ ", ''))") }}
{%- endmacro %}

{# The reading of a name that was given in kana, in hiragana and in the order given; null for any other. #}
{% macro kana_name(first_name, last_name) -%}
  nullif(regexp_extract({{ to_hiragana(fold_width(full_name(first_name, last_name))) }}, '^([ぁ-ゖー]+( [ぁ-ゖー]+){0,9})$', 1), '')
{%- endmacro %}

{# The older forms of characters that families keep in their names and towns in theirs, beside what is written today. #}
{% macro older_forms() -%}
  {{ return('髙﨑碕嵜齋齊斉邊邉濱澤廣國嶋嶌櫻藏與眞冨龍瀧澁桒栁槗惠壽榮萬彌禮圓團參實寶縣會曾學氣淺淵渊繩莊藪蘆鹽鷗黑德穗鄕靜鷄鐵錢關辨辯舘槇檜來條亞乘佛假傳兒凉勳單嚴嶽巖應戶户數敍晝曉樂樓橫步歲歸溫滿灣爲狹獻當發'
    ~ '盡硏稻緖總綠聰聲臺舊號覺觀讓豐貳壹輕轉遙醫釋鎭隱雙雜靑顯餘驛麥龜瑤祿晉嵳舩莵籠濵頴籔桺閒劍區卷壯奧專將尙拔擧昻濟燈燒狀畫禪經繼續藝藥裡譽賴鄰鑛體') }}
{%- endmacro %}

{% macro newer_forms() -%}
  {{ return('高崎崎崎斎斎斎辺辺浜沢広国島島桜蔵与真富竜滝渋桑柳橋恵寿栄万弥礼円団参実宝県会曽学気浅渕渕縄荘薮芦塩鴎黒徳穂郷静鶏鉄銭関弁弁館槙桧来条亜乗仏仮伝児涼勲単厳岳巌応戸戸数叙昼暁楽楼横歩歳帰温満湾為狭献当発'
    ~ '尽研稲緒総緑聡声台旧号覚観譲豊弐壱軽転遥医釈鎮隠双雑青顕余駅麦亀瑶禄晋嵯船菟篭浜穎薮柳間剣区巻壮奥専将尚抜挙昂済灯焼状画禅経継続芸薬裏誉頼隣鉱体') }}
{%- endmacro %}

{# Hepburn without long vowels: each row of the kana table gets its consonant in front, then every kana is its vowel. A
   replace a kana would nest a hundred deep, and engines plan such an expression for a third of a second. #}
{% macro kana_to_romaji(value) -%}
  {%- set rows = {
    'sh': 'し', 'ch': 'ち', 'ts': 'つ', 'f': 'ふ', 'j': 'じぢ', 'z': 'ざずぜぞづ', 'k': 'かきくけこゕゖ', 's': 'さすせそ', 't': 'たてと',
    'n': 'なにぬねの', 'h': 'はひへほ', 'm': 'まみむめも', 'y': 'やゆよ', 'r': 'らりるれろ', 'w': 'わゎ', 'g': 'がぎぐげご', 'd': 'だでど',
    'b': 'ばびぶべぼ', 'p': 'ぱぴぷぺぽ', 'v': 'ゔ'
  } -%}
  {%- set read = namespace(sql=value) -%}
  {%- for consonant, kana in rows.items() -%}
    {%- set read.sql = replace_pattern(read.sql, '([' ~ kana ~ '])', consonant ~ first_group()) -%}
  {%- endfor -%}
  {%- set read.sql = replace_pattern(read.sql, '[しちじぢ]([ゃゅょ])', first_group()) -%}
  {%- set read.sql = replace_pattern(read.sql, '[きにひみりぎびぴ]([ゃゅょ])', 'y' ~ first_group()) -%}
  {{ return("translate(" ~ read.sql ~ ", 'あかさたなはまやらわがざだばぱぁゃゎゕいきしちにひみりぎじぢびぴぃゐうくすつぬふむゆるぐずづぶぷぅゅゔ"
    ~ "えけせてねへめれげぜでべぺぇゑゖおこそとのほもよろごぞどぼぽぉょをんー', 'aaaaaaaaaaaaaaaaaaaiiiiiiiiiiiiiiiuuuuuuuuuuuuuuuuueeeeeeeeeeeeeeeeooooooooooooooooon')") }}
{%- endmacro %}

{# Doubled consonants as single ones (a small tsu too), n before b, m and p. #}
{% macro plain_consonants(value) -%}
  {%- set read = replace_each(value, [('っ', ''), ('kk', 'k'), ('tt', 't'), ('pp', 'p'), ('ss', 's'), ('tch', 'ch'), ('cch', 'ch')]) -%}
  {%- set read = replace_each(read, [('mb', 'nb'), ('mp', 'np'), ('mm', 'nm')]) -%}
  {{ return(read) }}
{%- endmacro %}

{% macro sorted_characters(value) %}{{ return(adapter.dispatch('sorted_characters', 'kizuna')(value)) }}{% endmacro %}
{% macro default__sorted_characters(value) %}array_to_string(list_sort(string_split({{ value }}, '')), ''){% endmacro %}
{% macro spark__sorted_characters(value) %}array_join(sort_array(split({{ value }}, '')), ''){% endmacro %}
