using System.Buffers;
using System.Globalization;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>Texts as Python sees them: sequences of Unicode characters, not of UTF-16 units, with Python's white space and letter cases.</summary>
internal static class PythonText
{
    /// <summary>What str.isspace accepts; all of it is in the basic plane.</summary>
    public static readonly SearchValues<char> Spaces = SearchValues.Create(
        "\t\n\v\f\r\u001C\u001D\u001E\u001F \u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000");

    // A character and what it becomes, where that is more than one character (Unicode's SpecialCasing.txt) or not what .NET gives.
    private const string UpperTable =
        "\u00DFSS \u0149\u02BCN \u01F0J\u030C \u0390\u0399\u0308\u0301 \u03B0\u03A5\u0308\u0301 \u0587\u0535\u0552 \u1E96H\u0331 \u1E97T\u0308 \u1E98W\u030A " +
        "\u1E99Y\u030A \u1E9AA\u02BE \u1F50\u03A5\u0313 \u1F52\u03A5\u0313\u0300 \u1F54\u03A5\u0313\u0301 \u1F56\u03A5\u0313\u0342 \u1F80\u1F08\u0399 " +
        "\u1F81\u1F09\u0399 \u1F82\u1F0A\u0399 \u1F83\u1F0B\u0399 \u1F84\u1F0C\u0399 \u1F85\u1F0D\u0399 \u1F86\u1F0E\u0399 \u1F87\u1F0F\u0399 " +
        "\u1F88\u1F08\u0399 \u1F89\u1F09\u0399 \u1F8A\u1F0A\u0399 \u1F8B\u1F0B\u0399 \u1F8C\u1F0C\u0399 \u1F8D\u1F0D\u0399 \u1F8E\u1F0E\u0399 " +
        "\u1F8F\u1F0F\u0399 \u1F90\u1F28\u0399 \u1F91\u1F29\u0399 \u1F92\u1F2A\u0399 \u1F93\u1F2B\u0399 \u1F94\u1F2C\u0399 \u1F95\u1F2D\u0399 " +
        "\u1F96\u1F2E\u0399 \u1F97\u1F2F\u0399 \u1F98\u1F28\u0399 \u1F99\u1F29\u0399 \u1F9A\u1F2A\u0399 \u1F9B\u1F2B\u0399 \u1F9C\u1F2C\u0399 " +
        "\u1F9D\u1F2D\u0399 \u1F9E\u1F2E\u0399 \u1F9F\u1F2F\u0399 \u1FA0\u1F68\u0399 \u1FA1\u1F69\u0399 \u1FA2\u1F6A\u0399 \u1FA3\u1F6B\u0399 " +
        "\u1FA4\u1F6C\u0399 \u1FA5\u1F6D\u0399 \u1FA6\u1F6E\u0399 \u1FA7\u1F6F\u0399 \u1FA8\u1F68\u0399 \u1FA9\u1F69\u0399 \u1FAA\u1F6A\u0399 " +
        "\u1FAB\u1F6B\u0399 \u1FAC\u1F6C\u0399 \u1FAD\u1F6D\u0399 \u1FAE\u1F6E\u0399 \u1FAF\u1F6F\u0399 \u1FB2\u1FBA\u0399 \u1FB3\u0391\u0399 " +
        "\u1FB4\u0386\u0399 \u1FB6\u0391\u0342 \u1FB7\u0391\u0342\u0399 \u1FBC\u0391\u0399 \u1FC2\u1FCA\u0399 \u1FC3\u0397\u0399 \u1FC4\u0389\u0399 " +
        "\u1FC6\u0397\u0342 \u1FC7\u0397\u0342\u0399 \u1FCC\u0397\u0399 \u1FD2\u0399\u0308\u0300 \u1FD3\u0399\u0308\u0301 \u1FD6\u0399\u0342 " +
        "\u1FD7\u0399\u0308\u0342 \u1FE2\u03A5\u0308\u0300 \u1FE3\u03A5\u0308\u0301 \u1FE4\u03A1\u0313 \u1FE6\u03A5\u0342 \u1FE7\u03A5\u0308\u0342 " +
        "\u1FF2\u1FFA\u0399 \u1FF3\u03A9\u0399 \u1FF4\u038F\u0399 \u1FF6\u03A9\u0342 \u1FF7\u03A9\u0342\u0399 \u1FFC\u03A9\u0399 \uFB00FF \uFB01FI \uFB02FL " +
        "\uFB03FFI \uFB04FFL \uFB05ST \uFB06ST \uFB13\u0544\u0546 \uFB14\u0544\u0535 \uFB15\u0544\u053B \uFB16\u054E\u0546 \uFB17\u0544\u053D";

