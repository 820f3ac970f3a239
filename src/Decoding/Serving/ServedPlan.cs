using System.Text;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Serving;

/// <summary>A served model with the fusion of one request: what is fused, and how each stream reads the request.</summary>
public sealed class ServedPlan
{
    /// <summary>The name of the message that context-aware decoding leaves out of one of its streams.</summary>
    public const string ContextName = "context";

    // Tokens of real text have about four characters.
    private const int CharactersPerToken = 16;

    private readonly ServedModel model;
    private readonly FusionPlan unpatched;
    private readonly IReadOnlyList<PromptReader> readers;
    private FusionPlan? patched;

    /// <param name="streams">The streams of the plan, which has no patches yet.</param>
    internal ServedPlan(ServedModel model, SettledFusion settled, FusionPlan unpatched, IReadOnlyList<ServedStream> streams)
    {
        this.model = model;
        this.unpatched = unpatched;
        readers = [.. streams.Select(stream => stream.ReaderFor(settled.Values.Prompts))];
        Settled = settled;
        Streams = streams;
    }

    /// <summary>The fusion that applies.</summary>
    public SettledFusion Settled { get; }

    /// <summary>What the engine runs. Reads the streams' patches that are not in memory, and keeps them there for as long as this plan is kept.</summary>
    /// <exception cref="EngineException">InvalidModelFolder: a patch is broken, or not what it was.</exception>
    public FusionPlan LoadPatches() => patched ??= unpatched with
    {
        Streams = [.. unpatched.Streams.Zip(Streams, (stream, served) => stream with { Patch = served.Patch?.Load() })],
    };

    /// <summary>The streams of the plan.</summary>
    internal IReadOnlyList<ServedStream> Streams { get; }

    /// <summary>Renders a conversation once per stream, each as its role reads it.</summary>
    /// <exception cref="EngineException">InvalidValue: the template refuses the messages, a context message is missing, or they hold a token without a row in some member.</exception>
    public Prompt Render(IReadOnlyList<ChatMessage> messages)
    {
        RefuseIfMuchTooLong(messages.Select(message => message.Content));
        IReadOnlyList<ChatMessage> withoutContext = IsContextAware ? WithoutContext(messages) : messages;
        return Render((reader, role) => reader.Read(role == StreamRole.BaseWithoutContext ? withoutContext : messages));
    }

    /// <summary>The same plain text for every stream.</summary>
    /// <exception cref="EngineException">InvalidValue for a token without a row in some member, or where the fusion needs a conversation.</exception>
    public Prompt Render(string text)
    {
        RefuseWithoutConversation();
        RefuseIfMuchTooLong([text]);
        return Render((reader, _) => reader.Read(text));
    }

    /// <summary>The same token ids for every stream.</summary>
    /// <exception cref="EngineException">InvalidValue for an id outside the vocabulary, or where the fusion needs a conversation.</exception>
    public Prompt Render(ReadOnlyMemory<int> tokens)
    {
        RefuseWithoutConversation();
        Check(tokens.Span);
        return new Prompt(LoadPatches(), [.. readers.Select(_ => tokens)]);
    }

    private bool IsContextAware => Streams.Any(stream => stream.Role == StreamRole.BaseWithoutContext);

    private Prompt Render(Func<PromptReader, StreamRole, int[]> read)
    {
        return new(LoadPatches(), [.. readers.Zip(Streams, (reader, stream) => Checked(read(reader, stream.Role)))]);

        ReadOnlyMemory<int> Checked(int[] tokens)
        {
            Check(tokens);
            return tokens;
        }
    }

    /// <summary>
    /// Refuses a text whose beginning alone has twice as many tokens as the smallest context, so that nobody pays for the tokens of megabytes that no model
    /// can read. Other texts are tokenised as a whole, and then their tokens are counted.
    /// </summary>
    private void RefuseIfMuchTooLong(IEnumerable<string> texts)
    {
        (ServedStream stream, PromptReader reader) = Streams.Zip(readers).MinBy(pair => pair.First.Model.Info.ContextLength);
        int context = stream.Model.Info.ContextLength;
        long length = texts.Sum(text => (long)text.Length), beginning = (long)CharactersPerToken * context;
        if (length <= beginning)
        {
            return;
        }

        StringBuilder read = new();
        foreach (string text in texts)
        {
            read.Append(text, 0, (int)Math.Min(text.Length, beginning - read.Length));
        }

        int tokens = reader.Read(read.ToString()).Length;
        if (tokens > 2L * context)
        {
            throw new EngineException(
                EngineError.PromptTooLong,
                $"The prompt has {length} characters, and the first {beginning} of them are {tokens} tokens for '{stream.Model.Info.Name}', whose context of {context} tokens must also hold the answer.",
                "prompt");
        }
    }

