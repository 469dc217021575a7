# ruff: noqa: RUF001  (letters that look alike are the point)
"""Texts on which two tokenizers are likely to part ways."""

from __future__ import annotations

import itertools

ODD = (
    "",
    " ",
    "my keys",
    "  two  spaces\tand a tab\nand a line ",
    "It's what I'd've said: they'll, we're, I'm, you've, DON'T, O'Brien's",
    "'s 't 're 've 'm 'll 'd 'S 'Ll",
    "snake_case_name __init__ _",
    "1234567890 3.14 1,000 0x1F 2nd 90s ½ ² Ⅷ ٣",
    "a&b &amp; &lt;tag&gt; &amp;amp; &eacute; &EACUTE; &#39; &nbsp; & &unknown; &",
    "<b>bold</b> <start_of_text> end <end_of_text>",
    "Straße Äpfel naïve café cafe\u0301 ﬁne ﬂ Ǆ İstanbul ı ΣΑΣ",
    "我的钥匙在哪里 鍵はどこ 열쇠 어디 กุญแจ مفاتيح מפתחות ключи κλειδιά",
    "🍌 👩‍👩‍👧 🇩🇪 👍🏽 ❤️ ☃",
    "“quoted” ‘single’ – — … « »",
    "schÃ¶n cafÃ© â€œmojibakeâ€\x9d",
    "zero\u200bwidth soft\xadhyphen bom\ufeff nbsp\xa0end ideographic\u3000space",
    "\x1b[31mred\x1b[0m bell\x07 null\x00 \x7f \x85 \x1c\x1f",
    "C++ C# .NET e-mail a/b a\\b $5 50% #tag @name ~ ^ ` | {} [] ()",
    "CamelCase ALLCAPS lower",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "x" * 300,
    "!?" * 200,
    " ".join(f"word{number}" for number in range(200)),
    "кот " * 100,
    "ＦＵＬＬ ｗｉｄｔｈ",
    "𝔉𝔯𝔞𝔨𝔱𝔲𝔯 𝐛𝐨𝐥𝐝",
    "\ud7ff \ue000 \U0010ffff",
    "a byte that is no text: \udcff",
)
SUBJECTS = ("keys", "Glasses", "phone charger", "blue mug", "passport", "my dog's leash", "TV remote", "book (red)")
TEMPLATES = (
    "{}",
    "my {}",
    "a photo of a {}.",
    "where did I leave the {}?",
    "the {} on the table",
    "{} & {}",
    "2 {}s",
    "a_{}_b",
    "the café's {} — 5€",
    "{}, next to 3 pens",
    "  {}  ",
    "{}" + " and more" * 40,
)
TEXTS = (*ODD, *(template.replace("{}", subject) for template, subject in itertools.product(TEMPLATES, SUBJECTS)))
PAIRED = (*TEXTS, *(f"{left} {right}" for left, right in itertools.product(ODD[2:16], repeat=2)))
"""Each odd text after each other one: several hundred."""
