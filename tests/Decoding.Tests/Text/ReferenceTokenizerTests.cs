using System.Text;
using System.Text.Json;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;
using Xunit.Abstractions;

namespace ProxyTune.Decoding.Tests.Text;

/// <summary>Compares every tokenizer of the reference data with what Hugging Face's library gave: ids, decodes, and the pieces of its stream.</summary>
public sealed class ReferenceTokenizerTests(ITestOutputHelper output)
{
    public static TheoryData<string> Names()
    {
        TheoryData<string> names = [];
        foreach (string name in Cases.All().Select(found => found.Name))
        {
            names.Add(name);
        }

        if (names.Count == 0)
        {
            names.Add("");
        }

        return names;
    }

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Encode_ReferenceTexts_GivesTheirIds(string name)
    {
        using Cases cases = Open(name);
        Tally ids = new(output, "ids"), special = new(output, "ids with special tokens");
        foreach (JsonElement text in cases.Texts)
        {
            string content = text.GetProperty("text").GetString()!;
            int[] expected = Cases.Ids(text.GetProperty("ids"));
            ids.Add(content, expected, cases.Tokenizer.EncodeRendered(content));
            int[] whole = text.TryGetProperty("ids_with_special", out JsonElement with) ? Cases.Ids(with) : expected;
            special.Add(content, whole, cases.Tokenizer.Encode(content));
        }

        ids.Check();
        special.Check();
    }

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Decode_ReferenceIds_GivesTheirText(string name)
    {
        using Cases cases = Open(name);
        Tally with = new(output, "decodes"), without = new(output, "decodes without special tokens");
        foreach (JsonElement one in cases.Both)
        {
            int[] ids = Cases.Ids(one.GetProperty("ids"));
            with.Add(one, one.GetProperty("decoded").GetString(), cases.Tokenizer.Decode(ids, withSpecial: true));
            without.Add(one, one.GetProperty("decoded_skip").GetString(), cases.Tokenizer.Decode(ids));
        }

        with.Check();
        without.Check();
    }

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Stream_ReferenceIds_GivesItsPieces(string name)
    {
        using Cases cases = Open(name);
        int[][] prompts = [.. cases.Prompts.Select(prompt => Cases.Ids(prompt.GetProperty("ids")))];
        Tally with = new(output, "pieces"), without = new(output, "pieces without special tokens"), behind = new(output, "pieces behind a prompt"), joined = new(output, "pieces and rest joined");
        foreach (JsonElement one in cases.Both)
        {
            Compare(with, joined, one, "pieces", "decoded", cases.Tokenizer, [], withSpecial: true);
            Compare(without, joined, one, "pieces_skip", "decoded_skip", cases.Tokenizer, [], withSpecial: false);
            int[] prompt = prompts[one.GetProperty("prompt").GetInt32()];
            Compare(behind, joined, one, "pieces_behind_prompt", "decoded_behind_prompt", cases.Tokenizer, prompt, withSpecial: true);
        }

        with.Check();
        without.Check();
        behind.Check();
        joined.Check();
    }

    /// <summary>Tokens' bytes in a row are the text, whatever the ids are.</summary>
    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void TokenBytes_BehindAPrompt_JoinToTheText(string name)
    {
        using Cases cases = Open(name);
        int[] prompt = Cases.Ids(cases.Prompts.First().GetProperty("ids"));
        Tally bytes = new(output, "token bytes");
        foreach (JsonElement one in cases.Both)
        {
            int[] ids = Cases.Ids(one.GetProperty("ids"));
            TokenStream stream = cases.Tokenizer.Stream(prompt, withSpecial: true);
            string streamed = string.Concat(ids.Select(stream.Append)) + stream.Finish();
            string joined = Encoding.UTF8.GetString([.. ids.SelectMany(cases.Tokenizer.TokenBytes)]);

            // Byte fallback shows a valid byte behind an invalid one as U+FFFD.
            if (cases.Tokenizer.IsByteLevel || !streamed.Contains('\uFFFD', StringComparison.Ordinal))
            {
                bytes.Add(one, streamed, joined);
            }
        }

        bytes.Check();
    }

