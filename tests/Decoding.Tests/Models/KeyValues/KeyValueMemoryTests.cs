using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Tests.Generation;

namespace ProxyTune.Decoding.Tests.Models;

public sealed class KeyValueMemoryTests : IDisposable
{
    // Two layers of one head of 16, keys and values, in single precision; and one of the four tensors twice while they grow.
    private const int TokenBytes = 2 * 2 * 16 * 4, GrowingBytes = TokenBytes * 5 / 4;
    private const int ContextBytes = TinyDecoder.Context * GrowingBytes;

    private readonly string folder = Directory.CreateTempSubdirectory("proxytune-memory-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Load_BudgetBelowOneContext_IsRefusedWithTheRequiredBytes()
    {
        EngineException e = Assert.Throws<EngineException>(() => Load("shared", new(ContextBytes - 1)));
        Assert.Equal((EngineError.InvalidValue, "KeyValueBytes"), (e.Error, e.Field));
        Assert.Contains($"{ContextBytes} bytes: {TinyDecoder.Context} tokens x {GrowingBytes} bytes ('shared')", e.Message, StringComparison.Ordinal);
        Assert.Contains($"{ContextBytes - 1};", e.Message, StringComparison.Ordinal);
        Load("shared", new(ContextBytes)).Dispose();

        // A cache that grows by copying the whole past needs it twice.
        Assert.Throws<EngineException>(() => Load("plain", new((2 * TinyDecoder.Context * TokenBytes) - 1)));
        Load("plain", new(2 * TinyDecoder.Context * TokenBytes)).Dispose();
    }

    [Theory]
    [InlineData("shared")]
    [InlineData("plain")]
    public void Start_MemoryIsReserved_IsRefusedUntilItIsFreed(string dialect)
    {
        using KeyValueMemory memory = new(2 * TinyDecoder.Context * TokenBytes);
        using OnnxLanguageModel model = Load(dialect, memory);
        Sequence Start(int length, int appended) => model.Start(Prompt.For(model, new int[length]) with { MaxAppended = appended });

        Sequence first = Start(100, 400);
        Assert.Equal((dialect == "shared" ? 500 * GrowingBytes : 2 * 500 * TokenBytes, 0L), (memory.Statistics.Reserved, memory.Statistics.Live));
        Assert.Equal(EngineError.QueueFull, Assert.Throws<EngineException>(() => Start(100, 600)).Error);
        Assert.Equal(1, model.LiveSequences);
        using Sequence second = Start(90, 10);
        Assert.Equal(10, second.Room);
        first.Dispose();
        using Sequence third = Start(100, 160);
        Assert.Equal(dialect == "shared" ? (100 + 260) * GrowingBytes : (100 + 260 + 260) * TokenBytes, memory.Statistics.Reserved);
    }

    [Theory]
    [InlineData("shared")]
    [InlineData("plain")]
    public void Forward_SequencesStartGrowAndEnd_StaysWithinTheReservation(string dialect)
    {
        using KeyValueMemory memory = new(3 * ContextBytes);
        using OnnxLanguageModel model = Load(dialect, memory), other = Load(dialect + "-other", memory);
        Random random = new(1);
        List<Sequence> live = [];
        for (int step = 0; step < 300; step++)
        {
            OnnxLanguageModel chosen = random.Next(2) == 0 ? model : other;
            int[] text = Rows.Random(step, random.Next(1, random.Next(5) == 0 ? 600 : 40), TinyDecoder.Vocabulary);
            try
            {
                live.Add(chosen.Start(Prompt.For(chosen, text) with { Tenant = "a", MaxAppended = random.Next(1, 100) }));
                Rows.Forward(chosen, new Segment(live[^1], default));
            }
            catch (EngineException e) when (e.Error == EngineError.QueueFull)
            {
                live[0].Dispose();
                live.RemoveAt(0);
            }

            Assert.InRange(memory.Statistics.Live + memory.Statistics.Cached, 0, memory.Limit);
            Assert.InRange(memory.Statistics.Reserved, 0, memory.Limit);
        }

        Assert.True(memory.Statistics.Evictions > 0);
        live.ForEach(sequence => sequence.Dispose());
        Assert.Equal((0L, 0L), (memory.Statistics.Live, memory.Statistics.Reserved));
    }

    [Fact]
    public void Forward_SequencesOfTheSameModelHaveEnded_OtherModelHasTheirMemory()
    {
        using KeyValueMemory memory = new(ContextBytes);
        using OnnxLanguageModel generous = Load("shared", memory), needy = Load("shared-other", memory);
        int[][] texts = [.. Enumerable.Range(0, 8).Select(i => Rows.Random(i, 62, TinyDecoder.Vocabulary))];
        Sequence[] many = [.. texts.Select(text => generous.Start(Prompt.For(generous, text.AsMemory(0, 60)) with { MaxAppended = 2 }))];
        Rows.Forward(generous, [.. many.Select(s => new Segment(s, default))]);
        Array.ForEach(many[..6], s => s.Dispose());
        Assert.Equal(2 * 64 * TokenBytes, memory.Statistics.Live);

        using Sequence large = needy.Start(Prompt.For(needy, Rows.Random(9, 400, TinyDecoder.Vocabulary)) with { MaxAppended = 1 });
        Rows.Forward(needy, new Segment(large, default));
        Assert.InRange(memory.Statistics.Live, 0, memory.Limit);
        float[][] rows = Rows.Forward(generous, [.. Enumerable.Range(6, 2).Select(i => new Segment(many[i], texts[i].AsMemory(60, 1)))]);
        Rows.AssertEqual([.. Enumerable.Range(6, 2).Select(i => Fresh(texts[i][..61]))], rows, 2e-5f);
    }

    [Fact]
    public void Start_ALongSequenceBesideShortOnes_ReservesAndUsesItsOwnLengthOnly()
    {
        using KeyValueMemory memory = new(2 * ContextBytes);
        using OnnxLanguageModel model = Load("shared", memory);
        int[][] texts = [Rows.Random(0, 600, TinyDecoder.Vocabulary), .. Enumerable.Range(1, 6).Select(i => Rows.Random(i, 62, TinyDecoder.Vocabulary))];

        Sequence[] all = [.. texts.Select(text => model.Start(Prompt.For(model, text) with { MaxAppended = 2 }))];
        Assert.Equal((602 + (6 * 64)) * GrowingBytes, memory.Statistics.Reserved);
        Rows.Forward(model, [.. all.Select(sequence => new Segment(sequence, default))]);
        Assert.Equal((602 + (6 * 64)) * TokenBytes, memory.Statistics.Live);

        float[][] rows = Rows.Forward(model, [.. all.Select(sequence => new Segment(sequence, new[] { 5 }))]);
        Rows.AssertEqual([.. texts.Select(text => Fresh([.. text, 5]))], rows, 2e-5f);
        all[0].Dispose();
        Assert.Equal(6 * 64 * TokenBytes, memory.Statistics.Live);
        Array.ForEach(all, sequence => sequence.Dispose());
    }

    [Fact]
    public async Task Submit_MemoryIsShort_WaitsAndFinishes()
    {
        using KeyValueMemory memory = new(ContextBytes);
        using OnnxLanguageModel model = Load("shared", memory);
        await using DecodeScheduler scheduler = new(model, new() { MaxRunning = 8 });
        List<GeneratedToken>[] all = await Task.WhenAll(Enumerable.Range(0, 9).Select(i => Answers.Collect(scheduler, Answers.Greedy(model, [i, 1], i == 0 ? 690 : 20) with { IgnoreEndOfText = true })));
        Assert.Equal([690, 20], all.Select(tokens => tokens.Count).Distinct());
        Assert.True(scheduler.Statistics.Steps >= 690 + 20, "The answers did not wait for each other.");
    }

    [Fact]
    public async Task Submit_RequestCannotFit_IsRefusedAtOnceWithTheRequiredBytes()
    {
        using KeyValueMemory memory = new(ContextBytes * 3 / 2);
        OnnxLanguageModel model = Load("shared", memory);
        using FusedModel fused = new("twice", [model]);
        await using DecodeScheduler scheduler = new(fused, new());
        FusionPlan twice = new([new(model, StreamRole.Base, 1), new(model, StreamRole.BaseWithoutContext, -0.5f)]);
        GenerationRequest request = new() { Prompt = new(twice, [new int[] { 1, 2 }, new int[] { 2 }]), MaxTokens = 600 };
        EngineException e = Assert.Throws<EngineException>(() => scheduler.Submit(request));
        Assert.Equal((EngineError.InvalidValue, "max_tokens"), (e.Error, e.Field));
        Assert.Contains($"{(602 + 601) * GrowingBytes} bytes", e.Message, StringComparison.Ordinal);
        Assert.Contains($"{memory.Limit};", e.Message, StringComparison.Ordinal);
        Assert.Equal(500, (await Answers.Collect(scheduler, request with { MaxTokens = 500, IgnoreEndOfText = true })).Count);
    }

    private float[] Fresh(int[] text)
    {
        using OnnxLanguageModel reference = Load("shared", new(null));
        return Rows.Fresh(reference, text)[0];
    }

    private OnnxLanguageModel Load(string name, KeyValueMemory memory) =>
        OnnxLanguageModel.Load(new TinyDecoder { Plain = name.StartsWith("plain", StringComparison.Ordinal) }.Write(Path.Combine(folder, name)), new(), memory: memory);
}
