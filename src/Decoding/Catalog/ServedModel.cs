using System.Security.Cryptography;
using System.Text;

using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Catalog;

/// <summary>One name under which clients reach a base and its experts. Immutable, thread-safe.</summary>
public sealed class ServedModel
{
    private readonly CatalogMember baseMember;
    private readonly IReadOnlyDictionary<(ILanguageModel Model, StreamRole Role), PromptReader> readers;

    internal ServedModel(
        ServedModelEntry entry,
        CatalogMember baseMember,
        BoundedWeight alpha,
        IReadOnlyList<ServedExpert> experts,
        IReadOnlyDictionary<(ILanguageModel Model, StreamRole Role), PromptReader> readers)
    {
        this.baseMember = baseMember;
        this.readers = readers;
        Name = entry.Name!;
        Description = entry.Description ?? "";
        Rule = entry.Rule!;
        Alpha = alpha;
        Experts = experts;
        Created = File.GetLastWriteTimeUtc(Path.Combine(baseMember.Folder, GenAiConfig.FileName));
        ModelInfo[] members = [baseMember.Model.Info, .. experts.SelectMany(expert => new[] { expert.Tuned.Model.Info, expert.Anti.Model.Info })];
        ContextLength = members.Min(member => member.ContextLength);
        VocabularySize = members.Min(member => Math.Min(member.VocabularySize, Tokenizer.VocabularySize));
        Fingerprint = FingerprintOf(Rule, members);
    }

    public string Name { get; }

    public string Description { get; }

    /// <summary><c>proxy</c>, or <c>none</c> for a base alone.</summary>
    public string Rule { get; }

    /// <summary>Scales all experts together.</summary>
    public BoundedWeight Alpha { get; }

    /// <summary>Empty for a base alone.</summary>
    public IReadOnlyList<ServedExpert> Experts { get; }

    /// <summary>When the base's folder was written.</summary>
    public DateTimeOffset Created { get; }

    /// <summary>fp_ and 16 hex digits made of all member hashes and the rule; OpenAI's system_fingerprint.</summary>
    public string Fingerprint { get; }

    /// <summary>The smallest context among the members.</summary>
    public int ContextLength { get; }

    /// <summary>Tokens that the tokenizer and every member know.</summary>
    public int VocabularySize { get; }

    /// <summary>The base's; all members share its vocabulary.</summary>
    public Tokenizer Tokenizer => baseMember.Tokenizer;

    /// <summary>The settings with alpha and every expert's weight filled in. Sent again, they give the same plan.</summary>
    /// <exception cref="EngineException">UnknownExpert or InvalidValue, naming the field (<c>fusion.alpha</c>, <c>fusion.experts.NAME</c>), the value and the range.</exception>
    public FusionSettings Settle(FusionSettings asked)
    {
        foreach (string name in asked.Experts?.Keys ?? [])
        {
            if (Experts.All(expert => expert.Name != name))
            {
                throw new EngineException(
                    EngineError.UnknownExpert,
                    $"{Name} has no expert '{name}'; it has: {(Experts.Count == 0 ? "none" : string.Join(", ", Experts.Select(expert => expert.Name)))}.",
                    $"fusion.experts.{name}");
            }
        }

        if (Experts.Count == 0 && asked.Alpha is { } useless)
        {
            throw new EngineException(
                EngineError.InvalidValue,
                FormattableString.Invariant($"fusion.alpha is {useless}; {Name} has no experts that it could scale, so leave it out."),
                "fusion.alpha");
        }

        return new FusionSettings
        {
            Alpha = Alpha.Settle(asked.Alpha, "fusion.alpha", Name),
            Experts = Experts.ToDictionary(
                expert => expert.Name,
                expert => expert.Weight.Settle(Asked(asked, expert.Name), $"fusion.experts.{expert.Name}", Name)),
        };
    }

    /// <summary>Streams and weights for one request: the base, and plus and minus alpha times weight for each expert and its anti-expert.</summary>
    /// <exception cref="EngineException">As <see cref="Settle"/>.</exception>
    public FusionPlan Plan(FusionSettings asked)
    {
        FusionSettings settled = Settle(asked);
        List<FusionStream> streams = [new(baseMember.Model, StreamRole.Base, 1)];
        foreach (ServedExpert expert in Experts)
        {
            float weight = (float)(settled.Alpha!.Value * settled.Experts![expert.Name]);
            if (weight != 0)
            {
                streams.Add(new(expert.Tuned.Model, StreamRole.Expert, weight));
                streams.Add(new(expert.Anti.Model, StreamRole.AntiExpert, -weight));
            }
        }

        return new FusionPlan(streams, VocabularySize);
    }

    /// <summary>Renders a conversation once per stream, each with its role's template.</summary>
    /// <exception cref="EngineException">InvalidValue: the template refuses the messages, or they hold a token without a row in some member.</exception>
    public Prompt Render(FusionPlan plan, IReadOnlyList<ChatMessage> messages) => Render(plan, reader => reader.Read(messages));

    /// <summary>The same plain text for every stream.</summary>
    /// <exception cref="EngineException">InvalidValue for a token without a row in some member.</exception>
    public Prompt Render(FusionPlan plan, string text) => Render(plan, reader => reader.Read(text));

    /// <summary>The same token ids for every stream.</summary>
    /// <exception cref="EngineException">InvalidValue for an id outside the vocabulary.</exception>
    public Prompt Render(FusionPlan plan, ReadOnlyMemory<int> tokens)
    {
        Check(tokens.Span);
        return new Prompt(plan, [.. plan.Streams.Select(_ => tokens)]);
    }

    private Prompt Render(FusionPlan plan, Func<PromptReader, int[]> read)
    {
        return new(plan, [.. plan.Streams.Select(stream => Checked(read(readers[(stream.Model, stream.Role)])))]);

        ReadOnlyMemory<int> Checked(int[] tokens)
        {
            Check(tokens);
            return tokens;
        }
    }

    /// <summary>An id beyond a member's rows would fail the member's whole batch. Text may hold one where a tokenizer has more tokens than the model.</summary>
    private void Check(ReadOnlySpan<int> tokens)
    {
        foreach (int id in tokens)
        {
            if (id < 0 || id >= VocabularySize)
            {
                throw new EngineException(EngineError.InvalidValue, $"prompt has the token id {id}; accepted are 0 to {VocabularySize - 1}.", "prompt");
            }
        }
    }

    private static double? Asked(FusionSettings settings, string expert) =>
        settings.Experts is { } weights && weights.TryGetValue(expert, out double weight) ? weight : null;

    private static string FingerprintOf(string rule, IEnumerable<ModelInfo> members)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', members.Select(member => member.Hash).Prepend(rule))));
        return $"fp_{Convert.ToHexStringLower(hash)[..16]}";
    }
}