    private static void Compare(Tally tally, Tally joined, JsonElement one, string pieces, string decoded, Tokenizer tokenizer, int[] prompt, bool withSpecial)
    {
        int[] ids = Cases.Ids(one.GetProperty("ids"));
        string[] given = [.. one.GetProperty(pieces).EnumerateArray().Select(piece => piece.GetString() ?? "")];
        int begin = tokenizer.Decode(prompt, withSpecial).Length;
        string[] expected = StreamOracle.Before(given, count => tokenizer.Decode([.. prompt, .. ids.Take(count)], withSpecial)[begin..]);
        TokenStream stream = tokenizer.Stream(prompt, withSpecial);
        string[] actual = [.. ids.Select(stream.Append)];
        string rest = stream.Finish();
        tally.Add(one, expected, actual.Take(expected.Length));
        if (expected.Length == ids.Length && one.GetProperty(decoded).GetString() is { } whole && whole.StartsWith(string.Concat(expected), StringComparison.Ordinal))
        {
            joined.Add(one, whole, string.Concat(actual) + rest);
        }
    }

    private static Cases Open(string name)
    {
        Cases? cases = Cases.All().FirstOrDefault(found => found.Name == name);
        Skip.If(cases is null, "There is no tokenizers/*/tokenizer.json with a streams.json in ../shared/data beside the checkout nor where REFERENCE_DATA says.");
        cases.Load();
        return cases;
    }

    /// <summary>A tokenizer with its cases: a streams.json beside the folders names several, one in a folder is that folder's.</summary>
    private sealed class Cases(string folder, JsonElement model) : IDisposable
    {
        private Tokenizer? tokenizer;

        public string Name => Path.GetFileName(folder);

        public Tokenizer Tokenizer => tokenizer!;

        public IEnumerable<JsonElement> Prompts => model.GetProperty("prompts").EnumerateArray();

        public IEnumerable<JsonElement> Texts => model.GetProperty("texts").EnumerateArray();

        public IEnumerable<JsonElement> Both => Texts.Concat(model.GetProperty("random").EnumerateArray());

        public static IEnumerable<Cases> All()
        {
            if (SharedData.Folder("tokenizers") is not { } root)
            {
                yield break;
            }

            foreach (string file in Directory.EnumerateFiles(root, "streams*.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
            {
                JsonElement document = JsonSerializer.Deserialize<JsonElement>(File.ReadAllBytes(file));
                string folder = Path.GetDirectoryName(file)!;
                foreach ((string path, JsonElement model) in document.TryGetProperty("models", out JsonElement models)
                    ? models.EnumerateObject().Select(one => (Path.Combine(root, one.Name), one.Value))
                    : [(folder, document)])
                {
                    if (File.Exists(Path.Combine(path, "tokenizer.json")))
                    {
                        yield return new Cases(path, model);
                    }
                }
            }
        }

        public static int[] Ids(JsonElement ids) => [.. ids.EnumerateArray().Select(id => id.GetInt32())];

        public void Load() => tokenizer = Tokenizer.Load(folder);

        public void Dispose() => tokenizer?.Dispose();
    }

    /// <summary>Counts equal cases, and remembers the first that is not.</summary>
    private sealed class Tally(ITestOutputHelper output, string what)
    {
        private readonly List<string> wrong = [];
        private int cases;

        public void Add<T>(object one, T expected, T actual)
        {
            cases++;
            string[] both = [JsonSerializer.Serialize(expected), JsonSerializer.Serialize(actual)];
            if (both[0] != both[1])
            {
                wrong.Add($"{one}\nexpected {both[0]}\nactual   {both[1]}");
            }
        }

        public void Check()
        {
            output.WriteLine($"{what}: {cases - wrong.Count} of {cases} equal");
            Assert.True(wrong.Count == 0, $"{what}: {wrong.Count} of {cases} differ. The first:\n{wrong.FirstOrDefault()}");
            Assert.NotEqual(0, cases);
        }
    }
}