    private const string TitleTable =
        "\u00DFSs \u0587\u0535\u0582 \u1FB2\u1FBA\u0345 \u1FB4\u0386\u0345 \u1FB7\u0391\u0342\u0345 \u1FC2\u1FCA\u0345 \u1FC4\u0389\u0345 " +
        "\u1FC7\u0397\u0342\u0345 \u1FF2\u1FFA\u0345 \u1FF4\u038F\u0345 \u1FF7\u03A9\u0342\u0345 \uFB00Ff \uFB01Fi \uFB02Fl \uFB03Ffi \uFB04Ffl \uFB05St " +
        "\uFB06St \uFB13\u0544\u0576 \uFB14\u0544\u0565 \uFB15\u0544\u056B \uFB16\u054E\u0576 \uFB17\u0544\u056D";

    private const string FoldTable =
        "\u00B5\u03BC \u017Fs \u0345\u03B9 \u03C2\u03C3 \u03D0\u03B2 \u03D1\u03B8 \u03D5\u03C6 \u03D6\u03C0 \u03F0\u03BA \u03F1\u03C1 \u03F5\u03B5 \u1C80\u0432 " +
        "\u1C81\u0434 \u1C82\u043E \u1C83\u0441 \u1C84\u0442 \u1C85\u0442 \u1C86\u044A \u1C87\u0463 \u1C88\uA64B \u1E9B\u1E61 \u1FBE\u03B9";

    // Letters that are numbers, which .NET does not know (Unicode's Unihan_NumericValues.txt).
    private const string NumberLetters =
        "\u3405\u3483\u382A\u3B4D\u4E00\u4E03\u4E07\u4E09\u4E5D\u4E8C\u4E94\u4E96\u4EBF\u4EC0\u4EDF\u4EE8\u4F0D\u4F70\u5104\u5146\u5169\u516B\u516D\u5341" +
        "\u5343\u5344\u5345\u534C\u53C1\u53C2\u53C3\u53C4\u56DB\u58F1\u58F9\u5E7A\u5EFE\u5EFF\u5F0C\u5F0D\u5F0E\u5F10\u62FE\u634C\u67D2\u6F06\u7396\u767E" +
        "\u8086\u842C\u8CAE\u8CB3\u8D30\u9621\u9646\u964C\u9678\u96F6\uF96B\uF973\uF978\uF9B2\uF9D1\uF9D3\uF9FD\U00020001\U00020064\U000200E2\U00020121\U0002092A\U00020983\U0002098C" +
        "\U0002099C\U00020AEA\U00020AFD\U00020B19\U00022390\U00022998\U00023B1B\U0002626D\U0002F890";

    private static readonly HashSet<int> Numbers = [.. Characters(NumberLetters)];

    private static readonly Dictionary<int, string> Uppers = Read(UpperTable), Titles = Read(TitleTable), Folds = Read(FoldTable);

    public static bool IsSpace(char c) => Spaces.Contains(c);

    /// <summary>The number of characters.</summary>
    public static int Length(string text) => text.Length - CountPairs(text);

    public static bool HasPairs(string text) => text.AsSpan().IndexOfAnyInRange('\uD800', '\uDBFF') >= 0;

