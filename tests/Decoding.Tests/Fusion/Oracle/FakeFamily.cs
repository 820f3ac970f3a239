using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Served models over fake models with known rows and several widths. The tokenizer is narrower than all of them.</summary>
internal sealed class FakeFamily : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("fakes-").FullName;
    private readonly Tokenizer tokenizer;
    private readonly Dictionary<string, FakeLanguageModel> members;

    /// <param name="finish">Changes every row of every model.</param>
    public FakeFamily(Action<Span<float>>? finish = null)
    {
        TinyTokenizer.WriteByteLevel(folder);
        tokenizer = Tokenizer.Load(folder);
        members = new[] { ("large", 304), ("large-tuned", 304), ("small", 288), ("other-small", 264), ("one", 288), ("two", 280), ("three", 272) }
            .ToDictionary(member => member.Item1, member => Member(member.Item1, member.Item2, finish));
        Ensemble = new("fakes", [.. members.Values]);
        Pairs = Served("large", [Expert("one", "small"), Expert("two", "small"), Expert("three", "other-small")]);
        DownScaling = Served("small", [Expert("large-tuned", "large")]);
        Rewards = Served("large", [Expert("one", null), Expert("two", null)]);
    }

    public FusedModel Ensemble { get; }

    /// <summary>Makes the rows of the model with that name unsound.</summary>
    public EditRow? Edit { get; set; }

    /// <summary>End-of-text ids of all models.</summary>
    public IReadOnlyList<int> Ends
    {
        init => Array.ForEach([.. members.Values], member => member.EndOfTextIds = value);
    }

    /// <summary>A served model with three experts, the first two over one anti-expert, and an amateur.</summary>
    public ServedModel Pairs { get; }

    public ServedModel DownScaling { get; }

    public ServedModel Rewards { get; }

    public ServedModel Served(string @base, IReadOnlyList<ServedExpert> experts)
    {
        BoundedWeight any = new(1, -5, 5);
        FusionDefaults defaults = new(FusionMethod.None, FusionMethod.All, new AskedFusion { Mode = FusionDefaults.SingleMode }, any, any, any with { Default = 0 });
        return new("served", "", Stream(@base, StreamRole.Base, "base"), experts, Stream("small", StreamRole.AntiExpert, "amateur"), defaults);
    }

    public ServedExpert Expert(string name, string? anti) => new(
        name, new BoundedWeight(0, -5, 5), Stream(name, StreamRole.Expert, name), anti is null ? null : Stream(anti, StreamRole.AntiExpert, $"{name} anti"));

    /// <summary>Different prompts for the roles.</summary>
    public static int[] PromptOf(StreamRole role) => role switch
    {
        StreamRole.Base => [1, 2, 3],
        StreamRole.Expert => [9, 1],
        StreamRole.AntiExpert => [7],
        _ => [2, 3],
    };

    public static Prompt PromptOf(FusionPlan plan) => new(plan, [.. plan.Streams.Select(stream => (ReadOnlyMemory<int>)PromptOf(stream.Role))]);

    /// <summary>Rows of the models after these tokens of the answer, each computed separately.</summary>
    public static OracleRows RowsAfter(ServedModel served, IReadOnlyList<int> answer, Func<StreamRole, int[]>? promptOf = null)
    {
        Dictionary<(string, StreamRole), double[]> known = [];
        return new(
            Row(served.BaseStream, StreamRole.Base),
            [.. served.Experts.Select(e => new OracleExpert(e.Name, Row(e.Tuned, StreamRole.Expert), e.Anti is { } anti ? Row(anti, StreamRole.AntiExpert) : null))],
            Row(served.Amateur!, StreamRole.AntiExpert),
            Row(served.BaseStream, StreamRole.BaseWithoutContext));

        double[] Row(ServedStream stream, StreamRole role)
        {
            string name = stream.Model.Info.Name;
            if (!known.TryGetValue((name, role), out double[]? row))
            {
                float[] whole = new float[stream.Model.Info.VocabularySize];
                RandomRows.Fill(name, [.. (promptOf ?? PromptOf)(role), .. answer], whole);
                known[(name, role)] = row = [.. whole.Take(served.VocabularySize).Select(s => (double)s)];
            }

            return row;
        }
    }

    public void Dispose()
    {
        Ensemble.Dispose();
        tokenizer.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private FakeLanguageModel Member(string name, int width, Action<Span<float>>? finish) => new(name, width)
    {
        Rows = (tokens, row) =>
        {
            RandomRows.Fill(name, tokens, row);
            finish?.Invoke(row);
            Edit?.Invoke(name, row);
        },
    };

    private ServedStream Stream(string name, StreamRole role, string called) =>
        new(new LoadedModel(folder, members[name], tokenizer, null), role, called, new PromptReader(tokenizer, null));
}

internal delegate void EditRow(string member, Span<float> row);
