using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Tests.Models;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Compares every method with every mask and schedule with its equation, all in the same batches.</summary>
public sealed class FusedRowsTests : IDisposable
{
    private readonly FakeFamily family = new();

    public static TheoryData<string> Masks => [.. FusionCases.Masks.Keys];

    public void Dispose() => family.Dispose();

    [Theory]
    [MemberData(nameof(Masks))]
    public void Forward_EveryMethodAndSchedule_GivesTheEquationsRowsAndTraces(string mask)
    {
        Live[] all = [.. Cases(mask).Select(c => Start(c.Served, c.Settings))];
        Step(all, [20, 40], rows: 3, mask);
        Step(all, [60], rows: 1, mask);
        Step(all, [80, 81, 82], rows: 2, mask);
        foreach (Live live in all)
        {
            live.Sequence.Rewind(2);
            live.Answer.RemoveRange(live.Answer.Count - 2, 2);
        }

        Step(all, [100, 101], rows: 2, mask);
        Array.ForEach(all, live => live.Sequence.Dispose());
    }

    [Fact]
    public void Explain_AfterRewind_GivesTheSameTrace()
    {
        foreach (AskedFusion method in FusionCases.Methods)
        {
            Live live = Start(family.Pairs, method with { Schedule = FusionCases.Schedules[2], Mask = MaskSettings.None });
            string[] first = Traces(live, [31, 32, 33]);
            live.Sequence.Rewind(2);
            Assert.Equal(first[2..], Traces(live, [32, 33])[1..]);
            live.Sequence.Dispose();
        }

        string[] Traces(Live live, int[] tokens)
        {
            float[][] rows = Rows.Forward(family.Ensemble, new Segment(live.Sequence, tokens, tokens.Length));
            return [.. rows.Select((row, i) => Written(live.Sequence.Explain(i, rows.Length, row, 50)!))];
        }

        static string Written(TokenTrace trace) =>
            $"{string.Join(' ', trace.Weights)} {string.Join(' ', trace.Streams)} {trace with { Weights = Empty, Streams = Empty }}";
    }

    [Fact]
    public void Forward_FirstRowsNotRequested_GivesTheSameLaterRows()
    {
        foreach (AskedFusion method in FusionCases.Methods)
        {
            foreach (ScheduleSettings schedule in FusionCases.Schedules)
            {
                AskedFusion settings = method with { Schedule = schedule, Mask = MaskSettings.None };
                Live whole = Start(family.Pairs, settings), late = Start(family.Pairs, settings);
                float[][] rows = Rows.Forward(
                    family.Ensemble, new Segment(whole.Sequence, new[] { 21, 22, 23 }, 4), new Segment(late.Sequence, new[] { 21, 22, 23 }, 1));
                Rows.AssertEqual([rows[3]], [rows[4]], 1e-5f);
                whole.Sequence.Dispose();
                late.Sequence.Dispose();
            }
        }
    }

    private static Dictionary<string, float> Empty { get; } = [];

    private IEnumerable<(ServedModel Served, AskedFusion Settings)> Cases(string mask) =>
        from served in new (ServedModel Model, IReadOnlyList<AskedFusion> Methods)[] { (family.Pairs, FusionCases.Methods), (family.Rewards, FusionCases.Rewards), (family.DownScaling, FusionCases.DownScaling) }
        from method in served.Methods
        from schedule in FusionCases.Schedules
        where FusionCases.Fits(method, FusionCases.Masks[mask])
        select (served.Model, method with { Mask = FusionCases.Masks[mask], Schedule = schedule });

    private Live Start(ServedModel served, AskedFusion settings)
    {
        ServedPlan plan = served.Plan(settings with { Trace = true }, CallerRole.Operator);
        return new(served, plan.Settled.Values, family.Ensemble.Start(FakeFamily.PromptOf(plan.LoadPatches())), []);
    }

    private void Step(Live[] all, int[] tokens, int rows, string mask)
    {
        float[][] fused = Rows.Forward(family.Ensemble, [.. all.Select(live => new Segment(live.Sequence, tokens, rows))]);
        Assert.Equal(all.Length * rows, fused.Length);
        Dictionary<(ServedModel, int), OracleRows> members = [];
        for (int i = 0; i < all.Length; i++)
        {
            Live live = all[i];
            Assert.Null(live.Sequence.Fault);
            live.Answer.AddRange(tokens);
            for (int row = 0; row < rows; row++)
            {
                int position = live.Answer.Count - rows + 1 + row;
                if (!members.TryGetValue((live.Served, position), out OracleRows? said))
                {
                    members[(live.Served, position)] = said = FakeFamily.RowsAfter(live.Served, live.Answer[..position]);
                }

                OracleToken expected = FusionOracle.Token(live.Settled, said, position, Factors(live, position));
                string what = $"{live.Settled.Method} {string.Join(' ', live.Settled.Experts ?? new Dictionary<string, double>())}, {mask}, {live.Settled.Schedule!.Kind}, token {position}";
                OracleAssert.Row(expected.Row, fused[(i * rows) + row], what);
                int token = Distribution.Likeliest(expected.Row);
                OracleAssert.Trace(expected, said, live.Sequence.Explain(row, rows, fused[(i * rows) + row], token)!, token, what);
            }
        }
    }

    /// <summary>Other tests check the factors of dynamic fusion. This class checks how they are applied.</summary>
    private static Dictionary<string, double>? Factors(Live live, int position)
    {
        FusedSequence sequence = (FusedSequence)live.Sequence;
        return sequence.Plan.Rule is null
            ? null
            : sequence.Running.Deltas.Zip(sequence.WeighingAt(position)!.Factors).ToDictionary(pair => pair.First.Name, pair => (double)pair.Second);
    }

    private sealed record Live(ServedModel Served, AskedFusion Settled, Sequence Sequence, List<int> Answer);
}
