"""Makes the two fonts of our pictures out of Inter's, which lie beside this file.

    python3 assets/fonts/subset.py Inter-Regular.otf Inter-SemiBold.otf     # needs fonttools

Made with fontTools 4.68 of Inter 3.19 (Debian's fonts-inter 4.0~beta7+ds-1; https://rsms.me/inter). Kept are Latin-1, Latin
Extended-A, Greek and the signs below. Digits are those of one width, so that columns of numbers stand in line. Kerning
is read from a `kern` table by the rasteriser, and Inter has it as GPOS alone, so that the pairs of letters which it
moves by 2 % of the size or more are written as such a table.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont, newTable
from fontTools.ttLib.tables._k_e_r_n import KernTable_format_0

SIGNS = "−–—…‘’“”„•†‡‰€™←↑→↓↔≈≠≤≥∞∑√∂∆∏⅛¼⅜½⅝¾⅞⅓²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉✓□�"
KEPT = {*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x370, 0x400), *map(ord, SIGNS)}
LETTERS = {*range(0x21, 0x7F), *range(0xC0, 0x100), *range(0x391, 0x3CA)}
LEAST = 0.02


def subtables(table, tag):
    lookups = {i for record in table.FeatureList.FeatureRecord if record.FeatureTag == tag
               for i in record.Feature.LookupListIndex}
    for index in sorted(lookups):
        for found in table.LookupList.Lookup[index].SubTable:
            yield getattr(found, "ExtSubTable", found)


def digits_of_one_width(font):
    swap = {a: b for found in subtables(font["GSUB"].table, "tnum") for a, b in found.mapping.items()}
    for table in font["cmap"].tables:
        for code in range(ord("0"), ord("9") + 1):
            if code in table.cmap:
                table.cmap[code] = swap.get(table.cmap[code], table.cmap[code])


def pairs(font):
    """Kerning of pairs of letters, by the first rule of the first lookup that knows the pair."""
    names = {name for code, name in font.getBestCmap().items() if code in LETTERS}
    found = {}
    for rules in subtables(font["GPOS"].table, "kern"):
        firsts = [name for name in rules.Coverage.glyphs if name in names]
        if rules.Format == 1:
            for name, pair_set in zip(rules.Coverage.glyphs, rules.PairSet):
                for pair in pair_set.PairValueRecord if name in names else []:
                    if pair.SecondGlyph in names and pair.Value1:
                        found.setdefault((name, pair.SecondGlyph), pair.Value1.XAdvance or 0)
            continue
        for first in firsts:
            row = rules.Class1Record[rules.ClassDef1.classDefs.get(first, 0)].Class2Record
            for second in names:
                value = row[rules.ClassDef2.classDefs.get(second, 0)].Value1
                if value and getattr(value, "XAdvance", 0):
                    found.setdefault((first, second), value.XAdvance)
    least = LEAST * font["head"].unitsPerEm
    return {pair: value for pair, value in found.items() if abs(value) >= least}


def make(source, target):
    font = TTFont(source)
    digits_of_one_width(font)
    kerning = KernTable_format_0()
    kerning.coverage, kerning.version, kerning.apple, kerning.kernTable = 1, 0, False, pairs(font)
    options = subset.Options()
    options.layout_features, options.hinting, options.desubroutinize = [], False, False
    options.name_IDs, options.notdef_outline, options.glyph_names = [0, 1, 2, 4, 5, 6, 13, 14], True, False
    options.drop_tables += ["GSUB", "GPOS", "GDEF"]
    options.legacy_kern = True
    font["kern"] = newTable("kern")
    font["kern"].version, font["kern"].kernTables = 0, [kerning]
    cut = subset.Subsetter(options)
    cut.populate(unicodes=KEPT)
    cut.subset(font)
    font["head"].modified = font["head"].created
    font.recalcTimestamp = False
    font.save(target)
    missing = sorted(chr(code) for code in KEPT - set(font.getBestCmap()) if code in map(ord, SIGNS))
    print(f"{target.name}: {target.stat().st_size} bytes, {len(kerning.kernTable)} pairs; not in Inter: {missing}")


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        make(path, Path(__file__).parent / path.name)
