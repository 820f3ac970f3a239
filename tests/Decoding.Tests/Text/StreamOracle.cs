using ProxyTune.Decoding.Text;
using HuggingFaceTokenizer = Tokenizers.DotNet.Tokenizer;

namespace ProxyTune.Decoding.Tests.Text;

/// <summary>Hugging Face's own decode and, written anew over it, its DecodeStream (tokenizers 0.23, step_decode_stream), special tokens left out.</summary>
internal sealed class StreamOracle(string folder) : IDisposable
{
    private const char Replacement = '\uFFFD';

    private readonly HuggingFaceTokenizer native = new(Path.Combine(folder, "tokenizer.json"));

    public string Decode(IEnumerable<int> ids) => native.Decode([.. ids.Select(id => (uint)id)]);

    /// <summary>The piece at each id, empty for none. They end where the library raises an error.</summary>
    public List<string> Pieces(IEnumerable<int> all)
    {
        List<string> pieces = [];
        List<int> ids = [];
        string prefix = "";
        int prefixIndex = 0;
        foreach (int id in all)
        {
            if (prefix.Length == 0 && ids.Count > 0 && Decode(ids) is var known && !known.EndsWith(Replacement))
            {
                (prefix, prefixIndex) = (known, ids.Count);
            }

            ids.Add(id);
            string text = Decode(ids);
            if (text.Length <= prefix.Length || text.EndsWith(Replacement))
            {
                pieces.Add("");
                continue;
            }

            if (!text.StartsWith(prefix, StringComparison.Ordinal))
            {
                return pieces;
            }

            pieces.Add(text[prefix.Length..]);
            int newIndex = ids.Count - prefixIndex;
            ids.RemoveRange(0, prefixIndex);
            prefix = Decode(ids);
            prefixIndex = newIndex;
        }

        return pieces;
    }

    /// <summary>Compares decode, pieces, and pieces with the rest for one sequence of ids.</summary>
    public void Check(Tokenizer tokenizer, int[] ids)
    {
        string whole = Decode(ids);
        Assert.Equal(whole, tokenizer.Decode(ids));
        List<string> pieces = Pieces(ids);
        string[] expected = Before(pieces, count => Decode(ids.Take(count)));
        TokenStream stream = tokenizer.Stream();
        string[] actual = [.. ids.Select(stream.Append)];
        Assert.Equal(expected, actual.Take(expected.Length));
        string joined = string.Concat(actual) + stream.Finish();
        if (expected.Length == ids.Length && whole.StartsWith(string.Concat(expected), StringComparison.Ordinal))
        {
            Assert.Equal(whole, joined);
        }
    }

    /// <summary>
    /// The pieces before the library's stream leaves its own decode. Where a byte makes earlier ones invalid, it raises or sends them again; where
    /// a decoder strips several characters, its window of a few tokens loses some.
    /// </summary>
    /// <param name="decode">The text of so many first ids.</param>
    public static string[] Before(IReadOnlyList<string> pieces, Func<int, string> decode)
    {
        string sent = "";
        List<string> before = [];
        foreach (string piece in pieces)
        {
            sent += piece;
            string text = decode(before.Count + 1);
            bool takesBack = piece.Length > 0 && !text.StartsWith(sent, StringComparison.Ordinal);
            bool leavesOut = text.Length > sent.Length && !text.EndsWith(Replacement) && text.StartsWith(sent, StringComparison.Ordinal);
            if (takesBack || leavesOut)
            {
                break;
            }

            before.Add(piece);
        }

        return [.. before];
    }

    public void Dispose() => native.Dispose();
}
