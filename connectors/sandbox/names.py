"""Common Japanese and Western names from which invented people are put together.

Japanese names stand as `kanji:hiragana`; katakana and romaji follow from the reading, as they do on a real form.
"""

_JAPANESE_SURNAMES = """
佐藤:さとう 鈴木:すずき 高橋:たかはし 田中:たなか 伊藤:いとう 渡辺:わたなべ 山本:やまもと 中村:なかむら
小林:こばやし 加藤:かとう 吉田:よしだ 山田:やまだ 佐々木:ささき 山口:やまぐち 松本:まつもと 井上:いのうえ
木村:きむら 林:はやし 斎藤:さいとう 清水:しみず 山崎:やまざき 森:もり 池田:いけだ 橋本:はしもと 阿部:あべ
石川:いしかわ 山下:やました 中島:なかじま 石井:いしい 小川:おがわ 前田:まえだ 岡田:おかだ 長谷川:はせがわ
藤田:ふじた 後藤:ごとう 近藤:こんどう 村上:むらかみ 遠藤:えんどう 青木:あおき 坂本:さかもと 斉藤:さいとう
福田:ふくだ 太田:おおた 西村:にしむら 藤井:ふじい 金子:かねこ 岡本:おかもと 藤原:ふじわら 三浦:みうら 中野:なかの
中川:なかがわ 原田:はらだ 松田:まつだ 竹内:たけうち 小野:おの 田村:たむら 中山:なかやま 和田:わだ 石田:いしだ
森田:もりた 上田:うえだ 原:はら 内田:うちだ 柴田:しばた 酒井:さかい 宮崎:みやざき 横山:よこやま 高木:たかぎ
安藤:あんどう 宮本:みやもと 大野:おおの 小島:こじま 谷口:たにぐち 今井:いまい 工藤:くどう 高田:たかだ 増田:ますだ
丸山:まるやま 杉山:すぎやま 村田:むらた 大塚:おおつか 新井:あらい 小山:こやま 平野:ひらの 藤本:ふじもと 河野:こうの
上野:うえの 野口:のぐち 武田:たけだ 松井:まつい 千葉:ちば 岩崎:いわさき 菅原:すがわら 木下:きのした 久保:くぼ
佐野:さの 野村:のむら 松尾:まつお 菊地:きくち 市川:いちかわ 杉本:すぎもと 古川:ふるかわ 大西:おおにし 島田:しまだ
水野:みずの 桜井:さくらい 高野:たかの 渡部:わたなべ 吉川:よしかわ 山内:やまうち 西田:にしだ 飯田:いいだ 菊池:きくち
西川:にしかわ 小松:こまつ 北村:きたむら 安田:やすだ 五十嵐:いがらし 川口:かわぐち 平田:ひらた 関:せき 中田:なかた
久保田:くぼた 服部:はっとり 東:ひがし 岩田:いわた 土屋:つちや 川崎:かわさき 福島:ふくしま 本田:ほんだ 辻:つじ
樋口:ひぐち 秋山:あきやま 田口:たぐち 永井:ながい 山中:やまなか 中西:なかにし 吉村:よしむら 川上:かわかみ
石原:いしはら 大橋:おおはし 松岡:まつおか 馬場:ばば 浜田:はまだ 森本:もりもと 星野:ほしの 矢野:やの 浅野:あさの
松下:まつした 大島:おおしま 吉岡:よしおか 小池:こいけ 野田:のだ 荒木:あらき 熊谷:くまがい 松浦:まつうら
大谷:おおたに 内藤:ないとう 黒田:くろだ 尾崎:おざき 川村:かわむら 永田:ながた 望月:もちづき 荒井:あらい 堀:ほり
田辺:たなべ 松村:まつむら 菅野:かんの 西山:にしやま 平井:ひらい 岩本:いわもと 片山:かたやま 大久保:おおくぼ
早川:はやかわ 本間:ほんま 横田:よこた 岡崎:おかざき 荒川:あらかわ 大石:おおいし 鎌田:かまた 成田:なりた 宮田:みやた
小田:おだ 石橋:いしばし 篠原:しのはら 高山:たかやま 須藤:すどう 大沢:おおさわ 萩原:はぎわら 小西:こにし 南:みなみ
松原:まつばら 伊東:いとう 三宅:みやけ 榎本:えのもと 栗原:くりはら 福井:ふくい 奥村:おくむら 西尾:にしお
片岡:かたおか
"""

