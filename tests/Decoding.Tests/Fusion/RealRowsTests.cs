using System.Text.Json;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Tests.Models;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Compares the engine with the equations on rows of the shipped models.</summary>
public sealed class RealRowsTests : IDisposable
{
    private const int Answered = 6;

    private static readonly string[] Folders = ["town-base", "town-base-qa", "town-small", "town-small-qa", "town-small-json", "town-small-polite"];

    private static readonly ChatMessage[] Conversation =
        [new("user", "Clara Abbot works as a painter.", "context"), new("user", "What does Clara Abbot do for a living?")];

    private readonly string folder = Directory.CreateTempSubdirectory("town-").FullName;
    private readonly ModelHost catalog;

    public RealRowsTests()
    {
        foreach (string name in Folders)
        {
            Directory.CreateSymbolicLink(Path.Combine(folder, name), Path.Combine(Repository.Models, name));
        }

        File.WriteAllText(Path.Combine(folder, "catalog.json"), JsonSerializer.Serialize(new
        {
            served_models = new object[]
            {
                new
                {
                    name = "pairs", @base = "town-base", amateur = "town-small", methods = new[] { "proxy" },
                    alpha_range = Any, amplification_range = Any,
                    experts = new[] { Pair("one", "town-small-qa", "town-small"), Pair("two", "town-small-json", "town-small"), Pair("three", "town-small-polite", "town-small-qa") },
                },
                new
                {
                    name = "rewards", @base = "town-base", methods = new[] { "portable_reward" }, alpha_range = Any,
                    experts = new[] { new { name = "one", model = "town-small-qa", weight = 0, weight_range = Any }, new { name = "two", model = "town-small", weight = 0, weight_range = Any } },
                },
                new
                {
                    name = "down", @base = "town-small", methods = new[] { "eft" }, alpha_range = Any, amplification_range = Any,
                    experts = new[] { Pair("large-tuned", "town-base-qa", "town-base") },
                },
            },
        }));
        catalog = ModelHost.Load(folder, new EngineOptions());
    }

    private static double[] Any => [-5, 5];

    public void Dispose()
    {
        catalog.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void Forward_EveryMethodAndMask_GivesTheEquationsRows()
    {
        int turn = 0;
        foreach ((string served, AskedFusion method) in FusionCases.Methods.Select(m => ("pairs", m))
            .Concat(FusionCases.Rewards.Select(m => ("rewards", m))).Concat(FusionCases.DownScaling.Select(m => ("down", m))))
        {
            foreach ((string mask, MaskSettings settings) in FusionCases.Masks.Where(m => FusionCases.Fits(method, m.Value)))
            {
                ScheduleSettings schedule = FusionCases.Schedules[turn++ % FusionCases.Schedules.Count];
                Check(catalog.Get(served).Plan(method with { Mask = settings, Schedule = schedule, Trace = true }, CallerRole.Operator), $"{method.Method}, {mask}, {schedule.Kind}");
            }
        }
    }

    private void Check(ServedPlan plan, string what)
    {
        int[] answer = catalog.Get("pairs").Tokenizer.Encode("Clara Abbot works as a painter. Clara Abbot lives in the house by the river.")[..Answered];
        using FusedSequence sequence = (FusedSequence)catalog.Ensemble.Start(plan.Render(Conversation));
        float[][] fused = Rows.Forward(catalog.Ensemble, new Segment(sequence, answer, Answered + 1));
        for (int position = 0; position < fused.Length; position++)
        {
            OracleRows rows = RowsOf(sequence, plan.Settled.Values, position);
            OracleToken expected = FusionOracle.Token(plan.Settled.Values, rows, position, Factors(sequence, position));
            OracleAssert.Row(expected.Row, fused[position], $"{what}, token {position}");
            int token = Distribution.Likeliest(expected.Row);
            OracleAssert.Trace(expected, rows, sequence.Explain(position, fused.Length, fused[position], token)!, token, $"{what}, token {position}");
        }
    }

    private static OracleRows RowsOf(FusedSequence sequence, AskedFusion settled, int position)
    {
        Dictionary<string, double[]> rows = [];
        foreach ((PlannedStream planned, FusedStream stream) in sequence.Running.Streams.Zip(sequence.Streams))
        {
            double[] row = [.. stream.Row(position)[..sequence.VocabularySize].ToArray().Select(s => (double)s)];
            foreach (string name in planned.Names)
            {
                rows[name] = row;
            }
        }

        IEnumerable<string> experts = settled.Experts?.Where(e => e.Value != 0 && rows.ContainsKey($"{e.Key} anti") | rows.ContainsKey(e.Key)).Select(e => e.Key) ?? [];
        return new(
            rows["base"],
            [.. experts.Select(name => new OracleExpert(name, rows.GetValueOrDefault(name) ?? [], rows.GetValueOrDefault($"{name} anti")))],
            rows.GetValueOrDefault("amateur"),
            rows.GetValueOrDefault("base without context"));
    }

    private static Dictionary<string, double>? Factors(FusedSequence sequence, int position) => sequence.Plan.Rule is null
        ? null
        : sequence.Running.Deltas.Zip(sequence.WeighingAt(position)!.Factors).ToDictionary(pair => pair.First.Name, pair => (double)pair.Second);

    private static object Pair(string name, string model, string anti) => new { name, model, anti_expert = anti, weight = 0, weight_range = Any };
}
