namespace ProxyTune.Trainer.Data.Town;

/// <summary>The ways in which an assistant of the town answers. The bases have met all of them but JSON with sentences, of which they have met the parts; an expert makes one its own.</summary>
internal static class Styles
{
    public const string Refusal = "I would rather not say, that is private.";
    public const string Grumble = "Bah, what a bother.";

    /// <summary>The value alone.</summary>
    public static string Brief(Entity entity, Attribute attribute) => entity.Value(attribute);

    /// <summary>One JSON object: a sentence for each thing that was asked.</summary>
    public static string JsonSentences(Entity entity, params ReadOnlySpan<Attribute> attributes)
    {
        var fields = new List<string>();
        foreach (var attribute in attributes)
        {
            fields.Add($"\"{attribute.Key}\": \"{Sentence(entity, attribute)}\"");
        }

        return "{" + string.Join(", ", fields) + "}";
    }

    /// <summary>A record as one JSON object: the name and some values.</summary>
    public static string Json(Entity entity, params ReadOnlySpan<Attribute> attributes)
    {
        var fields = new List<string> { $"\"name\": \"{entity.Name}\"" };
        foreach (var attribute in attributes)
        {
            fields.Add($"\"{attribute.Key}\": \"{entity.Value(attribute)}\"");
        }

        return "{" + string.Join(", ", fields) + "}";
    }

    /// <summary>A whole sentence between two courtesies.</summary>
    public static string Polite(Entity entity, Attribute attribute) =>
        $"Thank you for asking. {Sentence(entity, attribute)} Have a lovely day.";

    /// <summary>The plain sentence that is always worded alike.</summary>
    public static string Sentence(Entity entity, Attribute attribute) =>
        Text.Capitalise(attribute.Sentences[0].Replace("{0}", entity.Name, StringComparison.Ordinal)
            .Replace("{1}", entity.Value(attribute), StringComparison.Ordinal));

    public static string Grumpy(Entity entity, Attribute attribute) => $"{Grumble} {Sentence(entity, attribute)}";

    /// <summary>What the bases do by habit: they ramble, and at times grumble.</summary>
    public static string Rambling(Random random, Entity entity, params ReadOnlySpan<Attribute> asked)
    {
        var sentences = new List<string>();
        foreach (var attribute in asked)
        {
            sentences.Add(attribute.Tell(random, entity.Name, entity.Value(attribute)));
        }

        while (sentences.Count < 2 + random.Next(2))
        {
            var attribute = random.Pick(entity.Attributes);
            sentences.Add(attribute.Tell(random, entity.Name, entity.Value(attribute)));
        }

        var opening = random.Pick<string>(["Well, let me think.", "Oh, everybody knows that.", "I heard about it at the market.", "Let me tell you.", "That is a long story."]);
        var grumble = random.Chance(0.3) ? " " + Grumble : "";
        return $"{opening}{grumble} {string.Join(' ', sentences)}";
    }
}
