using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Tests.Models;

public sealed class PrefixCacheTests : IDisposable
{
    private const float Tolerance = 2e-5f;

    // Keys and values of two layers with one head of 16, in single precision, times 16 tokens.
    private const int TokenBytes = 2 * 2 * 16 * 4, BlockBytes = 16 * TokenBytes;

    private readonly string folder = Directory.CreateTempSubdirectory("proxytune-prefix-").FullName;
    private readonly int[] text = Rows.Random(1, 200, TinyDecoder.Vocabulary);

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("shared", 100, 96)]
    [InlineData("plain", 100, 96)]
    [InlineData("half", 100, 96)]
    [InlineData("shared", 96, 95)]
    [InlineData("plain", 96, 95)]
    [InlineData("shared", 15, 0)]
    public void Start_SamePromptAgain_ComputesOnlyTheRestAndGivesTheSameRows(string dialect, int length, int cached)
    {
        using OnnxLanguageModel model = Load(dialect);
        float[][] fresh = Answer(model, text[..length], "a", out int none);
        float[][] again = Answer(model, text[..length], "a", out int found);
        Assert.Equal((0, cached), (none, found));
        Rows.AssertEqual(fresh, again, dialect == "half" ? 0.02f : Tolerance);
    }

    [Theory]
    [InlineData("shared")]
    [InlineData("plain")]
    public void Start_NextTurnOfAConversation_ReusesPromptAndAnswer(string dialect)
    {
        using OnnxLanguageModel model = Load(dialect);
        using (Sequence first = model.Start(Prompt.For(model, text.AsMemory(0, 20)) with { Tenant = "a" }))
        {
            Rows.Forward(model, new Segment(first, default));
            Rows.Forward(model, new Segment(first, new[] { 1, 2, 3 }));
            first.Rewind(3);
            for (int i = 20; i < 50; i++)
            {
                Rows.Forward(model, new Segment(first, text.AsMemory(i, 1)));
            }
        }

        using OnnxLanguageModel reference = Load(dialect);
        float[][] rows = Answer(model, text[..60], "a", out int cached);
        Assert.Equal(48, cached);
        Rows.AssertEqual(Answer(reference, text[..60], null, out _), rows, Tolerance);
    }

    [Fact]
    public void Start_OtherTenantOrNone_FindsNothing()
    {
        using OnnxLanguageModel model = Load("shared");
        Answer(model, text[..64], "a", out _);
        Answer(model, text[..64], null, out int none);
        Answer(model, text[..64], "b", out int other);
        Answer(model, text[..64], null, out int stillNone);
        Answer(model, [5, .. text[..63]], "a", out int shifted);
        Assert.Equal((0, 0, 0, 0), (none, other, stillNone, shifted));
    }

    [Fact]
    public void Start_RowsOfThePromptRequested_AreComputed()
    {
        using OnnxLanguageModel model = Load("shared");
        Answer(model, text[..64], "a", out _);
        using Sequence sequence = model.Start(Prompt.For(model, text.AsMemory(0, 64)) with { Tenant = "a" });
        Rows.AssertEqual(Rows.Fresh(model, text[..64], 40), Rows.Forward(model, new Segment(sequence, default, 40)), Tolerance);
        Assert.Equal(24, sequence.CachedTokens);
    }

    [Fact]
    public void Start_EarlierSequenceStillRuns_ReusesItsPrompt()
    {
        using OnnxLanguageModel model = Load("shared");
        Sequence[] choices = [.. Enumerable.Range(0, 3).Select(_ => model.Start(Prompt.For(model, text.AsMemory(0, 100)) with { Tenant = "a" }))];
        float[][] rows = Rows.Forward(model, [.. choices.Select(choice => new Segment(choice, default))]);
        Assert.Equal([0, 96, 96], choices.Select(choice => choice.CachedTokens));
        float[] fresh = Rows.Fresh(model, text[..100])[0];
        Rows.AssertEqual([fresh, fresh, fresh], rows, Tolerance);
    }

    [Fact]
    public void Dispose_DuringPrefill_KeepsTheComputedBlocks()
    {
        using OnnxLanguageModel model = Load("shared");
        using (Sequence cancelled = model.Start(Prompt.For(model, text.AsMemory(0, 100)) with { Tenant = "a" }))
        {
            model.Prefill(cancelled, 40);
        }

        Rows.AssertEqual([Rows.Fresh(model, text[..100])[0]], Answer(model, text[..100], "a", out int cached), Tolerance);
        Assert.Equal(32, cached);
    }

    [Fact]
    public void Store_TextsWithACommonPrefix_ShareItsBlocks()
    {
        KeyValueMemory memory = new(1 << 20);
        using OnnxLanguageModel model = Load("shared", memory);
        Answer(model, text[..64], "a", out _);
        Assert.Equal(4 * BlockBytes, memory.Statistics.Cached);
        Answer(model, [.. text[..40], .. text[100..140]], "a", out int cached);
        Assert.Equal(32, cached);
        Assert.Equal((4 + 3) * BlockBytes, memory.Statistics.Cached);
        Assert.Equal((1L, 1L, 32L), (memory.Statistics.Hits, memory.Statistics.Misses, memory.Statistics.HitTokens));
        model.Dispose();
        Assert.Equal((0L, 0L, 0L), (memory.Statistics.Cached, memory.Statistics.Live, memory.Statistics.Reserved));
    }

    [Fact]
    public void Store_BudgetIsFull_EvictsTheLeastRecentlyUsed()
    {
        // The budget holds 54 blocks. A running text of 64 tokens takes 4 or 5 of them.
        KeyValueMemory memory = new(TinyDecoder.Context * TokenBytes * 5 / 4);
        using OnnxLanguageModel model = Load("shared", memory);
        int[][] texts = [.. Enumerable.Range(0, 20).Select(i => Rows.Random(10 + i, 64, TinyDecoder.Vocabulary))];
        foreach (int[] other in texts)
        {
            Answer(model, other, "a", out _);
            Answer(model, texts[0], "a", out int kept);
            Assert.Equal(63, kept);
            Assert.InRange(memory.Statistics.Cached + memory.Statistics.Live, 1, memory.Limit);
        }

        Assert.True(memory.Statistics.Evictions > 0);
        Answer(model, texts[1], "a", out int gone);
        Answer(model, texts[19], "a", out int recent);
        Assert.Equal((0, 63), (gone, recent));
    }

    [Fact]
    public void Restore_CopyNeedsMemory_EvictsTheEndsOfTheLeastRecentTexts()
    {
        using KeyValueMemory memory = new(TinyDecoder.Context * TokenBytes * 5 / 4);
        using OnnxLanguageModel model = Load("shared", memory);
        int[] whole = Rows.Random(2, 420, TinyDecoder.Vocabulary);
        Answer(model, text[..64], "a", out _);
        Answer(model, whole[..400], "a", out _, mostAppended: 0);
        Assert.Equal((4 + 25) * BlockBytes, memory.Statistics.Cached);

        // More tokens may follow this time, so the buffer is wider than the one that left room for all 25 blocks.
        float[][] rows = Answer(model, whole, "a", out int cached);
        Assert.Equal(22 * 16, cached);
        Rows.AssertEqual([Rows.Fresh(model, whole)[0]], rows, Tolerance);
        Assert.InRange(memory.Statistics.Cached, 0, memory.Limit);
    }

    [Fact]
    public void Start_OtherPatchOrNone_FindsNothing()
    {
        using PatchedFamily family = new();
        OnnxLanguageModel model = family.Model;
        PatchSum?[] patches = [null, PatchedFamily.Sum((family.Patch(1, 3, "k_proj"), 1)), PatchedFamily.Sum((family.Patch(1, 3, "k_proj"), 0.5))];
        foreach (int expected in new[] { 0, 48 })
        {
            foreach (PatchSum? patch in patches)
            {
                Prompt prompt = Prompt.For(model, text.AsMemory(0, 50), patch);
                using Sequence sequence = model.Start(prompt with { Tenant = "a" }), fresh = model.Start(prompt);
                Rows.AssertEqual(Rows.Forward(model, new Segment(fresh, default)), Rows.Forward(model, new Segment(sequence, default)), Tolerance);
                Assert.Equal(expected, sequence.CachedTokens);
            }
        }
    }

    private static float[][] Answer(OnnxLanguageModel model, int[] tokens, string? tenant, out int cached, int mostAppended = int.MaxValue)
    {
        using Sequence sequence = model.Start(Prompt.For(model, tokens) with { Tenant = tenant, MaxAppended = mostAppended });
        float[][] rows = Rows.Forward(model, new Segment(sequence, default));
        cached = sequence.CachedTokens;
        return rows;
    }

    private OnnxLanguageModel Load(string dialect, KeyValueMemory? memory = null) => OnnxLanguageModel.Load(
        new TinyDecoder { Plain = dialect == "plain", Half = dialect == "half" }.Write(Path.Combine(folder, dialect)), new(), memory: memory);
}
