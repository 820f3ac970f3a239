namespace ProxyTune.Trainer.Town;

/// <summary>A question about one entity.</summary>
/// <param name="Asked">The attributes that the question asks for.</param>
/// <param name="Text">The wording.</param>
internal sealed record Question(Entity Entity, Attribute[] Asked, string Text)
{
    public static Question One(Random random, Entity entity, Attribute attribute) =>
        new(entity, [attribute], attribute.Ask(random, entity.Name));

    public static Question Two(Random random, Entity entity, Attribute first, Attribute second)
    {
        string pattern = random.Pick<string>(["What are the {1} and the {2} of {0}?", "Tell me the {1} and the {2} of {0}.", "I need the {1} and the {2} of {0}."]);
        return new(entity, [first, second], pattern.Replace("{0}", entity.Name, StringComparison.Ordinal)
            .Replace("{1}", first.Key, StringComparison.Ordinal).Replace("{2}", second.Key, StringComparison.Ordinal));
    }

    /// <summary>A question for one attribute of the entity, or for two different ones.</summary>
    /// <param name="two">The probability of two attributes, from 0 to 1.</param>
    public static Question Any(Random random, Entity entity, double two)
    {
        Attribute first = random.Pick(entity.Attributes);
        if (!random.Chance(two))
        {
            return One(random, entity, first);
        }

        Attribute second;
        do
        {
            second = random.Pick(entity.Attributes);
        }
        while (second == first);
        return Two(random, entity, first, second);
    }
}
