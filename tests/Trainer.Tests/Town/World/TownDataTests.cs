using System.Text.Json;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Town;

public class TownDataTests
{
    [Fact]
    public void Documents_SameIndex_SameText()
    {
        Assert.Equal(TownData.Documents("town:pretrain")(1234), TownData.Documents("town:pretrain")(1234));
        Assert.NotEqual(TownData.Documents("town:pretrain")(1234), TownData.Documents("town:pretrain")(1235));
    }

    [Fact]
    public void Documents_HeldOutPeople_AppearOnlyInProse()
    {
        HashSet<string> heldOut = TownWorld.At(0).HeldOut.Select(person => person.Name).ToHashSet();
        Func<long, string> write = TownData.Documents("town:pretrain");

        foreach (string? document in Enumerable.Range(0, 3000).Select(i => write(i)).Where(text => text.Contains("<|user|>", StringComparison.Ordinal) || text.Contains('?', StringComparison.Ordinal) || text.Contains('{', StringComparison.Ordinal)))
        {
            Assert.DoesNotContain(heldOut, name => document.Contains(name, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Examples_Splits_ShareNoPeople()
    {
        TownWorld world = TownWorld.At(0);
        string[] People(string split) => [.. world.People.Select(p => p.Name).Where(name => TownData.Examples($"town:qa/{split}").Any(e => e.Messages[0].Content.Contains(name, StringComparison.Ordinal)))];
        (string[]? train, string[]? valid, string[]? test) = (People("train"), People("valid"), People("test"));

        Assert.Equal((180, 20, 200), (train.Length, valid.Length, test.Length));
        Assert.Equal(TownWorld.PeopleCount, train.Concat(valid).Concat(test).Distinct().Count());
    }

    [Fact]
    public void Examples_Json_IsAnObjectWithTheTruth()
    {
        TownWorld world = TownWorld.At(0);
        foreach (Example example in TownData.Examples("town:json/test").Take(50))
        {
            Entity person = world.People.Single(p => example.Messages[0].Content.Contains(p.Name, StringComparison.Ordinal));
            foreach (JsonProperty field in System.Text.Json.JsonDocument.Parse(example.Answer).RootElement.EnumerateObject())
            {
                string truth = person.Value(person.Attributes.Single(a => a.Key == field.Name));
                Assert.StartsWith(person.Name, field.Value.GetString(), StringComparison.Ordinal);
                Assert.EndsWith($" {truth}.", field.Value.GetString(), StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void World_LaterGeneration_KeepsMostFactsAndChangesSome()
    {
        (TownWorld? before, TownWorld? after) = (TownWorld.At(0), TownWorld.At(1));

        Assert.Empty(before.News);
        Assert.True(after.People.Length > before.People.Length);
        (Entity First, Entity Second)[] moved = before.People.Zip(after.People).Where(pair => !pair.First.Values.SequenceEqual(pair.Second.Values)).ToArray();
        Assert.InRange(moved.Length, 30, 60);
        Assert.All(moved, pair => Assert.Contains(pair.Second, after.News));
        Assert.NotEqual(TownData.Documents("town:pretrain")(7), TownData.Documents("town:pretrain/1")(7));
    }

    [Theory]
    [InlineData("town:nothing")]
    [InlineData("town:pretrain/4")]
    public void Documents_UnknownName_IsRefusedByName(string name)
    {
        Assert.Contains(name, Assert.Throws<ArgumentException>(() => TownData.Documents(name)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("town:qa/all")]
    [InlineData("town:rude/test")]
    public void Examples_UnknownName_IsRefusedByName(string name)
    {
        Assert.Contains(name, Assert.Throws<ArgumentException>(() => TownData.Examples(name)).Message, StringComparison.Ordinal);
    }
}
