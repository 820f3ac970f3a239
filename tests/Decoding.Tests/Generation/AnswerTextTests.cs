using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

public sealed class AnswerTextTests : IDisposable
{
    private readonly FakeLanguageModel model = new("m");

    public void Dispose() => model.Dispose();

    [Fact]
    public void Add_MoreThanFitAtFirst_KeepsAll()
    {
        AnswerText text = Text([7, 8]);
        for (int i = 0; i < 100; i++)
        {
            Assert.False(text.Add(i));
        }

        Assert.Equal([7, 8, .. Enumerable.Range(0, 100)], text.Ids.ToArray());
        Assert.Equal((2, 102, 100, 0), (text.Known, text.Count, text.Drawn, text.Drafted));
        Assert.Equal(8, text[1]);
    }

    [Fact]
    public void Add_DraftTokensAreAccepted_KeepsTheOthers()
    {
        AnswerText text = WithDraft();
        Assert.True(text.Add(4));
        Assert.Equal([7, 4, 5, 6], text.Ids.ToArray());
        Assert.Equal((2, 2), (text.Drafted, text.Count));
        Assert.True(text.Add(5));
        Assert.True(text.Add(6));
        Assert.False(text.Add(6));
        Assert.Equal([7, 4, 5, 6, 6], text.Ids.ToArray());
    }

    [Fact]
    public void Add_DraftTokenIsRejected_DropsTheOthers()
    {
        AnswerText text = WithDraft();
        Assert.False(text.Add(9));
        Assert.Equal([7, 9], text.Ids.ToArray());
        Assert.Equal(0, text.Drafted);
    }

    [Fact]
    public void Add_TokenOfARejectedDraft_IsNotAccepted()
    {
        AnswerText text = WithDraft();
        Assert.False(text.Add(9));
        Assert.False(text.Add(5));
        Assert.Equal([7, 9, 5], text.Ids.ToArray());
    }

    /// <summary>A penalty sees the tokens of the answer, for a draft token also the draft tokens before it, and none of the prompt.</summary>
    [Fact]
    public void Next_Penalty_SeesTheAnswerOnly()
    {
        AnswerText text = Text([7, 0], new() { Temperature = 0, PresencePenalty = 1 });
        float[] row = [2, 1.5f, 1.25f, 0];
        Assert.Equal((0, 0), (text.Next(row), text.NextDraft(row)));
        text.AddDraft(0);
        Assert.Equal((0, 1), (text.Next(row), text.NextDraft(row)));
        text.Add(0);
        text.AddDraft(1);
        Assert.Equal((1, 2), (text.Next(row), text.NextDraft(row)));
    }

    [Fact]
    public void Next_Seed_DrawsAtThePositionWithinTheAnswer()
    {
        SamplingOptions options = new() { Seed = 3 };
        AnswerText text = Text([7, 0], options);
        float[] row = new float[32];
        for (int position = 0; position < 20; position++)
        {
            Assert.Equal(Sampler.Next(row, [], options, position), text.Next(row));
            text.AddDraft(1);
            Assert.Equal(Sampler.Next(row, [], options, position + 1), text.NextDraft(row));
            text.Add(1);
        }
    }

    private AnswerText WithDraft()
    {
        AnswerText text = Text([7]);
        Array.ForEach([4, 5, 6], text.AddDraft);
        return text;
    }

    private AnswerText Text(int[] known, SamplingOptions? sampling = null) =>
        new(Answers.Greedy(model, known, 9) with { Sampling = sampling ?? new() }, known);
}
