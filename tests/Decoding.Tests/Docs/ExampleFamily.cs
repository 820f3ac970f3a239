using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Docs;

/// <summary>The models of the worked examples. They have three tokens and constant rows.</summary>
internal sealed class ExampleFamily : IDisposable
{
    private static readonly int[] WithContext = [1], WithoutContext = [2];

    private readonly string folder = Directory.CreateTempSubdirectory("examples-").FullName;
    private readonly Tokenizer tokenizer;
    private readonly Dictionary<string, FakeLanguageModel> members = [];

    /// <param name="rows">Logits by stream; the base has two rows, one without its context.</param>
    public ExampleFamily(IReadOnlyDictionary<string, float[]> rows)
    {
        TinyTokenizer.WriteByteLevel(folder);
        tokenizer = Tokenizer.Load(folder);
        foreach ((string name, float[] row) in rows)
        {
            members[name] = new(name, row.Length)
            {
                Rows = (tokens, given) => (name == "base" && tokens[0] == WithoutContext[0] ? rows["base without context"] : row).CopyTo(given),
            };
        }

        Ensemble = new("examples", [.. members.Values]);
    }

    public FusedModel Ensemble { get; }

    public static ReadOnlyMemory<int> PromptOf(StreamRole role) => role == StreamRole.BaseWithoutContext ? WithoutContext : WithContext;

    public FusionPlan Plan(AskedFusion settings)
    {
        bool isReward = settings.Method == FusionMethod.PortableReward.Name;
        ServedExpert[] experts = isReward ? [Expert("reward", null)] : [Expert("formal", "small"), Expert("brief", "small"), Expert("kind", "rude")];
        BoundedWeight usual = new(1, 0, 2);
        FusionMethod method = FusionMethod.Find(settings.Method)!;
        FusionDefaults defaults = new(method, [method], AskedFusion.Nothing, usual with { Default = method.DefaultAlpha ?? 1 }, usual, usual with { Default = 0 });
        ServedModel served = new("examples", "", Stream("base", StreamRole.Base), experts, Stream("small", StreamRole.AntiExpert), defaults);
        return served.Plan(settings with { Trace = true }).LoadPatches();
    }

    public void Dispose()
    {
        Ensemble.Dispose();
        tokenizer.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private ServedExpert Expert(string name, string? anti) =>
        new(name, new BoundedWeight(0, 0, 2), Stream(name, StreamRole.Expert), anti is null ? null : Stream(anti, StreamRole.AntiExpert));

    private ServedStream Stream(string name, StreamRole role) =>
        new(new LoadedModel(folder, members[name], tokenizer, null), role, name, new PromptReader(tokenizer, null));
}
