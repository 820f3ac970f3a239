using ProxyTune.Decoding.Generation;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>Tests the draft policy in a simulation with known times and acceptance.</summary>
public sealed class DraftPolicyTests
{
    private const int MaxDraft = 8;

    [Theory]
    [InlineData(0.05, 0)]
    [InlineData(0.3, 1)]
    [InlineData(0.6, 3)]
    [InlineData(0.85, 6)]
    [InlineData(1, 8)]
    public void Choose_OneSequence_MaximisesTokensPerSecond(double right, int about)
    {
        Simulation simulation = new(1, right);
        simulation.Run(2000);
        double mean = simulation.DraftLengths.Skip(1000).Average();
        Assert.InRange(mean, about - 1.2, about + 1.2);

        // Compares the policy with every fixed length at the same times. Learning costs little.
        double best = Enumerable.Range(0, MaxDraft + 1).Max(drafted => Simulation.Expected(right, drafted) / Simulation.Time(1, drafted));
        Assert.True(simulation.Rate > 0.88 * best, $"The policy gives {simulation.Rate} tokens per second, the best fixed length {best}.");
    }

    [Fact]
    public void Choose_FullBatch_DraftsNothing()
    {
        Simulation simulation = new(16, 0.9);
        simulation.Run(300);
        Assert.Equal(0, simulation.DraftLengths.Skip(16 * 20).Max());
    }

    /// <summary>Checks that the policy drafts after a step that stalled.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(8)]
    public void Choose_OneStepStalls_DraftsAgainLater(int stalled)
    {
        Simulation simulation = new(1, 0.9) { Stalled = stalled };
        simulation.Run(150);
        Assert.InRange(simulation.DraftLengths.TakeLast(50).Average(), 4, 8);
    }

    [Fact]
    public void Choose_BatchShrinks_DraftsAgain()
    {
        Simulation simulation = new(16, 0.9);
        simulation.Run(200);
        simulation.Sequences = 1;
        simulation.Run(100);
        Assert.InRange(simulation.DraftLengths.TakeLast(50).Average(), 4, 8);
    }

    /// <summary>Checks the bound on the cost of useless drafts: one small pass per interval.</summary>
    [Fact]
    public void Choose_NoDraftTokenIsAccepted_ProbesAtMostOncePerInterval()
    {
        Simulation simulation = new(1, 0);
        simulation.Run(200);
        int learned = simulation.ExtraPasses;
        Assert.InRange(learned, 1, 60);
        simulation.Run(3200);
        Assert.InRange(simulation.ExtraPasses - learned, 1, (3200 / DraftPolicy.ProbeEvery) + 1);
    }

    [Fact]
    public void Choose_DraftTokensBecomeAccepted_DraftsAgain()
    {
        Simulation simulation = new(1, 0);
        simulation.Run(300);
        simulation.Right = 0.95;
        simulation.Run(1500);
        Assert.InRange(simulation.DraftLengths.TakeLast(50).Average(), 4, 8);
    }

    [Fact]
    public void Choose_FewTokensAreLeft_DraftsNoMoreThanThose()
    {
        Simulation simulation = new(1, 1);
        simulation.Run(100);
        simulation.Left = 2;
        simulation.Run(1);
        Assert.Equal(2, simulation.DraftLengths[^1]);
    }

    /// <summary>Simulates a base of 10 ms plus 0.5 ms per further position and 0.1 ms per further sequence, and drafters of 1 ms. Each block is verified in its own pass.</summary>
    private sealed class Simulation(int sequences, double right)
    {
        private readonly DraftPolicy policy = new(MaxDraft);
        private readonly List<DraftRecord> records = [];
        private readonly Random random = new(1);
        private double seconds;
        private int tokens;

        public int Sequences { get; set; } = sequences;

        public double Right { get; set; } = right;

        public int Stalled { get; set; } = -1;

        public int Left { get; set; } = 1000;

        public List<int> DraftLengths { get; } = [];

        public int ExtraPasses { get; private set; }

        public double Rate => tokens / seconds;

        public static double Expected(double right, int drafted) => Enumerable.Range(0, drafted + 1).Sum(j => Math.Pow(right, j));

        public static double Time(int sequences, int drafted) =>
            drafted == 0 ? 0.011 + (0.0001 * (sequences - 1)) : (0.001 * (drafted + 1)) + (sequences * (0.01 + (0.0005 * drafted)));

        public void Run(int steps)
        {
            while (records.Count < Sequences)
            {
                records.Add(policy.StartRecord());
            }

            for (int step = 0; step < steps; step++)
            {
                List<DraftRecord> scheduled = records[..Sequences];
                scheduled.ForEach(record => record.MaxDraft = Left);
                policy.Choose(scheduled, Sequences);
                DraftLengths.AddRange(scheduled.Select(record => record.DraftLength));
                int longest = scheduled.Max(record => record.DraftLength), positions = scheduled.Sum(record => record.DraftLength);
                double noise = 1 + (0.1 * (random.NextDouble() - 0.5)), whole = Time(Sequences, 0);
                noise *= step == Stalled ? 20 : 1;
                if (longest > 0)
                {
                    policy.AddDraft(Sequences, longest + 1, noise * 0.001 * (longest + 1));
                    whole = (Sequences * 0.01) + (positions * 0.0005);
                    seconds += 0.001 * (longest + 1);
                    ExtraPasses += longest;
                }

                policy.AddForward(Sequences, Sequences + positions, longest > 0, noise * whole);
                seconds += whole;
                foreach (DraftRecord record in scheduled)
                {
                    int drawn = 0;
                    while (drawn < record.DraftLength && random.NextDouble() < Right)
                    {
                        drawn++;
                    }

                    record.Add(drawn + 1, drawn, drawn < record.DraftLength);
                    tokens += drawn + 1;
                }
            }
        }
    }
}
