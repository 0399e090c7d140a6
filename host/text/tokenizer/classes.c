/*
 * classes.c: classes of characters that pre-tokenizers name, and splitting by script.
 */
#include "text/tokenizer/norm.h"
#include "text/tokenizer/steps.h"

bool tok_class_has(const zoo_tokenizer *t, tok_class of, uint32_t number, uint32_t cp)
{
    uint32_t mask = tok_mask(&t->chars, cp);
    switch (of) {
    case TOK_CLASS_DIGIT:
        /* The reference's digits are of a newer Unicode than its patterns. */
        return (mask & TOK_NUMBER) || (cp >= 0x11de0 && cp <= 0x11de9) ||
               (cp >= 0x16ff4 && cp <= 0x16ff6);
    case TOK_CLASS_PUNCT:
        return tok_is_punct(&t->chars, cp);
    case TOK_CLASS_SPACE:
        return mask & TOK_SPACE;
    default:
        return cp == number;
    }
}

/* Names of scripts; Hiragana and Katakana count as Han. */
static const char *const script_names[] = {"Latin",
                                           "Greek",
                                           "Cyrillic",
                                           "Armenian",
                                           "Hebrew",
                                           "Arabic",
                                           "Syriac",
                                           "Thaana",
                                           "Devanagari",
                                           "Bengali",
                                           "Gurmukhi",
                                           "Gujarati",
                                           "Oriya",
                                           "Tamil",
                                           "Telugu",
                                           "Kannada",
                                           "Malayalam",
                                           "Sinhala",
                                           "Thai",
                                           "Lao",
                                           "Tibetan",
                                           "Myanmar",
                                           "Georgian",
                                           "Hangul",
                                           "Ethiopic",
                                           "Cherokee",
                                           "Canadian_Aboriginal",
                                           "Ogham",
                                           "Runic",
                                           "Khmer",
                                           "Mongolian",
                                           "Bopomofo",
                                           "Yi",
                                           "Old_Italic",
                                           "Gothic",
                                           "Deseret",
                                           "Inherited",
                                           "Tagalog",
                                           "Hanunoo",
                                           "Buhid",
                                           "Tagbanwa",
                                           "Limbu",
                                           "Tai_Le",
                                           "Linear_B",
                                           "Ugaritic",
                                           "Shavian",
                                           "Osmanya",
                                           "Cypriot",
                                           "Braille",
                                           "Buginese",
                                           "Coptic",
                                           "New_Tai_Lue",
                                           "Glagolitic",
                                           "Tifinagh",
                                           "Syloti_Nagri",
                                           "Old_Persian",
                                           "Kharoshthi",
                                           "Balinese",
                                           "Cuneiform",
                                           "Phoenician",
                                           "Phags_Pa",
                                           "Nko",
                                           "Sundanese",
                                           "Lepcha",
                                           "Ol_Chiki",
                                           "Vai",
                                           "Saurashtra",
                                           "Kayah_Li",
                                           "Rejang",
                                           "Lycian",
                                           "Carian",
                                           "Lydian",
                                           "Cham",
                                           "Tai_Tham",
                                           "Tai_Viet",
                                           "Avestan",
                                           "Egyptian_Hieroglyphs",
                                           "Samaritan",
                                           "Lisu",
                                           "Bamum",
                                           "Javanese",
                                           "Meetei_Mayek",
                                           "Imperial_Aramaic",
                                           "Old_South_Arabian",
                                           "Inscriptional_Parthian",
                                           "Inscriptional_Pahlavi",
                                           "Old_Turkic",
                                           "Kaithi",
                                           "Batak",
                                           "Brahmi",
                                           "Mandaic",
                                           "Chakma",
                                           "Meroitic_Cursive",
                                           "Meroitic_Hieroglyphs",
                                           "Miao",
                                           "Sharada",
                                           "Sora_Sompeng",
                                           "Takri",
                                           "Caucasian_Albanian",
                                           "Bassa_Vah",
                                           "Duployan",
                                           "Elbasan",
                                           "Grantha",
                                           "Pahawh_Hmong",
                                           "Khojki",
                                           "Linear_A",
                                           "Mahajani",
                                           "Manichaean",
                                           "Mende_Kikakui",
                                           "Modi",
                                           "Mro",
                                           "Old_North_Arabian",
                                           "Nabataean",
                                           "Palmyrene",
                                           "Pau_Cin_Hau",
                                           "Old_Permic",
                                           "Psalter_Pahlavi",
                                           "Siddham",
                                           "Khudawadi",
                                           "Tirhuta",
                                           "Warang_Citi",
                                           "Ahom",
                                           "Anatolian_Hieroglyphs",
                                           "Hatran",
                                           "Multani",
                                           "Old_Hungarian",
                                           "SignWriting",
                                           "Adlam",
                                           "Bhaiksuki",
                                           "Marchen",
                                           "Newa",
                                           "Osage",
                                           "Tangut",
                                           "Han",
                                           "Hiragana",
                                           "Katakana"};

zoo_status tok_scripts_open(zoo_tokenizer *t, zoo_error *err)
{
    const uint8_t han = ZOO_COUNT(script_names) - 2;
    t->scripts = tok_pool_take(&t->pool, 0x110000);
    if (!t->scripts) {
        return tok_no_memory(err);
    }
    for (size_t i = 0; i < ZOO_COUNT(script_names); i++) {
        char pattern[64];
        int n = snprintf(pattern, sizeof pattern, "\\p{sc:%s}", script_names[i]);
        uint8_t value = (uint8_t)(i + 1 < han ? i + 1 : han);
        ZOO_TRY(tok_regex_members((tok_str){pattern, (size_t)n}, t->scripts, value, err));
    }
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        uint32_t category = t->chars.kind[cp] & 31u;
        if ((!t->scripts[cp] && category == 0) || category == TOK_CO || tok_norm_is_late(cp)) {
            t->scripts[cp] = TOK_SCRIPT_ANY;
        }
    }
    t->scripts[0x30fc] = han;
    t->scripts[0x589] = t->scripts[0x61c] = 0; /* in Unicode 9 of no script, or of another */
    t->scripts[0x953] = t->scripts[0x954] = t->scripts[0x900];
    return ZOO_OK;
}
