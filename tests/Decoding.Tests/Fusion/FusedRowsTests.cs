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
        RunningAnswer[] all = [.. Cases(mask).Select(c => Start(c.Served, c.Settings))];
        Step(all, [20, 40], rows: 3, mask);
        Step(all, [60], rows: 1, mask);
        Step(all, [80, 81, 82], rows: 2, mask);
        foreach (RunningAnswer running in all)
        {
            running.Sequence.Rewind(2);
            running.Answer.RemoveRange(running.Answer.Count - 2, 2);
        }

        Step(all, [100, 101], rows: 2, mask);
        Array.ForEach(all, running => running.Sequence.Dispose());
    }

    [Fact]
    public void Explain_AfterRewind_GivesTheSameTrace()
    {
        foreach (AskedFusion method in FusionCases.Methods)
        {
            RunningAnswer running = Start(family.Pairs, method with { Schedule = FusionCases.Schedules[2], Mask = MaskSettings.None });
            string[] first = Traces(running, [31, 32, 33]);
            running.Sequence.Rewind(2);
            Assert.Equal(first[2..], Traces(running, [32, 33])[1..]);
            running.Sequence.Dispose();
        }

        string[] Traces(RunningAnswer running, int[] tokens)
        {
            float[][] rows = Rows.Forward(family.Ensemble, new Segment(running.Sequence, tokens, tokens.Length));
            return [.. rows.Select((row, i) => Written(running.Sequence.Explain(i, rows.Length, row, 50)!))];
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
                RunningAnswer whole = Start(family.Pairs, settings), late = Start(family.Pairs, settings);
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

    private RunningAnswer Start(ServedModel served, AskedFusion settings)
    {
        ServedPlan plan = served.Plan(settings with { Trace = true }, CallerRole.Operator);
        return new(served, plan.Settled.Values, family.Ensemble.Start(FakeFamily.PromptOf(plan.LoadPatches())), []);
    }

    private void Step(RunningAnswer[] all, int[] tokens, int rows, string mask)
    {
        float[][] fused = Rows.Forward(family.Ensemble, [.. all.Select(running => new Segment(running.Sequence, tokens, rows))]);
        Assert.Equal(all.Length * rows, fused.Length);
        Dictionary<(ServedModel, int), OracleRows> members = [];
        for (int i = 0; i < all.Length; i++)
        {
            RunningAnswer running = all[i];
            Assert.Null(running.Sequence.Fault);
            running.Answer.AddRange(tokens);
            for (int row = 0; row < rows; row++)
            {
                int position = running.Answer.Count - rows + 1 + row;
                if (!members.TryGetValue((running.Served, position), out OracleRows? said))
                {
                    members[(running.Served, position)] = said = FakeFamily.RowsAfter(running.Served, running.Answer[..position]);
                }

                OracleToken expected = FusionOracle.Token(running.Settled, said, position, Factors(running, position));
                string what = $"{running.Settled.Method} {string.Join(' ', running.Settled.Experts ?? new Dictionary<string, double>())}, {mask}, {running.Settled.Schedule!.Kind}, token {position}";
                OracleAssert.Row(expected.Row, fused[(i * rows) + row], what);
                int token = Distribution.Likeliest(expected.Row);
                OracleAssert.Trace(expected, said, running.Sequence.Explain(row, rows, fused[(i * rows) + row], token)!, token, what);
            }
        }
    }

    /// <summary>Other tests check the factors of dynamic fusion. This class checks how they are applied.</summary>
    private static Dictionary<string, double>? Factors(RunningAnswer running, int position)
    {
        FusedSequence sequence = (FusedSequence)running.Sequence;
        return sequence.Plan.Rule is null
            ? null
            : sequence.Running.Deltas.Zip(sequence.WeighingAt(position)!.Factors).ToDictionary(pair => pair.First.Name, pair => (double)pair.Second);
    }

    private sealed record RunningAnswer(ServedModel Served, AskedFusion Settled, Sequence Sequence, List<int> Answer);
}