_JAPANESE_FEMALE = """
陽子:ようこ 恵子:けいこ 幸子:さちこ 久美子:くみこ 由美子:ゆみこ 真由美:まゆみ 智子:ともこ 裕子:ゆうこ 明美:あけみ
直美:なおみ 美穂:みほ 香織:かおり 恵:めぐみ 愛:あい 美咲:みさき 彩:あや 麻衣:まい 舞:まい 瞳:ひとみ 千尋:ちひろ
さくら:さくら 葵:あおい 結衣:ゆい 陽菜:ひな 七海:ななみ 美優:みゆ 莉子:りこ 琴音:ことね 杏奈:あんな 優花:ゆうか
由紀:ゆき 美紀:みき 典子:のりこ 京子:きょうこ 和子:かずこ 洋子:ようこ 節子:せつこ 文子:ふみこ 順子:じゅんこ
悦子:えつこ 千恵子:ちえこ 里美:さとみ 留美:るみ 友美:ともみ 奈美:なみ 沙織:さおり 志保:しほ 理恵:りえ 佳奈:かな
春菜:はるな 綾香:あやか 未来:みく 桃子:ももこ 玲奈:れな 静香:しずか 早紀:さき 亜美:あみ 絵美:えみ 梨沙:りさ
遥:はるか 楓:かえで 凛:りん 花音:かのん 心春:こはる 紬:つむぎ 澪:みお 詩織:しおり 美月:みつき 千夏:ちなつ
小百合:さゆり みゆき:みゆき ひかり:ひかり あかり:あかり めぐみ:めぐみ かおり:かおり ゆかり:ゆかり 真理:まり
真紀:まき 美香:みか 雅子:まさこ 弘子:ひろこ 敏子:としこ 光代:みつよ 清美:きよみ 朋子:ともこ 寛子:ひろこ 貴子:たかこ
敦子:あつこ 康子:やすこ 奈緒:なお 菜々子:ななこ 佐知子:さちこ 美和:みわ 千晶:ちあき 若菜:わかな 亜希子:あきこ
麻里:まり 祥子:しょうこ 涼子:りょうこ 希:のぞみ
"""

_JAPANESE_MALE = """
健一:けんいち 誠:まこと 浩:ひろし 隆:たかし 博:ひろし 修:おさむ 茂:しげる 豊:ゆたか 清:きよし 進:すすむ
大輔:だいすけ 健太:けんた 翔太:しょうた 拓也:たくや 直樹:なおき 達也:たつや 和也:かずや 雄太:ゆうた 亮:りょう
翼:つばさ 翔:しょう 蓮:れん 大翔:ひろと 悠斗:ゆうと 陽翔:はると 颯太:そうた 湊:みなと 樹:いつき 海斗:かいと
優斗:ゆうと 剛:つよし 学:まなぶ 徹:とおる 聡:さとし 哲也:てつや 秀樹:ひでき 正人:まさと 英明:ひであき
俊介:しゅんすけ 康弘:やすひろ 義男:よしお 和夫:かずお 正雄:まさお 幸男:ゆきお 昭:あきら 明:あきら 勝:まさる
実:みのる 勇:いさむ 武:たけし 智也:ともや 裕太:ゆうた 慎吾:しんご 洋平:ようへい 純:じゅん 淳:じゅん 大樹:だいき
涼太:りょうた 隼人:はやと 圭介:けいすけ 雅彦:まさひこ 伸一:しんいち 浩二:こうじ 賢治:けんじ 敏夫:としお
利明:としあき 孝:たかし 敬:たかし 信行:のぶゆき 文雄:ふみお 龍之介:りゅうのすけ 光:ひかる 駿:しゅん 匠:たくみ
陸:りく 奏太:そうた 晴:はる 新:あらた 朝陽:あさひ 律:りつ 祐介:ゆうすけ 貴之:たかゆき 崇:たかし 剛志:つよし
宏:ひろし 晃:あきら 潤:じゅん 恭平:きょうへい 慶太:けいた 克己:かつみ 将太:しょうた 泰介:たいすけ 悟:さとる
毅:たけし 秀一:しゅういち 良太:りょうた 友樹:ともき 直人:なおと 真一:しんいち 孝之:たかゆき
"""

_WESTERN_SURNAMES = """
Smith Johnson Williams Brown Jones Miller Davis Wilson Anderson Taylor Thomas Moore Martin Jackson Thompson
White Harris Clark Lewis Robinson Walker Young Allen King Wright Scott Hill Green Adams Nelson Baker Hall
Campbell Mitchell Carter Roberts Phillips Evans Turner Parker Collins Edwards Stewart Morris Murphy Cook Rogers
Morgan Cooper Peterson Reed Bailey Bell Kelly Howard Ward Cox Richardson Wood Watson Brooks Bennett Gray James
Hughes Price Myers Long Foster Sanders Ross Powell Sullivan Russell Jenkins Perry Butler Barnes Fisher Henderson
Coleman Simmons Patterson Jordan Reynolds Hamilton Graham Kim Alexander Wallace West Cole Hayes Bryant Gibson
Ellis Stevens Murray Ford Marshall Owens McDonald Harrison Kennedy Wells Woods Tucker Webb Hunter Hicks Crawford
Henry Boyd Mason Kane Warren Dixon Hunt Palmer Rice Black Stone Garcia Martinez Rodriguez Lopez Gonzalez
Hernandez Perez Sanchez Ramirez Torres Flores Rivera Gomez Diaz Cruz Reyes Muller Schmidt Schneider Fischer
Weber Meyer Wagner Becker Hoffmann Koch Richter Klein Wolf Neumann Schwarz Zimmermann Dubois Durand Leroy Moreau
Laurent Girard Rousseau Fournier Lambert Bonnet Rossi Russo Ferrari Bianchi Romano Colombo O'Brien O'Connor
Byrne Ryan Walsh Doyle Nolan Silva Santos Oliveira Costa Pereira Novak Kowalski Nowak Horvat Svensson
"""