    /// <summary>The characters, one by one.</summary>
    public static int[] Characters(string text)
    {
        int[] characters = new int[Length(text)];
        for (int i = 0, at = 0; i < text.Length; i++, at++)
        {
            bool isPair = char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]);
            characters[at] = isPair ? char.ConvertToUtf32(text[i], text[i + 1]) : text[i];
            i += isPair ? 1 : 0;
        }

        return characters;
    }

    public static string Join(IEnumerable<int> characters)
    {
        StringBuilder text = new();
        foreach (int c in characters)
        {
            text.Append(Character(c));
        }

        return text.ToString();
    }

    public static string Character(int c) => c is < 0xD800 or (> 0xDFFF and < 0x10000) ? ((char)c).ToString() : c > 0xFFFF ? char.ConvertFromUtf32(c) : ((char)c).ToString();

    /// <summary>The position in UTF-16 units of a character, counted in characters.</summary>
    public static int Unit(string text, int character)
    {
        if (!HasPairs(text))
        {
            return character;
        }

        int unit = 0;
        for (; character > 0; character--)
        {
            unit += char.IsHighSurrogate(text[unit]) && unit + 1 < text.Length ? 2 : 1;
        }

        return unit;
    }

    public static UnicodeCategory Category(int c) => CharUnicodeInfo.GetUnicodeCategory(c);

    public static bool IsLetter(int c) => Category(c) is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter;

    public static bool IsDecimal(int c) => Category(c) == UnicodeCategory.DecimalDigitNumber;

    /// <summary>str.isdigit: decimals, and others with the value of one digit, such as a superscript.</summary>
    public static bool IsDigit(int c) => CharUnicodeInfo.GetDigitValue(Character(c), 0) >= 0;

    public static bool IsNumeric(int c) => CharUnicodeInfo.GetNumericValue(Character(c), 0) is not -1 || Numbers.Contains(c);

    public static bool IsAlphanumeric(int c) => IsLetter(c) || IsNumeric(c);

    /// <summary>The letter case that str.istitle and str.title see; other marks of lower case too.</summary>
    public static bool IsLower(int c) => Category(c) == UnicodeCategory.LowercaseLetter || c is 0xAA or 0xBA or (>= 0x2B0 and <= 0x2B8) or 0x2C0 or 0x2C1 or (>= 0x2E0 and <= 0x2E4) or 0x345 or 0x37A or (>= 0x1D2C and <= 0x1D6A) or 0x1D78 or (>= 0x1D9B and <= 0x1DBF) or 0x2071 or 0x207F or (>= 0x2090 and <= 0x209C) or (>= 0x2170 and <= 0x217F) or (>= 0x24D0 and <= 0x24E9) or 0x2C7C or 0x2C7D or 0xA69C or 0xA69D or 0xA770 or 0xA7F8 or 0xA7F9 or (>= 0xAB5C and <= 0xAB5F);

    public static bool IsUpper(int c) => Category(c) == UnicodeCategory.UppercaseLetter || c is (>= 0x2160 and <= 0x216F) or (>= 0x24B6 and <= 0x24CF) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189);

    public static bool IsTitle(int c) => Category(c) == UnicodeCategory.TitlecaseLetter;

    public static bool IsCased(int c) => IsLower(c) || IsUpper(c) || IsTitle(c);

    /// <summary>Whether repr writes the character itself.</summary>
    public static bool IsPrintable(int c) => c == ' ' || Category(c) is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);

    public static bool IsIdentifier(string text)
    {
        int[] characters = Characters(text);
        return characters.Length > 0 && IsStart(characters[0]) && characters.All(c => IsStart(c) || IsDecimal(c) || c is 0xB7 or 0x387
            || Category(c) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.ConnectorPunctuation);

        static bool IsStart(int c) => c == '_' || IsLetter(c) || Category(c) == UnicodeCategory.LetterNumber;
    }

    public static string Upper(string text) => Ascii.IsValid(text) ? text.ToUpperInvariant() : Map(text, (_, _, c) => UpperOf(c));

    public static string Lower(string text) => Ascii.IsValid(text) ? text.ToLowerInvariant() : Map(text, LowerOf);

    public static string CaseFold(string text) => Map(text, (_, _, c) => Fold(c));

    public static string SwapCase(string text) => Map(text, (all, i, c) => IsUpper(c) ? LowerOf(all, i, c) : IsLower(c) ? UpperOf(c) : Character(c));

    /// <summary>The first character in title case, the others in lower case.</summary>
    public static string Capitalize(string text) => Map(text, (all, i, c) => i == 0 ? TitleOf(c) : LowerOf(all, i, c));

    /// <summary>The first letter of each run of letters in title case, the others in lower case.</summary>
    public static string Title(string text)
    {
        bool inWord = false;
        return Map(text, (all, i, c) =>
        {
            string mapped = inWord ? LowerOf(all, i, c) : TitleOf(c);
            inWord = IsCased(c);
            return mapped;
        });
    }

    /// <summary>The escape that repr writes for a character.</summary>
    public static string Escape(int c) => c < 0x100 ? $"\\x{c:x2}" : c < 0x10000 ? $"\\u{c:x4}" : $"\\U{c:x8}";

    /// <summary>The lines without their ends, or with them.</summary>
    public static List<string> Lines(string text, bool keepEnds = false)
    {
        List<string> lines = [];
        for (int from = 0; from < text.Length;)
        {
            int end = text.AsSpan(from).IndexOfAny(LineEnds);
            if (end < 0)
            {
                lines.Add(text[from..]);
                break;
            }

            end += from;
            int next = text[end] == '\r' && end + 1 < text.Length && text[end + 1] == '\n' ? end + 2 : end + 1;
            lines.Add(text[from..(keepEnds ? next : end)]);
            from = next;
        }

        return lines;
    }

    private static readonly SearchValues<char> LineEnds = SearchValues.Create("\n\r\v\f\u001C\u001D\u001E\u0085\u2028\u2029");

    private static int CountPairs(string text)
    {
        int pairs = 0;
        for (int i = text.AsSpan().IndexOfAnyInRange('\uD800', '\uDBFF'); i >= 0 && i + 1 < text.Length; i++)
        {
            pairs += char.IsHighSurrogate(text[i]) && char.IsLowSurrogate(text[i + 1]) ? 1 : 0;
        }

        return pairs;
    }

    private static string Map(string text, Func<int[], int, int, string> change)
    {
        int[] all = Characters(text);
        StringBuilder mapped = new(text.Length);
        for (int i = 0; i < all.Length; i++)
        {
            mapped.Append(change(all, i, all[i]));
        }

        return mapped.ToString();
    }

    private static string UpperOf(int c) => Uppers.TryGetValue(c, out string? special) ? special
        : c switch { 0x131 => "I", 0x17F => "S", _ => Simple(c, upper: true) };

    private static string TitleOf(int c) => Titles.TryGetValue(c, out string? special) ? special
        : c is >= 0x10D0 and <= 0x10FF ? Character(c)
        : c is >= 0x1C4 and <= 0x1CC ? Character(((c - 0x1C4) / 3 * 3) + 0x1C5)
        : c is >= 0x1F1 and <= 0x1F3 ? "\u01F2"
        : c is (>= 0x1F80 and <= 0x1FAF) or 0x1FB3 or 0x1FBC or 0x1FC3 or 0x1FCC or 0x1FF3 or 0x1FFC ? Simple(c, upper: true)
        : UpperOf(c);

    private static string LowerOf(int[] all, int i, int c) => c switch
    {
        0x130 => "i\u0307",
        0x3A3 => IsFinal(all, i) ? "\u03C2" : "\u03C3",
        _ => Simple(c, upper: false),
    };

    private static string Fold(int c) => Folds.TryGetValue(c, out string? special) ? special
        : c == 0x1E9E ? "ss"
        : c is >= 0x13F8 and <= 0x13FD ? Character(c - 8)
        : c is >= 0x13A0 and <= 0x13F5 ? Character(c)
        : c is >= 0xAB70 and <= 0xABBF ? Character(c - 0xAB70 + 0x13A0)
        : Uppers.TryGetValue(c, out string? upper) ? Lower(upper)
        : LowerOf([], 0, c);

    // A sigma behind a letter and before none is written in another way.
    private static bool IsFinal(int[] all, int i)
    {
        int before = i - 1, after = i + 1;
        while (before >= 0 && IsIgnorable(all[before]))
        {
            before--;
        }

        while (after < all.Length && IsIgnorable(all[after]))
        {
            after++;
        }

        return before >= 0 && IsCased(all[before]) && (after >= all.Length || !IsCased(all[after]));

        static bool IsIgnorable(int c) => c is '\'' or '.' or ':' or '^' or '`' or 0xA8 or 0xAD or 0xAF or 0xB4 or 0xB7 or 0xB8 or 0x2018 or 0x2019 or 0x2024 or 0x2027
            || Category(c) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark or UnicodeCategory.Format or UnicodeCategory.ModifierLetter or UnicodeCategory.ModifierSymbol;
    }

    private static string Simple(int c, bool upper)
    {
        if (c is >= 0xD800 and <= 0xDFFF)
        {
            return Character(c);
        }

        Rune rune = new(c);
        return (upper ? Rune.ToUpperInvariant(rune) : Rune.ToLowerInvariant(rune)).ToString();
    }

    private static Dictionary<int, string> Read(string table) => table.Split(' ').ToDictionary(entry => (int)entry[0], entry => entry[1..]);
}
