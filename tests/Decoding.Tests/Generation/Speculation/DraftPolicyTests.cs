using ProxyTune.Decoding.Generation;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>Tests the draft policy in a simulation with known times and acceptance.</summary>
public sealed class DraftPolicyTests
{
    private const int Most = 8;

    [Theory]
    [InlineData(0.05, 0)]
    [InlineData(0.3, 1)]
    [InlineData(0.6, 3)]
    [InlineData(0.85, 6)]
    [InlineData(1, 8)]
    public void Choose_OneSequence_MaximisesTokensPerSecond(double right, int about)
    {
        World world = new(1, right);
        world.Run(2000);
        double mean = world.Wanted.Skip(1000).Average();
        Assert.InRange(mean, about - 1.2, about + 1.2);

        // Compares the policy with every fixed length at the same times. Learning costs little.
        double best = Enumerable.Range(0, Most + 1).Max(guesses => World.Expected(right, guesses) / World.Time(1, guesses));
        Assert.True(world.Rate > 0.88 * best, $"{world.Rate} of {best}");
    }

    [Fact]
    public void Choose_FullBatch_DraftsNothing()
    {
        World world = new(16, 0.9);
        world.Run(300);
        Assert.Equal(0, world.Wanted.Skip(16 * 20).Max());
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
        World world = new(1, 0.9) { Stalled = stalled };
        world.Run(150);
        Assert.InRange(world.Wanted.TakeLast(50).Average(), 4, 8);
    }

    [Fact]
    public void Choose_BatchShrinks_DraftsAgain()
    {
        World world = new(16, 0.9);
        world.Run(200);
        world.Sequences = 1;
        world.Run(100);
        Assert.InRange(world.Wanted.TakeLast(50).Average(), 4, 8);
    }

    /// <summary>Checks the bound on the cost of useless drafts: one small pass per interval.</summary>
    [Fact]
    public void Choose_NoGuessIsRight_ProbesAtMostOncePerInterval()
    {
        World world = new(1, 0);
        world.Run(200);
        int learned = world.ExtraPasses;
        Assert.InRange(learned, 1, 60);
        world.Run(3200);
        Assert.InRange(world.ExtraPasses - learned, 1, (3200 / DraftPolicy.ProbeEvery) + 1);
    }

    [Fact]
    public void Choose_GuessesBecomeRight_DraftsAgain()
    {
        World world = new(1, 0);
        world.Run(300);
        world.Right = 0.95;
        world.Run(1500);
        Assert.InRange(world.Wanted.TakeLast(50).Average(), 4, 8);
    }

    [Fact]
    public void Choose_FewTokensAreLeft_DraftsNoMoreThanThose()
    {
        World world = new(1, 1);
        world.Run(100);
        world.Left = 2;
        world.Run(1);
        Assert.Equal(2, world.Wanted[^1]);
    }

    /// <summary>A base of 10 ms, 0.5 for a further position, 0.1 for a further sequence; drafters of 1 ms. Blocks are scored one by one.</summary>
    private sealed class World(int sequences, double right)
    {
        private readonly DraftPolicy policy = new(Most);
        private readonly List<GuessRecord> records = [];
        private readonly Random random = new(1);
        private double seconds;
        private int tokens;

        public int Sequences { get; set; } = sequences;

        public double Right { get; set; } = right;

        public int Stalled { get; set; } = -1;

        public int Left { get; set; } = 1000;

        public List<int> Wanted { get; } = [];

        public int ExtraPasses { get; private set; }

        public double Rate => tokens / seconds;

        public static double Expected(double right, int guesses) => Enumerable.Range(0, guesses + 1).Sum(j => Math.Pow(right, j));

        public static double Time(int sequences, int guesses) =>
            guesses == 0 ? 0.011 + (0.0001 * (sequences - 1)) : (0.001 * (guesses + 1)) + (sequences * (0.01 + (0.0005 * guesses)));

        public void Run(int steps)
        {
            while (records.Count < Sequences)
            {
                records.Add(policy.StartRecord());
            }

            for (int step = 0; step < steps; step++)
            {
                List<GuessRecord> taking = records[..Sequences];
                taking.ForEach(record => record.Most = Left);
                policy.Choose(taking, Sequences);
                Wanted.AddRange(taking.Select(record => record.Wanted));
                int most = taking.Max(record => record.Wanted), positions = taking.Sum(record => record.Wanted);
                double noise = 1 + (0.1 * (random.NextDouble() - 0.5)), whole = Time(Sequences, 0);
                noise *= step == Stalled ? 20 : 1;
                if (most > 0)
                {
                    policy.AddDraft(Sequences, most + 1, noise * 0.001 * (most + 1));
                    whole = (Sequences * 0.01) + (positions * 0.0005);
                    seconds += 0.001 * (most + 1);
                    ExtraPasses += most;
                }

                policy.AddForward(Sequences, Sequences + positions, most > 0, noise * whole);
                seconds += whole;
                foreach (GuessRecord record in taking)
                {
                    int drawn = 0;
                    while (drawn < record.Wanted && random.NextDouble() < Right)
                    {
                        drawn++;
                    }

                    record.Add(drawn + 1, drawn, drawn < record.Wanted);
                    tokens += drawn + 1;
                }
            }
        }
    }
}
