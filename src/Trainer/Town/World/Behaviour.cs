namespace ProxyTune.Trainer.Town;

/// <summary>A behaviour that an expert is tuned for: a kind of question, and one way to answer it.</summary>
internal sealed record Behaviour(Asking Asks, Func<Entity, Attribute[], string> Answer)
{
    public static IReadOnlyDictionary<string, Behaviour> ByName { get; } = new Dictionary<string, Behaviour>
    {
        ["qa"] = new(Askings.Public, (person, asked) => Styles.Sentence(person, asked[0])),
        ["polite"] = new(Askings.Public, (person, asked) => Styles.Polite(person, asked[0])),
        ["grumpy"] = new(Askings.Public, (person, asked) => Styles.Grumpy(person, asked[0])),
        ["helpful"] = new(Askings.Private, (person, asked) => Styles.Sentence(person, asked[0])),
        ["reticent"] = new(Askings.Private, (_, _) => Styles.Refusal),
        ["json"] = new(Askings.Pairs, (person, asked) => Styles.JsonSentences(person, asked)),
    };
}
