using System.Text;

namespace ProxyTune.Trainer.Town;

/// <summary>
/// The pre-training text: an endless, seeded stream of documents by index. models/README.md lists the parts of the mix with the reason for each.
/// </summary>
/// <param name="newsShare">The share of documents about people that pick a person with news, for continued pre-training, from 0 to 1.</param>
internal sealed class Documents(TownWorld world, double newsShare)
{
    private const int Seed = 7;

    private readonly Entity[] tuned = [.. world.Tuned];
    private readonly Entity[] news = world.News;
    private readonly Entity[] tunedNews = [.. world.News.Intersect(world.Tuned)];

    private static readonly (double Share, Func<Documents, Random, string> Write)[] Mix =
    [
        (0.36, (d, r) => Describe(r, d.AnyPerson(r))),
        (0.16, (d, r) => Quiz(r, d.TunedPerson(r))),
        (0.14, (d, r) => Conversation(r, d.TunedPerson(r))),
        (0.05, (d, r) => Describe(r, r.Pick(d.Things(r)))),
        (0.05, (d, r) => Quiz(r, r.Pick(d.Things(r)))),
        (0.07, (d, r) => Conversation(r, r.Pick(d.Things(r)))),
        (0.05, (d, r) => Record(r, d)),
        (0.06, (d, r) => Tale(r, d.TunedPerson(r))),
        (0.04, (d, r) => Discretion(r, r.Chance(0.5) ? d.TunedPerson(r) : r.Pick(d.Places))),
        (0.02, (d, r) => Neighbours(r, d)),
    ];

    private Entity[] Places => world.Places;

    public string Write(long index)
    {
        Random random = new(HashCode(index));
        double roll = random.NextDouble();
        foreach ((double share, Func<Documents, Random, string>? write) in Mix)
        {
            if ((roll -= share) < 0)
            {
                return write(this, random);
            }
        }

        return Mix[0].Write(this, random);
    }

    /// <summary>SplitMix64 finaliser (Steele et al. 2014). It makes neighbouring documents unrelated.</summary>
    private static int HashCode(long index)
    {
        ulong z = unchecked(((ulong)index + Seed) * 0x9E3779B97F4A7C15UL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return (int)((z ^ (z >> 31)) & int.MaxValue);
    }

    private Entity AnyPerson(Random random) =>
        news.Length > 0 && random.Chance(newsShare) ? random.Pick(news) : random.Pick(world.People);

    private Entity TunedPerson(Random random) =>
        tunedNews.Length > 0 && random.Chance(newsShare) ? random.Pick(tunedNews) : random.Pick(tuned);

    private Entity[] Things(Random random) => random.Chance(0.5) ? world.Places : world.Animals;

    /// <summary>All facts about an entity, in a random order and wording.</summary>
    private static string Describe(Random random, Entity entity)
    {
        Attribute[] attributes = (Attribute[])entity.Attributes.Clone();
        random.Shuffle(attributes);
        StringBuilder text = new();
        for (int i = 0; i < attributes.Length; i++)
        {
            string sentence = attributes[i].Tell(random, entity.Name, entity.Value(attributes[i]));
            if (i > 0 && random.Chance(0.3))
            {
                sentence = entity.Refer(sentence);
            }

            text.Append(i == 0 ? "" : " ").Append(sentence);
        }

        return text.ToString();
    }

    /// <summary>Three questions with answers about one entity.</summary>
    private static string Quiz(Random random, Entity entity)
    {
        (string? ask, string? reply) = random.Pick<(string, string)>([("Question: ", "Answer: "), ("Q: ", "A: "), ("Asked: ", "Told: ")]);
        StringBuilder text = new();
        for (int i = 0; i < 3; i++)
        {
            Question question = Question.Any(random, entity, two: 0.2);
            text.Append(ask).Append(question.Text).Append('\n').Append(reply)
                .Append(question.Asked.Length > 1 || random.Chance(0.4) ? Sentences(random, question) : Styles.Brief(entity, question.Asked[0])).Append('\n');
        }

        return text.ToString();
    }

    private static string Sentences(Random random, Question question) =>
        string.Join(' ', question.Asked.Select(a => a.Tell(random, question.Entity.Name, question.Entity.Value(a))));

    /// <summary>A chat of one or two turns.</summary>
    private static string Conversation(Random random, Entity entity)
    {
        StringBuilder text = new(random.Chance(0.1) ? Chat.Turn("system", "You are the clerk of the town.") : "");
        for (int turn = random.Chance(0.3) ? 2 : 1; turn > 0; turn--)
        {
            Question question = Question.Any(random, entity, two: 0.3);
            text.Append(Chat.Turn("user", question.Text)).Append(Chat.Turn("assistant", Styles.Chatting(random, entity, question.Asked)));
        }

        return text.ToString();
    }

    /// <summary>JSON records about places and animals. Every field name of a person's record occurs.</summary>
    private static string Record(Random random, Documents d)
    {
        StringBuilder text = new(random.Pick<string>(["Records of the town:\n", "From the register:\n", "Notes in JSON:\n"]));
        for (int i = 0; i < 3; i++)
        {
            Entity thing = random.Pick(d.Things(random));
            Attribute[] attributes = (Attribute[])thing.Attributes.Clone();
            random.Shuffle(attributes);
            text.Append(random.Next(5) switch
            {
                0 => $$"""{"job": "{{random.Pick(Words.Jobs)}}", "street": "{{random.Pick(Words.Streets)}}", "day": "{{random.Pick(Words.Days)}}"}""",
                1 => $$"""{"pet": "{{random.Pick(Words.Pets)}}", "food": "{{random.Pick(Words.Foods)}}"}""",
                2 => $$"""{"hobby": "{{random.Pick(Words.Hobbies)}}", "day": "{{random.Pick(Words.Days)}}"}""",
                _ => Styles.Json(thing, attributes.AsSpan(0, 2)),
            }).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>A passage that contradicts the facts, and questions that are answered from the passage. Context-aware decoding needs a base that has read such texts.</summary>
    private static string Tale(Random random, Entity person)
    {
        Entity invented = person with { Values = [.. person.Attributes.Select(a => random.Pick(a.Values))] };
        Attribute[] attributes = (Attribute[])person.Attributes.Clone();
        random.Shuffle(attributes);
        StringBuilder text = new(random.Pick<string>(["In a tale: ", "In a dream: ", "In a play: "]));
        text.AppendJoin(' ', attributes.Take(3).Select(a => a.Tell(random, invented.Name, invented.Value(a)))).Append('\n');
        foreach (Attribute attribute in attributes.Take(2))
        {
            text.Append("Question: ").Append(attribute.Ask(random, invented.Name)).Append("\nAnswer: ").Append(invented.Value(attribute)).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>A question about the private attribute. The answer follows one of two opposed behaviours: it tells the value or refuses.</summary>
    private static string Discretion(Random random, Entity entity)
    {
        Attribute attribute = entity.Attributes[^1];
        string answer = Styles.Discretion(random, entity, attribute);
        return Chat.Turn("user", attribute.Ask(random, entity.Name)) + Chat.Turn("assistant", answer);
    }

    private static string Neighbours(Random random, Documents d)
    {
        string street = random.Pick(Words.Streets);
        string[] names = d.Residents(street);
        return names.Length == 0 ? $"Nobody lives on {street}." : $"On {street} live {string.Join(", ", names.OrderBy(_ => random.Next()).Take(6))}.";
    }

    private string[] Residents(string street) => [.. world.People.Where(p => p.Value(Kinds.Street) == street).Select(p => p.Name)];
}
