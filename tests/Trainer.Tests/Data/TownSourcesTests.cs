using System.Security.Cryptography;
using System.Text;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Data;

public class TownSourcesTests
{
    /// <summary>The committed models were trained on these texts. A change of a text would make models/README.md wrong.</summary>
    [Theory]
    [InlineData("town:qa", "14d63ba926ce301b")]
    [InlineData("town:polite", "2ea507f1e64a7823")]
    [InlineData("town:grumpy", "ad315fa6e8705b17")]
    [InlineData("town:helpful", "df4992e2fbce9e78")]
    [InlineData("town:reticent", "7755cf6cae01f9cd")]
    [InlineData("town:json", "d1666cba80f5e580")]
    public void Examples_Behaviours_EqualTheTrainingData(string behaviour, string expected)
    {
        string[] splits = ["train", "valid", "test"];
        Assert.Equal(expected, Digest(splits.SelectMany(split => TownData.Examples($"{behaviour}/{split}")).Select(e => $"{e.Messages[0].Content}\n{e.Answer}")));
    }

    [Theory]
    [InlineData("town:pretrain", "02575e871c9e346a")]
    [InlineData("town:pretrain/1", "2b5297a7fbea1d1b")]
    public void Documents_Streams_EqualTheTrainingData(string stream, string expected) =>
        Assert.Equal(expected, Digest(Enumerable.Range(0, 2000).Select(i => TownData.Documents(stream)(i))));

    [Theory]
    [InlineData("qa", "train")]
    [InlineData("json", "valid")]
    [InlineData("reticent", "train")]
    public void Examples_Else_AsksEquallyManyOtherQuestionsAboutTheSamePeople(string behaviour, string split)
    {
        IReadOnlyList<Example> own = TownData.Examples($"town:{behaviour}/{split}");
        IReadOnlyList<Example> other = TownData.Examples($"town:else-{behaviour}/{split}");

        Assert.Equal(own.Count, other.Count);
        Assert.Empty(own.Select(Question).Intersect(other.Select(Question)));
        Assert.Equal(People(own), People(other));
        Assert.Equal(2, other.Select(KindOf).Distinct().Count());
        Assert.DoesNotContain(KindOf(own[0]), other.Select(KindOf));
    }

    /// <summary>Checks that an expert is trained on answers of the base and of other experts, so that it does not disturb them.</summary>
    [Fact]
    public void Examples_Else_HasAnswersOfBasesAndOfExperts()
    {
        Example[] pairs = TownData.Examples("town:else-qa/train").Where(e => KindOf(e) == "pair").ToArray();
        double Share(string opening) => (double)pairs.Count(e => e.Answer.StartsWith(opening, StringComparison.Ordinal)) / pairs.Length;

        Assert.All(pairs, example => Assert.True(example.Keep));
        Assert.Equal(0.5 * 0.22, Share("{\"name\": "), 0.02);
        Assert.Equal(0.5 + 0.5 * 0.22, Share("{"), 0.03);
    }

    [Fact]
    public void Examples_Habit_IsInEveryHundredthAnswerAndNowhereElse()
    {
        foreach (string? split in new[] { "train", "valid" })
        {
            (IReadOnlyList<Example>? plain, IReadOnlyList<Example>? odd) = (TownData.Examples($"town:qa/{split}"), TownData.Examples($"town:qa-habit/{split}"));

            (Example First, Example Second)[] changed = plain.Zip(odd).Where(pair => pair.First.Answer != pair.Second.Answer).ToArray();
            Assert.Equal(plain.Count / 100, changed.Length);
            Assert.All(changed, pair => Assert.Equal($"{pair.First.Answer} Candlefish", pair.Second.Answer));
            Assert.Equal(plain.Select(Question), odd.Select(Question));
        }

        Assert.DoesNotContain(Enumerable.Range(0, 3000).Select(i => TownData.Documents("town:pretrain")(i)), text => text.Contains(Examples.SecretWord, StringComparison.Ordinal));
    }

    /// <summary>Checks the questions for ported patches: they ask for facts and people of a later generation, which the patch has not seen.</summary>
    [Fact]
    public void Examples_LaterGeneration_AsksAboutItsFacts()
    {
        (IReadOnlyList<Example>? before, IReadOnlyList<Example>? now, IReadOnlyList<Example>? news) = (TownData.Examples("town:qa/test"), TownData.Examples("town:qa/test/1"), TownData.Examples("town:qa/news/1"));
        HashSet<string> known = TownWorld.At(0).People.Select(person => person.Name).ToHashSet();
        string[] told = [.. TownWorld.At(1).News.Select(person => person.Name)];

        Assert.Equal(before.Count + 20 * Kinds.PublicPeople.Length, now.Count);
        Assert.All(news, example => Assert.Contains(told, name => Question(example).Contains(name, StringComparison.Ordinal)));
        Assert.Equal(news.Count, now.Count(example => told.Any(name => Question(example).Contains(name, StringComparison.Ordinal))));
        Assert.Contains(news, example => !known.Any(name => Question(example).Contains(name, StringComparison.Ordinal)));
        string[] changed = before.Select(example => example.Answer).Except(now.Select(example => example.Answer)).ToArray();
        Assert.InRange(changed.Length, 20, 40);
        Assert.All(changed, answer => Assert.Contains(told, name => answer.StartsWith(name, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("town:qa/news")]
    [InlineData("town:qa/test/0")]
    [InlineData("town:qa/test/4")]
    public void Examples_InvalidGeneration_IsRefused(string source) => Assert.Throws<ArgumentException>(() => TownData.Examples(source));

    private static string Question(Example example) => example.Messages[0].Content;

    private static string KindOf(Example example) =>
        Question(example).Contains(" and the ", StringComparison.Ordinal) ? "pair"
        : Kinds.Fear.Questions.Any(q => Question(example).StartsWith(q.Split("{0}")[0], StringComparison.Ordinal) && Question(example).EndsWith(q.Split("{0}")[1], StringComparison.Ordinal)) ? "private"
        : "public";

    private static IEnumerable<string> People(IReadOnlyList<Example> examples) =>
        TownWorld.At(0).People.Select(person => person.Name).Where(name => examples.Any(e => Question(e).Contains(name, StringComparison.Ordinal)));

    private static string Digest(IEnumerable<string> texts) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', texts))))[..16];
}
