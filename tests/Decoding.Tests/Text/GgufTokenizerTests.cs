using ProxyTune.Checkpoints.Formats;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Text;

/// <summary>
/// Tokenizers from GGUF files, with the ids of llama.cpp. A case is NAME.gguf with texts in NAME.gguf.inp, between lines <c>__ggml_vocab_test__</c>, and a line of
/// ids for each in NAME.gguf.out.
/// </summary>
public sealed class GgufTokenizerTests : IDisposable
{
    private const string None = "", Separator = "\n__ggml_vocab_test__\n";

    private readonly string folder = Directory.CreateTempSubdirectory("vocabulary-").FullName;

    public static TheoryData<string> Cases() => [.. Found().DefaultIfEmpty(None)];

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [SkippableTheory]
    [MemberData(nameof(Cases))]
    public void Write_VocabularyOfAFile_GivesTheIdsOfLlamaCpp(string name)
    {
        Skip.If(name == None, "There are no vocabularies in the reference data.");
        string path = Path.Combine(SharedData.Folder("gguf/tokenizers")!, name);
        using (GgufFile file = GgufFile.Open(path))
        {
            GgufTokenizer.Read(file.Metadata).Write(folder);
        }

        using Tokenizer tokenizer = Tokenizer.Load(folder);
        string[] texts = File.ReadAllText(path + ".inp").Split(Separator), ids = File.ReadAllLines(path + ".out");
        List<string> wrong = [];
        foreach ((string text, string line) in texts.Zip(ids))
        {
            int[] expected = [.. line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)], given = tokenizer.EncodeRendered(text);
            if (!expected.SequenceEqual(given))
            {
                wrong.Add($"'{text}': {string.Join(' ', given)} instead of {line}");
            }
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count} of {ids.Length} texts: {string.Join('\n', wrong.Take(3))}");
    }

    private static IEnumerable<string> Found() => SharedData.Folder("gguf/tokenizers") is { } all
        ? Directory.GetFiles(all, "*.gguf").Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)
        : [];
}
