using System.Text;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// The 256 characters that stand for bytes in byte-level vocabularies (GPT-2): printable Latin-1 stands for itself, the other bytes for
/// the characters from U+0100 on.
/// </summary>
public static class ByteLevelAlphabet
{
    private static readonly char[] Characters = Build();

    private static readonly Dictionary<char, byte> Values = Enumerable.Range(0, Characters.Length).ToDictionary(b => Characters[b], b => (byte)b);

    public static char Character(byte value) => Characters[value];

    /// <summary>The bytes of a token; one with a character outside the alphabet (an added token) stands for its own UTF-8.</summary>
    public static byte[] Bytes(string token) =>
        token.All(Values.ContainsKey) ? [.. token.Select(c => Values[c])] : Encoding.UTF8.GetBytes(token);

    private static char[] Build()
    {
        char[] characters = new char[256];
        char next = (char)256;
        for (int value = 0; value < characters.Length; value++)
        {
            bool printable = value is >= '!' and <= '~' or >= '¡' and <= '¬' or >= '®' and <= 'ÿ';
            characters[value] = printable ? (char)value : next++;
        }

        return characters;
    }
}
