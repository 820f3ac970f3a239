using System.Text.Json;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;
using Xunit.Abstractions;

namespace ProxyTune.Decoding.Tests.Text;

/// <summary>Compares published tokenizers with ids from Hugging Face's libraries. The data is not part of the checkout.</summary>
public sealed class RealTokenizerTests(ITestOutputHelper output)
{
    /// <summary>A set of vectors is a tokenizer's if the first one fits, perhaps but for a begin token. Then all must.</summary>
    [SkippableFact]
    public void Encode_PublishedVectors_GivesHuggingFacesIds()
    {
        int sets = 0;
        foreach (string file in Folders().Select(folder => Path.GetFullPath(Path.Combine(folder, "..", "vectors.json"))).Where(File.Exists).Distinct())
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllText(file));
            (int[] Ids, string Text)[][] all = [.. document.RootElement.EnumerateObject().Select(set => set.Value.EnumerateArray().Select(Vector).ToArray())];
            foreach (string folder in Folders())
            {
                using Tokenizer tokenizer = Tokenizer.Load(folder);
                foreach ((int[] Ids, string Text)[] vectors in all)
                {
                    int begin = vectors[0].Ids.Length - tokenizer.Encode(vectors[0].Text).Length;
                    if (begin is 0 or 1 && vectors[0].Ids.Skip(begin).SequenceEqual(tokenizer.Encode(vectors[0].Text)))
                    {
                        Assert.All(vectors, vector => Assert.Equal(vector.Ids.Skip(begin), tokenizer.Encode(vector.Text)));
                        Assert.All(vectors, vector => Assert.Equal(vector.Text, tokenizer.Decode(vector.Ids)));
                        output.WriteLine($"{Path.GetFileName(folder)}: {vectors.Length} vectors");
                        sets++;
                    }
                }
            }
        }

        Skip.If(sets == 0, "No vectors.json has vectors of a tokenizer.");
    }

    [SkippableFact]
    public void DecodeAndStream_AnyIds_EqualTheLibrary()
    {
        foreach (string folder in Folders())
        {
            using Tokenizer tokenizer = Tokenizer.Load(folder);
            using StreamOracle oracle = new(folder);
            Random random = new(7);
            for (int round = 0; round < 100; round++)
            {
                // Low ids are often bytes, which split characters. One id in 40 is beyond the vocabulary.
                int[] ids = [.. Enumerable.Range(0, 40).Select(_ => random.Next(random.Next(2) == 0 ? 300 : tokenizer.VocabularySize + (tokenizer.VocabularySize / 40)))];
                oracle.Check(tokenizer, ids);
            }
        }
    }

    [SkippableFact]
    public void Encode_LongText_IsNeitherCutNorFilledUp()
    {
        foreach (string folder in Folders())
        {
            using Tokenizer tokenizer = Tokenizer.Load(folder);
            int[] one = tokenizer.EncodeRendered("word word"), many = tokenizer.EncodeRendered(string.Join(' ', Enumerable.Repeat("word", 800)));

            Assert.InRange(many.Length, 800, 400 * (one.Length + 1));
            Assert.True(one.Length < 12, $"{folder} gives {one.Length} tokens for two words.");
        }
    }

    private static string[] Folders()
    {
        string[] found = SharedData.Folder("tokenizers") is { } root
            ? [.. Directory.EnumerateFiles(root, "tokenizer.json", SearchOption.AllDirectories).Select(file => Path.GetDirectoryName(file)!).Order(StringComparer.Ordinal)]
            : [];
        Skip.If(found.Length == 0, "There is no tokenizers/*/tokenizer.json in ../shared/data beside the checkout nor where REFERENCE_DATA says.");
        return found;
    }

    private static (int[] Ids, string Text) Vector(JsonElement vector) => (
        [.. vector.GetProperty("encoded").GetProperty("input_ids").EnumerateArray().Select(id => id.GetInt32())],
        vector.GetProperty("input").GetString()!);
}