    private static ChatMessage[] WithoutContext(IReadOnlyList<ChatMessage> messages)
    {
        ChatMessage[] others = [.. messages.Where(message => message.Name != ContextName)];
        return others.Length > 0 && others.Length < messages.Count
            ? others
            : throw new EngineException(
                EngineError.InvalidValue,
                $"messages has {messages.Count - others.Length} of {messages.Count} with the name '{ContextName}'; method {FusionMethod.ContextAware.Name} needs at least one such message, which holds the context, and at least one other.",
                "messages");
    }

    private void RefuseWithoutConversation()
    {
        if (IsContextAware)
        {
            throw new EngineException(
                EngineError.InvalidValue,
                $"fusion.method is '{FusionMethod.ContextAware.Name}'; it takes its context from a message with the name '{ContextName}', so it needs messages and not a prompt.",
                "fusion.method");
        }

        if (Settled.Values.Prompts is not null)
        {
            throw new EngineException(EngineError.InvalidValue, "fusion.prompts is given; it applies to messages and not to a prompt, which is read as it is.", "fusion.prompts");
        }
    }

    /// <summary>An id beyond a member's rows would fail the member's whole batch. Text may hold one where a tokenizer has more tokens than the model.</summary>
    private void Check(ReadOnlySpan<int> tokens)
    {
        foreach (int id in tokens)
        {
            if (id < 0 || id >= model.VocabularySize)
            {
                throw new EngineException(EngineError.InvalidValue, $"prompt has the token id {id}; accepted are 0 to {model.VocabularySize - 1}.", "prompt");
            }
        }
    }
}

/// <summary>From settled settings to streams and deltas: the table of methods in docs/decoding.md, in code.</summary>
internal sealed class PlanBuilder(ServedModel model, SettledFusion settled)
{
    private const string Size = "size";
    private const string Context = "context";
    private const string Amateur = "amateur";

    private readonly List<ServedStream> streams = [];
    private readonly List<FusionDelta> deltas = [];

    private AskedFusion Values => settled.Values;

    public ServedPlan Build()
    {
        streams.Add(model.BaseStream);
        switch (settled.Method.Members)
        {
            case MethodMembers.Pairs or MethodMembers.Rewards:
                Experts();
                break;
            case MethodMembers.Amateur:
                streams.Add(model.Amateur!);
                Add(Amateur, plus: null, minus: 1, 1);
                break;
            case MethodMembers.BaseWithoutContext:
                streams.Add(model.BaseStream with { Role = StreamRole.BaseWithoutContext, Name = "base without context" });
                Add(Context, plus: 0, minus: 1, 1);
                break;
        }

        bool hasExpert = deltas.Any(delta => delta.Name != Size && delta.Weight != 0);
        FusionPlan plan = new([.. streams.Select((stream, i) => new FusionStream(stream.Model, stream.Role, i == 0 ? 1 : 0, stream.Name))], model.VocabularySize)
        {
            Deltas = deltas,
            Schedule = settled.Schedule.ToSchedule(),
            Rule = settled.Method.Rule?.Invoke(model, settled),
            Mask = settled.Mask.ToCandidateMask(),
            Scale = settled.Method.Scale,
            DeltaMask = hasExpert ? settled.Mask.ToDeltaMask() : null,
            BaseOnlyIds = Values.SpecialTokens == FusionDefaults.BaseSpecialTokens ? model.Tokenizer.SpecialIds : [],
            Trace = settled.Trace,
        };
        return new ServedPlan(model, settled, plan, streams);
    }

    private void Experts()
    {
        // An expert without a weight is not run, unless the amplification needs its anti-expert or the mask compares the two.
        bool isOff = Values.Alpha == 0 && (Values.Amplification ?? 1) == 1 && settled.Mask.Kind != MaskSettings.RankKind;
        ServedExpert[] taking = [.. model.Experts.Where(expert => !isOff && Values.Experts![expert.Name] != 0)];
        foreach (ServedExpert expert in taking)
        {
            int plus = streams.Count;
            streams.Add(expert.Tuned);
            if (expert.Anti is { } anti)
            {
                streams.Add(anti);
            }

            Add(expert.Name, plus, expert.Anti is null ? null : plus + 1, Values.Experts![expert.Name]);
        }

        if (settled.Mask.ToDeltaMask() is not null && taking.Length > 1)
        {
            throw SettingsProblem.InRequest.At("mask.kind", settled.Mask.Kind, $"another mask: this one looks at one expert's nucleus, and {taking.Length} experts have a weight");
        }

        if (Values.Amplification is { } amplification and not 1 && taking.Length > 0)
        {
            if (taking.Select(expert => expert.Anti!.Model).Distinct().Count() > 1)
            {
                throw SettingsProblem.InRequest.At("amplification", amplification, "1 where experts have different anti-experts: it amplifies the base's difference from one");
            }

            // It does not depend on how strong the experts are, so alpha does not scale it.
            deltas.Add(new(Size, 0, 2, (float)(amplification - 1)));
        }
    }

    private void Add(string name, int? plus, int? minus, double weight) => deltas.Add(new(name, plus, minus, (float)((Values.Alpha ?? 1) * weight)));
}
