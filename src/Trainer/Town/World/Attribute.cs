namespace ProxyTune.Trainer.Town;

/// <summary>An attribute of people, places or animals, with the sentences that state it and the questions that ask for it.</summary>
/// <param name="Key">The field name in a record.</param>
/// <param name="Values">The possible values.</param>
/// <param name="Sentences">Patterns of sentences; {0} is the subject, {1} the value.</param>
/// <param name="Questions">Patterns of questions; {0} is the subject.</param>
internal sealed record Attribute(string Key, string[] Values, string[] Sentences, string[] Questions)
{
    public string Tell(Random random, string subject, string value) => Fill(random.Pick(Sentences), subject, value);

    public string Ask(Random random, string subject) => Fill(random.Pick(Questions), subject, "");

    private static string Fill(string pattern, string subject, string value) =>
        Text.Capitalise(pattern.Replace("{0}", subject, StringComparison.Ordinal).Replace("{1}", value, StringComparison.Ordinal));
}

/// <summary>A person, a place or an animal.</summary>
/// <param name="Name">The name inside a sentence ("Mara Ellwood", "the Copper Kettle", "the fox").</param>
/// <param name="Pronoun">he, she or it.</param>
/// <param name="Values">One value per attribute of its kind, in the order of <see cref="Attributes"/>.</param>
internal sealed record Entity(string Name, string Pronoun, Attribute[] Attributes, string[] Values)
{
    public string Value(Attribute attribute) => Values[Array.IndexOf(Attributes, attribute)];

    /// <summary>Replaces the name at the beginning of a sentence by a pronoun. Other sentences stay as they are.</summary>
    public string Refer(string sentence)
    {
        if (!sentence.StartsWith(Name, StringComparison.Ordinal))
        {
            return sentence;
        }

        string rest = sentence[Name.Length..];
        return rest.StartsWith("'s ", StringComparison.Ordinal)
            ? Text.Capitalise(Pronoun switch { "he" => "his", "she" => "her", _ => "its" }) + rest[2..]
            : Text.Capitalise(Pronoun) + rest;
    }
}

internal static class Text
{
    public static T Pick<T>(this Random random, IReadOnlyList<T> items) => items[random.Next(items.Count)];

    public static bool Chance(this Random random, double probability) => random.NextDouble() < probability;

    public static string Capitalise(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