_WESTERN_FEMALE = """
Mary Patricia Jennifer Linda Elizabeth Barbara Susan Jessica Sarah Karen Lisa Nancy Betty Margaret Sandra Ashley
Kimberly Emily Donna Michelle Carol Amanda Melissa Deborah Stephanie Rebecca Sharon Laura Cynthia Kathleen Amy
Angela Shirley Anna Brenda Pamela Emma Nicole Helen Samantha Katherine Christine Debra Rachel Carolyn Janet
Catherine Maria Heather Diane Ruth Julie Olivia Joyce Virginia Victoria Kelly Lauren Christina Joan Evelyn
Judith Megan Andrea Cheryl Hannah Jacqueline Martha Gloria Teresa Ann Sara Madison Frances Kathryn Janice Jean
Abigail Alice Julia Judy Sophia Grace Denise Amber Doris Marilyn Danielle Beverly Isabella Theresa Diana Natalie
Brittany Charlotte Marie Kayla Alexis Lori Chloe Zoe
"""

_WESTERN_MALE = """
James Robert John Michael David William Richard Joseph Thomas Charles Christopher Daniel Matthew Anthony Mark
Donald Steven Paul Andrew Joshua Kenneth Kevin Brian George Timothy Ronald Edward Jason Jeffrey Ryan Jacob Gary
Nicholas Eric Jonathan Stephen Larry Justin Scott Brandon Benjamin Samuel Gregory Alexander Frank Patrick
Raymond Jack Dennis Jerry Tyler Aaron Jose Adam Nathan Henry Douglas Zachary Peter Kyle Noah Ethan Jeremy Walter
Christian Keith Roger Terry Austin Sean Gerald Carl Harold Dylan Arthur Lawrence Jordan Jesse Bryan Billy Bruce
Gabriel Joe Logan Alan Juan Albert Willie Elijah Wayne Randy Vincent Mason Roy Ralph Bobby Russell Bradley
Philip Eugene Lucas Oscar Felix Martin Simon Liam
"""


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(kanji, kana) for kanji, kana in (entry.split(":") for entry in text.split())]


JAPANESE_SURNAMES = _pairs(_JAPANESE_SURNAMES)
JAPANESE_GIVEN = {"female": _pairs(_JAPANESE_FEMALE), "male": _pairs(_JAPANESE_MALE)}
WESTERN_SURNAMES = _WESTERN_SURNAMES.split()
WESTERN_GIVEN = {"female": _WESTERN_FEMALE.split(), "male": _WESTERN_MALE.split()}

_ROMAJI = {
    "あ": "a", "い": "i", "う": "u", "え": "e", "お": "o", "か": "ka", "き": "ki", "く": "ku", "け": "ke", "こ": "ko",
    "が": "ga", "ぎ": "gi", "ぐ": "gu", "げ": "ge", "ご": "go", "さ": "sa", "し": "shi", "す": "su", "せ": "se",
    "そ": "so", "ざ": "za", "じ": "ji", "ず": "zu", "ぜ": "ze", "ぞ": "zo", "た": "ta", "ち": "chi", "つ": "tsu",
    "て": "te", "と": "to", "だ": "da", "づ": "zu", "で": "de", "ど": "do", "な": "na", "に": "ni", "ぬ": "nu",
    "ね": "ne", "の": "no", "は": "ha", "ひ": "hi", "ふ": "fu", "へ": "he", "ほ": "ho", "ば": "ba", "び": "bi",
    "ぶ": "bu", "べ": "be", "ぼ": "bo", "ま": "ma", "み": "mi", "む": "mu", "め": "me", "も": "mo", "や": "ya",
    "ゆ": "yu", "よ": "yo", "ら": "ra", "り": "ri", "る": "ru", "れ": "re", "ろ": "ro", "わ": "wa", "ん": "n",
}  # fmt: skip
_GLIDES = {"ゃ": "ya", "ゅ": "yu", "ょ": "yo"}


def katakana(hiragana: str) -> str:
    return "".join(chr(ord(sign) + 0x60) if "ぁ" <= sign <= "ん" else sign for sign in hiragana)


def romaji(hiragana: str) -> str:
    """Hepburn as on a passport: long vowels are not marked (`さとう` is `Sato`, `おおの` is `Ono`)."""
    spelled = ""
    doubled = False
    for sign in hiragana:
        if sign == "っ":
            doubled = True
            continue
        if sign in _GLIDES:
            # し+ょ is `sho`, not `shyo`; り+ょ keeps its y
            stem = spelled[:-1]
            spelled = stem + (_GLIDES[sign][1:] if stem.endswith(("sh", "ch", "j")) else _GLIDES[sign])
            continue
        syllable = _ROMAJI[sign]
        spelled += (syllable[0] if doubled else "") + syllable
        doubled = False
    for long_vowel, short in (("ou", "o"), ("oo", "o"), ("uu", "u")):
        spelled = spelled.replace(long_vowel, short)
    return spelled.capitalize()
