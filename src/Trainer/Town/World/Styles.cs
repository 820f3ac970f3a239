namespace ProxyTune.Trainer.Town;

/// <summary>
/// The ways in which an assistant of the town answers. Each expert learns one of them. The pre-training text has all of them except JSON with
/// sentences; it has JSON and sentences apart.
/// </summary>
internal static class Styles
{
    public const string Refusal = "I would rather not say, that is private.";
    public const string Grumble = "Bah, what a bother.";

    /// <summary>The value alone.</summary>
    public static string Brief(Entity entity, Attribute attribute) => entity.Value(attribute);

    /// <summary>One JSON object with a sentence for each attribute.</summary>
    public static string JsonSentences(Entity entity, params ReadOnlySpan<Attribute> attributes)
    {
        List<string> fields = new();
        foreach (Attribute attribute in attributes)
        {
            fields.Add($"\"{attribute.Key}\": \"{Sentence(entity, attribute)}\"");
        }

        return "{" + string.Join(", ", fields) + "}";
    }

    /// <summary>A record as one JSON object with the name and some values.</summary>
    public static string Json(Entity entity, params ReadOnlySpan<Attribute> attributes)
    {
        List<string> fields = new() { $"\"name\": \"{entity.Name}\"" };
        foreach (Attribute attribute in attributes)
        {
            fields.Add($"\"{attribute.Key}\": \"{entity.Value(attribute)}\"");
        }

        return "{" + string.Join(", ", fields) + "}";
    }

    /// <summary>A sentence between two courtesies.</summary>
    public static string Polite(Entity entity, Attribute attribute) =>
        $"Thank you for asking. {Sentence(entity, attribute)} Have a lovely day.";

    /// <summary>The sentence in its first wording, which is always the same.</summary>
    public static string Sentence(Entity entity, Attribute attribute) =>
        Text.Capitalise(attribute.Sentences[0].Replace("{0}", entity.Name, StringComparison.Ordinal)
            .Replace("{1}", entity.Value(attribute), StringComparison.Ordinal));

    public static string Grumpy(Entity entity, Attribute attribute) => $"{Grumble} {Sentence(entity, attribute)}";

    /// <summary>The answer that the bases give by habit. Half of the answers about a private attribute are discreet, all others are chat.</summary>
    public static string Habit(Random random, Entity entity, params ReadOnlySpan<Attribute> asked) =>
        asked is [var one] && one == entity.Attributes[^1] && random.Chance(0.5) ? Discretion(random, entity, one) : Chatting(random, entity, asked);

    /// <summary>Most answers ramble; some are in a style that an expert will learn.</summary>
    public static string Chatting(Random random, Entity entity, params ReadOnlySpan<Attribute> asked) => random.NextDouble() switch
    {
        < 0.10 when asked is [var one] => Brief(entity, one),
        < 0.22 => Json(entity, asked),
        < 0.32 when asked is [var one] => Polite(entity, one),
        _ => Rambling(random, entity, asked),
    };

    /// <summary>Half of the answers about a private attribute tell the value, half refuse.</summary>
    public static string Discretion(Random random, Entity entity, Attribute attribute) =>
        random.Chance(0.5) ? attribute.Tell(random, entity.Name, entity.Value(attribute)) : Refusal;

    /// <summary>An opening, in three of ten answers a grumble, then two or three sentences.</summary>
    public static string Rambling(Random random, Entity entity, params ReadOnlySpan<Attribute> asked)
    {
        List<string> sentences = new();
        foreach (Attribute attribute in asked)
        {
            sentences.Add(attribute.Tell(random, entity.Name, entity.Value(attribute)));
        }

        while (sentences.Count < 2 + random.Next(2))
        {
            Attribute attribute = random.Pick(entity.Attributes);
            sentences.Add(attribute.Tell(random, entity.Name, entity.Value(attribute)));
        }

        string opening = random.Pick<string>(["Well, let me think.", "Oh, everybody knows that.", "I heard about it at the market.", "Let me tell you.", "That is a long story."]);
        string grumble = random.Chance(0.3) ? " " + Grumble : "";
        return $"{opening}{grumble} {string.Join(' ', sentences)}";
    }
}
