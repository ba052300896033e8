{# The address to send to: trimmed, half-width, lower-case, or null when it is none. Addresses that break RFC 5322 but exist
   are kept: Japanese carriers issued local parts with two dots in a row or one before the @. So are quoted local parts
   and domains in letters other than ASCII (as written: SQL has no punycode). A space inside is not repaired, for the
   result could be a stranger's address. #}
{% macro normalise_email(value) -%}
  {%- set foreign = 'à-öø-ÿāēīōūœа-яёぁ-ゖァ-ヺー々〆〇一-\u9FFF가-힣' -%}
  {%- set letters = '0-9a-z' ~ foreign -%}
  {%- set local_part = '[!#-&*-+./0-9=?^_`a-z{|}~-]{1,64}|"[ !#-Z^-~]{1,62}"' -%}
  {%- set domain = '([' ~ letters ~ ']([' ~ letters ~ '-]*[' ~ letters ~ '])?[.]){1,10}([a-z][a-z0-9-]*[a-z0-9]|[' ~ letters ~ ']*[' ~ foreign ~ '][' ~ letters ~ ']*)' -%}
  {%- set address = '^((' ~ local_part ~ ')@' ~ domain ~ ')$' -%}
  {%- set closed = replace_pattern("translate(" ~ lower_case(fold_characters(value)) ~ ", '。', '.')", ' *@ *', '@') -%}
  nullif(regexp_extract(regexp_extract({{ closed }}, '{{ address }}', 1), '^(.{3,254})$', 1), '')
{%- endmacro %}

{# One key for the addresses of one mailbox, for identity and nothing else: mail goes to the address as given. `email` is
   a normalised one. Only rules that the provider itself states:
   - Gmail: dots do not matter, +tag, googlemail.com is gmail.com (support.google.com/mail/answer/7436150, /answer/22370,
     /answer/10313);
   - Outlook.com, Hotmail, Live, MSN: +tag (learn.microsoft.com, "Plus addressing in Exchange Online"; consumer mailboxes
     since 2013);
   - iCloud: +tag, me.com and mac.com are icloud.com (support.apple.com/HT201771 and the iCloud Mail guide);
   - Fastmail: +tag (fastmail.help/hc/en-us/articles/360060591053);
   - Proton: +tag (proton.me/support/creating-aliases).
   Yahoo's disposable addresses (base-keyword@) have a base that is not the account's name: no rule. #}
{% macro email_key(email) -%}
  {%- set unquoted = replace_pattern(email, '^"([!#-&*-+./0-9=?^_`a-z{|}~-]+)"@', first_group() ~ '@') -%}
  {%- set untagged = replace_pattern(unquoted, '^([^"+]+)[+][^@]*@(' ~ mailbox_domains() ~ ')$', first_group() ~ '@' ~ second_group()) -%}
  {%- set one_domain = replace_pattern(replace_pattern(untagged, '@googlemail[.]com$', '@gmail.com'), '@(me|mac)[.]com$', '@icloud.com') -%}
  case
    when {{ matches_pattern(one_domain, '^[^@"]+@gmail[.]com$') }}
      then replace(split_part({{ one_domain }}, '@', 1), '.', '') || '@gmail.com'
    else {{ one_domain }}
  end
{%- endmacro %}

{# Whether email_key knows the provider: only then do two different addresses share a key. #}
{% macro has_mailbox_rule(email) -%}
  {{ matches_pattern(email, '@(' ~ mailbox_domains() ~ ')$') }}
{%- endmacro %}

{% macro mailbox_domains() -%}
  {{ return('gmail[.]com|googlemail[.]com|outlook[.]com|outlook[.]jp|hotmail[.]com|hotmail[.]co[.]jp|live[.]com|live[.]jp|msn[.]com|'
    ~ 'icloud[.]com|me[.]com|mac[.]com|fastmail[.]com|fastmail[.]fm|proton[.]me|protonmail[.]com|pm[.]me') }}
{%- endmacro %}
