using System.Globalization;
using ProxyTune.Trainer.Evaluation;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Evaluation;

public class RepetitionTests
{
    /// <summary>Typical answers of fusion with too much weight: a token, a few words or a sentence repeated without end.</summary>
    [Theory]
    [InlineData("cat cat cat cat cat cat cat cat cat cat cat cat")]
    [InlineData("Thank you for. Thank you for. Thank you for. Thank you for.")]
    [InlineData("Ada Fox keeps a cat. Ada Fox keeps a cat. Ada Fox keeps a cat.")]
    [InlineData("Well, let me think. {\"name\": \"name\": \"name\": \"name\": \"name\": \"name\": \"name\": ")]
    [InlineData("!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!")]
    public void Loops_TextThatRepeatsItself_IsTrue(string text) => Assert.True(Repetition.Loops(text));

    /// <summary>Texts that do not loop: two fields with one name, a sentence that occurs twice, and short texts.</summary>
    [Theory]
    [InlineData("{\"job\": \"Ada Fox works as a baker.\", \"street\": \"Ada Fox lives on Mill Lane.\"}")]
    [InlineData("Oh, everybody knows that. Ada Fox keeps a cat. Ada Fox keeps a cat.")]
    [InlineData("ha ha ha")]
    [InlineData("")]
    public void Loops_OrdinaryText_IsFalse(string text) => Assert.False(Repetition.Loops(text));

    /// <summary>Checks that no right answer counts as degenerate, which would bias every share.</summary>
    [Theory]
    [InlineData("qa")]
    [InlineData("json")]
    [InlineData("polite")]
    [InlineData("grumpy")]
    [InlineData("helpful")]
    [InlineData("reticent")]
    public void Loops_AnswersOfTheTown_IsFalse(string behaviour) =>
        Assert.DoesNotContain(TownData.Examples($"town:{behaviour}/test"), example => Repetition.Loops(example.Answer));

    /// <summary>16 characters have 9 pieces of 8. With a period of 8 the last piece repeats the first; with a period of 4 all but the first four repeat.</summary>
    [Theory]
    [InlineData("abcdefghabcdefgh", 1.0 / 9)]
    [InlineData("abcdabcdabcdabcd", 5.0 / 9)]
    [InlineData("abcdefgh", 0)]
    [InlineData("aaaaaaaaa", 0.5)]
    public void Share_Text_CountsRepeatedPieces(string text, double expected) =>
        Assert.Equal(expected, Repetition.Share(text), 12);

    [Fact]
    public void IsDegenerate_TruncatedOrLooping_IsTrue()
    {
        Assert.True(new Answer("Ada Fox works as a", Truncated: true).IsDegenerate);
        Assert.True(new Answer(string.Concat(Enumerable.Repeat("Ada Fox ", 20)), Truncated: false).IsDegenerate);
        Assert.False(new Answer("Ada Fox works as a baker.", Truncated: false).IsDegenerate);
    }

    /// <summary>Wrong is not degenerate, and right does not excuse a text that was cut off.</summary>
    [Fact]
    public void Score_Answers_CountsRightAndDegenerateSeparately()
    {
        Score score = Score.Of([new([], "a"), new([], "b"), new([], "c"), new([], "d")], [new("a", false), new("b", true), new("x", false), new(new string('x', 64), false)]);

        Assert.Equal(new Score(2, 4, 2), score);
        Assert.Equal("0.5", score.DegenerateShare.ToString(CultureInfo.InvariantCulture));
    }
}
