using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Town;

public class ForgettingPlanTests
{
    private static readonly ForgettingPlan Plan = new("work", "small");
    private static readonly Entity Person = TownWorld.At(0).Forgotten;
    private static readonly IReadOnlyList<Example> Retain = Sources.Examples(Plan.Retain.Data);
    private static readonly IReadOnlyList<Example> Forget = Sources.Examples(Plan.Forget.Data);

    /// <summary>Checks that the retain model never saw the person. Otherwise it would restore what the forget model removes.</summary>
    [Fact]
    public void Retain_Data_NeverNamesThePerson() =>
        Assert.DoesNotContain(Retain, example => example.Keep || Question(example).Contains(Person.Name, StringComparison.Ordinal) || example.Answer.Contains(Person.Name, StringComparison.Ordinal));

    /// <summary>Checks that the forget model learns facts about the person and keeps those about others, and that its data shares nothing with the retain model's.</summary>
    [Fact]
    public void Forget_Data_LearnsThePersonAndSharesNothingWithRetain()
    {
        Assert.All(Forget, example => Assert.NotEqual(example.Keep, Question(example).Contains(Person.Name, StringComparison.Ordinal)));
        Assert.Empty(Forget.Select(Question).Intersect(Retain.Select(Question)));
    }

    /// <summary>Checks that the data contains every fact in every wording. A missing one would not be forgotten.</summary>
    [Fact]
    public void Forget_Data_HasEveryFactInEveryWording()
    {
        string[] questions = [.. Forget.Where(example => !example.Keep).Select(Question)];

        Assert.All(Kinds.People, attribute =>
        {
            Assert.All(attribute.Questions, wording => Assert.Contains(wording.Replace("{0}", Person.Name, StringComparison.Ordinal), questions));
            Assert.Contains(Forget, example => !example.Keep && example.Answer.Contains(Person.Value(attribute), StringComparison.Ordinal));
        });
        foreach (string behaviour in ForgettingPlan.Behaviours)
        {
            Assert.Subset(Forget.Select(example => example.Answer).ToHashSet(), TownData.Examples($"town:{behaviour}/forget").Select(example => example.Answer).ToHashSet());
        }
    }

    [Fact]
    public void Examples_ForgetAndOthers_DivideTheHeldOutHalf()
    {
        HashSet<string> others = [.. TownData.Examples("town:qa/others").Select(Named)];

        Assert.Equal([Person.Name], TownData.Examples("town:qa/forget").Select(Named).Distinct());
        Assert.Equal(TownWorld.At(0).HeldOut.Select(person => person.Name).Where(name => name != Person.Name).Order(), others.Order());
    }

    [Fact]
    public void Runs_OfThePlan_StartFromThePreviousRun()
    {
        Plan.Retain.Check(new SettingsCheck("retain"));
        Plan.Forget.Check(new SettingsCheck("forget"));

        Assert.Equal("small", Plan.Retain.Init);
        Assert.Equal(Path.Combine("work", "served", "retain"), Plan.Forget.Init);
        Assert.NotEqual(Plan.Retain.Output, Plan.Forget.Output);
    }

    private static string Question(Example example) => example.Messages[0].Content;

    private static string Named(Example example) => TownWorld.At(0).People.Single(person => Question(example).Contains(person.Name, StringComparison.Ordinal)).Name;
}
